"""Edit logs of worlds too large for a table of counts: n triples (x, y, e), drawn and kept one by one.

Above `LARGEST_COUNTED` responses the kernel is a product of attributes or a mixture of such products, and an edit is
drawn attribute by attribute: O(n K), beside one cumulative sum of the reference policy.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sim import cubes
from sim.editors import DenseEditor, Editor, ProductEditor
from sim.errors import BadInput
from sim.world import World

LARGEST_COUNTED = 2**10
"""Responses up to which a log is a table of counts."""

LARGEST_LOG = 2**20
"""Triples up to which a log is kept as records."""


class Triples(NamedTuple):
    """Triples of S logs: contexts x, responses y and edited responses e as whole numbers, each of shape (S, n)."""

    context: np.ndarray
    response: np.ndarray
    edited: np.ndarray


@dataclass(frozen=True)
class RecordLogs:
    """Logs of the same size from one world, one log per seed, triple by triple.

    Fields:
        context: x, whole numbers, shape (S, n).
        response: y, shape (S, n).
        edited: e, shape (S, n).
        held_out: independent triples for choosing settings, as three such arrays, (S, 0) if none were drawn.
        n: triples per log.
    """

    context: np.ndarray
    response: np.ndarray
    edited: np.ndarray
    held_out: Triples
    n: int

    def of(self, log: int) -> Triples:
        """The triples of one log, each of shape (n,)."""
        return Triples(self.context[log], self.response[log], self.edited[log])

    def held_out_of(self, log: int) -> Triples:
        """The held-out triples of one log, three arrays of one axis."""
        return Triples(*(part[log] for part in self.held_out))


class Law(NamedTuple):
    """The law of a triple: rho (X,), pi_ref (X, 2^K), and the kernel as a mixture of C products of attributes."""

    context_probs: np.ndarray
    reference: np.ndarray
    weights: np.ndarray
    factors: np.ndarray

    def numbers(self) -> np.ndarray:
        """What tells laws apart: the marginals too, since each response of many has a small probability."""
        parts = [self.context_probs, cubes.marginals(self.reference), self.reference, self.weights, self.factors]
        return np.concatenate([part.ravel() for part in parts])


def needed(world: World) -> bool:
    """Whether logs of this world are records: its kernel has no table, and there are many responses."""
    return not isinstance(world.editor, DenseEditor) and world.responses > LARGEST_COUNTED


def require_size(n: int, name: str = "n") -> None:
    """Refuse a log of more triples than are kept."""
    if n > LARGEST_LOG:
        raise BadInput(
            f"{name}: expected at most {LARGEST_LOG} where logs are records (more than {LARGEST_COUNTED} responses),"
            f" got {n}; lower {name}, or use at most 10 attributes"
        )


def law_of(world: World) -> Law:
    """The law of one logged triple of a world whose editor edits attributes."""
    weights, factors = _products(world.editor)
    return Law(np.asarray(world.context_probs), np.asarray(world.reference), weights, factors)


def _products(editor: Editor) -> tuple[np.ndarray, np.ndarray]:
    """The weights (C,) and factors (C, X, K, 2, 2) of a kernel."""
    assert not isinstance(editor, DenseEditor)
    if isinstance(editor, ProductEditor):
        return np.ones(1), np.asarray(editor.factors)[None]
    return np.asarray(editor.weights), np.stack([np.asarray(part.factors) for part in editor.editors])


def draw(law: Law, n: int, keys: list[list[int]]) -> Triples:
    """One log of n triples per key, x ~ rho, y ~ pi_ref(.|x), e ~ q(.|x, y).

    Raises:
        BadInput: more triples than are kept.
    """
    require_size(n)
    levels = np.cumsum(law.reference, axis=1)
    drawn = [_draw_one(law, levels, n, np.random.default_rng(key)) for key in keys]
    return Triples(*(np.stack(parts) for parts in zip(*drawn, strict=True)))


def _draw_one(law: Law, levels: np.ndarray, n: int, rng: np.random.Generator) -> Triples:
    context = _inverse(np.cumsum(law.context_probs), rng.random(n))
    shares, response = rng.random(n), np.zeros(n, dtype=np.int32)
    for x, level in enumerate(levels):
        here = context == x
        response[here] = _inverse(level, shares[here])
    return Triples(context, response, _edit(law, context, response, rng))


def _inverse(levels: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Draws from the law with this cumulative sum, by inversion of uniform `shares`; none of probability zero."""
    last = np.searchsorted(levels, levels[-1])
    return np.minimum(np.searchsorted(levels, shares * levels[-1], side="right"), last).astype(np.int32)


def _edit(law: Law, context: np.ndarray, response: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    part = _inverse(np.cumsum(law.weights), rng.random(len(context)))
    edited, attributes = np.zeros_like(response), law.factors.shape[2]
    for k in range(attributes):
        shift = attributes - 1 - k
        chance = law.factors[part, context, k, response >> shift & 1, 1]
        edited |= (rng.random(len(context)) < chance).astype(np.int32) << shift
    return edited
