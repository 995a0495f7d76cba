"""Does the fit exist without its ridge?  An exact test, cheap for almost every log.

A log separates when some direction u raises log pi(e) - log pi(y) for no comparison downwards and for at least one
upwards: the loss then falls for ever along u.  `Fit.certificate` below one proves that there is none.  For the logs
that it leaves open the fit itself, which the ridge stopped on its way along u, nearly always shows one; the rest is
decided by a linear program.
"""

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, hstack, identity

# A margin below one for the rounding error of the certificate.
PROVEN = 0.9


def shows_separation(table: np.ndarray, pulls: np.ndarray, parameters: np.ndarray) -> bool:
    """Whether the fit's parameters, rounded, are a separating direction: a proof if so, else no answer.

    Small parameters are rounded to zero, or all to a few levels: along the direction that the ridge stopped, the
    parameters that matter are large.  Whole numbers keep the sums exact for features that are multiples of a power
    of two, so that a comparison that should be level is level.
    """
    return any(_separates(_rises(table @ direction, pulls)) for direction in _rounded(parameters))


def _rounded(parameters: np.ndarray) -> list[np.ndarray]:
    size = np.abs(parameters).max(initial=0.0)
    kept = [np.round(np.where(np.abs(parameters) < threshold, 0.0, parameters)) for threshold in (2.0, 4.0, 6.0, 8.0)]
    levels = [np.round(parameters * count / size) for count in (1, 2, 3, 4)] if size > 0 else []
    return kept + levels


def _rises(height: np.ndarray, pulls: np.ndarray) -> np.ndarray:
    return (height[:, None, :] - height[:, :, None])[pulls]


def _separates(rise: np.ndarray) -> bool:
    return bool(np.all(rise >= 0) and np.any(rise > 0))


def is_separated(table: np.ndarray, pulls: np.ndarray) -> bool:
    """Whether a direction u has <u, phi(x, e) - phi(x, y)> >= 0 for every pull (x, y, e), and > 0 for one.

    Args:
        table: features, shape (X, A, d).
        pulls: which comparisons pull, shape (X, A, A).
    """
    x, y, e = np.nonzero(pulls)
    return _exists(table[x, e] - table[x, y])


def differences_separate(psi: np.ndarray, parameters: np.ndarray) -> bool:
    """As `shows_separation` and then `is_separated`, from the differences psi = phi(x, e) - phi(x, y), (pulls, d)."""
    return any(_separates(psi @ direction) for direction in _rounded(parameters)) or _exists(psi)


def _exists(psi: np.ndarray) -> bool:
    """Whether a direction u has <u, psi_i> >= 0 for all rows, and > 0 for one.

    Decided by: maximise sum z subject to <u, psi_i> >= z_i, 0 <= z_i <= 1; the maximum is 0, or at least 1.
    """
    psi = np.unique(psi, axis=0)
    psi = psi[np.any(psi != 0, axis=1)]
    if len(psi) == 0:
        return False
    rows, d = psi.shape
    constraints = hstack([coo_array(-psi), identity(rows)]).tocsr()
    bounds = [(None, None)] * d + [(0.0, 1.0)] * rows
    objective = np.concatenate([np.zeros(d), -np.ones(rows)])
    result = linprog(objective, A_ub=constraints, b_ub=np.zeros(rows), bounds=bounds, method="highs")
    if not result.success:
        raise RuntimeError(f"the linear program that decides whether a log separates failed: {result.message}")
    return bool(-result.fun > 0.5)
