"""How fast editing moves a policy towards the optimum: coefficients of the edit kernel, one per context."""

import numpy as np

from sim.world import World


def gamma_min(world: World) -> np.ndarray:
    """gamma_min(x) = min_y q(y*|x, y), y* = argmax pi*(.|x), shape (X,) (Assumption 1, docs/theory.md 3.1)."""
    kernel, best = world.editor.dense(), np.asarray(world.optimal).argmax(axis=1)
    return np.array([matrix[:, y].min() for matrix, y in zip(kernel, best, strict=True)])


def doeblin(world: World) -> np.ndarray:
    """The mass common to all rows, sum_e min_y q(e|x, y), shape (X,); TV contracts by one minus it (3.2)."""
    return world.editor.dense().min(axis=1).sum(axis=1)


def dobrushin(world: World) -> np.ndarray:
    """tau(x) = max over y1, y2 of TV(q(.|x, y1), q(.|x, y2)), shape (X,); TV contracts by it (3.3)."""
    return np.array([_largest_tv(matrix) for matrix in world.editor.dense()])


def _largest_tv(matrix: np.ndarray) -> float:
    # Row by row: the table of all pairs of rows would be A^3 numbers.
    return max(0.5 * np.abs(matrix - row).sum(axis=1).max() for row in matrix)


def second_eigenvalue(world: World) -> np.ndarray:
    """The second largest singular value of q in L2(pi*), shape (X,) (3.5).

    For a kernel reversible with respect to pi* it is the second largest absolute eigenvalue.  Responses of
    probability zero under pi* are left out; with one response left it is 0.
    """
    pairs = zip(world.editor.dense(), np.asarray(world.optimal), strict=True)
    return np.array([_second_singular_value(matrix, law) for matrix, law in pairs])


def _second_singular_value(matrix: np.ndarray, law: np.ndarray) -> float:
    support = law > 0
    root = np.sqrt(law[support])
    if len(root) < 2:
        return 0.0
    scaled = root[:, None] * matrix[np.ix_(support, support)] / root
    return float(np.linalg.svd(scaled, compute_uv=False)[1])


def balance_violation(world: World) -> float:
    """max |pi*(y) q(e|y) - pi*(e) q(y|e)| over contexts and pairs; 0 when Assumption 1's balance holds."""
    flow = np.asarray(world.optimal)[:, :, None] * world.editor.dense()
    return float(np.abs(flow - np.swapaxes(flow, 1, 2)).max())


def stationarity_violation(world: World) -> float:
    """max |pi* q - pi*|; 0 when editing leaves the optimum as it is (weaker than balance)."""
    return float(np.abs(np.asarray(world.edited(world.optimal)) - np.asarray(world.optimal)).max())
