"""What a product kernel does to laws, q(e|y) = prod_k q_k(e_k|y_k), from its 2 x 2 factors alone.

Shapes: X contexts, K attributes, A = 2^K responses; factors (X, K, 2, 2), Bernoulli laws of attributes (X, K, 2).
Functions of a world answer what those of `bounds/dense_kernels.py` do.
"""

import numpy as np

from bounds import kl_search
from bounds.intervals import Interval, exactly
from bounds.kl_search import kl_coefficient_binary
from sim import cubes
from sim.world import World

_BLOCK = 13
"""Attributes whose rows are all compared: 2^12 pairs of rows of 2^13 numbers."""
_AT_ONCE = 2**21


def _factors(world: World) -> np.ndarray:
    return np.asarray(world.editor.factors)  # type: ignore[union-attr]


def law_of(world: World) -> np.ndarray | None:
    """pi* as Bernoulli laws (X, K, 2) of independent attributes; None if it is no product."""
    return cubes.product_parts(np.asarray(world.optimal))


def unknown(world: World) -> Interval:
    """Where pi* is no product the factors do not tell."""
    return Interval(np.zeros(world.contexts), np.full(world.contexts, np.inf))


def gamma_min(world: World) -> Interval:
    """min_y q(y*|y) = prod_k min_a q_k(y*_k|a), y* = argmax pi*."""
    factors, best = _factors(world), np.asarray(world.optimal).argmax(axis=1)
    worst = np.take_along_axis(factors.min(axis=2), _bits(factors, best)[:, :, None], axis=2)
    return exactly(worst.prod(axis=(1, 2)))


