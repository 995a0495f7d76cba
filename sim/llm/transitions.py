"""One trait as a two-state chain, off and on: what an edit does to it, from a table of four counts.

With N[y, e] the rows whose response has the trait y times and whose edit e times: a = P(off | on), b = P(on | off).  A
user who re-draws the trait with probability s from a law with share pi* of on has a = s (1 - pi*), b = s pi*, so that

    s = a + b,    pi* = b / (a + b),    second eigenvalue 1 - s  (docs/from-logs.md 2; Lemma 1 for one trait)

Every count has half a row added to it (Jeffreys' prior), so that no estimate is 0, 1 or undefined.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

DRAWS = 4000
"""Of the law of the estimates, for intervals that have no closed form."""

HALF = 0.5


class Measured(NamedTuple):
    """An estimate (None where the log has no row that tells) and the ends of its interval."""

    value: float | None
    low: float
    high: float


class Draws(NamedTuple):
    """What the counts of one trait leave open, each shape (D,): p, s and pi* of the module's head."""

    share: np.ndarray
    strength: np.ndarray
    optimum: np.ndarray


def exact(successes: int, trials: int, level: float = 0.95) -> Measured:
    """A frequency with its Clopper-Pearson interval, which holds at least as often as `level` says; [0, 1] without
    trials.
    """
    tail = (1 - level) / 2
    if trials == 0:
        return Measured(None, 0.0, 1.0)
    low = 0.0 if successes == 0 else float(stats.beta.ppf(tail, successes, trials - successes + 1))
    high = 1.0 if successes == trials else float(stats.beta.ppf(1 - tail, successes + 1, trials - successes))
    return Measured(successes / trials, low, high)


def smoothed(table: np.ndarray) -> tuple[float, float, float]:
    """The share p of responses with the trait, the strength s and the optimum pi* from counts N[y, e] (2, 2).

    Where a + b > 1, which no re-drawing has, s = 1 is the likeliest strength and pi* the share of edits with the trait.
    """
    rows, total = table.sum(axis=1), table.sum()
    off, on = (table[1, 0] + HALF) / (rows[1] + 1), (table[0, 1] + HALF) / (rows[0] + 1)
    share, edited = (rows[1] + HALF) / (total + 1), (table[:, 1].sum() + HALF) / (total + 1)
    strength, optimum = (1.0, edited) if off + on > 1 else (off + on, on / (off + on))
    return float(share), float(strength), float(optimum)


def draws(table: np.ndarray, rng: np.random.Generator, count: int = DRAWS) -> Draws:
    """`smoothed`, with every frequency drawn from its law given the counts, Beta(successes + 1/2, failures + 1/2)."""

    def frequency(failures_and_successes: np.ndarray) -> np.ndarray:
        failures, successes = failures_and_successes + HALF
        return rng.beta(successes, failures, size=count)

    off, on = frequency(table[1, ::-1]), frequency(table[0])
    share, edited = frequency(table.sum(axis=1)), frequency(table.sum(axis=0))
    whole = off + on > 1
    return Draws(share, np.where(whole, 1.0, off + on), np.where(whole, edited, on / (off + on)))


def interval(value: float, drawn: np.ndarray, level: float = 0.95) -> Measured:
    """An estimate with the equal-tailed interval of what was drawn of it, shape (D,)."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Measured(float(value), float(min(low, value)), float(max(high, value)))


def concentrability(share: Any, optimum: Any) -> Any:
    """E_{pi*}[pi* / pi_ref] of one trait, pi*^2 / p + (1 - pi*)^2 / (1 - p): its factor in C* (docs/theory.md 4.4).

    Args:
        share: p, a number or an array.
        optimum: pi*, likewise.
    """
    return optimum**2 / share + (1 - optimum) ** 2 / (1 - share)
