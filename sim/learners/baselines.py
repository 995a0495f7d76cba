"""What to compare with: policies that need no log."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from sim.learners.contract import EditLog, Fit, Learner, Status
from sim.policies import PolicyClass
from sim.pytrees import pytree
from sim.world import World


@pytree
@dataclass(frozen=True)
class Reference(Learner):
    """The reference policy itself: nothing is learned."""

    name: ClassVar[str] = "reference"
    baseline: ClassVar[bool] = True

    def fit(self, log: EditLog, world: World, policies: PolicyClass) -> Fit:
        """pi_ref."""
        return _known(world.reference)


@pytree
@dataclass(frozen=True)
class Edited(Learner):
    """The edited policy q∘pi_ref, exactly: the floor that supervision reaches with infinitely many edits."""

    name: ClassVar[str] = "edited"
    baseline: ClassVar[bool] = True

    def fit(self, log: EditLog, world: World, policies: PolicyClass) -> Fit:
        """q∘pi_ref."""
        return _known(world.edited(world.reference))


def _known(policy: jax.Array) -> Fit:
    nothing = jnp.zeros((), int)
    return Fit(jnp.zeros(0), jnp.log(policy), nothing + Status.ok, nothing, {}, jnp.asarray(-jnp.inf))
