"""Responses to learn from before any user has edited: every style is there, and none is preferred."""

import numpy as np

from sim.llm import phrases
from sim.llm.documents import Document
from sim.llm.domains import DOMAINS, TASKS
from sim.llm.drafts import capital
from sim.llm.traits import Trait, in_order

# How often a demonstrated response has a trait, whatever its domain.
SHARE = 0.15
# Traits that put a closing there: their absence is a trait too.
CLOSING_SHARE = 0.25
_CLOSINGS = ("letter", "thanks")


def traits_of(task: str) -> tuple[Trait, ...]:
    """The traits of all preferences of a task, each once.

    Args:
        task: "summarization" or "email".
    """
    return in_order(tuple(phrase for name in TASKS[task] for phrase in DOMAINS[name].traits))


def share(trait: str) -> float:
    """How often a demonstrated response has a trait.

    Args:
        trait: a trait's `name`.
    """
    if trait == "no closing":
        return (1 - CLOSING_SHARE) ** len(_CLOSINGS)
    return CLOSING_SHARE if trait in _CLOSINGS else SHARE


def demonstrate(document: Document, rng: np.random.Generator) -> str:
    """The document's facts in plain sentences; each trait of the task is there by its own coin.

    The coins know nothing of the domain.  "No closing" has none: it is there when no trait put a closing.

    Args:
        document: what the response is about.
        rng: where the coins come from.
    """
    wanted = [trait for trait in traits_of(DOMAINS[document.domain].task) if trait.name != "no closing"]
    coins = rng.random(len(wanted))
    chosen = [trait for trait, coin in zip(wanted, coins, strict=True) if coin < share(trait.name)]
    text = _plain(document, {trait.name for trait in chosen}, {trait.name for trait in wanted}, rng)
    for trait in chosen:
        text = trait.give(text)
    return text


def _plain(document: Document, chosen: set[str], drawn: set[str], rng: np.random.Generator) -> str:
    # A text with none of the traits of phrases and lines, and with the chosen ones of words and sentences.
    told = _clauses(document, chosen, drawn, rng)
    size = 1 if "short" in chosen else 2
    joined = [" and ".join(told[at : at + size]) for at in range(0, len(told), size)]
    written = [capital(part) + "." for part in joined]
    if "brief" not in chosen:
        written.insert(len(written) * int(rng.integers(2)), phrases.FILLERS[rng.integers(len(phrases.FILLERS))])
    return " ".join(written)


def _clauses(document: Document, chosen: set[str], drawn: set[str], rng: np.random.Generator) -> list[str]:
    slots = DOMAINS[document.domain].grammar.slots
    count = len(document.facts)
    # Formal words are hard ones: where a task draws either trait, the other words stand for its absence.
    hard = "formal" in chosen if "formal" in drawn else "simple" not in chosen
    adverbs = tuple(phrases.ADVERBS if hard else phrases.ADVERBS.values())
    words = [adverbs[rng.integers(len(adverbs))] for _ in range(count)]
    around = np.zeros(count, bool) if "parallel" in chosen or "parallel" not in drawn else _some(count, rng)
    return [
        f"{entity} is {adverb} the {slots[kind].label}" if turned else f"the {slots[kind].label} is {adverb} {entity}"
        for (kind, entity), adverb, turned in zip(document.facts.items(), words, around, strict=True)
    ]


def _some(count: int, rng: np.random.Generator) -> np.ndarray:
    # At least one of them, every such choice as likely as any other.
    number = int(rng.integers(1, 2**count))
    return np.array([number >> place & 1 for place in range(count)], bool)
