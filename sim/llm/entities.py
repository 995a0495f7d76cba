"""Entities: the names and numbers that carry a text's facts.

A name is one of 60 beginnings of three letters and one of 40 endings that belong to its kind, so that a word's kind
is read off the word alone and a byte-pair encoding splits it into two or three pieces.  A number has four digits.
"""

import re

from sim.errors import choose

BEGINNINGS = tuple(
    "Bal Bel Bor Bur Cal Cor Dal Dor Dun Fal Fen Gal Gar Hal Hel Hol Jan Jor Kal Kel Kor Lan Lor Lum Mal Mar Mel Mor"
    " Nal Nor Pal Pel Por Ral Ren Rol Sal Sel Sor Tal Tam Tel Tor Val Ver Vol Wal Wen Wil Zan Zel Zor Bas Cas Das Hes"
    " Mos Nes Ris Tus".split()
)
ENDINGS = {
    "person": tuple(
        "ana eka ida ilo iko ano ena eno eta iva ola oma ona ora osa ula una ura usa aba"
        " ada aka ala ama apa ara asa ata ebo edo ego elo emo epo ero eso eto ibo ido igo".split()
    ),
    "place": tuple(
        "ford ton ham bury wick dale mere port gate side wood land field stead haven ridge bridge moor vale cliff"
        " brook marsh hurst combe thorp holm firth burn chester minster strand mouth peak wold hill lake ness shaw stow"
        " worth".split()
    ),
    "thing": tuple(
        "ax ex ix ox ux axi exi ixi oxi uxi ize oze uze yze azz ezz izz ozz uzz aq"
        " eq iq oq uq aqe eqe iqe oqe uqe ajo ejo ijo ojo ujo aju eju iju oju uju yju".split()
    ),
    "group": tuple(
        "corp tech labs works bank soft net ware group media motors foods steel power trust press trade craft"
        " union guild league club team board firm house mill yard dock store shop desk band crew staff fund"
        " plant forge line chain".split()
    ),
    "event": tuple(
        "fest expo fair gala con cup race rally show feast summit forum parade concert derby regatta meet match tour"
        " run ball dance jam slam quest trial contest prize camp day night week march swim ride climb sail game ring"
        " relay".split()
    ),
}
KINDS = (*ENDINGS, "number")
NUMBERS = range(1000, 10000)

_KIND_OF_ENDING = {ending: kind for kind, endings in ENDINGS.items() for ending in endings}
_WORD = re.compile(r"\w+")


def size(kind: str) -> int:
    """How many entities of a kind there are.

    Args:
        kind: one of `KINDS`.
    """
    choose("kind of entity", kind, KINDS)
    return len(NUMBERS) if kind == "number" else len(BEGINNINGS) * len(ENDINGS[kind])


def entity(kind: str, index: int) -> str:
    """The entity at place `index` of its kind's list.

    Args:
        kind: one of `KINDS`.
        index: from 0 to `size(kind)` - 1.
    """
    if kind == "number":
        return str(NUMBERS[index])
    beginning, ending = divmod(index, len(ENDINGS[kind]))
    return BEGINNINGS[beginning] + ENDINGS[kind][ending]


def place_of(word: str) -> int:
    """The place of an entity in its kind's list: `entity(kind_of(word), place_of(word)) == word`.

    Args:
        word: an entity.
    """
    kind = kind_of(word)
    if kind == "number":
        return NUMBERS.index(int(word))
    return BEGINNINGS.index(word[:3]) * len(ENDINGS[kind]) + ENDINGS[kind].index(word[3:])


def kind_of(word: str) -> str:
    """The kind of a word; "" when it is no entity.

    Args:
        word: one word, without punctuation.
    """
    if len(word) == 4 and word.isascii() and word.isdigit() and word[0] != "0":
        return "number"
    return _KIND_OF_ENDING.get(word[3:], "") if word[:3] in _BEGINNINGS else ""


_BEGINNINGS = frozenset(BEGINNINGS)


def entities_in(text: str) -> list[str]:
    """The entities of any text, in the order in which they stand, repetitions included.

    Args:
        text: anything.
    """
    return [word for word in _WORD.findall(text) if kind_of(word)]


def facts_in(text: str) -> dict[str, tuple[str, ...]]:
    """The distinct entities of any text by kind, sorted; kinds without any are left out.

    Args:
        text: anything.
    """
    found: dict[str, set[str]] = {}
    for word in entities_in(text):
        found.setdefault(kind_of(word), set()).add(word)
    return {kind: tuple(sorted(found[kind])) for kind in KINDS if kind in found}
