"""The terms of a loss made of choices, as functions of the parameters of one block of a log-linear class.

Every array of a part has the blocks as first axis when it is made, and not when it is used (under `jax.vmap`).
Shapes: C contexts, A responses and k parameters of a block, M differences of features.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from sim.features import DenseFeatures
from sim.linear_solve import TINY, solve_positive
from sim.newton import TOLERANCE, Expansion, Minimum
from sim.objectives import Choices, logistic_loss
from sim.pytrees import pytree

_EVEN = 0.05

LARGEST = 2**22
"""Numbers that a table kept for speed may hold: of products of features, of the pairs of each group."""


@pytree
@dataclass(frozen=True)
class Groups:
    """The pairs of responses (y, e) by their difference of features, up to its sign.

    `psi` are the M = C J differences of a block (one table where all blocks have the same) and `offset` is
    log(pi_ref(e) / pi_ref(y)), which the pairs of a group share; `member` (A^2, 2 J) says which pairs a group holds,
    those in its direction first, then those against it.
    """

    psi: Float[Array, "#B M k"]
    offset: Float[Array, "B M"]
    member: Float[Array, "pairs sides"]
    reference: Float[Array, "X A"]

    def sums(self, compared: Float[Array, "X A A"]) -> tuple[Float[Array, "B M"], Float[Array, "B M"]]:
        """The weight that each group has in its direction and against it."""
        both = compared.reshape(len(compared), -1) @ self.member
        forward, backward = jnp.split(both, 2, axis=1)
        return forward.reshape(self.offset.shape), backward.reshape(self.offset.shape)


class Gathered(NamedTuple):
    """A loss made of choices, as far as a log-linear class needs it: what each group of comparisons wins and loses
    stands in the place of the comparisons, or is None where pairs stay single.
    """

    choices: Choices
    wins: Float[Array, "B M"] | None
    losses: Float[Array, "B M"] | None


def groups_of(rows: np.ndarray, reference: np.ndarray) -> Groups | None:
    """The groups, if there are far fewer of them than pairs in every context alike; else None.

    Args:
        rows: features of the blocks, shape (B, C, A, k).
        reference: pi_ref, shape (X, A).
    """
    blocks, contexts, responses, width = rows.shape
    if np.any(reference <= 0) or responses**2 > LARGEST:
        return None
    y, e = np.triu_indices(responses, 1)
    psi = rows[:, :, e] - rows[:, :, y]
    offset = (np.log(reference[:, e]) - np.log(reference[:, y])).reshape(blocks, contexts, -1)
    first, group, sign = _equal_up_to_sign(psi)
    number = len(first)
    if 2 * number > len(y) or 2 * number * responses**2 > LARGEST:
        return None
    scale = 1 + np.abs(offset).max(initial=0.0)
    if np.abs(offset * sign - (offset * sign)[:, :, first][:, :, group]).max(initial=0.0) > 1e-12 * scale:
        return None
    member = np.zeros((responses, responses, 2 * number))
    ahead = sign > 0
    member[y, e, np.where(ahead, group, group + number)] = 1.0
    member[e, y, np.where(ahead, group + number, group)] = 1.0
    distinct = (psi * sign[:, None])[:, :, first].reshape(blocks, -1, width)
    return Groups(
        jnp.asarray(distinct[:1] if np.all(distinct == distinct[0]) else distinct),
        jnp.asarray((offset * sign)[:, :, first].reshape(blocks, -1)),
        jnp.asarray(member.reshape(responses**2, -1)),
        jnp.asarray(reference),
    )


def _equal_up_to_sign(psi: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first pair of each group, the group of each pair and its direction, from differences (B, C, pairs, k).

    Pairs are told apart by a random projection, whose sign gives the direction, and compared in full afterwards.
    """
    weights = np.random.default_rng(0).uniform(1, 2, size=psi.shape[:2] + psi.shape[3:])
    shadow = np.einsum("bcpk,bck->p", psi, weights)
    sign = np.where(shadow < 0, -1.0, 1.0)
    grid = 1e-10 * np.pi * max(np.abs(shadow).max(initial=0.0), 1e-300)
    _, first, group = np.unique(np.floor(np.abs(shadow) / grid), return_index=True, return_inverse=True)
    same = psi * sign[:, None]
    if np.abs(same - same[:, :, first][:, :, group]).max(initial=0.0) > 1e-12 * np.abs(psi).max(initial=0.0):
        return np.arange(len(shadow)), np.arange(len(shadow)), np.ones(len(shadow))
    return first, group, sign


