"""Traits that change only because another one does: to make a text formal is to make it less simple."""

import numpy as np

from sim.llm.trait_counts import Patterns

TOGETHER = 0.99
"""The share of a trait's changes that come with those of the trait which it follows."""

DEPENDENT = 0.3
"""The correlation, in size, of two traits in the responses from which one may follow the other."""


def followers(seen: Patterns, candidates: list[int]) -> dict[int, int]:
    """Which of the candidate traits follow which other one.

    A trait follows another if edits that change it change the other too, in `TOGETHER` of its changes, and the two are
    dependent in the responses already, beyond `DEPENDENT`.  The one that changes more often leads; of equals the first.

    Args:
        seen: the rows of a group in all its traits.
        candidates: traits that edits change, by their indices.

    Returns:
        By the index of every trait that follows, that of the trait it follows; of several the closest in the responses.
    """
    moved = seen.responses != seen.edits
    changes = seen.counts @ moved
    dependence = np.abs(_correlations(seen))
    leaders: list[int] = []
    found: dict[int, int] = {}
    for k in sorted(candidates, key=lambda k: -changes[k]):
        joint = {j: float(seen.counts @ (moved[:, j] & moved[:, k])) / max(changes[k], 1) for j in leaders}
        near = [j for j in leaders if joint[j] >= TOGETHER and dependence[j, k] > DEPENDENT]
        if near:
            found[k] = max(near, key=lambda j: dependence[j, k])
        else:
            leaders.append(k)
    return found


def _correlations(seen: Patterns) -> np.ndarray:
    """Of the traits in the responses, (K, K); zero for a trait that never or always is there."""
    weights = seen.counts / seen.rows
    centred = seen.responses - weights @ seen.responses
    covariance = centred.T @ (weights[:, None] * centred)
    scale = np.sqrt(np.diag(covariance))
    varying = np.where(scale > 0, scale, np.inf)
    return covariance / np.outer(varying, varying)
