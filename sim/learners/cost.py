"""Cost learning (RL): fit the edit cost, then optimise the policy against it, with pessimism if asked."""

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sim.distances import as_table, largest
from sim.errors import BadInput, choose
from sim.learners.contract import EditLog, Fit, Learner, Status, answer
from sim.learners.defaults import RIDGE
from sim.linear_solve import solve_positive
from sim.objectives import Derivatives, Objective
from sim.policies import LogLinear, Mixture, PolicyClass, PolicyList
from sim.pytrees import pytree
from sim.world import World

COST_CLASSES = ("linear", "list")
OPTIMA, CONFIDENCES = ("tilted", "paper"), ("squared", "paper")


class CostModel(NamedTuple):
    """A fitted cost: its parameters, f_hat and the pessimistic f_bar >= f_hat (X, A), and the confidence radius."""

    parameters: Float[Array, " m"]
    estimate: Float[Array, "X A"]
    pessimistic: Float[Array, "X A"]
    confidence_radius: Float[Array, ""]


@pytree
@dataclass(frozen=True)
class Cost(Learner):
    """Least squares for the cost on (x_i, y_i, c_i) (Eq. 5), then pi proportional to pi_ref exp(-f_bar / beta) (Eq. 6).

    f_bar is the largest cost in a confidence set of `radius` times the radius of docs/theory.md 4.4: 0 is the
    plug-in estimate, 1 the set that contains c with probability 1 - delta.

    Linear class f_w = <w, psi>: an ellipsoid, f_bar = f_hat + radius alpha |psi|_{Lambda^-1}, with Lambda = ridge I +
    sum psi psi^T and alpha = noise_bound sqrt(2 log(1/delta) + log det(Lambda / ridge)) + sqrt(ridge) weight_bound.
    Finite class ("list": c and `size` - 1 linear perturbations of it): the version space sum (f - f_hat)^2 <=
    2 c_max^2 log(size / delta), and f_bar its pointwise maximum.

    Args:
        radius: multiple of the confidence radius, at least 0.
        ridge: lambda of Lambda, positive where the radius is.
        delta: the set contains c with probability at least 1 - delta.
        c_max: declared bound on the cost; default: the world's largest distance.
        noise_bound: sub-Gaussian scale of the observed cost; default c_max / 2.
        weight_bound: W >= |w*|; default: the norm of the world's own w* (`World.cost_weights`).
        cost_class: "linear" or "list".
        size: of the finite class, c among it.
        optimum: "tilted", the minimiser of Eq. 6; or "paper", its display with pi_ref twice, pi_ref^2 exp(-f_bar /
            beta), normalised.
        confidence: of the finite class: "squared" as above; or "paper", which sums f - f_hat itself.

    Departure from the paper: the two defaults (docs/theory.md 8).  With the log-linear class the minimiser of Eq. 6
    over all policies is returned; it is in the class when c is linear in its features.
    """

    radius: Array | float = 0.0
    ridge: Array | float = RIDGE
    delta: Array | float = 0.05
    c_max: Array | float | None = None
    noise_bound: Array | float | None = None
    weight_bound: Array | float | None = None
    cost_class: str = field(default="linear", metadata={"static": True})
    size: int = field(default=64, metadata={"static": True})
    optimum: str = field(default="tilted", metadata={"static": True})
    confidence: str = field(default="squared", metadata={"static": True})
    name: ClassVar[str] = "cost"

    def __post_init__(self) -> None:
        choose("cost class", self.cost_class, COST_CLASSES)
        choose("optimum", self.optimum, OPTIMA)
        choose("confidence set", self.confidence, CONFIDENCES)
        if self.confidence == "paper" and self.cost_class != "list":
            raise BadInput('cost.confidence: "paper" is a version space; add cost.cost_class = "list"')
        if isinstance(self.radius, float | int) and isinstance(self.ridge, float | int):
            if self.radius > 0 and self.ridge <= 0 and self.cost_class == "linear":
                raise BadInput(
                    f"cost.ridge: {self.ridge:g} serves cost.radius 0 only, got radius {self.radius:g};"
                    " raise the ridge or lower the radius"
                )

    def check(self, world: World, policies: PolicyClass) -> None:
        """The doubled reference is a display for all policies, not a minimiser over a class."""
        if self.optimum == "paper" and not isinstance(policies, LogLinear):
            raise BadInput('cost.optimum: "paper" serves policy class "log-linear" only; remove one of the two')

    def start(self, world: World, policies: PolicyClass) -> Array:
        """Zero weights, one per cost feature."""
        return jnp.zeros(world.cost_features.dimension)

    def log_policy(self, parameters: Array, world: World, policies: PolicyClass) -> Array:
        """The policy of the plug-in cost f_w, pi_ref exp(-f_w / beta), normalised (log-linear classes)."""
        return _tilted(world.cost_features.pull(parameters), world, self._references)

    def loss(
        self,
        parameters: Array,
        world: World,
        policies: PolicyClass,
        context: Array,
        response: Array,
        edited: Array,
    ) -> Array:
        """Half the squared error of the cost of one triple, (Delta(y, e) - <w, psi(x, y)>)^2 / 2."""
        predicted = world.cost_features.pull(parameters)[context, response]
        return 0.5 * (world.distance[response, edited] - predicted) ** 2

    def fit(self, log: EditLog, world: World, policies: PolicyClass) -> Fit:
        """Fit the cost and minimise E over the log's contexts of f_bar plus beta KL(pi || pi_ref)."""
        visits = jnp.sum(log.counts, axis=2)
        paid = jnp.sum(log.counts * as_table(world.distance), axis=2)
        return self.fit_visits(visits, paid, log.edits > 0, world, policies)

    def fit_visits(
        self,
        visits: Float[Array, "X A"],
        paid: Float[Array, "X A"],
        informed: Array,
        world: World,
        policies: PolicyClass,
    ) -> Fit:
        """As `fit`, from how often each response was visited, what was paid for it, and whether anything was edited."""
        fit_cost = self._linear if self.cost_class == "linear" else self._version_space
        model = fit_cost(visits, paid, world)
        log_policy, converged, iterations = self._policy(model.pessimistic, visits, world, policies)
        status = jnp.where(converged, Status.ok, Status.iteration_limit)
        status = jnp.where(jnp.all(jnp.isfinite(model.pessimistic)), status, Status.not_finite)
        notes = {
            "confidence_radius": model.confidence_radius,
            "bonus": world.expect(world.optimal, model.pessimistic - model.estimate),
            "pessimism_gap": world.expect(world.optimal, model.pessimistic - world.expected_cost),
        }
        return answer(informed, world, model.parameters, log_policy, status, iterations, notes)

    @property
    def _references(self) -> int:
        """How often pi_ref stands in the optimum."""
        return 2 if self.optimum == "paper" else 1

    def _policy(self, cost: Array, visits: Array, world: World, policies: PolicyClass) -> tuple[Array, Array, Array]:
        if isinstance(policies, LogLinear):
            return _tilted(cost, world, self._references), jnp.ones((), bool), jnp.zeros((), int)
        n = jnp.sum(visits)
        return _optimise(cost, visits / n, world, policies, self.ridge / n)

    def _bound(self, world: World) -> Array:
        return largest(world.distance) if self.c_max is None else jnp.asarray(self.c_max, float)

    def _linear(self, visits: Array, paid: Array, world: World) -> CostModel:
        psi = world.cost_features
        gram = psi.gram(visits) + self.ridge * jnp.eye(psi.dimension)
        solved, log_det_gram = solve_positive(gram, jnp.column_stack([psi.push(paid), jnp.eye(psi.dimension)]))
        weights, inverse = solved[:, 0], solved[:, 1:]
        estimate = psi.pull(weights)
        # At radius zero nothing below matters, and a ridge of zero is legal.
        ridge = jnp.where(self.radius > 0, self.ridge, 1.0)
        log_det = log_det_gram - psi.dimension * jnp.log(ridge)
        noise = self._bound(world) / 2 if self.noise_bound is None else self.noise_bound
        weight_bound = jnp.linalg.norm(world.cost_weights) if self.weight_bound is None else self.weight_bound
        alpha = noise * jnp.sqrt(2 * jnp.log(1 / self.delta) + log_det) + jnp.sqrt(ridge) * weight_bound
        alpha = jnp.where(self.radius > 0, self.radius * alpha, 0.0)
        width = jnp.sqrt(jnp.maximum(psi.quadratic(inverse), 0.0))
        return CostModel(weights, estimate, estimate + alpha * width, alpha)

    def _version_space(self, visits: Array, paid: Array, world: World) -> CostModel:
        costs = cost_list(world, self.size)
        errors = jnp.sum(visits * costs**2 - 2 * paid * costs, axis=(1, 2))
        best = jnp.argmin(errors)
        power = 1 if self.confidence == "paper" else 2
        apart = jnp.sum(visits * (costs - costs[best]) ** power, axis=(1, 2))
        allowed = self.radius**2 * 2 * self._bound(world) ** 2 * jnp.log(self.size / self.delta)
        members = (apart <= allowed)[:, None, None]
        pessimistic = jnp.max(jnp.where(members, costs, -jnp.inf), axis=0)
        return CostModel(best[None].astype(costs.dtype), costs[best], pessimistic, jnp.sqrt(allowed))