class Shown(NamedTuple):
    """-sum weights(x, e) log pi(e|x)."""

    rows: Float[Array, "C A k"]
    support: Bool[Array, "C A"]
    weights: Float[Array, "C A"]

    def expand(self, theta: Float[Array, " k"]) -> Expansion:
        """Value sum n log Z - <theta, t>, gradient n E phi - t, Hessian n Cov phi."""
        heights = jnp.where(self.support, self.rows @ theta, -jnp.inf)
        level = jax.nn.logsumexp(heights, axis=1)
        number, target = jnp.sum(self.weights, axis=1), jnp.einsum("ca,cak->k", self.weights, self.rows)
        policy = jnp.exp(heights - level[:, None])
        means = jnp.einsum("ca,cak->ck", policy, self.rows)
        # Centred, not a difference of moments: near the edge of the class the covariance is below their rounding.
        centred = (self.rows - means[:, None]).reshape(-1, len(theta))
        hessian = _second_moment((number[:, None] * policy).ravel(), centred, _small_products(centred))
        return Expansion(number @ level - theta @ target, number @ means - target, hessian)


class ShownOnCube(NamedTuple):
    """-sum over demonstrations of log pi(e|x) of one context, for the features e - 1/2 of the whole cube {0, 1}^k.

    `number` is the weight of all demonstrations, `target` the weighted sum of their features.
    """

    number: Float[Array, ""]
    target: Float[Array, " k"]

    def expand(self, theta: Float[Array, " k"]) -> Expansion:
        """log Z = sum_j log(2 cosh(theta_j / 2)): attributes are independent, and the Hessian is diagonal."""
        loss, _, bend = logistic_loss(theta)
        level = jnp.sum(loss + theta / 2)
        gradient = self.number * jnp.tanh(theta / 2) / 2 - self.target
        return Expansion(self.number * level - theta @ self.target, gradient, jnp.diag(self.number * bend))

    def start(self, ridge: Float[Array, ""]) -> Float[Array, " k"]:
        """The log-odds of each attribute, which is the minimum without a ridge, where the ridge lets them be."""
        number = jnp.where(self.number > 0, self.number, 1.0)
        edge = jnp.minimum(10 * ridge / number, 0.5)
        share = jnp.clip(0.5 + self.target / number, edge, 1 - edge)
        found = jnp.log(share / (1 - share))
        return jnp.where(jnp.isfinite(found), found, 0.0)


class Grouped(NamedTuple):
    """sum over groups of wins log(1 + exp(-m)) + losses log(1 + exp(m)), m = scale (<theta, psi> - offset)."""

    psi: Float[Array, "M k"]
    products: Float[Array, "M kk"] | None
    offset: Float[Array, " M"]
    wins: Float[Array, " M"]
    losses: Float[Array, " M"]
    scale: Float[Array, ""]

    def expand(self, theta: Float[Array, " k"]) -> Expansion:
        """One logistic regression on the distinct differences."""
        margin = self.scale * (theta @ self.psi.T - self.offset)
        loss, losing, bend = logistic_loss(margin)
        both = self.wins + self.losses
        gradient = self.scale * (self.losses - both * losing) @ self.psi
        hessian = self.scale**2 * _second_moment(both * bend, self.psi, self.products)
        return Expansion(jnp.sum(both * loss + self.losses * margin), gradient, hessian)

    def start(self, ridge: Float[Array, ""]) -> Float[Array, " k"]:
        """The weighted least-squares fit to the groups' log-odds, each moved towards even by `_EVEN` of its weight."""
        both = self.wins + self.losses
        compared = both > 0
        ahead = jnp.where(compared, self.wins + _EVEN * both, 1.0)
        behind = jnp.where(compared, self.losses + _EVEN * both, 1.0)
        wanted = jnp.log(ahead / behind) / self.scale + self.offset
        weight = jnp.where(compared, ahead * behind / (ahead + behind), 0.0)
        size = self.psi.shape[1]
        gram = _second_moment(weight, self.psi, self.products) + (ridge + 1e-9 * jnp.sum(weight)) * jnp.eye(size)
        found = solve_positive(gram, ((weight * wanted) @ self.psi)[:, None])[0][:, 0]
        return jnp.where(jnp.all(jnp.isfinite(found)), found, 0.0)


