"""What an edit costs: word-level Levenshtein distance over the number of words of the response."""

import re

from rapidfuzz.distance import Levenshtein

from sim.llm.logs import C_MAX

# Words as NLTK splits them: punctuation apart, "don't" as "do" and "n't"; a new line counts as one.
_WORD = re.compile(
    r"\n|\.\.\.|\d+(?:[.,]\d+)+|\w+(?=n't\b)|n't\b|'(?:s|m|d|ll|re|ve)\b|\w+(?:-\w+)+|\w+|[^\w\s]", flags=re.IGNORECASE
)


def words(text: str) -> list[str]:
    """The words of a text, punctuation and new lines counted as words.

    Args:
        text: anything.
    """
    return _WORD.findall(text)


def edit_ratio(response: str, edit: str) -> float:
    """Words inserted, deleted or replaced, over the words of the response; zero only when no word changed.

    Args:
        response: what the agent wrote; when it has no words, the ratio is 1, or 0 if the edit has none either.
        edit: what the user made of it.
    """
    before, after = words(response), words(edit)
    if not before:
        return float(bool(after))
    return Levenshtein.distance(before, after) / len(before)


def edit_cost(response: str, edit: str) -> float:
    """The edit ratio, capped at `C_MAX`.

    Args:
        response: what the agent wrote.
        edit: what the user made of it.
    """
    return min(edit_ratio(response, edit), C_MAX)