def cost_list(world: World, size: int) -> Float[Array, "size X A"]:
    """A finite cost class: c itself, and c plus random linear functions of the cost features.

    The perturbations have up to half the standard deviation of c; they depend on the world alone.
    """
    keys = jax.random.split(jax.random.key(0), 2)
    directions = jax.random.normal(keys[0], (size - 1, world.cost_features.dimension), float)
    sizes = jax.random.uniform(keys[1], (size - 1, 1, 1), float)
    linear = jax.vmap(world.cost_features.pull)(directions)
    linear = linear / jnp.sqrt(jnp.mean(linear**2, axis=(1, 2), keepdims=True))
    spread = 0.5 * jnp.std(world.expected_cost)
    return jnp.concatenate([world.expected_cost[None], world.expected_cost + spread * sizes * linear])


def _optimise(
    cost: Array, context_weights: Array, world: World, policies: Mixture | PolicyList, ridge: Array
) -> tuple[Array, Array, Array]:
    """The policy of Eq. 6, whether the search converged, and its steps."""
    log_reference = jnp.log(world.reference)
    weights = jnp.sum(context_weights, axis=1, keepdims=True)

    def derivatives(log_policy: Array) -> Derivatives:
        # sum of weights pi (f + beta (log pi - log pi_ref)), and pi = exp(log pi); +inf off the reference's support.
        policy = weights * jnp.exp(log_policy)
        gain = jnp.where(world.reference > 0, log_policy - log_reference, jnp.inf)
        terms = jnp.where(policy > 0, cost + world.temperature * gain, 0.0)
        slope = policy * (terms + world.temperature)
        bend = policy * (terms + 2 * world.temperature)
        return Derivatives(jnp.sum(policy * terms), slope, bend[:, :, None] * jnp.eye(policy.shape[1]))

    solution = policies.minimise(Objective(lambda table: derivatives(table).value, derivatives, convex=True), ridge)
    return solution.log_policy, solution.minimum.converged, solution.minimum.iterations


def _tilted(cost: Array, world: World, references: int = 1) -> Array:
    """log of pi_ref^references exp(-cost / beta), normalised per context."""
    return jax.nn.log_softmax(references * jnp.log(world.reference) - cost / world.temperature, axis=1)
