"""Protocol 1 with a language model: the offline log, and T online rounds in which a rule picks among policies."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd

from sim.errors import BadInput
from sim.llm import decoding
from sim.llm.agent import Agent
from sim.llm.costs import C_MAX, edit_ratio
from sim.llm.documents import Document, draw
from sim.llm.presets import Study
from sim.llm.seeds import generator, number
from sim.llm.transformer import Transformer
from sim.llm.users import Edit, User
from sim.online import UCB, Rule, Session, Uniform

PATIENCE = 20
"""Edits in a row that a user may leave unanswered; then the run stops."""

GIVEN_UP = "not asked"
"""How the status of an edit begins that a user was not asked for any more."""

LISTED = ("sup", "pref", "early")
"""The policies that the paper's late ensemble chooses from."""


class Drafts(NamedTuple):
    """Documents with the reference policy's responses, drawn at temperature 1: the half of a log that no user made.

    Fields:
        documents: as drawn.
        responses: their texts.
        log_probabilities: under the reference.
    """

    documents: list[Document]
    responses: list[str]
    log_probabilities: np.ndarray


def logged_documents(study: Study, task: str, seed: int) -> list[Document]:
    """The documents of the logs of this seed."""
    count = study.settings.logged[task] + study.settings.held_out
    return draw(task, count, generator("log", task, seed), study.domains(task), study.settings.facts)


def drafts(study: Study, task: str, agent: Agent, seed: int) -> Drafts:
    """What every user of this seed is given to edit: the same documents and responses."""
    s, documents = study.settings, logged_documents(study, task, seed)
    tokens = agent.vocabulary.documents([one.text for one in documents])
    made = decoding.generate(
        agent.reference, tokens, s.response, number("log", task, seed), dtype=jnp.dtype(s.dtype)
    )  # fmt: skip
    return Drafts(documents, agent.vocabulary.texts(made.tokens), made.log_probability)


def logged(task: str, name: str, user: User, given: Drafts, seed: int) -> pd.DataFrame:
    """The log of a user: her edits of the drafts, in the columns of `sim.llm.logs`.

    Rows that she did not answer have a `status` other than "ok" and teach nothing; after `PATIENCE` of them in a row
    she is asked no more.
    """
    rng, asked = generator("edits", task, name, seed), Patient(user)
    answers = [asked.answer(*pair, rng) for pair in zip(given.documents, given.responses, strict=True)]
    ratios = [edit_ratio(y, answer.text) for y, answer in zip(given.responses, answers, strict=True)]
    return pd.DataFrame(
        {
            "task": task,
            "context": [one.text for one in given.documents],
            "response": given.responses,
            "edit": [answer.text for answer in answers],
            "cost": np.minimum(ratios, C_MAX),
            "logprob_response": given.log_probabilities.astype(float),
            "logprob_edit": np.nan,
            "user": name,
            "group": [one.domain for one in given.documents],
            "status": [answer.status for answer in answers],
        }
    )


def asked_again(rows: pd.DataFrame, documents: Sequence[Document], user: User, seed: int) -> pd.DataFrame:
    """A log in which the user is asked for the edits that she did not answer, and for no others."""
    rows, asked = rows.copy(), Patient(user)
    for i in np.flatnonzero(rows["status"] != "ok").tolist():
        task, name, response = (str(rows[key].iat[i]) for key in ("task", "user", "response"))
        answer = asked.answer(documents[i], response, generator("asked again", task, name, seed, i))
        cost = min(edit_ratio(response, answer.text), C_MAX)
        rows.loc[rows.index[i], ["edit", "cost", "status"]] = [answer.text, cost, answer.status]
    return rows


class Patient:
    """A user who is asked no more once she has left `PATIENCE` edits in a row unanswered.

    Args:
        user: who is asked.
    """

    def __init__(self, user: User) -> None:
        self.user, self.unanswered, self.last = user, 0, ""

    def answer(self, document: Document, response: str, rng: np.random.Generator) -> Edit:
        """The user's answer, or the response itself with the status `GIVEN_UP`."""
        if self.unanswered >= PATIENCE:
            return Edit(response, f"{GIVEN_UP}: {self.last}")
        answer = self.user.answer(document, response, rng)
        self.unanswered = 0 if answer.status == "ok" else self.unanswered + 1
        self.last = answer.status
        return answer


def check_answered(name: str, statuses: Iterable[str]) -> None:
    """Refuse to go on with a user who has stopped answering.

    Raises:
        BadInput: she left `PATIENCE` edits in a row unanswered, with the last status.
    """
    for status in statuses:
        if status.startswith(GIVEN_UP):
            raise BadInput(
                f"user {name}: expected answers, got none to {PATIENCE} edits in a row{status.removeprefix(GIVEN_UP)};"
                " what is stored is kept; see to the user, then resume the run"
            )


class Round(NamedTuple):
    """What a policy said in a round and what a user made of it."""

    response: str
    edit: str
    ratio: float
    status: str


Rounds = dict[str, list[Round]]
"""Of one policy, by test user."""

