"""Policy classes: what a learner searches.

Each class turns parameters into a table of log-probabilities (X, A) and minimises an `Objective` of that table over
the class.  A learner states its loss of the table once, and works with every class.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from sim import newton
from sim.errors import BadInput, choose
from sim.features import Features
from sim.newton import Minimum
from sim.pytrees import pytree
from sim.world import World

LogPolicy = Float[Array, "X A"]


class Derivatives(NamedTuple):
    """Value, gradient and curvature of an objective in the table of log-probabilities.

    `curvature[x]` is the matrix of second derivatives in the row of context x (an objective that is a sum over
    triples couples no two contexts); None stands for zero.
    """

    value: Float[Array, ""]
    gradient: Float[Array, "X A"]
    curvature: Float[Array, "X A A"] | None


class Objective(NamedTuple):
    """A function of the log-policy table to minimise, with its derivatives.

    `convex` says that it is convex in the probabilities, so that one start finds its minimum over mixtures.
    """

    value: Callable[[LogPolicy], Float[Array, ""]]
    derivatives: Callable[[LogPolicy], Derivatives]
    convex: bool = False


class Solution(NamedTuple):
    """Parameters that minimise an objective over a class, the policy they name, and how the search went.

    `spread` is the range of the values reached from several starts (0 for convex problems).
    """

    parameters: Float[Array, " p"]
    log_policy: LogPolicy
    minimum: Minimum
    spread: Float[Array, ""]


@pytree
@dataclass(frozen=True)
class LogLinear:
    """pi_theta(y|x) proportional to exp(<theta, phi(x, y)>) on the support of the reference policy.

    Parameters theta, shape (d,); theta = 0 is uniform on the support.
    """

    features: Features
    support: Array

    @property
    def dimension(self) -> int:
        """The number of parameters."""
        return self.features.dimension

    @property
    def possible(self) -> Bool[Array, "X A"]:
        """The responses that some policy of the class gives."""
        return self.support

    def log_policy(self, parameters: Float[Array, " d"]) -> LogPolicy:
        """log pi_theta, shape (X, A); -inf off the support."""
        return jax.nn.log_softmax(jnp.where(self.support, self.features.pull(parameters), -jnp.inf), axis=1)

    def minimise(self, objective: Objective, ridge: Float[Array, ""]) -> Solution:
        """The minimiser of objective(log pi_theta) + ridge |theta|^2 / 2, by damped Newton steps."""
        minimum = newton.minimise(newton.ridged(self._expand(objective), ridge), self.starts()[0])
        return Solution(minimum.point, self.log_policy(minimum.point), minimum, jnp.zeros(()))

    def starts(self) -> Float[Array, "1 d"]:
        """Where searches begin: at the uniform policy."""
        return jnp.zeros((1, self.features.dimension))

    def _expand(self, objective: Objective) -> newton.Function:
        # Chain rule through L = <theta, phi> - log Z: the first derivative of L is the centred feature, the
        # second is minus its covariance.
        def function(parameters: Array) -> newton.Expansion:
            log_policy = self.log_policy(parameters)
            policy = jnp.exp(log_policy)
            value, slope, curvature = objective.derivatives(log_policy)
            centred = self.features.centred(policy)
            hessian = -centred.gram(policy * jnp.sum(slope, axis=1, keepdims=True))
            if curvature is not None:
                hessian = hessian + centred.pair_gram(curvature)
            return newton.Expansion(value, centred.push(slope), hessian)

        return function


@pytree
@dataclass(frozen=True)
class Mixture:
    """pi_w = sum_j w_j b_j, w in the simplex, of fixed basis policies `basis` (J, X, A).

    Parameters are logits u (J,) with w = softmax(u); a weight of zero is a logit that runs away, which the ridge
    ends.  An objective that is not convex in w is minimised from several starts.
    """

    basis: Float[Array, "J X A"]

    @property
    def dimension(self) -> int:
        """The number of parameters."""
        return self.basis.shape[0]

    @property
    def possible(self) -> Bool[Array, "X A"]:
        """The responses that some policy of the class gives."""
        return jnp.any(self.basis > 0, axis=0)

    def weights(self, parameters: Float[Array, " J"]) -> Float[Array, " J"]:
        """The mixture weights w = softmax(u)."""
        return jax.nn.softmax(parameters)

    def log_policy(self, parameters: Float[Array, " J"]) -> LogPolicy:
        """log pi_w, shape (X, A)."""
        policy = jnp.einsum("j,jxa->xa", self.weights(parameters), self.basis)
        return jnp.where(policy > 0, jnp.log(jnp.where(policy > 0, policy, 1.0)), -jnp.inf)

    def minimise(self, objective: Objective, ridge: Float[Array, ""]) -> Solution:
        """The best of the local minima of objective(log pi_w) + ridge |u|^2 / 2 over the starts."""
        function = newton.ridged(self._expand(objective), ridge)
        starts = self.starts()[:1] if objective.convex else self.starts()
        minima = jax.vmap(lambda start: newton.minimise(function, start, convex=False))(starts)
        values = jnp.where(jnp.isfinite(minima.value), minima.value, jnp.inf)
        best = jax.tree.map(lambda leaf: leaf[jnp.argmin(values)], minima)
        return Solution(best.point, self.log_policy(best.point), best, jnp.max(values) - jnp.min(values))

    def _expand(self, objective: Objective) -> newton.Function:
        # Chain rule through L = log sum_j w_j b_j with w = softmax(u) and ratios r_j = b_j / pi_w:
        # dL/du_j = w_j (r_j - 1) =: g_j and d2L/du_i du_j = 1[i = j] g_j - w_i g_j - w_j r_j g_i.
        def function(parameters: Array) -> newton.Expansion:
            log_policy, weights = self.log_policy(parameters), self.weights(parameters)
            value, slope, curvature = objective.derivatives(log_policy)
            policy = jnp.exp(log_policy)
            ratios = jnp.where(policy > 0, self.basis / jnp.where(policy > 0, policy, 1.0), 1.0)
            steps = weights[:, None, None] * (ratios - 1)
            gradient = jnp.einsum("jxa,xa->j", steps, slope)
            mixed = jnp.einsum("ixa,jxa,xa->ij", steps, weights[:, None, None] * ratios, slope)
            hessian = jnp.diag(gradient) - jnp.outer(weights, gradient) - mixed
            if curvature is not None:
                hessian = hessian + jnp.einsum("ixa,xab,jxb->ij", steps, curvature, steps)
            return newton.Expansion(value, gradient, hessian)

        return function

    def starts(self) -> Float[Array, "starts J"]:
        """Where searches begin: at the uniform mixture, and near each vertex."""
        count = self.basis.shape[0]
        return jnp.concatenate([jnp.zeros((1, count)), 4.0 * jnp.eye(count)])


@pytree
@dataclass(frozen=True)
class PolicyList:
    """A finite list of policies, as log-probabilities `log_policies` (M, X, A); the parameter is the index."""

    log_policies: Float[Array, "M X A"]

    @property
    def dimension(self) -> int:
        """The number of parameters: one, the index."""
        return 1

    @property
    def possible(self) -> Bool[Array, "X A"]:
        """The responses that some policy of the class gives."""
        return jnp.any(jnp.isfinite(self.log_policies), axis=0)

    def log_policy(self, parameters: Float[Array, " 1"]) -> LogPolicy:
        """The policy with this index."""
        return self.log_policies[parameters[0].astype(int)]

    def minimise(self, objective: Objective, ridge: Float[Array, ""]) -> Solution:
        """The member with the smallest objective, the first on ties; a list has no parameters for a ridge."""
        values = jax.vmap(objective.value)(self.log_policies)
        values = jnp.where(jnp.isnan(values), jnp.inf, values)
        index = jnp.argmin(values)
        parameters = index[None].astype(values.dtype)
        minimum = Minimum(parameters, values[index], jnp.zeros((), int), jnp.ones((), bool), jnp.zeros((1, 1)))
        return Solution(parameters, self.log_policies[index], minimum, jnp.zeros(()))


PolicyClass = LogLinear | Mixture | PolicyList


def log_linear(world: World) -> LogLinear:
    """The log-linear class of the world's policy features."""
    return LogLinear(world.policy_features, world.reference > 0)