class Paired(NamedTuple):
    """sum compared(x, y, e) log(1 + exp(-scale (r(e) - r(y)))), r = log(pi / pi_ref), by all pairs."""

    rows: Float[Array, "C A k"]
    compared: Float[Array, "C A A"]
    reference: Float[Array, "C A"]
    scale: Float[Array, ""]

    def expand(self, theta: Float[Array, " k"]) -> Expansion:
        """The normaliser of pi cancels in every pair."""
        choices = Choices(self.compared, None, self.reference, self.scale)
        value, slope, curvature = choices.derivatives(self.rows @ theta)
        assert curvature is not None
        features = DenseFeatures(self.rows)
        return Expansion(value, features.push(slope), features.pair_gram(curvature))


Part = Shown | ShownOnCube | Grouped | Paired


def axes(part: "Part | Seen") -> Any:
    """Which axis of each of its arrays has the blocks, for `jax.vmap`."""
    if isinstance(part, Grouped | Seen):
        shared = part._replace(**dict.fromkeys(part._fields, 0))
        return shared._replace(**{part._fields[0]: None, "products": None}) if _is_shared(part) else shared
    return 0


def _is_shared(part: "Grouped | Seen") -> bool:
    return (part.psi.ndim if isinstance(part, Grouped) else part.rows.ndim) == 2


def grouped(groups: Groups, gathered: Gathered) -> Grouped:
    """The part of the comparisons, taken together by their differences."""
    assert gathered.wins is not None and gathered.losses is not None
    scale = _per_block(gathered.choices.scale, groups.offset)
    return Grouped(*_differences(groups), groups.offset, gathered.wins, gathered.losses, scale)


def _differences(groups: Groups) -> tuple[Array, Array | None]:
    """The differences and their products, without the axis of the blocks where all have the same: a matrix product
    then runs over all blocks at once.
    """
    products = _products(groups.psi)
    if len(groups.psi) == len(groups.offset):
        return groups.psi, products
    return groups.psi[0], None if products is None else products[0]


def of_differences(psi: Array, offset: Array, wins: Array, losses: Array, scale: Array) -> Grouped:
    """The part of comparisons with differences of features psi (B, M, k), offsets, wins and losses (B, M)."""
    return Grouped(psi, _products(psi), offset, wins, losses, _per_block(scale, psi))


def shown_on_cube(rows: Float[Array, "B C A k"], weights: Float[Array, "B C A"]) -> ShownOnCube:
    """The part of the demonstrations with these weights, where the responses are the whole cube."""
    return ShownOnCube(jnp.sum(weights, axis=(1, 2)), jnp.einsum("bca,bcak->bk", weights, rows))


def paired(rows: Array, compared: Array, reference: Array, scale: Array) -> Paired:
    """The part of the comparisons, from tables (B, C, A, ...)."""
    return Paired(rows, compared, reference, _per_block(scale, rows))


def start(found: list[Part], size: int, ridge: Float[Array, ""]) -> Float[Array, " k"]:
    """Where the search begins: near the minimum if a part says where, comparisons first, else at the uniform policy."""
    known = [part for kind in (Grouped, ShownOnCube) for part in found if isinstance(part, kind)]
    return known[0].start(ridge) if known else jnp.zeros(size)


def total(found: list[Part], theta: Float[Array, " k"]) -> Expansion:
    """The sum of the parts."""
    expansions = [part.expand(theta) for part in found]
    return jax.tree.map(lambda *terms: sum(terms[1:], terms[0]), *expansions)


class Seen(NamedTuple):
    """Differences of features psi, or the features whose differences they are, and which of them the log compares."""

    rows: Float[Array, "M k"] | Float[Array, "C A k"]
    products: Float[Array, "M kk"] | None
    mask: Bool[Array, " M"] | Bool[Array, "C A A"]


