"""Divergences between two laws of a response, one number per row; arrays of shape (..., A)."""

import numpy as np
from scipy.special import xlog1py


def tv(law: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Total variation, half the L1 distance, in [0, 1]."""
    return 0.5 * np.abs(law - other).sum(axis=-1)


def kl(law: np.ndarray, log_other: np.ndarray) -> np.ndarray:
    """KL(law || other) from log(other), so that an `other` below the smallest float counts; +inf off its support.

    As sum other * phi(law / other), phi(u) = u log u - u + 1: no summand is negative and none cancels another.
    """
    other = np.exp(log_other)
    with np.errstate(all="ignore"):
        logs = np.log(law) - log_other
        terms = other * entropy_excess(np.where(other > 0, (law - other) / other, 0.0))
        terms = np.where((law > 0) & (logs > 10), law * logs - law + other, terms)
    return np.where((law > 0) & np.isneginf(log_other), np.inf, terms).sum(axis=-1)


def entropy_excess(excess: np.ndarray) -> np.ndarray:
    """phi(1 + t) = (1 + t) log(1 + t) - t of t >= -1, never negative, 1 at t = -1; by its series for small t."""
    small = np.abs(excess) < 3e-3
    t = np.where(small, excess, 0.0)
    series = t**2 * (1 / 2 - t * (1 / 6 - t * (1 / 12 - t * (1 / 20 - t * (1 / 30 - t / 42)))))
    return np.where(small, series, np.maximum(xlog1py(1 + excess, excess) - excess, 0.0))


def chi2(law: np.ndarray, other: np.ndarray) -> np.ndarray:
    """sum (law - other)^2 / other; +inf where `law` leaves the support of `other`."""
    with np.errstate(all="ignore"):
        terms = np.where(other > 0, (law - other) ** 2 / other, np.where(law > 0, np.inf, 0.0))
    return terms.sum(axis=-1)


def log_span(law: np.ndarray, log_other: np.ndarray) -> np.ndarray:
    """span of log(law / other) over the responses that one of the two gives; +inf if one of them misses some."""
    possible = (law > 0) | (log_other > -np.inf)
    with np.errstate(all="ignore"):
        logs = np.log(law) - log_other
    return np.max(logs, axis=-1, where=possible, initial=-np.inf) - np.min(
        logs, axis=-1, where=possible, initial=np.inf
    )
