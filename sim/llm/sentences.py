"""Checkers and rewriters of the traits that concern words and sentences rather than a fixed phrase."""

import re

from sim.llm import phrases
from sim.llm.drafts import (
    Line,
    address_of,
    addressed,
    bare,
    body,
    clauses,
    ended,
    groups,
    is_body,
    map_body,
    prompt_for,
    small,
)
from sim.llm.entities import entities_in

# Words of a short sentence, and of a brief one for each of its facts; words of address do not count.
SHORT_WORDS = 8
BRIEF_WORDS_PER_FACT = 9
YOU = frozenset({"you", "your", "yours", "yourself"})

_WORD = re.compile(r"\w+")
_REACH = (BRIEF_WORDS_PER_FACT - 1) // 2


def is_simple(lines: list[Line]) -> bool:
    """No hard word."""
    return not _uses(lines, phrases.SIMPLE_WORDS)


def make_simple(lines: list[Line], wording: int) -> list[Line]:
    """Each hard word gives way to a simple one."""
    return _swapped(lines, phrases.SIMPLE_WORDS)


def is_formal(lines: list[Line]) -> bool:
    """None of the simple words that have a formal counterpart."""
    return not _uses(lines, phrases.FORMAL_WORDS)


def make_formal(lines: list[Line], wording: int) -> list[Line]:
    """Each of those words gives way to its formal counterpart."""
    return _swapped(lines, phrases.FORMAL_WORDS)


def _uses(lines: list[Line], words: dict[str, str]) -> bool:
    return any(word.lower() in words for line in lines for word in _WORD.findall(line.text))


def _swapped(lines: list[Line], words: dict[str, str]) -> list[Line]:
    def other(found: re.Match[str]) -> str:
        word = words.get(found.group().lower(), found.group())
        return word.capitalize() if found.group()[0].isupper() and word != found.group() else word

    return [Line([_WORD.sub(other, piece) for piece in line.pieces], line.bullet) for line in lines]


def is_parallel(lines: list[Line]) -> bool:
    """All parts of sentences that hold a fact begin with the same word; words of address are put aside."""
    return len({bare(part.split()[0]) for part in _fact_clauses(lines)}) <= 1


def _fact_clauses(lines: list[Line]) -> list[str]:
    parts = [part for sentence in body(lines) for part in clauses(address_of(sentence)[1])]
    return [part for part in parts if entities_in(part)]


def make_parallel(lines: list[Line], wording: int) -> list[Line]:
    """All of them begin with "the": "Balana is the mayor" is turned round, other parts have the word put before."""

    def change(sentence: str) -> list[str]:
        address, rest = address_of(sentence)
        return [addressed(address, " and ".join(_with_the(part) for part in clauses(rest)))]

    return map_body(lines, change)


def _with_the(part: str) -> str:
    words = part.split()
    if not entities_in(part) or bare(words[0]) == "the":
        return part
    return turned(part) or f"the {small(part)}"


def turned(part: str) -> str:
    """The part "ENTITY is ... the LABEL" turned round; "" when it is none."""
    found = re.fullmatch(r"(\w+) is (.*?)the (\w+)([.?!,;:]*)", part)
    if not found or entities_in(part) != [found[1]]:
        return ""
    return f"the {found[3]} is {found[2]}{found[1]}{found[4]}"


def is_brief(lines: list[Line]) -> bool:
    """Every body sentence holds a fact, in few words for each."""
    return all(_is_brief(sentence) for sentence in body(lines))


def _is_brief(sentence: str) -> bool:
    facts = len(entities_in(sentence))
    return facts > 0 and len(address_of(sentence)[1].split()) <= BRIEF_WORDS_PER_FACT * facts


def make_brief(lines: list[Line], wording: int) -> list[Line]:
    """Sentences without a fact go; of longer ones the words near a fact stay."""

    def change(sentence: str) -> list[str]:
        if not entities_in(sentence):
            return []
        if _is_brief(sentence):
            return [sentence]
        address, rest = address_of(sentence)
        return [addressed(address, ended(" ".join(_near_facts(rest.split()))))]

    return map_body(lines, change)


