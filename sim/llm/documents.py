"""Documents: a handful of facts, told in the words of a domain."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.errors import BadInput, choose
from sim.llm import entities
from sim.llm.domains import DOMAINS, TASKS, Domain

FACTS = range(3, 7)
# One in so many combinations of facts is held out.
HELD_OUT_SHARE = 10
# A combination is that of the first facts, which every document has.
LEADING = FACTS.start


@dataclass(frozen=True)
class Document:
    """What the agent sees, with what it does not see.

    Fields:
        domain: the name of its domain; hidden from the agent.
        text: the document, on one line.
        facts: the entity in each slot; slots are named by their kind and stand in the order of the domain's grammar.
    """

    domain: str
    text: str
    facts: dict[str, str]


def is_held_out(facts: dict[str, str]) -> bool:
    """Whether a combination of facts is held out.

    It is when the places of the first three entities in their lists sum to a multiple of ten.  That depends on the
    entities alone, so no held-out document shares its first three facts with a training document of any length.

    Args:
        facts: the entity in each slot.
    """
    leading = list(facts.values())[:LEADING]
    return sum(map(entities.place_of, leading)) % HELD_OUT_SHARE == 0


def draw(
    task: str,
    count: int,
    rng: np.random.Generator,
    domains: Sequence[str] | None = None,
    facts: int = 3,
    held_out: bool = False,
) -> list[Document]:
    """Documents of a task, each of a domain drawn uniformly.

    Args:
        task: "summarization" or "email".
        count: how many, at least 0.
        rng: where they come from.
        domains: names of the task's domains to draw from; all of them by default.
        facts: how many facts each holds, 3 to 6.
        held_out: whether the combinations of facts are held-out ones; see `is_held_out`.

    Raises:
        BadInput: no such task or domain, or a number out of range.
    """
    choose("task", task, TASKS)
    names = TASKS[task] if domains is None else tuple(domains)
    for name in names:
        choose(f"domain of task '{task}'", name, TASKS[task])
    if not names:
        raise BadInput("domains: expected at least one, got none; leave it out for all domains of the task")
    if count < 0:
        raise BadInput(f"count: expected a number of documents of at least 0, got {count}")
    if facts not in FACTS:
        raise BadInput(f"facts: expected {FACTS.start} to {FACTS.stop - 1} for each document, got {facts}")
    return [_draw_one(DOMAINS[names[rng.integers(len(names))]], rng, facts, held_out) for _ in range(count)]


def _draw_one(domain: Domain, rng: np.random.Generator, count: int, held_out: bool) -> Document:
    facts = _draw_facts(list(domain.grammar.slots)[:count], rng, held_out)
    slots = domain.grammar.slots
    told = [_pick(slots[kind].sentences, rng).replace("@", fact) for kind, fact in facts.items()]
    told.insert(int(rng.integers(len(told) + 1)), _pick(domain.grammar.fillers, rng))
    return Document(domain.name, " ".join(told), facts)


def _draw_facts(kinds: list[str], rng: np.random.Generator, held_out: bool) -> dict[str, str]:
    # One combination in ten is held out, so the wanted side comes soon.
    while True:
        facts = {kind: entities.entity(kind, int(rng.integers(entities.size(kind)))) for kind in kinds}
        if is_held_out(facts) == held_out:
            return facts


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[rng.integers(len(options))]
