"""What an edit kernel does to laws, from its table: exact, one number per context.

The same questions, by the same names, are answered for products in `bounds/product_kernels.py` and for mixtures of
products in `bounds/mixture_kernels.py`; `bounds/contraction.py` asks the one that fits the world's editor.
"""

import numpy as np

from bounds import kl_search
from bounds.intervals import Interval, exactly
from bounds.kl_search import kl_coefficient_binary
from sim.world import World


def gamma_min(world: World) -> Interval:
    """min_y q(y*|x, y), y* = argmax pi*(.|x)."""
    kernel, best = world.editor.dense(), np.asarray(world.optimal).argmax(axis=1)
    return exactly([matrix[:, y].min() for matrix, y in zip(kernel, best, strict=True)])


def doeblin(world: World) -> Interval:
    """sum_e min_y q(e|x, y)."""
    return exactly(world.editor.dense().min(axis=1).sum(axis=1))


def dobrushin(world: World) -> Interval:
    """max over y1, y2 of TV(q(.|x, y1), q(.|x, y2))."""
    return exactly([_largest_tv(matrix) for matrix in world.editor.dense()])


def _largest_tv(matrix: np.ndarray) -> float:
    # Row by row: the table of all pairs of rows would be A^3 numbers.
    return max(0.5 * np.abs(matrix - row).sum(axis=1).max() for row in matrix)


def second_eigenvalue(world: World) -> Interval:
    """The second largest singular value of q in L2(pi*); 0 with one response in the support of pi*."""
    pairs = zip(world.editor.dense(), np.asarray(world.optimal), strict=True)
    return exactly([_second_singular_value(matrix, law) for matrix, law in pairs])


def _second_singular_value(matrix: np.ndarray, law: np.ndarray) -> float:
    support = law > 0
    root = np.sqrt(law[support])
    if len(root) < 2:
        return 0.0
    scaled = root[:, None] * matrix[np.ix_(support, support)] / root
    return float(np.linalg.svd(scaled, compute_uv=False)[1])


def balance_violation(world: World) -> Interval:
    """max over pairs of |pi*(y) q(e|y) - pi*(e) q(y|e)|."""
    flow = np.asarray(world.optimal)[:, :, None] * world.editor.dense()
    return exactly(np.abs(flow - np.swapaxes(flow, 1, 2)).max(axis=(1, 2)))


def tensorised(world: World) -> np.ndarray | None:
    """max over attributes k of eta_KL(q_k), shape (X,), if the table is a product that fits; else None."""
    pairs = zip(world.editor.dense(), np.asarray(world.optimal), strict=True)
    factors = [kl_search.binary_factors(matrix, law) for matrix, law in pairs]
    known = [parts for parts in factors if parts is not None]
    if len(known) < len(factors):
        return None
    return np.array([max((kl_coefficient_binary(p, s) for p, s in parts), default=0.0) for parts in known])


def kl_searched(world: World) -> np.ndarray:
    """A lower end of eta_KL(pi*, q), shape (X,)."""
    pairs = zip(world.editor.dense(), np.asarray(world.optimal), strict=True)
    return np.array([kl_search.searched(matrix, law) for matrix, law in pairs])