def _near_facts(words: list[str]) -> list[str]:
    keep = set()
    for place, word in enumerate(words):
        if entities_in(word):
            keep.update(range(place - _REACH, place + _REACH + 1))
    return [word for place, word in enumerate(words) if place in keep]


def is_short(lines: list[Line]) -> bool:
    """Every body sentence has few words; words of address do not count."""
    return all(_is_short(sentence) for sentence in body(lines))


def _is_short(sentence: str) -> bool:
    return len(address_of(sentence)[1].split()) <= SHORT_WORDS


def make_short(lines: list[Line], wording: int) -> list[Line]:
    """Long sentences are parted at "and", and after some words where that is not enough."""

    def change(sentence: str) -> list[str]:
        if _is_short(sentence):
            return [sentence]
        address, rest = address_of(sentence)
        parts = [piece for part in clauses(rest) for piece in _pieces(part.split())]
        parts = [*map(ended, parts[:-1]), *parts[-1:]]
        return [addressed(address, part) for part in parts]

    return map_body(lines, change)


def _pieces(words: list[str]) -> list[str]:
    return [" ".join(words[start : start + SHORT_WORDS]) for start in range(0, len(words), SHORT_WORDS)]


def is_second(lines: list[Line]) -> bool:
    """Every body sentence speaks to "you"."""
    return all(map(_speaks_to_you, body(lines)))


def _speaks_to_you(sentence: str) -> bool:
    return any(bare(word) in YOU for word in sentence.split())


def make_second(lines: list[Line], wording: int) -> list[Line]:
    """Sentences that do not are put after "You see"."""

    def change(sentence: str) -> list[str]:
        return [sentence if _speaks_to_you(sentence) else addressed(phrases.ADDRESSES[wording], sentence)]

    return map_body(lines, change)


def is_answering(lines: list[Line]) -> bool:
    """Every body sentence is a question or follows one."""
    return all(asked for _, _, asked in _asked(lines))


def make_answering(lines: list[Line], wording: int) -> list[Line]:
    """Sentences that follow no question get one, by the kind of their first fact."""
    missing = {(line, place) for line, place, asked in _asked(lines) if not asked}
    answering = []
    for at, line in enumerate(lines):
        pieces = [[prompt_for(piece), piece] if (at, i) in missing else [piece] for i, piece in enumerate(line.pieces)]
        answering.append(Line([piece for pair in pieces for piece in pair], line.bullet))
    return answering


def _asked(lines: list[Line]) -> list[tuple[int, int, bool]]:
    # Line and place of each body sentence, and whether it is a question or the piece before it is one.
    found, before = [], ""
    for at, line in enumerate(lines):
        for place, piece in enumerate([] if line.is_letter else line.pieces):
            if is_body(piece):
                found.append((at, place, piece.endswith("?") or before.endswith("?")))
            before = piece
    return found


def is_bulleted(lines: list[Line]) -> bool:
    """Every body sentence stands alone (but for its question) on a line that starts with "- "."""
    counts = [(line.bullet, len(body([line]))) for line in lines]
    return all(count == 0 or (bullet and count == 1) for bullet, count in counts)


def make_bulleted(lines: list[Line], wording: int) -> list[Line]:
    """Each body sentence gets such a line; phrases between them get plain ones."""
    return [part for line in lines for part in _bulleted(line)]


def _bulleted(line: Line) -> list[Line]:
    if line.is_letter or is_bulleted([line]):
        return [line]
    parts: list[Line] = []
    for group in groups(line):
        if is_body(group[-1]):
            parts.append(Line(group, bullet=True))
        elif parts and not parts[-1].bullet:
            parts[-1].pieces += group
        else:
            parts.append(Line(group))
    return parts
