"""Repair: a response says what the document says, once, in sentences of the text world.

A wrong entity gives way to the right one of its kind, a missing fact gets a short sentence, and what is said twice,
is not in the document or is no sentence of this world goes.  Phrases that a trait put there stay.
"""

from sim.llm import phrases
from sim.llm.documents import Document
from sim.llm.domains import DOMAINS
from sim.llm.drafts import (
    ENDER_RANK,
    OPENER_RANK,
    PROMPTS,
    Line,
    add_sentence,
    address_of,
    addressed,
    capital,
    clauses,
    is_frame,
    map_body,
    small,
)
from sim.llm.entities import entities_in, kind_of
from sim.llm.sentences import turned

_ADVERBS = frozenset((*phrases.ADVERBS, *phrases.ADVERBS.values()))


def repaired(document: Document, lines: list[Line]) -> list[Line]:
    """The lines of a response with the facts of its document and nothing besides.

    Args:
        document: what is right.
        lines: a response, taken apart; a response that needs no repair is left as it is.
    """
    repair = _Repair(document, [entity for line in lines for entity in entities_in(line.text)])
    lines = map_body(_without_repetition(lines), repair.sentence)
    for kind in repair.missing:
        add_sentence(lines, capital(repair.clause(document.facts[kind])) + ".")
    return lines


def _without_repetition(lines: list[Line]) -> list[Line]:
    # Phrases that are known stay once; other hashtags and emoji, questions that nothing follows, and empty lines go.
    seen: set[str] = set()
    kept = []
    for line in lines:
        pieces = [line.text] if line.is_letter else _kept(line.pieces, seen)
        if not pieces or (line.is_letter and line.text in seen):
            continue
        seen.add(line.text)
        kept.append(line if line.is_letter else Line(pieces, line.bullet))
    return kept


def _kept(pieces: list[str], seen: set[str]) -> list[str]:
    kept = []
    for piece, following in zip(pieces, [*pieces[1:], ""], strict=False):
        if piece in PROMPTS:
            keep = following not in PROMPTS and not is_frame(following) and following != ""
        elif is_frame(piece):
            keep = (piece in OPENER_RANK or piece in ENDER_RANK) and piece not in seen
            seen.add(piece)
        else:
            keep = True
        if keep:
            kept.append(piece)
    return kept


class _Repair:
    """What is still missing while the sentences of a response are gone through."""

    def __init__(self, document: Document, entities: list[str]) -> None:
        self._facts, self._slots = document.facts, DOMAINS[document.domain].grammar.slots
        self._present = set(entities)
        self._said: set[str] = set()
        self._fillers: set[str] = set()

    @property
    def missing(self) -> list[str]:
        """The kinds of the facts that no sentence has said."""
        return [kind for kind, entity in self._facts.items() if entity not in self._said]

    def sentence(self, sentence: str) -> list[str]:
        """The sentence repaired; none when nothing of it can stay."""
        address, rest = address_of(sentence)
        if capital(rest) in phrases.FILLERS:
            new = capital(rest) not in self._fillers
            self._fillers.add(capital(rest))
            return [sentence] if new else []
        parts = [part for clause in clauses(rest.rstrip(".,;:?! ")) for part in self._clauses(small(clause))]
        return [addressed(address, " and ".join(parts) + ".")] if parts else []

    def clause(self, entity: str, form: str = "") -> str:
        """The shortest clause that says a fact; `form` is the clause that it stands for, where that can stay."""
        label = self._slots[kind_of(entity)].label
        return form if _states(form, label, entity) else f"the {label} is {entity}"

    def _clauses(self, clause: str) -> list[str]:
        found = entities_in(clause)
        parts = []
        for entity in found:
            right = self._right(entity)
            if right:
                self._said.add(right)
                form = clause.replace(entity, right) if len(found) == 1 else ""
                parts.append(self.clause(right, form))
        return parts

    def _right(self, entity: str) -> str:
        # A wrong entity stands for the right one of its kind, unless that is said elsewhere.
        right = self._facts.get(kind_of(entity), "")
        if right in self._said or (entity != right and right in self._present):
            return ""
        return right


def _states(clause: str, label: str, entity: str) -> bool:
    # "the LABEL is [adverb] ENTITY", or "ENTITY is [adverb] the LABEL".
    words = (turned(clause) or clause).split()
    adverb = words[3:-1]
    return [*words[:3], *words[-1:]] == ["the", label, "is", entity] and (not adverb or _is_adverb(adverb))


def _is_adverb(words: list[str]) -> bool:
    return len(words) == 1 and words[0] in _ADVERBS
