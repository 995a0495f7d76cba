"""Text to token numbers and back: a byte-level BPE trained on the text world, exact on any text."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from sim.errors import BadInput

PAD, ANSWER, END = 0, 1, 2
"""Nothing; the end of the document and the beginning of the response; the end of the response."""

_SPECIAL = ["<pad>", "<answer>", "<end>"]
LEAST = 256 + len(_SPECIAL)
"""The smallest vocabulary: every byte, and the marks."""


class Vocabulary(NamedTuple):
    """A tokenizer with fixed lengths for documents and responses.

    Fields:
        tokenizer: of the `tokenizers` library.
        document: tokens that a document is padded or cut to, its last mark included.
        response: tokens that a response is padded or cut to, its last mark included.
    """

    tokenizer: Tokenizer
    document: int
    response: int

    @property
    def size(self) -> int:
        """How many different tokens there are."""
        return self.tokenizer.get_vocab_size()

    def documents(self, texts: Sequence[str]) -> Int[np.ndarray, "N P"]:
        """Documents padded on the left, so that every response begins at the same place; long ones lose their end."""
        rows = [[*encoded.ids[: self.document - 1], ANSWER] for encoded in self.tokenizer.encode_batch(list(texts))]
        return _padded(rows, self.document, left=True)

    def responses(self, texts: Sequence[str]) -> Int[np.ndarray, "N R"]:
        """Responses padded on the right; what does not fit is cut, its last mark too."""
        rows = [[*encoded.ids, END][: self.response] for encoded in self.tokenizer.encode_batch(list(texts))]
        return _padded(rows, self.response, left=False)

    def texts(self, responses: Int[np.ndarray, "N R"]) -> list[str]:
        """The texts of generated responses, up to their mark of the end."""
        return [text.strip() for text in self.tokenizer.decode_batch([_until_end(row) for row in responses.tolist()])]

    def cut(self, texts: Sequence[str], length: int) -> int:
        """How many of the texts are longer than `length` tokens."""
        return sum(len(encoded.ids) >= length for encoded in self.tokenizer.encode_batch(list(texts)))


def trained(texts: Iterable[str], size: int, document: int, response: int) -> Vocabulary:
    """A vocabulary of at most `size` tokens for texts like these.

    Args:
        texts: a sample of documents and responses.
        size: at least `LEAST`.
        document, response: lengths in tokens, at least 2.

    Raises:
        BadInput: a size or a length below the least.
    """
    if size < LEAST or min(document, response) < 2:
        raise BadInput(
            f"vocabulary: expected at least {LEAST} tokens and lengths of at least 2, got {size} tokens, "
            f"documents of {document} and responses of {response}"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return read(tokenizer.to_str(), document, response)


def read(text: str, document: int, response: int) -> Vocabulary:
    """The vocabulary that was stored as JSON, with the lengths of documents and responses."""
    tokenizer = Tokenizer.from_str(text)
    # A text that spells a mark is text: no mark comes from a user or a document.  This is not stored.
    tokenizer.encode_special_tokens = True
    return Vocabulary(tokenizer, document, response)


def _padded(rows: list[list[int]], length: int, left: bool) -> np.ndarray:
    table = np.full((len(rows), length), PAD, np.int32)
    for row, ids in zip(table, rows, strict=True):
        if left:
            row[length - len(ids) :] = ids
        else:
            row[: len(ids)] = ids
    return table


def _until_end(ids: list[int]) -> list[int]:
    ids = ids[: ids.index(END)] if END in ids else ids
    return [token for token in ids if token >= len(_SPECIAL)]
