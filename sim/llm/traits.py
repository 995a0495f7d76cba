"""Traits: what a preference asks of a text.  Each has a checker and a rewriter that keeps the text's facts.

`TRAITS` maps each phrase of a preference to its trait; phrases that mean one checkable thing share one.  A rewriter
does nothing to a text that has the trait, makes any text have it, and leaves the other traits of a demonstrated text
as they were, but for "no closing", which takes away what the two traits with closings put there.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sim.errors import choose
from sim.llm import drafts, phrases, sentences
from sim.llm.drafts import Line, clean, parse, render

Has = Callable[[list[Line]], bool]
Give = Callable[[list[Line], int], list[Line]]


@dataclass(frozen=True)
class Trait:
    """One thing that a text has or has not.

    Fields:
        name: what it is called where phrases share it.
        checker: whether a text, taken apart, has it.
        rewriter: gives it to a text, taken apart, in a wording (0 or 1).
        pair: its phrases in the two wordings; none where it has no wording.
        insists: whether a user with one wording replaces the other one.
    """

    name: str
    checker: Has
    rewriter: Give
    pair: tuple[tuple[str, str], ...] = ()
    insists: bool = False

    def has(self, text: str) -> bool:
        """Whether the text has the trait, in whichever wording."""
        return self.checker(parse(text))

    def met(self, text: str, wording: str = "first") -> bool:
        """Whether a user of this wording leaves the text alone.

        Args:
            text: anything.
            wording: "first" or "second".
        """
        lines = parse(text)
        return self.checker(lines) and not (self.insists and _reworded(lines, self.pair, _index(wording)))

    def give(self, text: str, wording: str = "first") -> str:
        """The text with the trait: the same text (but for control characters) when it is met already.

        Args:
            text: anything.
            wording: "first" or "second".
        """
        if self.met(text, wording):
            return clean(text)
        lines, index = parse(text), _index(wording)
        if self.insists:
            _reworded(lines, self.pair, index)
        return render(lines if self.checker(lines) else self.rewriter(lines, index))


def _index(wording: str) -> int:
    choose("wording", wording, phrases.WORDINGS)
    return phrases.WORDINGS.index(wording)


def _reworded(lines: list[Line], pairs: tuple[tuple[str, str], ...], index: int) -> bool:
    # Each phrase of the other wording gives way, in place; says whether there was any.
    own = {pair[1 - index]: pair[index] for pair in pairs}
    before = [list(line.pieces) for line in lines]
    for line in lines:
        line.pieces = [own.get(piece, piece) for piece in line.pieces]
    return before != [line.pieces for line in lines]


def _opener(name: str) -> Trait:
    pair = phrases.OPENERS[name]

    def give(lines: list[Line], wording: int) -> list[Line]:
        drafts.add_opener(lines, pair[wording])
        return lines

    return Trait(name, lambda lines: _says(lines, pair), give, (pair,))


def _ender(name: str, has: Has | None = None, insists: bool = False) -> Trait:
    pair = phrases.ENDERS[name]

    def give(lines: list[Line], wording: int) -> list[Line]:
        drafts.add_ender(lines, pair[wording])
        return lines

    return Trait(name, has or (lambda lines: _says(lines, pair)), give, (pair,), insists)


def _says(lines: list[Line], pair: tuple[str, str]) -> bool:
    return any(piece in pair for line in lines for piece in line.pieces)


def _has_line(lines: list[Line], texts: tuple[str, ...]) -> bool:
    return any(line.text in texts for line in lines)


def _has_hashtag(lines: list[Line]) -> bool:
    return any(word[0] == "#" and word[1:2].isalnum() for line in lines for word in line.text.split())


def _has_emoji(lines: list[Line]) -> bool:
    return any(drafts.has_emoji(line.text) for line in lines)


def _is_letter(lines: list[Line]) -> bool:
    return _has_line(lines, phrases.GREETINGS) and _has_line(lines, phrases.CLOSINGS)


def _make_letter(lines: list[Line], wording: int) -> list[Line]:
    if not _has_line(lines, phrases.GREETINGS):
        lines = [Line([phrases.GREETINGS[wording]]), *lines]
    return lines if _has_line(lines, phrases.CLOSINGS) else [*lines, Line([phrases.CLOSINGS[wording]])]


def _add_thanks(lines: list[Line], wording: int) -> list[Line]:
    return [*lines, Line([phrases.THANKS[wording]])]


_ANY_CLOSING = (*phrases.CLOSINGS, *phrases.THANKS)


def _drop_closings(lines: list[Line], wording: int) -> list[Line]:
    return [line for line in lines if line.text not in _ANY_CLOSING]


SIMPLE = Trait("simple", sentences.is_simple, sentences.make_simple)
FORMAL = Trait("formal", sentences.is_formal, sentences.make_formal)
PARALLEL = Trait("parallel", sentences.is_parallel, sentences.make_parallel)
BRIEF = Trait("brief", sentences.is_brief, sentences.make_brief)
SHORT = Trait("short", sentences.is_short, sentences.make_short)
SECOND = Trait("second person", sentences.is_second, sentences.make_second)
ANSWERS = Trait("answers", sentences.is_answering, sentences.make_answering)
BULLETS = Trait("bullets", sentences.is_bulleted, sentences.make_bulleted)
NO_CLOSING = Trait("no closing", lambda lines: not _has_line(lines, _ANY_CLOSING), _drop_closings)
LETTER = Trait("letter", _is_letter, _make_letter, (phrases.GREETINGS, phrases.CLOSINGS), insists=True)
THANKS = Trait("thanks", lambda lines: _has_line(lines, phrases.THANKS), _add_thanks, (phrases.THANKS,), insists=True)
STORY, FORESHADOWING, IMMERSIVE = _opener("story"), _opener("foreshadowing"), _opener("immersive")
INFORMAL, RESPECTFUL = _opener("informal"), _opener("respectful")
PLAYFUL, REFLECTION, ACTION = _ender("playful"), _ender("reflection"), _ender("action")
EMOTION, POSITIVE = _ender("emotion", insists=True), _ender("positive", insists=True)
QUESTION = _ender("question", insists=True)
HASHTAG, EMOJI = _ender("hashtag", _has_hashtag), _ender("emoji", _has_emoji, insists=True)

# In the order in which a user applies them: words, sentences, phrases, lines.
ORDER = (
    SIMPLE, FORMAL, PARALLEL, BRIEF, SHORT, SECOND, ANSWERS, BULLETS, NO_CLOSING, INFORMAL, RESPECTFUL, STORY,
    FORESHADOWING, IMMERSIVE, PLAYFUL, POSITIVE, EMOTION, REFLECTION, ACTION, QUESTION, HASHTAG, EMOJI, LETTER, THANKS,
)  # fmt: skip

TRAITS: dict[str, Trait] = {
    "style targeted to young children": SIMPLE,
    "storytelling": STORY,
    "short sentences": SHORT,
    "playful language": PLAYFUL,
    "interactive": QUESTION,
    "positive": POSITIVE,
    "second person narrative": SECOND,
    "brief": BRIEF,
    "show emotions": EMOTION,
    "invoke personal reflection": REFLECTION,
    "immersive": IMMERSIVE,
    "bullet points": BULLETS,
    "parallel structure": PARALLEL,
    "tweet style": HASHTAG,
    "simple English": SIMPLE,
    "inquisitive": QUESTION,
    "skillful foreshadowing": FORESHADOWING,
    "with emojis": EMOJI,
    "question answering style": ANSWERS,
    "informal": INFORMAL,
    "conversational": QUESTION,
    "no closing": NO_CLOSING,
    "structured": BULLETS,
    "straight to the points": BRIEF,
    "respectful": RESPECTFUL,
    "professional greeting and closing": LETTER,
    "casual tone": INFORMAL,
    "clear": SHORT,
    "call to action": ACTION,
    "engaging": QUESTION,
    "personalized": SECOND,
    "professional tone": FORMAL,
    "thankful closing": THANKS,
}


def in_order(names: tuple[str, ...]) -> tuple[Trait, ...]:
    """The traits that these phrases mean, each once, in the order in which a user applies them.

    Args:
        names: keys of `TRAITS`.
    """
    wanted = {TRAITS[name].name for name in names}
    return tuple(trait for trait in ORDER if trait.name in wanted)
