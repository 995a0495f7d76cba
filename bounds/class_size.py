"""How large a policy class is, and how far a policy is from it: what the bounds of docs/theory.md 4 need of a class.

A list is read member by member; of the log-linear class only the ball |theta| <= Theta is known (docs/theory.md 4.6).
Contexts of probability zero play no part.
"""

import math
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from bounds import realizability
from sim import checks
from sim.features import AttributeFeatures
from sim.policies import LogLinear, PolicyClass, PolicyList, centred_regression
from sim.world import World


def ball_radius(world: World) -> float:
    """Theta = 2 max(|theta*|, |theta_edited|), least-norm least-squares parameters of pi*, q∘pi_ref (theory 4.6)."""
    return 2 * max(_norm(world, np.asarray(world.optimal)), _norm(world, edited_policy(world)))


def membership(world: World, policies: PolicyClass, policy: np.ndarray) -> float:
    """A list: min over members of the largest difference of a probability.  Log-linear: the log residual."""
    kept = seen(world)
    if isinstance(policies, PolicyList):
        apart = np.abs(np.exp(np.asarray(policies.log_policies)) - policy)[:, kept]
        return float(apart.max(axis=(1, 2)).min())
    if np.any((policy > 0)[kept] != np.asarray(policies.possible)[kept]):
        return math.inf
    return realizability.log_linear_residual(_with_features(world, policies), policy)


def outside_ball(
    name: str, world: World, policies: PolicyClass, policy: np.ndarray, ball: float | None
) -> dict[str, float]:
    """By how much the parameters of a policy leave the ball, under this name; nothing to ask of a list."""
    if not isinstance(policies, LogLinear):
        return {}
    return {name: max(0.0, _norm(_with_features(world, policies), policy) - chosen_ball(world, policies, ball))}


def largest_span(world: World, policies: PolicyClass, log_other: np.ndarray, ball: float | None) -> float:
    """max over the class and x of span_y log(pi / other).  Log-linear: 2 max|phi| Theta + max_x span log other."""
    if isinstance(policies, PolicyList):
        return largest_gap(world, np.asarray(policies.log_policies), log_other)
    return _reach(world, policies, ball) + largest_gap(world, _uniform(policies), log_other)


def largest_log_ratio(world: World, policies: PolicyClass, log_other: np.ndarray, ball: float | None) -> float:
    """log V = max over the class, x and y of log(pi / other).  Log-linear: it is at most the span."""
    if isinstance(policies, PolicyList):
        return float(np.nanmax(_log_ratios(np.asarray(policies.log_policies), log_other)[..., seen(world), :]))
    return largest_span(world, policies, log_other, ball)


def largest_gap(world: World, logs: np.ndarray, log_other: np.ndarray) -> float:
    """max over the tables `logs` and x of span_y log(pi / other)."""
    ratios = _log_ratios(logs, log_other)[..., seen(world), :]
    return float(np.max(np.nanmax(ratios, axis=-1) - np.nanmin(ratios, axis=-1)))


def _log_ratios(logs: np.ndarray, log_other: np.ndarray) -> np.ndarray:
    """log(pi / other); nan where neither gives the response, infinite where one of them does."""
    with np.errstate(invalid="ignore"):
        return logs - log_other


def _reach(world: World, policies: PolicyClass, ball: float | None) -> float:
    """2 max|phi| Theta: the largest span of <theta, phi> within the ball."""
    return 2 * largest_feature(world, policies) * chosen_ball(world, policies, ball)


def largest_feature(world: World, policies: Any) -> float:
    """B = max |phi| over the support of the log-linear class."""
    given = np.asarray(policies.support) & seen(world)[:, None]
    if isinstance(policies.features, AttributeFeatures):
        squares = policies.features.quadratic(jnp.eye(policies.dimension))
        return math.sqrt(float(np.asarray(squares)[given].max()))
    return float(np.linalg.norm(np.asarray(policies.features.table)[given], axis=1).max())


def chosen_ball(world: World, policies: PolicyClass, ball: float | None) -> float:
    """Theta: `ball`, or its default."""
    if ball is None:
        return ball_radius(_with_features(world, policies))
    return checks.in_range("ball", ball, 0, math.inf)


def _with_features(world: World, policies: Any) -> World:
    return replace(world, policy_features=policies.features)


def _uniform(policies: PolicyClass) -> np.ndarray:
    return np.where(np.asarray(policies.possible), 0.0, -np.inf)


def _norm(world: World, policy: np.ndarray) -> float:
    features = world.policy_features
    if isinstance(features, AttributeFeatures) and np.all(policy > 0):
        return float(np.linalg.norm(realizability.cube_parameters(features, np.log(policy))))
    return float(np.linalg.norm(np.linalg.lstsq(*centred_regression(world, policy), rcond=None)[0]))


def edited_policy(world: World) -> np.ndarray:
    """q∘pi_ref, shape (X, A)."""
    return np.asarray(world.edited(world.reference))


def log_of(policy: np.ndarray) -> np.ndarray:
    """The logarithm, -inf at zero."""
    with np.errstate(divide="ignore"):
        return np.log(policy)


def seen(world: World) -> np.ndarray:
    """The contexts of positive probability, shape (X,)."""
    return np.asarray(world.context_probs) > 0