COLUMNS = ["test_user", "round", "response", "edit", "raw_cost", "status"]
"""Of rounds as they are stored."""


def online_documents(study: Study, task: str, seed: int) -> list[Document]:
    """The documents of the online rounds of this seed; they share no combination of facts with those of any log."""
    s = study.settings
    return draw(task, s.rounds, generator("online", task, seed), study.domains(task), s.facts, held_out=True)


def played(
    study: Study,
    task: str,
    policy: Transformer,
    agent: Agent,
    documents: Sequence[Document],
    users: Mapping[str, User],
    seed: int,
) -> Rounds:
    """The response of a policy in every online round, and every test user's edit of it, by test user.

    Documents and the draws of the users are the same for all policies, so that differences between policies are
    differences of what they wrote.
    """
    s, tokens = study.settings, agent.vocabulary.documents([one.text for one in documents])
    made = decoding.generate(
        policy, tokens, s.response, number("online", task, seed), s.greedy, dtype=jnp.dtype(s.dtype)
    )  # fmt: skip
    responses = agent.vocabulary.texts(made.tokens)
    found: Rounds = {}
    for name, user in users.items():
        asked = Patient(user)
        found[name] = [
            edited(asked, document, response, generator("round", task, seed, name, t))
            for t, (document, response) in enumerate(zip(documents, responses, strict=True))
        ]
        check_answered(name, (one.status for one in found[name]))
    return found


def as_table(rounds: Rounds) -> pd.DataFrame:
    """Rounds as they are stored, a row for each."""
    rows = [(user, t, *one) for user, own in rounds.items() for t, one in enumerate(own, 1)]
    return pd.DataFrame(rows, columns=COLUMNS)


def from_table(rows: pd.DataFrame) -> Rounds:
    """Rounds of which `as_table` made these rows."""
    return {
        str(user): [Round(*one) for one in own[["response", "edit", "raw_cost", "status"]].itertuples(index=False)]
        for user, own in rows.groupby("test_user", sort=False)
    }


def edited(user: User, document: Document, response: str, rng: np.random.Generator) -> Round:
    """A user's edit of one response, with its cost."""
    answer = user.answer(document, response, rng)
    ratio = edit_ratio(response, answer.text) if answer.status == "ok" else np.nan
    return Round(response, answer.text, ratio, answer.status)


def episodes(rounds: Mapping[str, Sequence[Round]], rules: Mapping[str, tuple[Rule, Sequence[str]]], seed: int) -> Any:
    """Rows of `episodes.parquet` for one test user: every policy alone, and every rule over its list of policies.

    Args:
        rounds: by policy, equally many.
        rules: by name, a rule and the policies that it chooses from.
        seed: of the rules' own draws.
    """
    frames = [_rows(name, [name] * len(own), own) for name, own in rounds.items()]
    for name, (rule, listed) in rules.items():
        arms = _choices(rule, [rounds[policy] for policy in listed], seed)
        paid = [rounds[listed[arm]][t] for t, arm in enumerate(arms)]
        frames.append(_rows(name, [listed[arm] for arm in arms], paid))
    return pd.concat(frames, ignore_index=True)


def rules(study: Study, trained: Sequence[str]) -> dict[str, tuple[Rule, list[str]]]:
    """Algorithm 1 over the paper's list and over all trained policies, and uniform play, by the names in tables."""
    ucb, few = UCB(alpha=study.settings.alpha * C_MAX, c_max=C_MAX), [name for name in LISTED if name in trained]
    return {"late": (ucb, few), "late (all)": (ucb, list(trained)), "uniform": (Uniform(), few)}


def _choices(rule: Rule, listed: Sequence[Sequence[Round]], seed: int) -> list[int]:
    """The arm of each round; nothing is learned from a round in which the user did not answer."""
    session, arms = Session(rule, len(listed), C_MAX, seed), []
    for t in range(len(listed[0])):
        arms.append(session.choose())
        cost = min(listed[arms[-1]][t].ratio, C_MAX)
        if np.isfinite(cost):
            session.pay(cost)
        else:
            session.skip()
    return arms


def _rows(method: str, arms: list[str], rounds: Sequence[Round]) -> pd.DataFrame:
    ratios = np.array([one.ratio for one in rounds])
    return pd.DataFrame(
        {
            "method": method,
            "round": np.arange(1, len(rounds) + 1),
            "arm": arms,
            "cost": np.minimum(ratios, C_MAX),
            "raw_cost": ratios,
            "status": [one.status for one in rounds],
        }
    )


def samples(documents: Sequence[Document], rounds: Mapping[str, Sequence[Round]], count: int) -> pd.DataFrame:
    """The first rounds of every policy in full, for people to read."""
    return pd.DataFrame(
        [
            {"method": name, "context": document.text, "response": one.response, "edit": one.edit,
             "cost": np.minimum(one.ratio, C_MAX), "raw_cost": one.ratio}
            for name, own in rounds.items()
            for document, one in list(zip(documents, own, strict=True))[:count]
        ]
    )  # fmt: skip
