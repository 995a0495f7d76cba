"""Preference (DPO): the edited response is preferred over the original."""

from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array

from sim.errors import choose
from sim.learners.contract import PolicyLearner
from sim.learners.defaults import LINKS, RIDGE, link_scale
from sim.policies import Derivatives
from sim.pytrees import pytree
from sim.world import World


@pytree
@dataclass(frozen=True)
class Preference(PolicyLearner):
    """Maximise the mean of log sigma(a (r(e) - r(y))), r = log(pi / pi_ref) (Eq. 4).

    link "balance": a = 1, the Bradley-Terry law that the balance equation implies; consistent.
    link "paper": a = beta, Eq. 4 as printed; its limit is pi_ref exp(-c / beta^2), right at beta = 1 only.
    Unedited triples (e = y) weigh nothing but count in n.
    """

    link: str = field(default="balance", metadata={"static": True})
    ridge: Array | float = RIDGE
    name: ClassVar[str] = "pref"

    def __post_init__(self) -> None:
        choose("link", self.link, LINKS)

    def triple_loss(self, log_policy: Array, world: World, context: Array, response: Array, edited: Array) -> Array:
        """-log sigma(a (r(e) - r(y))), 0 for an unedited response."""
        ratio = log_ratio(log_policy[context], world.reference[context])
        margin = link_scale(self.link, world.temperature) * (ratio[edited] - ratio[response])
        return jnp.where(edited == response, 0.0, -jax.nn.log_sigmoid(margin))

    def total(self, log_policy: Array, counts: Array, world: World) -> Array:
        """The loss of all pairs at once."""
        margins = link_scale(self.link, world.temperature) * _margins(log_policy, world)
        edits = _edits(counts)
        return jnp.sum(jnp.where(edits > 0, edits * jax.nn.softplus(-margins), 0.0))

    def derivatives(self, log_policy: Array, counts: Array, world: World) -> Derivatives:
        """The curvature is the Laplacian of the comparison graph with weights a^2 N sigma'(margin)."""
        a = link_scale(self.link, world.temperature)
        edits = _edits(counts)
        margins = a * _margins(log_policy, world)
        losing = jax.nn.sigmoid(-margins)
        value = jnp.sum(jnp.where(edits > 0, edits * jax.nn.softplus(-margins), 0.0))
        push = a * edits * losing
        weight = a * push * (1 - losing)
        weight = weight + jnp.swapaxes(weight, 1, 2)
        degree = jnp.sum(weight, axis=2)
        gradient = jnp.sum(push, axis=2) - jnp.sum(push, axis=1)
        return Derivatives(value, gradient, degree[:, :, None] * jnp.eye(degree.shape[1]) - weight)

    def pulls(self, counts: Array) -> Array:
        """Every edit pulls the edited response away from the original."""
        return _edits(counts) > 0


def log_ratio(log_policy: Array, reference: Array) -> Array:
    """r = log(pi / pi_ref), 0 off the reference's support."""
    supported = reference > 0
    return jnp.where(supported, log_policy - jnp.log(jnp.where(supported, reference, 1.0)), 0.0)


def _margins(log_policy: Array, world: World) -> Array:
    """r(e) - r(y) at [x, y, e]."""
    ratio = log_ratio(log_policy, world.reference)
    return ratio[:, None, :] - ratio[:, :, None]


def _edits(counts: Array) -> Array:
    return counts * ~jnp.eye(counts.shape[1], dtype=bool)