def seen_groups(groups: Groups, gathered: Gathered) -> Seen:
    """All groups of a context in which something is shown, and those compared."""
    mask, shown = jnp.zeros(groups.offset.shape, bool), gathered.choices.shown
    if gathered.wins is not None and gathered.losses is not None:
        mask = gathered.wins + gathered.losses > 0
    if shown is not None:
        anything = jnp.repeat(jnp.any(shown > 0, axis=1), groups.member.shape[1] // 2)
        mask = mask | anything.reshape(mask.shape)
    return Seen(*_differences(groups), mask)


def seen_pairs(rows: Array, mask: Array) -> Seen:
    """The pairs of responses in `mask` (B, C, A, A)."""
    return Seen(rows, None, mask)


def widest(seen: Seen, inverse: Float[Array, "k k"]) -> Float[Array, ""]:
    """max over what the log compares of psi^T inverse psi; 0 if it compares nothing."""
    if seen.rows.ndim == 3:
        sizes = DenseFeatures(seen.rows).pair_quadratic(inverse)
    elif seen.products is not None:
        sizes = seen.products @ inverse.ravel()
    else:
        sizes = jnp.sum((seen.rows @ inverse) * seen.rows, axis=1)
    return jnp.max(jnp.where(seen.mask, sizes, 0.0), initial=0.0)


def certificate(minima: Minimum, widest_of: Callable[[Array], Array], ridge: Array, scale: Array) -> Float[Array, ""]:
    """Below one only if the loss has a finite minimiser without its ridge, from the minima of its blocks.

    The loss without its ridge has gradient -ridge theta and Hessian H - ridge at the fit, up to what the search left.
    Its third derivative along v is at most max |<v, psi>| times the second, where psi runs over the differences that
    the log shows and `scale` times those that it compares, and then |gradient|_{H^-1} max |psi|_{H^-1} < 1 proves a
    finite minimiser: the growth of the function along any ray, at least (exp(-S) + S - 1) / S^2 |v|_H^2 with
    S = max |<v, psi>|, overtakes the slope.
    """
    size = minima.point.shape[1]
    # The shift makes H invertible where it is flat, and is too small to pass for curvature.
    curvature = jnp.max(jnp.diagonal(minima.hessian, axis1=1, axis2=2), initial=0.0) - ridge
    shift = jnp.minimum(1e-3 * ridge, 1e-9 * curvature)
    flat = minima.hessian + (shift - ridge) * jnp.eye(size)
    inverse = jax.vmap(lambda matrix: solve_positive(matrix, jnp.eye(size))[0])(flat)
    slope = -ridge * minima.point
    squared = jnp.einsum("bi,bij,bj->b", slope, inverse, slope)
    steepness = (jnp.sqrt(jnp.maximum(squared, 0.0)) + 10 * TOLERANCE**0.5) * jnp.maximum(scale, 1.0)
    found = jnp.max(steepness * jnp.sqrt(jnp.maximum(widest_of(inverse), 0.0)), initial=0.0)
    # Without a ridge nothing stops a fit that has no minimum, so its gradient proves nothing.
    return jnp.where(jnp.isnan(found) | (ridge <= 0), jnp.inf, found)


def _per_block(scale: Array, like: Array) -> Array:
    return jnp.broadcast_to(jnp.asarray(scale, float), (len(like),))


def _products(rows: Float[Array, "B M k"]) -> Float[Array, "B M kk"] | None:
    """The products of features, row by row: with them moments of many logs are one matrix product."""
    return jax.vmap(_of_row)(rows) if rows.size * rows.shape[-1] <= LARGEST else None


def _small_products(rows: Float[Array, "M k"]) -> Float[Array, "M kk"] | None:
    """The same of rows that differ by log, where it is quicker than a matrix product for each."""
    return _of_row(rows) if rows.shape[1] <= TINY else None


def _of_row(rows: Array) -> Array:
    return (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), rows.shape[1] ** 2)


def _second_moment(weights: Array, rows: Array, products: Array | None) -> Float[Array, "k k"]:
    """sum weights rows rows^T."""
    if products is None:
        return rows.T @ (weights[:, None] * rows)
    return (weights @ products).reshape(rows.shape[1], rows.shape[1])
