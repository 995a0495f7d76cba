"""Supervision (SFT): the edited response is a demonstration."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Array

from sim.learners.contract import PolicyLearner
from sim.learners.defaults import RIDGE
from sim.objectives import ChoiceWeights
from sim.pytrees import pytree
from sim.world import World


@pytree
@dataclass(frozen=True)
class Supervision(PolicyLearner):
    """Maximise the mean of log pi(e_i | x_i) (Eq. 3).

    Its limit is the projection of q∘pi_ref on the class: what a user would write, not what the user wants.

    Args:
        ridge: at least 0; ridge |theta|^2 / (2n) is added to the mean loss.
    """

    ridge: Array | float = RIDGE
    name: ClassVar[str] = "sup"
    convex: ClassVar[bool] = True

    def triple_loss(self, log_policy: Array, world: World, context: Array, response: Array, edited: Array) -> Array:
        """-log pi(e|x)."""
        return -log_policy[context, edited]

    def choice_weights(self, world: World) -> ChoiceWeights:
        """Every edited response is shown, and pulls away from every other."""
        return ChoiceWeights(None, 1.0)
