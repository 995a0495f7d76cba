"""Users: who edits what the agent wrote.

A strong user repairs the facts and gives a text every trait of the preference of its domain.  A weak user gives it
two of them, drawn anew each time, and touches nothing else.  The *other* users have the same preferences in another
wording.  They accept what is in the first wording, but for greetings, closings, emoji, and what is said of feelings,
praise or in question, which they put in their own.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from sim.errors import choose
from sim.llm.documents import Document
from sim.llm.domains import DOMAINS
from sim.llm.drafts import clean, parse, render
from sim.llm.repairs import repaired
from sim.llm.traits import Trait, in_order


@dataclass(frozen=True)
class Edit:
    """What came back from a user.

    Fields:
        text: the edited response; the response itself when there is no edit.
        status: "ok", or why there is no edit.
    """

    text: str
    status: str = "ok"


@runtime_checkable
class User(Protocol):
    """Whoever edits responses."""

    def answer(self, document: Document, response: str, rng: np.random.Generator) -> Edit:
        """The edit of a response, or why there is none.

        Args:
            document: what the response is about.
            response: any text.
            rng: the user's own draws.
        """
        ...


@dataclass(frozen=True)
class RuleUser:
    """A user who follows the rules of the text world; given `rng` she is deterministic.

    Fields:
        name: as in `USERS`.
        wording: "first" or "second".
        repairs: whether she repairs the facts.
        traits: how many traits of the preference she looks at in an edit; None for all of them.
    """

    name: str
    wording: str = "first"
    repairs: bool = True
    traits: int | None = None

    def edit(self, document: Document, response: str, rng: np.random.Generator) -> str:
        """The edited response; the response itself where it has what she looks at.

        Args:
            document: what the response is about.
            response: any text.
            rng: which traits she looks at, where not at all.
        """
        text = clean(response)
        if self.repairs:
            text = render(repaired(document, parse(text)))
        for trait in self.looks_at(document, rng):
            text = trait.give(text, self.wording)
        return text

    def answer(self, document: Document, response: str, rng: np.random.Generator) -> Edit:
        """The same with the status "ok".

        Args:
            document: what the response is about.
            response: any text.
            rng: which traits she looks at, where not at all.
        """
        return Edit(self.edit(document, response, rng))

    def looks_at(self, document: Document, rng: np.random.Generator) -> tuple[Trait, ...]:
        """The traits that she gives a response, in order.

        Args:
            document: its domain has the preference.
            rng: which traits, where not all.
        """
        names = DOMAINS[document.domain].traits
        if self.traits is not None and self.traits < len(names):
            names = tuple(names[i] for i in rng.choice(len(names), self.traits, replace=False))
        return in_order(names)


USERS: dict[str, RuleUser] = {
    user.name: user
    for user in (
        RuleUser("strong"),
        RuleUser("weak", repairs=False, traits=2),
        RuleUser("other", "second"),
        RuleUser("other-weak", "second", repairs=False, traits=2),
    )
}


def make(name: str) -> RuleUser:
    """The user of a name.

    Args:
        name: "strong", "weak", "other" or "other-weak".

    Raises:
        BadInput: no such user.
    """
    choose("user", name, USERS)
    return USERS[name]
