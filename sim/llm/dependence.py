"""Whether a user edits traits independently: one who edits exactly two of K is not one who re-draws each by itself."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from sim.llm.trait_counts import Patterns


@dataclass(frozen=True)
class Dependence:
    """How the edits of two traits go together, where the response is against the user's wish in both.

    Fields:
        pairs: (trait, trait, rows that tell, correlation or None).
        rows: that tell of some pair, counted once per pair.
        correlation: the mean over pairs and rows; None where nothing tells.
        z: about standard normal for a user who edits traits independently.
        p_value: two-sided, of z.
        edited: the mean number of traits changed per row.
        dispersion: variance of that number over its variance under independence; 1 if independent, 0 if it is fixed.
    """

    pairs: tuple[tuple[str, str, int, float | None], ...]
    rows: int
    correlation: float | None
    z: float | None
    p_value: float | None
    edited: float
    dispersion: float | None


def dependence(names: list[str], seen: Patterns) -> Dependence:
    """Test whether edits of traits are independent, given the response.

    With x_k whether the edit fulfils the wish of trait k, on rows whose response does not, m_k its mean there and
    v_k = m_k (1 - m_k), over the rows of all pairs j < k in which both are open,

        correlation = S / sum sqrt(v_j v_k),    z = S / sqrt(sum v_j v_k),    S = sum (x_j - m_j)(x_k - m_k)

    A uniformly random set of m out of K gives the correlation -1 / (K - 1).  The wish of a trait is the way in which
    edits turn it more often than back, relative to the rows where they could.

    Args:
        names: of the traits, K.
        seen: the rows in these traits.

    Source: docs/from-logs.md 4.  Not in the paper.
    """
    open_, moved, mean = _towards_the_wish(seen)
    variance = mean * (1 - mean)
    pairs, products, scale, squares, rows = [], 0.0, 0.0, 0.0, 0
    for j, k in combinations(range(len(names)), 2):
        weights = seen.counts * (open_[:, j] & open_[:, k])
        apart = float(weights @ ((moved[:, j] - mean[j]) * (moved[:, k] - mean[k])))
        count, both = int(weights.sum()), float(np.sqrt(variance[j] * variance[k]))
        pairs.append((names[j], names[k], count, apart / (count * both) if count * both > 0 else None))
        products, scale, rows = products + apart, scale + count * both, rows + count
        squares += count * both**2
    z = products / np.sqrt(squares) if squares > 0 else None
    p_value = None if z is None else float(2 * stats.norm.sf(abs(z)))
    correlation = products / scale if scale > 0 else None
    return Dependence(tuple(pairs), rows, correlation, None if z is None else float(z), p_value, *_numbers(seen))


def _towards_the_wish(seen: Patterns) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether each trait is open (U, K), whether the edit fulfils it (U, K), and its mean over open rows (K,)."""
    tables = seen.tables().astype(float)
    rates = np.array([[t[0, 1] / max(t[0].sum(), 1), t[1, 0] / max(t[1].sum(), 1)] for t in tables]).reshape(-1, 2)
    wanted = rates[:, 0] >= rates[:, 1]
    open_ = seen.responses != wanted
    return open_, (seen.edits != seen.responses) & open_, rates.max(axis=1, initial=0.0)


def _numbers(seen: Patterns) -> tuple[float, float | None]:
    """The mean number of changed traits, and its dispersion."""
    changed = (seen.responses != seen.edits).sum(axis=1)
    rates = seen.tables() / np.maximum(seen.tables().sum(axis=2, keepdims=True), 1)
    flips = np.stack([rates[:, 0, 1], rates[:, 1, 0]], axis=1)
    chances = flips[np.arange(flips.shape[0]), seen.responses.astype(int)]
    expected = float(seen.counts @ (chances * (1 - chances)).sum(axis=1))
    around = float(seen.counts @ (changed - chances.sum(axis=1)) ** 2)
    mean = float(seen.counts @ changed / max(seen.rows, 1))
    return mean, around / expected if expected > 0 else None
