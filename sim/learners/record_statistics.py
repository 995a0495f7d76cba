"""What a loss made of choices needs of one log of records: demonstrations summed up, comparisons by their difference.

Attributes of a response are its bits, the first the most significant.  Shapes: X contexts, K attributes, n triples,
M differences of a context, padded with zero weights to a power of two, so that few shapes are compiled.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from sim.record_logs import Triples

ArrayLike = Array | np.ndarray

FEWEST = 64
"""Differences of a context, at least: fewer are padded."""


class Demonstrations(NamedTuple):
    """How often each context was seen, and the sum of its edited responses' features e - 1/2."""

    number: Float[ArrayLike, " X"]
    target: Float[ArrayLike, "X K"]

    @property
    def constant(self) -> bool:
        """Whether some attribute is the same in all edited responses of a context."""
        number, target = np.asarray(self.number), np.asarray(self.target)
        return bool(np.any((np.abs(target) == number[:, None] / 2)[number > 0]))


class Comparisons(NamedTuple):
    """The distinct differences psi = e - y of the edits, up to sign, with offset log(pi_ref(e|x) / pi_ref(y|x)).

    `wins` is how often the difference was chosen in its direction, `losses` how often against it.
    """

    psi: Float[ArrayLike, "X M K"]
    offset: Float[ArrayLike, "X M"]
    wins: Float[ArrayLike, "X M"]
    losses: Float[ArrayLike, "X M"]

    def pulls(self, context: int) -> np.ndarray:
        """The differences of one context in the directions that were chosen, (pulls, K)."""
        psi, wins, losses = (np.asarray(part[context]) for part in (self.psi, self.wins, self.losses))
        return np.concatenate([psi[wins > 0], -psi[losses > 0]])


def demonstrations(log: Triples, contexts: int, attributes: int) -> Demonstrations:
    """The demonstrations of one log."""
    number = np.bincount(log.context, minlength=contexts).astype(float)
    # Attribute by attribute: the table of all bits would be n K numbers.
    shifts = range(attributes - 1, -1, -1)
    ones = [np.bincount(log.context, log.edited >> shift & 1, minlength=contexts) for shift in shifts]
    return Demonstrations(number, np.stack(ones, axis=1) - number[:, None] / 2)


def comparisons(log: Triples, log_reference: Float[np.ndarray, "X A"], attributes: int) -> Comparisons:
    """The comparisons of one log, given log pi_ref."""
    edits = log.response != log.edited
    context, response, edited = (part[edits].astype(np.int64) for part in log)
    offset = log_reference[context, edited] - log_reference[context, response]
    # Set and cleared bits tell differences apart; the greater of the two gives the direction.
    gained, lost = edited & ~response, response & ~edited
    ahead = gained > lost
    sign = np.where(ahead, 1.0, -1.0)
    first, group = _groups(context, np.maximum(gained, lost), np.minimum(gained, lost), sign * offset)
    wins, losses = (np.bincount(group, weights, minlength=len(first)) for weights in (ahead, ~ahead))
    psi = (_bits(edited[first], attributes) - _bits(response[first], attributes)) * sign[first, None]
    values = (psi, (sign * offset)[first], wins, losses)
    return Comparisons(*_by_context(context[first], len(log_reference), values))


def _groups(context: np.ndarray, high: np.ndarray, low: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, ...]:
    """The first edit of each group of equal differences, in the order of contexts, and the group of each edit.

    Where equal differences have different offsets, the offset tells edits apart too.
    """
    keys = np.stack([context, high, low])
    _, first, group = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    scale = 1 + np.abs(offset).max(initial=0.0)
    if np.abs(offset - offset[first][group]).max(initial=0.0) > 1e-12 * scale:
        digits = np.floor(offset / (1e-12 * scale)).astype(np.int64)
        _, first, group = np.unique(np.vstack([keys, digits]), axis=1, return_index=True, return_inverse=True)
    return first, group


def _by_context(context: np.ndarray, contexts: int, values: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """Values in the order of contexts (N, ...) as one padded row per context (X, M, ...)."""
    sizes = np.bincount(context, minlength=contexts)
    place = np.arange(len(context)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    width = max(FEWEST, 1 << int(sizes.max(initial=1) - 1).bit_length())
    padded = [np.zeros((contexts, width, *value.shape[1:])) for value in values]
    for row, value in zip(padded, values, strict=True):
        row[context, place] = value
    return padded


def _bits(responses: np.ndarray, attributes: int) -> Float[np.ndarray, "n K"]:
    return (responses[:, None] >> np.arange(attributes)[::-1] & 1).astype(float)
