"""The cost of an edit, against the distance written down from its definition."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_cases import demonstrated

from sim.llm.costs import C_MAX, edit_cost, edit_ratio, words
from sim.llm.users import make


def distance(before: list[str], after: list[str]) -> int:
    """Levenshtein's recursion, row by row."""
    row = list(range(len(after) + 1))
    for i, old in enumerate(before, 1):
        last, row = row, [i]
        for j, new in enumerate(after, 1):
            row.append(min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (old != new)))
    return row[-1]


TEXTS = st.lists(st.sampled_from(["a", "b", "c.", "d,", "\n", "🙂"]), max_size=12).map(" ".join)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(before=TEXTS, after=TEXTS)
def test_the_ratio_is_that_of_the_definition(before: str, after: str) -> None:
    count = len(words(before))
    expected = distance(words(before), words(after)) / count if count else float(bool(words(after)))
    assert edit_ratio(before, after) == expected
    assert edit_cost(before, after) == min(expected, C_MAX)
    assert (edit_ratio(before, after) == 0) == (words(before) == words(after))


@pytest.mark.parametrize(
    ("before", "after", "ratio"),
    [
        ("", "", 0), ("", "a b c", 1), (" ", "", 0), ("a", "", 1), ("a", "a", 0), ("a", "b", 1), ("a", "b c d e", 4),
        ("a b", "a  b", 0), ("a b", "a\nb", 0.5), ("a.", "a!", 0.5), ("a b c d", "a c d", 0.25),
    ],
)  # fmt: skip
def test_small_cases(before: str, after: str, ratio: float) -> None:
    assert edit_ratio(before, after) == ratio
    assert edit_cost(before, after) == min(ratio, 2)


def test_words_are_split_as_nltk_does() -> None:
    text = "Don't go, it's 3,000 well-known (re)turns... #tag!\nEnd."
    assert words(text) == [
        "Do", "n't", "go", ",", "it", "'s", "3,000", "well-known", "(", "re", ")", "turns", "...", "#", "tag", "!",
        "\n", "End", ".",
    ]  # fmt: skip


def test_real_edits_cost_what_the_definition_says() -> None:
    import numpy as np

    for document, response in demonstrated("news article", 20):
        edit = make("strong").edit(document, response, np.random.default_rng(0))
        assert edit_ratio(response, edit) == distance(words(response), words(edit)) / len(words(response)) > 0
