"""Documents, demonstrated responses and damaged ones of the text world, and texts of no world at all."""

import functools

import numpy as np
from hypothesis import strategies as st

from sim.llm import phrases
from sim.llm.documents import Document, draw
from sim.llm.domains import DOMAINS
from sim.llm.responses import demonstrate


@functools.cache
def documents(domain: str, count: int = 60, facts: int = 3, seed: int = 0) -> list[Document]:
    rng = np.random.default_rng(seed)
    return draw(DOMAINS[domain].task, count, rng, [domain], facts=facts)


@functools.cache
def demonstrated(domain: str, count: int = 60, facts: int = 3, seed: int = 0) -> list[tuple[Document, str]]:
    rng = np.random.default_rng(seed + 1)
    return [(document, demonstrate(document, rng)) for document in documents(domain, count, facts, seed)]


def damaged(text: str, rng: np.random.Generator) -> str:
    """Words dropped, doubled, swapped, and put in from elsewhere, as a model that is not trained enough would."""
    words = text.replace("\n", " \n ").split(" ")
    strange = ["Zoreka", "Balbank", "4711", "the", "and", "is", "Yippee!", "xyz", "-", "\n", "Who?", "You", "🙂", "."]
    for _ in range(rng.integers(1, 8)):
        place = int(rng.integers(len(words) + 1))
        action = rng.integers(4)
        if action == 0:
            words[place : place + 2] = []
        elif action == 1:
            words[place:place] = words[place : place + 3]
        elif action == 2:
            words[place : place + 1] = [strange[rng.integers(len(strange))]]
        else:
            words[place:place] = [strange[rng.integers(len(strange))]]
    return " ".join(words)


PIECES = [
    *phrases.FILLERS, *phrases.PROMPTS.values(), *phrases.GREETINGS, *phrases.CLOSINGS, *phrases.THANKS,
    *phrases.SIMPLE_WORDS, *phrases.FORMAL_WORDS, *phrases.ADDRESSES, "Zoreka", "Balbank", "4711", "the", "The", "and",
    "is", "mayor", "you", "x", "-", "\n", "\n- ", ".", "?", "#", "#a", "😀", "\t", "\x00", "\u200d", "ß", "belmar", ",",
    *(text for pair in (*phrases.OPENERS.values(), *phrases.ENDERS.values()) for text in pair),
]  # fmt: skip
ANY_TEXT = st.one_of(
    st.text(max_size=80),
    st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=30).map("".join),
)