def mixture(world: World, size: int = 5) -> Mixture:
    """Mixtures of pi_ref, q∘pi_ref, q^2∘pi_ref, ... and pi*, `size` >= 2 of them (docs/theory.md 2.6)."""
    if size < 2:
        raise BadInput(f"policy.size: expected at least 2 basis policies (pi_ref and pi*), got {size}")
    basis = [world.reference]
    while len(basis) < size - 1:
        basis.append(world.edited(basis[-1]))
    return Mixture(jnp.stack([*basis, world.optimal]))


def policy_list(world: World, size: int = 64, seed: int = 0) -> PolicyList:
    """A list with pi*, q∘pi_ref, pi_ref and `size` - 3 log-linear policies around the line between their parameters.

    theta = t theta* + (1 - t) theta_ref + 0.6 u z, t ~ U(-1/2, 3/2), u ~ U(0, 1), z standard normal
    (docs/theory.md 4); theta*, theta_ref are the least-squares parameters of pi* and pi_ref.
    """
    if size < 3:
        raise BadInput(f"policy.size: expected at least 3 policies (pi*, q∘pi_ref, pi_ref), got {size}")
    rng = np.random.default_rng(seed)
    optimal, reference = _parameters_of(world, world.optimal), _parameters_of(world, world.reference)
    t, u = rng.uniform(-0.5, 1.5, size - 3), rng.uniform(0, 1, size - 3)
    z = rng.normal(size=(size - 3, len(optimal)))
    theta = t[:, None] * optimal + (1 - t)[:, None] * reference + 0.6 * u[:, None] * z
    drawn = jax.vmap(log_linear(world).log_policy)(jnp.asarray(theta))
    named = jnp.log(jnp.stack([world.optimal, world.edited(world.reference), world.reference]))
    return PolicyList(jnp.concatenate([named, drawn]))


def _parameters_of(world: World, policy: Array) -> np.ndarray:
    """The least-squares parameters of log policy in the policy features, with a free intercept per context."""
    rows, targets = centred_regression(world, np.asarray(policy))
    return np.linalg.lstsq(rows, targets, rcond=None)[0]


def centred_regression(world: World, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (N, d) and targets (N,) of the regression of log policy on phi with an intercept per context.

    Both are centred per context over the responses that the policy gives, which removes the intercepts.
    """
    table = np.asarray(world.policy_features.table)
    rows, targets = [], []
    for features, law in zip(table, policy, strict=True):
        logs = np.log(law[law > 0])
        rows.append(features[law > 0] - features[law > 0].mean(axis=0))
        targets.append(logs - logs.mean())
    return np.concatenate(rows), np.concatenate(targets)


CLASSES = ("log-linear", "mixture", "list")


def build(kind: str, world: World, size: int | None = None, seed: int = 0) -> PolicyClass:
    """The policy class of a `[policy]` table: "log-linear", "mixture" or "list"; `size` None for the default."""
    choose("policy class", kind, CLASSES)
    if kind == "log-linear":
        return log_linear(world)
    if kind == "mixture":
        return mixture(world) if size is None else mixture(world, size)
    return policy_list(world, seed=seed) if size is None else policy_list(world, size, seed)
