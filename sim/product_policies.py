"""Policies that are products of attributes: their SubOpt and J as sums over attributes, where the world allows it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sim.features import AttributeFeatures
from sim.world import World, divergence_terms

EXACT = 1e-12
"""What rounding may leave of log pi* less its log-odds, and of the cost less its linear form, relative to its size."""


class ProductTruths(NamedTuple):
    """A world whose optimum is a product of attributes and whose cost is linear in them, checked for every response.

    `log_odds` of pi*, `slopes` of c in the attributes, `level` its mean over the cube, rho and beta.
    """

    log_odds: Float[Array, "X K"]
    slopes: Float[Array, "X K"]
    level: Float[Array, " X"]
    context_probs: Float[Array, " X"]
    temperature: Float[Array, ""]

    @classmethod
    def of(cls, world: World) -> "ProductTruths | None":
        """The truths of a world; None if it is of another kind."""
        if not isinstance(world.policy_features, AttributeFeatures):
            return None
        optimum = _linear(world.policy_features, np.asarray(world.log_optimal))
        cost = _linear(world.policy_features, np.asarray(world.expected_cost))
        if optimum is None or cost is None:
            return None
        return cls(optimum[0], cost[0], cost[1], world.context_probs, world.temperature)

    def evaluated(self, log_odds: Float[Array, "X K"]) -> tuple[Array, Array]:
        """SubOpt and J of the policy with these log-odds."""
        return _evaluated(self, log_odds)


def _linear(features: AttributeFeatures, table: np.ndarray) -> tuple[Array, Array] | None:
    """Slopes (X, K) and means (X,) of a table (X, A) that is linear in the attributes of each context; else None."""
    if not np.all(np.isfinite(table)):
        return None
    plain = AttributeFeatures(features.centre, jnp.zeros(0))
    means = table.mean(axis=1)
    slopes = plain.least_squares(table - means[:, None])
    residual = table - means[:, None] - np.asarray(plain.pull(jnp.asarray(slopes)))
    if np.abs(residual).max() > EXACT * (1 + np.abs(table).max()):
        return None
    return jnp.asarray(slopes).reshape(features.centre.shape), jnp.asarray(means)


@jax.jit
def _evaluated(truths: ProductTruths, log_odds: Array) -> tuple[Array, Array]:
    policy, log_optimal = jax.nn.sigmoid(_signed(log_odds)), jax.nn.log_sigmoid(_signed(truths.log_odds))
    divergence = jnp.sum(divergence_terms(policy, log_optimal), axis=(1, 2))
    cost = truths.level + jnp.sum(truths.slopes * jnp.tanh(log_odds / 2) / 2, axis=1)
    return truths.temperature * truths.context_probs @ divergence, truths.context_probs @ cost


def _signed(log_odds: Array) -> Float[Array, "X K 2"]:
    return jnp.stack([-log_odds, log_odds], axis=2)
