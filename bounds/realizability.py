"""How far a world is from what its classes can express (Assumption 2, and the linear cost of docs/theory.md 4.4)."""

import jax.numpy as jnp
import numpy as np

from sim.features import AttributeFeatures
from sim.policies import centred_regression
from sim.world import World


def log_linear_residual(world: World, policy: np.ndarray) -> float:
    """max |log policy - <theta, phi> - b_x| at the least-squares theta and b; 0 if the log-linear class contains it.

    Least squares is over the responses that the policy gives, with one intercept per context (the normaliser).
    """
    policy = np.asarray(policy)
    if isinstance(world.policy_features, AttributeFeatures) and np.all(policy > 0):
        return _cube_residual(world.policy_features, np.log(policy))
    return _residual(*centred_regression(world, policy))


def linear_cost_residual(world: World) -> float:
    """max |c - <w, psi>| at the least-squares w; 0 if the cost is linear in the cost features."""
    fitted = np.asarray(world.cost_features.pull(world.cost_weights))
    return float(np.abs(fitted - np.asarray(world.expected_cost)).max())


def cube_parameters(features: AttributeFeatures, logs: np.ndarray) -> np.ndarray:
    """The least-squares parameters (d,) of a table of logarithms (X, A), with one intercept per context."""
    return features.least_squares(logs - logs.mean(axis=1, keepdims=True))


def _cube_residual(features: AttributeFeatures, logs: np.ndarray) -> float:
    centred = logs - logs.mean(axis=1, keepdims=True)
    fitted = features.pull(jnp.asarray(cube_parameters(features, logs)))
    return float(np.abs(centred - np.asarray(fitted)).max())


def _residual(rows: np.ndarray, targets: np.ndarray) -> float:
    solution = np.linalg.lstsq(rows, targets, rcond=None)[0]
    return float(np.abs(rows @ solution - targets).max(initial=0.0))
