"""The law of <slope, z> + z^T bend z / 2 for a normal z: weighted chi-square, normal, and all between."""

import numpy as np
from scipy import optimize

_GRID = 4096
RESOLUTION = 1e-3
"""Levels nearer than this to 0 or 1 are not told apart."""


def standard_form(
    mean: np.ndarray, covariance: np.ndarray, slope: np.ndarray, bend: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Constant m, linear c (k,) and quadratic w (k,) with the form distributed as m + sum_j c_j Z_j + w_j Z_j^2.

    Args:
        mean, covariance: of z, shapes (k,) and (k, k).
        slope, bend: of the form, shapes (k,) and (k, k).
    """
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    weights, axes = np.linalg.eigh(0.5 * root.T @ bend @ root)
    linear = axes.T @ root.T @ (slope + bend @ mean)
    return float(slope @ mean + 0.5 * mean @ bend @ mean), linear, weights


def quantile(level: float, mean: np.ndarray, covariance: np.ndarray, slope: np.ndarray, bend: np.ndarray) -> float:
    """The quantile at `level`; arguments as in `standard_form`.

    The distribution function is the characteristic function's, inverted numerically (Gil-Pelaez): the error in the
    level is below 1e-4, so that `level` must be at least `RESOLUTION` away from 0 and 1.
    """
    constant, linear, weights = standard_form(mean, covariance, slope, bend)
    scale = float(np.sqrt(np.sum(linear**2) + 2 * np.sum(weights**2)))
    if scale == 0:
        return constant
    linear, weights = linear / scale, weights / scale
    centre = float(np.sum(weights))

    def gap(x: float) -> float:
        return distribution(x, linear, weights) - level

    return constant + scale * float(optimize.brentq(gap, centre - 12, centre + 40, xtol=1e-8))


def distribution(x: float, linear: np.ndarray, weights: np.ndarray) -> float:
    """P(sum_j linear_j Z_j + weights_j Z_j^2 <= x) for independent standard normal Z_j, of about unit variance."""
    # Integrated over log t, where the oscillation at small t and the slow decay at large t both are tame.
    t = np.exp(np.linspace(np.log(1e-6), np.log(400.0), _GRID))
    stretch = 1 - 2j * t[:, None] * weights
    logs = -0.5 * np.log(stretch) - 0.5 * (t[:, None] * linear) ** 2 / stretch
    integrand = np.imag(np.exp(logs.sum(axis=1) - 1j * t * x))
    return float(0.5 - np.trapezoid(integrand, np.log(t)) / np.pi)
