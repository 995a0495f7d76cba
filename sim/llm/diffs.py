"""What an edit changed, word by word: the pieces of a text that stayed, went and came."""

from itertools import pairwise
from typing import Literal, NamedTuple

from rapidfuzz.distance import Levenshtein

from sim.llm.costs import words

Kind = Literal["same", "deleted", "inserted"]


class Piece(NamedTuple):
    """A stretch of text with the white space after it: `kind` says whether it stayed, was deleted or inserted."""

    kind: Kind
    text: str


def diff(before: str, after: str) -> list[Piece]:
    """The pieces of the least edit of words that turns one text into the other: the edit whose words a cost counts.

    What stayed and what was inserted are the second text, what stayed and what was deleted the first, but for blanks
    between words and before the first, which cost nothing.

    Args:
        before: what the agent wrote.
        after: what the user made of it.
    """
    old, new = words(before), words(after)
    old_spaced, new_spaced = spaced(before, old), spaced(after, new)
    pieces: list[Piece] = []
    gone: list[str] = []
    come: list[str] = []
    for step in Levenshtein.opcodes(old, new):
        if step.tag != "equal":
            gone += old_spaced[step.src_start : step.src_end]
            come += new_spaced[step.dest_start : step.dest_end]
            continue
        pieces += _changed(gone, come)
        gone, come = [], []
        pieces.append(Piece("same", "".join(new_spaced[step.dest_start : step.dest_end])))
    return pieces + _changed(gone, come)


def _changed(gone: list[str], come: list[str]) -> list[Piece]:
    """What was deleted between two stretches that stayed, then what was inserted there."""
    both: list[Piece] = [Piece("deleted", "".join(gone)), Piece("inserted", "".join(come))]
    return [piece for piece in both if piece.text]


def spaced(text: str, found: list[str]) -> list[str]:
    """The words of a text with the blanks that follow each.

    Args:
        text: the whole.
        found: its words, in their order.
    """
    starts, at = [], 0
    for word in found:
        starts.append(text.index(word, at))
        at = starts[-1] + len(word)
    return [text[start:end] for start, end in pairwise([*starts, len(text)])]
