"""A text taken apart: lines, the sentences on them, and what each sentence is there for.

Every text can be taken apart, and `render(parse(text))` is the text with single spaces.  A piece is a sentence, a
hashtag or an emoji.  Pieces are *frames* (phrases that a trait puts there), *prompts* (questions that the next
sentence answers) or the *body* (all the rest); greetings and closings are lines of their own.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sim.llm import phrases
from sim.llm.entities import entities_in, kind_of

OPENER_RANK = {text: rank for rank, pair in enumerate(phrases.OPENERS.values()) for text in pair}
ENDER_RANK = {text: rank for rank, pair in enumerate(phrases.ENDERS.values()) for text in pair}
PROMPTS = frozenset(phrases.PROMPTS.values())
LETTER_LINES = frozenset((*phrases.GREETINGS, *phrases.CLOSINGS, *phrases.THANKS))

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")
_FIRST_WORD = re.compile(r"\w+")
_ENDS = (".", "?", "!")


@dataclass
class Line:
    """One line of a text.

    Fields:
        pieces: its sentences, hashtags and emoji.
        bullet: whether it starts with "- ".
    """

    pieces: list[str] = field(default_factory=list)
    bullet: bool = False

    @property
    def text(self) -> str:
        """The line as it is written."""
        return ("- " if self.bullet else "") + " ".join(self.pieces)

    @property
    def is_letter(self) -> bool:
        """Whether the line is a greeting or a closing."""
        return self.text in LETTER_LINES


def clean(text: str) -> str:
    """The text without control characters but the newline; each becomes a space."""
    return _CONTROL.sub(" ", text.replace("\r\n", "\n"))


def parse(text: str) -> list[Line]:
    """The lines of any text."""
    return [_parse_line(line.split()) for line in clean(text).split("\n")] if text else []


def _parse_line(words: list[str]) -> Line:
    bullet = len(words) > 1 and words[0] == "-"
    pieces, sentence = [], []
    for word in words[bullet:]:
        if is_mark(word) and sentence:
            pieces.append(" ".join(sentence))
            sentence = []
        sentence.append(word)
        if is_mark(word) or word.endswith(_ENDS):
            pieces.append(" ".join(sentence))
            sentence = []
    return Line([*pieces, " ".join(sentence)] if sentence else pieces, bullet)


def render(lines: list[Line]) -> str:
    """The text of these lines."""
    return "\n".join(line.text for line in lines)


def is_mark(word: str) -> bool:
    """Whether a word is a hashtag or made of emoji, and so a piece of its own."""
    return (len(word) > 1 and word[0] == "#") or not _EMOJI.sub("", word)


def has_emoji(text: str) -> bool:
    """Whether there is an emoji in the text."""
    return _EMOJI.search(text) is not None


def is_frame(piece: str) -> bool:
    """Whether a piece is there for a trait, or a mark, rather than for what it says."""
    return piece in OPENER_RANK or piece in ENDER_RANK or is_mark(piece)


def is_body(piece: str) -> bool:
    """Whether a piece says something: neither frame nor prompt."""
    return not is_frame(piece) and piece not in PROMPTS


def body(lines: list[Line]) -> list[str]:
    """The body sentences of a text, in order."""
    return [piece for line in lines if not line.is_letter for piece in line.pieces if is_body(piece)]


def groups(line: Line) -> Iterator[list[str]]:
    """The pieces of a line, each with the prompts right before it."""
    group: list[str] = []
    for piece in line.pieces:
        group.append(piece)
        if piece not in PROMPTS:
            yield group
            group = []
    if group:
        yield group


def map_body(lines: list[Line], change: Callable[[str], list[str]]) -> list[Line]:
    """Each body sentence replaced by `change` of it: no sentence, one, or several.

    What belongs to a sentence follows it: its prompt goes before each of those that replace it, and on a line with a
    bullet each gets a line.  Lines that lose all they had are left out.
    """
    changed: list[Line] = []
    for line in lines:
        changed += [line] if line.is_letter or not line.pieces else _map_line(line, change)
    return changed


def _map_line(line: Line, change: Callable[[str], list[str]]) -> list[Line]:
    changed = [Line(bullet=line.bullet)]
    for group in groups(line):
        if not is_body(group[-1]):
            changed[-1].pieces += group
            continue
        for sentence in change(group[-1]):
            if line.bullet and any(map(is_body, changed[-1].pieces)):
                changed.append(Line(bullet=True))
            prompts = group[:-1] if sentence == group[-1] else [prompt_for(sentence)] * (len(group) > 1)
            changed[-1].pieces += [*prompts, sentence]
    return [line for line in changed if line.pieces]


def prompt_for(sentence: str) -> str:
    """The question that a sentence answers."""
    found = entities_in(sentence)
    return phrases.PROMPTS[kind_of(found[0]) if found else ""]


def add_opener(lines: list[Line], phrase: str) -> None:
    """Put a phrase of `phrases.OPENERS` where it stands: before the body, after openers that come earlier."""
    at = next((i for i, line in enumerate(lines) if not line.is_letter), None)
    if at is None or lines[at].bullet or not lines[at].pieces:
        lines.insert(_after_greeting(lines) if at is None else at, Line([phrase]))
        return
    pieces, place = lines[at].pieces, 0
    while place < len(pieces) and OPENER_RANK.get(pieces[place], len(OPENER_RANK)) < OPENER_RANK[phrase]:
        place += 1
    pieces.insert(place, phrase)


def add_ender(lines: list[Line], phrase: str) -> None:
    """Put a phrase of `phrases.ENDERS` where it stands: after the body, before enders that come later."""
    at = next((i for i in reversed(range(len(lines))) if not lines[i].is_letter), None)
    if at is None or lines[at].bullet or not lines[at].pieces:
        lines.insert(_after_greeting(lines) if at is None else at + 1, Line([phrase]))
        return
    pieces = lines[at].pieces
    place = len(pieces)
    while place > 0 and ENDER_RANK.get(pieces[place - 1], -1) > ENDER_RANK[phrase]:
        place -= 1
    if place > 0:
        pieces[place - 1] = ended(pieces[place - 1])
    pieces.insert(place, phrase)


def add_sentence(lines: list[Line], sentence: str) -> None:
    """Put a sentence after the last one of the body, on a line of its own where the others have one."""
    at = next((i for i in reversed(range(len(lines))) if body([lines[i]])), None)
    if at is None:
        at = next((i for i, line in enumerate(lines) if not line.is_letter and not line.bullet), None)
        if at is None:
            lines.insert(_after_greeting(lines), Line([sentence]))
        else:
            openers = sum(piece in OPENER_RANK for piece in lines[at].pieces)
            lines[at].pieces.insert(openers, sentence)
        return
    if lines[at].bullet:
        lines.insert(at + 1, Line([sentence], bullet=True))
        return
    pieces = lines[at].pieces
    last = max(i for i, piece in enumerate(pieces) if is_body(piece))
    pieces[last] = ended(pieces[last])
    pieces.insert(last + 1, sentence)


def _after_greeting(lines: list[Line]) -> int:
    return sum(line.text in phrases.GREETINGS for line in lines[:1])


def ended(sentence: str) -> str:
    """The sentence with a mark at its end."""
    return sentence if sentence.endswith(_ENDS) or is_mark(sentence) else sentence.rstrip(",;:") + "."


def bare(word: str) -> str:
    """A word in small letters, without the punctuation around it."""
    return word.strip(".,;:?!()'\"").lower()


def capital(text: str) -> str:
    """The text with a large first letter."""
    return _recased(text, str.upper)


def small(text: str) -> str:
    """The text with a small first letter, unless that is an entity's."""
    return _recased(text, str.lower)


def _recased(text: str, case: Callable[[str], str]) -> str:
    # A name's first letter is part of the name: no name is made or lost here.
    recased = case(text[:1]) + text[1:]
    first, other = _FIRST_WORD.match(text), _FIRST_WORD.match(recased)
    name = any(found and kind_of(found.group()) for found in (first, other))
    return text if name or len(recased) != len(text) else recased


def address_of(sentence: str) -> tuple[str, str]:
    """A sentence's words of address ("You see", or none) and the rest of it."""
    for address in phrases.ADDRESSES:
        if sentence.startswith(address + " "):
            return address, sentence[len(address) + 1 :]
    return "", sentence


def addressed(address: str, rest: str) -> str:
    """The sentence with words of address (or none) before its rest."""
    return f"{address} {small(rest)}" if address else capital(rest)


def clauses(sentence: str) -> list[str]:
    """The parts of a sentence between its words "and"; empty ones are left out."""
    return [part.strip() for part in f" {sentence} ".replace(" and ", "  and  ").split(" and ") if part.strip()]
