"""The forward problem in attribute worlds: given pi_ref, which optima are consistent with it?"""

from itertools import pairwise

import numpy as np
from scipy.optimize import root_scalar

from sim.errors import BadInput

LARGEST_RATIO = 1e6


def roots(theta_ref: np.ndarray, a: float) -> np.ndarray:
    """All solutions of theta = theta_ref + a tanh(theta / 2), with a = kappa / beta.

    The right side is the log-odds of pi_ref exp(-c[pi*] / beta) for one attribute under the fixed-cost
    convention (docs/theory.md 2.3).  theta - a tanh(theta / 2) is monotone on the pieces left of, between and
    right of +-2 arccosh sqrt(a / 2); each piece is bracketed on its own, since the middle root is unstable under
    iteration.

    Args:
        theta_ref: log-odds of the reference policy, any shape.
        a: cost scale over temperature, above zero.

    Returns:
        Shape (*theta_ref.shape, 3), ascending; (root, nan, nan) where there is one.

    Raises:
        BadInput: `a` not above zero, or so large that tanh has no digits left.
    """
    if not 0 < a < LARGEST_RATIO:
        raise BadInput(f"self-consistent: expected cost_scale / temperature in (0, {LARGEST_RATIO:g}), got {a:g}")
    theta_ref = np.asarray(theta_ref, dtype=float)
    found = [_roots_of(t, a) for t in theta_ref.ravel()]
    padded = [[*r, np.nan, np.nan][:3] for r in found]
    return np.array(padded).reshape(*theta_ref.shape, 3)


def _roots_of(theta_ref: float, a: float) -> list[float]:
    def excess(theta: float) -> float:
        return theta - a * np.tanh(theta / 2) - theta_ref

    # |theta - theta_ref| <= a, so every root lies within these ends.
    ends = [theta_ref - a - 1, theta_ref + a + 1]
    turning = 2 * np.arccosh(np.sqrt(a / 2)) if a > 2 else 0.0
    pieces = [ends[0], -turning, turning, ends[1]] if a > 2 else ends
    found = [
        root_scalar(excess, bracket=(low, high), method="brentq", xtol=1e-15, rtol=1e-14).root
        for low, high in pairwise(pieces)
        if low < high and excess(low) * excess(high) <= 0
    ]
    return sorted(set(found))
