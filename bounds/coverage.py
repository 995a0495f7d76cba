"""Coverage: how well the reference policy's log covers what a learner needs."""

import math

import numpy as np

from sim.policies import LogLinear, Mixture, PolicyClass, PolicyList
from sim.world import World

SAME = 1e-9
"""Log-ratios that agree to this are the same policy."""


def policy_concentrability(world: World) -> float:
    """C* = E over x ~ rho, y ~ pi* of pi*(y|x) / pi_ref(y|x), at least 1 (docs/theory.md 4.4)."""
    optimal, reference = np.asarray(world.optimal), np.asarray(world.reference)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(optimal > 0, optimal**2 / reference, 0.0)
    return float(np.asarray(world.context_probs) @ terms.sum(axis=1))


def preference_coverage(world: World, policies: PolicyClass) -> float:
    """C_PREF = max over pi != pi* of E_{y~pi, e~pi*}[(D_pi - D_*)^2] / E_m[(D_pi - D_*)^2] (docs/theory.md 4.3).

    D_pi(y, e) = log pi/pi_ref (e) - log pi/pi_ref (y), m is the law of the log.  Exact for a list; for the
    log-linear class the upper bound max over x and pairs of psi^T Sigma_m^-1 psi of 4.6; +inf where nothing covers.
    """
    if isinstance(policies, PolicyList):
        return max((_ratio(world, log_policy) for log_policy in np.asarray(policies.log_policies)), default=0.0)
    if isinstance(policies, Mixture):
        return math.inf
    return _largest_pair(world, policies)


def _ratio(world: World, log_policy: np.ndarray) -> float:
    rho, law = np.asarray(world.context_probs), np.asarray(world.triple_law())
    policy, optimal = np.exp(log_policy), np.asarray(world.optimal)
    given = ((policy > 0) | (optimal > 0)) & (rho > 0)[:, None]
    with np.errstate(invalid="ignore"):
        gap = np.where(given, log_policy - np.asarray(world.log_optimal), 0.0)
    if not np.isfinite(gap).all():
        return math.inf
    if (np.where(given, gap, -np.inf).max(axis=1) - np.where(given, gap, np.inf).min(axis=1))[rho > 0].max() <= SAME:
        return 0.0
    means = [np.sum(p * gap, axis=1, keepdims=True) for p in (policy, optimal)]
    spreads = [np.sum(p * (gap - mean) ** 2, axis=1) for p, mean in zip((policy, optimal), means, strict=True)]
    wanted = rho @ (spreads[0] + spreads[1] + (means[0] - means[1])[:, 0] ** 2)
    logged = np.sum(law * (gap[:, None, :] - gap[:, :, None]) ** 2)
    return float(wanted / logged) if logged > 0 else math.inf


def _largest_pair(world: World, policies: LogLinear) -> float:
    table, support = np.asarray(policies.features.table), np.asarray(policies.support)
    law = np.asarray(world.triple_law()) * ~np.eye(world.responses, dtype=bool)
    mass = law.sum(axis=1) + law.sum(axis=2)
    mixed = np.einsum("xye,xyd,xef->df", law, table, table, optimize=True)
    moment = np.einsum("xy,xyd,xyf->df", mass, table, table, optimize=True) - mixed - mixed.T
    values, vectors = np.linalg.eigh(moment)
    kept = values > 1e-12 * max(values.max(), 1e-300)
    largest = 0.0
    for features, given, weight in zip(table, support, np.asarray(world.context_probs), strict=True):
        for one in features[given] if weight > 0 else ():
            turned = (features[given] - one) @ vectors
            if np.abs(turned[:, ~kept]).max(initial=0.0) > SAME * max(1.0, np.abs(features).max()):
                return math.inf
            largest = max(largest, float(np.sum(turned[:, kept] ** 2 / values[kept], axis=1).max(initial=0.0)))
    return largest