def row(factors: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """q(.|y) at one response y per context, indices (X,), as a table (X, A)."""
    return cubes.outer_product(np.take_along_axis(factors, _bits(factors, responses)[:, :, None, None], 2)[:, :, 0])


def column(factors: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """q(e|.) at one edited response e per context, indices (X,), as a table (X, A)."""
    return row(np.swapaxes(factors, 2, 3), responses)


def _bits(factors: np.ndarray, responses: np.ndarray) -> np.ndarray:
    return responses[:, None] >> np.arange(factors.shape[1])[::-1] & 1


def doeblin(world: World) -> Interval:
    """sum_e min_y q(e|y) = prod_k sum_b min_a q_k(b|a)."""
    return exactly(common_mass(_factors(world)))


def common_mass(factors: np.ndarray) -> np.ndarray:
    """The Doeblin coefficient of a product, shape (X,)."""
    return factors.min(axis=2).sum(axis=2).prod(axis=1)


def dobrushin(world: World) -> Interval:
    """max over y1, y2 of TV of the rows, exact up to 13 attributes.

    TV of two products only grows with more attributes that differ (data processing), so that y2 is the complement of
    y1.  Above 13 attributes they are cut in blocks: TV is at most 1 - prod_blocks (1 - TV of the block) (couple the
    blocks one by one) and sqrt(1 - prod_k BC_k^2), BC_k = sum_b sqrt(q_k(b|0) q_k(b|1)), which all y1 share; and at
    least the TV at the y1 that a search over single changes ends in.
    """
    ends = np.array([_tv_ends(factors) for factors in _factors(world)])
    return Interval(ends[:, 0], ends[:, 1])


def _tv_ends(factors: np.ndarray) -> tuple[float, float]:
    blocks = np.array_split(factors, max(-(-len(factors) // _BLOCK), 1))
    found = [_largest_tv(block) for block in blocks]
    if len(found) == 1:
        return found[0][1], found[0][1]
    affinity = np.sqrt(factors[:, 0] * factors[:, 1]).sum(axis=1).prod()
    apart = 1 - np.prod([1 - tv for _, tv in found])
    lower = _climb(factors, np.concatenate([row for row, _ in found]))
    return lower, max(lower, min(float(apart), float(np.sqrt(1 - min(affinity, 1.0) ** 2))))


def _largest_tv(factors: np.ndarray) -> tuple[np.ndarray, float]:
    # A row and its complement are one pair: the first attribute of y1 is 0.
    attributes = len(factors)
    rows = np.arange(2 ** max(attributes - 1, 0))[:, None] >> np.arange(attributes)[::-1] & 1
    apart = _tv_to_complement(factors, rows)
    return rows[apart.argmax()], float(apart.max())


def _tv_to_complement(factors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """TV(q(.|y), q(.|complement of y)) of the responses y with these bits (N, K), shape (N,)."""
    size, each = max(_AT_ONCE >> len(factors), 1), np.arange(len(factors))
    found = []
    for some in np.array_split(rows, -(-len(rows) // size)):
        ends = [cubes.outer_product(factors[each, bits]) for bits in (some, 1 - some)]
        found.append(0.5 * np.abs(ends[0] - ends[1]).sum(axis=1))
    return np.concatenate(found)


def _climb(factors: np.ndarray, row: np.ndarray) -> float:
    """The TV to its complement of the best response that changing one attribute at a time leads to."""
    best = float(_tv_to_complement(factors, row[None])[0])
    while True:
        near = row ^ np.eye(len(row), dtype=row.dtype)
        apart = _tv_to_complement(factors, near)
        if apart.max() <= best * (1 + 1e-12):
            return best
        row, best = near[apart.argmax()], float(apart.max())


def second_eigenvalue(world: World) -> Interval:
    """The second largest product of singular values of the factors in L2(pi*)."""
    law = law_of(world)
    return unknown(world) if law is None else exactly(singular_values(_factors(world), law)[1])


def singular_values(factors: np.ndarray, law: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two largest singular values in L2(law) of a product, shapes (X,), (X,)."""
    root = np.sqrt(law)
    scaled = np.where(root[:, :, None] > 0, root[..., None] * factors / np.where(root > 0, root, 1.0)[:, :, None], 0.0)
    values = np.linalg.svd(scaled, compute_uv=False).reshape(*law.shape)
    largest = values[:, :, 0].prod(axis=1)
    return largest, largest * (values[:, :, 1] / values[:, :, 0]).max(axis=1, initial=0.0)


def balance_violation(world: World) -> Interval:
    """max over y, e of |prod_k f_k(y_k, e_k) - prod_k f_k(e_k, y_k)|, f_k(a, b) = pi*_k(a) q_k(b|a)."""
    law = law_of(world)
    return unknown(world) if law is None else exactly(flow_apart(_factors(world), law))


def flow_apart(factors: np.ndarray, law: np.ndarray) -> np.ndarray:
    """As `balance_violation`, shape (X,).

    A - B for a pair of products (A, B) is linear in what any one attribute contributes, with weights of fixed signs:
    only the vertices of the lower right hull of the pairs can lead to the largest difference.
    """
    return np.array([_largest_gap(rows) for rows in law[..., None] * factors])


def _largest_gap(flows: np.ndarray) -> float:
    pairs = np.ones((1, 2))
    for flow in flows:
        own = np.stack([flow.ravel(), flow.T.ravel()], axis=1)
        pairs = _hull((pairs[:, None] * own).reshape(-1, 2))
    return float((pairs[:, 0] - pairs[:, 1]).max())


def _hull(pairs: np.ndarray) -> np.ndarray:
    """The vertices of the hull of (N, 2) in directions (+, -), from the largest first coordinate down."""
    kept: list[np.ndarray] = []
    for pair in pairs[np.lexsort((pairs[:, 1], -pairs[:, 0]))]:
        if kept and pair[1] >= kept[-1][1]:
            continue
        while len(kept) > 1 and not _bends(kept[-2], kept[-1], pair):
            kept.pop()
        kept.append(pair)
    return np.array(kept)


def _bends(start: np.ndarray, middle: np.ndarray, end: np.ndarray) -> bool:
    # By more than rounding: flows that balance lie on one line.
    first, second = middle - start, end - start
    return bool(first[0] * second[1] - first[1] * second[0] < -1e-14 * np.linalg.norm(first) * np.linalg.norm(second))


def tensorised(world: World) -> np.ndarray | None:
    """max over attributes k of eta_KL(q_k), shape (X,), if each factor keeps its factor of pi*; else None."""
    law = law_of(world)
    if law is None:
        return None
    pairs = zip(_factors(world), law, strict=True)
    found = [kl_search.kept_factors(list(one), list(kernels)) for kernels, one in pairs]
    known = [parts for parts in found if parts is not None]
    if len(known) < len(found):
        return None
    return np.array([max((kl_coefficient_binary(p, s) for p, s in parts), default=0.0) for parts in known])


def kl_searched(world: World) -> np.ndarray:
    """A lower end of eta_KL(pi*, q), shape (X,): laws that differ from pi* in one attribute contract by its factor."""
    law = law_of(world)
    if law is None:
        return np.zeros(world.contexts)
    pairs = zip(_factors(world), law, strict=True)
    return np.array([max(map(kl_search.searched, kernels, one), default=0.0) for kernels, one in pairs])
