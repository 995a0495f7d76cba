"""What a mixture of product kernels does to laws, q = sum_c w_c q_c: exact where one pass tells, else two proved ends.

Functions of a world answer what those of `bounds/dense_kernels.py` do.  A lower end of a maximum, or an upper end of a
minimum, comes from a few rows of q, each of which is exact.
"""

import functools

import numpy as np

from bounds import divergences, product_kernels
from bounds.intervals import Interval, exactly
from bounds.kl_search import PRODUCT_TOLERANCE
from sim.editors import MixtureEditor
from sim.world import World


def _parts(world: World) -> list[tuple[float, np.ndarray]]:
    editor = world.editor
    assert isinstance(editor, MixtureEditor)
    return [(float(w), np.asarray(part.factors)) for w, part in zip(editor.weights, editor.editors, strict=True)]


def _seen(world: World) -> np.ndarray:
    """The responses (3, X) whose rows are looked at: pi*'s favourite, its complement, and one attribute changed."""
    best = np.asarray(world.optimal).argmax(axis=1)
    return np.stack([best, world.responses - 1 - best, best ^ min(1, world.responses - 1)])


def _row(world: World, responses: np.ndarray) -> np.ndarray:
    """q(.|y) at one response per context, (X, A)."""
    # One table after the other: those of all parts at once would not fit.
    tables = (weight * product_kernels.row(factors, responses) for weight, factors in _parts(world))
    return functools.reduce(np.add, tables)


def _column(world: World, responses: np.ndarray) -> np.ndarray:
    """q(e|.) at one edited response per context, (X, A)."""
    tables = (weight * product_kernels.column(factors, responses) for weight, factors in _parts(world))
    return functools.reduce(np.add, tables)


def _rows(world: World) -> list[np.ndarray]:
    return [_row(world, responses) for responses in _seen(world)]


def gamma_min(world: World) -> Interval:
    """min_y q(y*|y), y* = argmax pi*: one column."""
    return exactly(_column(world, _seen(world)[0]).min(axis=1))


def doeblin(world: World) -> Interval:
    """sum_e min_y q(e|y): at least the mean over the parts of theirs."""
    lower = np.sum([weight * product_kernels.common_mass(factors) for weight, factors in _parts(world)], axis=0)
    return _ordered(lower, functools.reduce(np.minimum, _rows(world)).sum(axis=1))


def dobrushin(world: World) -> Interval:
    """max over y1, y2 of TV of the rows: at most the mean over the parts of 1 - prod_k (1 - tau_k)."""
    apart = [weight * (1 - product_kernels.common_mass(factors)) for weight, factors in _parts(world)]
    rows = _rows(world)
    return _ordered(np.max([divergences.tv(rows[0], row) for row in rows[1:]], axis=0), np.sum(apart, axis=0))


def second_eigenvalue(world: World) -> Interval:
    """The second largest singular value in L2(pi*).

    The binary factors that keep pi*_k share their singular functions, 1 and one more with values 1 and lambda_ck: a
    mixture of such parts has the values sum_c w_c prod_{k in T} lambda_ck, over sets T of attributes, and with
    lambda_ck >= 0 the largest below that of T = {} is at a single attribute.  The other parts move it by at most their
    norm (Weyl).
    """
    law = product_kernels.law_of(world)
    if law is None:
        return product_kernels.unknown(world)
    kept, moved = np.zeros(law.shape[:2]), np.zeros(world.contexts)
    for weight, factors in _parts(world):
        shared = 1 - factors[:, :, 0, 1] - factors[:, :, 1, 0]
        if _keeps(factors, law) and shared.min(initial=0.0) >= -PRODUCT_TOLERANCE:
            kept += weight * shared
        else:
            moved += weight * product_kernels.singular_values(factors, law)[0]
    second = kept.max(axis=1, initial=0.0)
    return Interval(np.maximum(second - moved, 0.0), second + moved)


def _keeps(factors: np.ndarray, law: np.ndarray) -> bool:
    after = np.einsum("xka,xkab->xkb", law, factors)
    return bool(np.abs(after - law).max(initial=0.0) <= PRODUCT_TOLERANCE)


def balance_violation(world: World) -> Interval:
    """max over pairs of |pi*(y) q(e|y) - pi*(e) q(y|e)|: at most the mean over the parts of theirs."""
    law = product_kernels.law_of(world)
    if law is None:
        return product_kernels.unknown(world)
    parts = [weight * product_kernels.flow_apart(factors, law) for weight, factors in _parts(world)]
    return _ordered(np.max([_gap(world, responses) for responses in _seen(world)], axis=0), np.sum(parts, axis=0))


def _gap(world: World, responses: np.ndarray) -> np.ndarray:
    optimal = np.asarray(world.optimal)
    here = optimal[np.arange(world.contexts), responses][:, None]
    return np.abs(here * _row(world, responses) - optimal * _column(world, responses)).max(axis=1)


def tensorised(world: World) -> None:
    """None: a mixture is no product."""


def kl_searched(world: World) -> np.ndarray:
    """A lower end of eta_KL(pi*, q), shape (X,): its value close to pi*, and at the rows that are looked at."""
    log_image = np.log(np.asarray(world.edited(world.optimal)))
    log_optimal, each = np.asarray(world.log_optimal), np.arange(world.contexts)
    sizes = [-log_optimal[each, responses] for responses in _seen(world)]
    ratios = [
        divergences.kl(row, log_image) / np.maximum(n, 1e-300) for row, n in zip(_rows(world), sizes, strict=True)
    ]
    known = [np.where(size > 0, ratio, 0.0) for ratio, size in zip(ratios, sizes, strict=True)]
    # chi2 measures from q∘pi*, which is pi* where no part moves it.
    law = product_kernels.law_of(world)
    if law is not None and all(_keeps(factors, law) for _, factors in _parts(world)):
        known.append(second_eigenvalue(world).lower ** 2)
    return np.max(known, axis=0)


def _ordered(lower: np.ndarray, upper: np.ndarray) -> Interval:
    # Both ends are sums of many roundings: equal ones may come out in the wrong order.
    return Interval(np.minimum(lower, upper), np.maximum(lower, upper))
