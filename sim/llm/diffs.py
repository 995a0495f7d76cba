"""What an edit changed, word by word: the pieces of a text that stayed, went and came."""

import re
from typing import Literal, NamedTuple

from rapidfuzz.distance import Levenshtein

Kind = Literal["same", "deleted", "inserted"]


class Piece(NamedTuple):
    """A stretch of text with the white space after it: `kind` says whether it stayed, was deleted or inserted."""

    kind: Kind
    text: str


def diff(before: str, after: str) -> list[Piece]:
    """The pieces of the least edit of words that turns one text into the other.

    The texts without what was inserted, and without what was deleted, are the two texts, but for white space: line
    breaks count as words here, so that their changes are seen.

    Args:
        before: what the agent wrote.
        after: what the user made of it.
    """
    old, new = words_with_space(before), words_with_space(after)
    pieces: list[Piece] = []
    for step in Levenshtein.opcodes([word.strip(" \t") for word in old], [word.strip(" \t") for word in new]):
        if step.tag == "equal":
            _add(pieces, "same", "".join(new[step.dest_start : step.dest_end]))
            continue
        _add(pieces, "deleted", "".join(old[step.src_start : step.src_end]))
        _add(pieces, "inserted", "".join(new[step.dest_start : step.dest_end]))
    return pieces


def words_with_space(text: str) -> list[str]:
    """The words, each line break one of them, with the blanks that follow."""
    return re.findall(r"(?:[^\s]+|\r\n|\r|\n)[^\S\r\n]*", text.lstrip(" \t"))


def _add(pieces: list[Piece], kind: Kind, text: str) -> None:
    """Add a piece, to one of its kind where nothing that stayed lies between."""
    if not text:
        return
    # Behind the last that stayed there is at most one deleted and one inserted piece, in this order.
    last = pieces[-1] if pieces else None
    if last is not None and last.kind == kind:
        pieces[-1] = Piece(kind, last.text + text)
    elif kind == "deleted" and last is not None and last.kind == "inserted":
        if len(pieces) > 1 and pieces[-2].kind == "deleted":
            pieces[-2] = Piece(kind, pieces[-2].text + text)
        else:
            pieces.insert(-1, Piece(kind, text))
    else:
        pieces.append(Piece(kind, text))
