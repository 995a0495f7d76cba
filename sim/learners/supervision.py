"""Supervision (SFT): the edited response is a demonstration."""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array

from sim.learners.contract import PolicyLearner
from sim.learners.defaults import RIDGE
from sim.policies import Derivatives
from sim.pytrees import pytree
from sim.world import World


@pytree
@dataclass(frozen=True)
class Supervision(PolicyLearner):
    """Maximise the mean of log pi(e_i | x_i) (Eq. 3).

    Its limit is the projection of q∘pi_ref on the class: what a user would write, not what the user wants.
    """

    ridge: Array | float = RIDGE
    name: ClassVar[str] = "sup"
    convex: ClassVar[bool] = True

    def triple_loss(self, log_policy: Array, world: World, context: Array, response: Array, edited: Array) -> Array:
        """-log pi(e|x)."""
        return -log_policy[context, edited]

    def total(self, log_policy: Array, counts: Array, world: World) -> Array:
        """-sum N(x, e) log pi(e|x), which needs the edited responses' margin only."""
        shown = jnp.sum(counts, axis=1)
        return -jnp.sum(jnp.where(shown > 0, shown * log_policy, 0.0))

    def derivatives(self, log_policy: Array, counts: Array, world: World) -> Derivatives:
        """Linear in the table: no curvature."""
        return Derivatives(self.total(log_policy, counts, world), -jnp.sum(counts, axis=1), None)

    def pulls(self, counts: Array) -> Array:
        """Every demonstrated response pulls away from every other."""
        shown = jnp.sum(counts, axis=1) > 0
        return shown[:, None, :] & ~jnp.eye(counts.shape[1], dtype=bool)
