"""Coverage: how well the reference policy's log covers what a learner needs."""

import numpy as np

from sim.world import World


def policy_concentrability(world: World) -> float:
    """C* = E over x ~ rho, y ~ pi* of pi*(y|x) / pi_ref(y|x), at least 1 (docs/theory.md 4.4)."""
    optimal, reference = np.asarray(world.optimal), np.asarray(world.reference)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(optimal > 0, optimal**2 / reference, 0.0)
    return float(np.asarray(world.context_probs) @ terms.sum(axis=1))
