"""Preference (DPO): the edited response is preferred over the original."""

from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array

from sim.errors import choose
from sim.learners.contract import PolicyLearner
from sim.learners.defaults import LINKS, RIDGE, link_scale
from sim.objectives import ChoiceWeights, log_ratio
from sim.pytrees import pytree
from sim.world import World


@pytree
@dataclass(frozen=True)
class Preference(PolicyLearner):
    """Maximise the mean of log sigma(a (r(e) - r(y))), r = log(pi / pi_ref) (Eq. 4).

    Unedited triples (e = y) weigh nothing but count in n.

    Args:
        link: "balance" is a = 1, the Bradley-Terry law that the balance equation implies, and consistent; "paper" is
            a = beta, Eq. 4 as printed, whose limit is pi_ref exp(-c / beta^2), right at beta = 1 only.
        ridge: at least 0; ridge |theta|^2 / (2n) is added to the mean loss.

    Departure from the paper: the default link (docs/theory.md 8).
    """

    link: str = field(default="balance", metadata={"static": True})
    ridge: Array | float = RIDGE
    name: ClassVar[str] = "pref"

    def __post_init__(self) -> None:
        choose("link", self.link, LINKS)

    def triple_loss(self, log_policy: Array, world: World, context: Array, response: Array, edited: Array) -> Array:
        """-log sigma(a (r(e) - r(y))), 0 for an unedited response."""
        ratio = log_ratio(log_policy[context], world.reference[context])
        margin = self.link_scale(world) * (ratio[edited] - ratio[response])
        return jnp.where(edited == response, 0.0, -jax.nn.log_sigmoid(margin))

    def choice_weights(self, world: World) -> ChoiceWeights:
        """Every edit is a comparison, which the edited response wins."""
        return ChoiceWeights(1.0, None, self.link_scale(world))

    def link_scale(self, world: World) -> Array | float:
        """a, the scale of the link in this world."""
        return link_scale(self.link, world.temperature)
