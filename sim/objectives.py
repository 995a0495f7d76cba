"""What learners minimise: a function of the table of log-probabilities, in general or made of choices."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from sim.newton import Minimum

LogPolicy = Float[Array, "X A"]


class Derivatives(NamedTuple):
    """Value, gradient and curvature of an objective in the table of log-probabilities.

    `curvature[x]` is the matrix of second derivatives in the row of context x (an objective that is a sum over
    triples couples no two contexts); None stands for zero.
    """

    value: Float[Array, ""]
    gradient: Float[Array, "X A"]
    curvature: Float[Array, "X A A"] | None


class Choices(NamedTuple):
    """A loss made of comparisons and demonstrations, which log-linear classes minimise much faster than others.

    sum compared(x, y, e) log(1 + exp(-scale (r(e) - r(y)))) - sum shown(x, e) log pi(e|x), r = log(pi / pi_ref).

    `compared` (X, A, A) has no weight at y = e; it or `shown` (X, A) is None where the loss has no such part.
    `reference` is pi_ref (X, A).
    """

    compared: Float[Array, "X A A"] | None
    shown: Float[Array, "X A"] | None
    reference: Float[Array, "X A"]
    scale: Float[Array, ""]

    def total(self, log_policy: LogPolicy) -> Float[Array, ""]:
        """The loss."""
        return self.derivatives(log_policy).value

    def derivatives(self, log_policy: LogPolicy) -> Derivatives:
        """Value, gradient and curvature in the table; the curvature is that of the comparisons."""
        found = Derivatives(jnp.zeros(()), jnp.zeros_like(log_policy), None)
        if self.compared is not None:
            found = _of_comparisons(self.compared, self.scale, log_ratio(log_policy, self.reference))
        if self.shown is None:
            return found
        gain = jnp.sum(jnp.where(self.shown > 0, self.shown * log_policy, 0.0))
        return Derivatives(found.value - gain, found.gradient - self.shown, found.curvature)

    @property
    def pulls(self) -> Bool[Array, "X A A"]:
        """Where the loss falls, without end, as log pi(e|x) - log pi(y|x) grows: e was preferred, or shown."""
        responses = self.reference.shape[1]
        found = jnp.zeros((*self.reference.shape, responses), bool)
        if self.compared is not None:
            found = self.compared > 0
        if self.shown is None:
            return found
        return found | ((self.shown > 0)[:, None, :] & ~jnp.eye(responses, dtype=bool))


class ChoiceWeights(NamedTuple):
    """A loss of one triple made of choices: what its comparison weighs, if it is an edit, and its demonstration.

    compared log(1 + exp(-scale (r(e) - r(y)))) 1[e != y] - shown log pi(e|x), r = log(pi / pi_ref); None for no such
    part.
    """

    compared: Array | float | None
    shown: Array | float | None
    scale: Array | float = 1.0

    def of(self, counts: Float[Array, "X A A"], reference: Float[Array, "X A"]) -> Choices:
        """sum counts * loss."""
        edits = None if self.compared is None else self.compared * counts * ~jnp.eye(counts.shape[1], dtype=bool)
        shown = None if self.shown is None else self.shown * jnp.sum(counts, axis=1)
        return Choices(edits, shown, reference, jnp.asarray(self.scale, float))


class Objective(NamedTuple):
    """A function of the log-policy table to minimise, with its derivatives.

    `convex` says that it is convex in the probabilities, so that one start finds its minimum over mixtures.
    `choices`, where given, is the same function.
    """

    value: Callable[[LogPolicy], Float[Array, ""]]
    derivatives: Callable[[LogPolicy], Derivatives]
    convex: bool = False
    choices: Choices | None = None


class Solution(NamedTuple):
    """Parameters that minimise an objective over a class, the policy they name, and how the search went.

    `spread` is the range of the values reached from several starts (0 for convex problems).  `certificate` is below
    one only if the objective has a finite minimiser without its ridge; +inf where nothing is proved.
    """

    parameters: Float[Array, " p"]
    log_policy: LogPolicy
    minimum: Minimum
    spread: Float[Array, ""]
    certificate: Float[Array, ""]


def log_ratio(log_policy: Array, reference: Array) -> Array:
    """r = log(pi / pi_ref), 0 off the reference's support."""
    supported = reference > 0
    return jnp.where(supported, log_policy - jnp.log(jnp.where(supported, reference, 1.0)), 0.0)


def logistic_loss(margin: Array) -> tuple[Array, Array, Array]:
    """log(1 + exp(-margin)), sigma(-margin) and sigma(margin) sigma(-margin), from one exponential and one division.

    The last two are the derivatives, up to a sign: the first is not for automatic differentiation, which is wrong at 0.
    """
    small = jnp.exp(-jnp.abs(margin))
    share = 1 / (1 + small)
    loss = jnp.where(margin > 0, 0.0, -margin) + jnp.log1p(small)
    return loss, share * jnp.where(margin > 0, small, 1.0), small * share**2


def between(values: Float[Array, "X A"]) -> Float[Array, "X A A"]:
    """values(x, e) - values(x, y) at [x, y, e]."""
    return values[:, None, :] - values[:, :, None]


def _of_comparisons(compared: Array, scale: Array, ratio: Array) -> Derivatives:
    """The curvature is the Laplacian of the comparison graph with weights scale^2 compared sigma'(margin)."""
    loss, losing, bend = logistic_loss(scale * between(ratio))
    value = jnp.sum(jnp.where(compared > 0, compared * loss, 0.0))
    push = scale * compared * losing
    weight = scale**2 * compared * bend
    weight = weight + jnp.swapaxes(weight, 1, 2)
    gradient = jnp.sum(push, axis=2) - jnp.sum(push, axis=1)
    return Derivatives(value, gradient, jax.vmap(jnp.diag)(jnp.sum(weight, axis=2)) - weight)
