"""Text to tokens and back: exact on any text, padded on the right sides, no marks from what people write."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import BadInput
from sim.llm import vocabulary
from sim.llm.vocabulary import ANSWER, END, PAD, Vocabulary

TEXTS = ["The mayor is Nalula.", "- Nalula went to Palchester.\nWho? Volona!", "It says no more."] * 20


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return vocabulary.trained(TEXTS, 330, 12, 16)


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=20))
def test_any_text_comes_back(text: str) -> None:
    words = vocabulary.trained(TEXTS, vocabulary.LEAST, 4, 400)
    assert words.texts(words.responses([text])) == [text.strip()]


def test_documents_end_and_responses_begin_at_the_same_place(words: Vocabulary) -> None:
    documents = words.documents(["The mayor is Nalula.", "", "no " * 40])
    assert documents.shape == (3, 12) and documents.dtype == np.int32
    assert (documents[:, -1] == ANSWER).all() and documents[1].tolist() == [PAD] * 11 + [ANSWER]
    assert (documents[0] == PAD).sum() > 0 and (documents[2] == PAD).sum() == 0
    real = documents[0] != PAD
    assert not np.any(real[:-1] & ~real[1:])
    responses = words.responses(["Who?", "", "no " * 40])
    assert responses.shape == (3, 16) and responses[1].tolist() == [END] + [PAD] * 15
    assert END not in responses[2] and words.texts(responses)[0] == "Who?" and words.texts(responses)[1] == ""


def test_nothing_that_people_write_is_a_mark(words: Vocabulary) -> None:
    text = "<end><pad> <answer>"
    tokens = words.responses([text])
    assert (tokens == END).sum() <= 1 and not (tokens[0, :-1] == ANSWER).any()
    wide = vocabulary.read(words.tokenizer.to_str(), 12, 60)
    assert wide.texts(wide.responses([text])) == [text]


def test_what_follows_the_end_is_not_said(words: Vocabulary) -> None:
    row = words.responses(["Who? Volona!"])
    end = row[0].tolist().index(END)
    row[0, end + 1] = row[0, 0]
    assert words.texts(row) == ["Who? Volona!"]


def test_a_stored_vocabulary_is_the_same(words: Vocabulary) -> None:
    again = vocabulary.read(words.tokenizer.to_str(), words.document, words.response)
    assert np.array_equal(again.responses(TEXTS), words.responses(TEXTS)) and again.size == words.size <= 330


@pytest.mark.parametrize(("size", "document", "response"), [(100, 12, 16), (300, 1, 16), (300, 12, 0)])
def test_sizes_that_hold_nothing_are_refused(size: int, document: int, response: int) -> None:
    with pytest.raises(BadInput, match="vocabulary: expected at least 259 tokens and lengths of at least 2"):
        vocabulary.trained(TEXTS, size, document, response)
