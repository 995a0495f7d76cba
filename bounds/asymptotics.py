"""Sharp predictions: the limit and the 1/n coefficient of a learner's mean suboptimality (docs/theory.md 5).

A learner that minimises the mean of a loss of one triple is an M-estimator, and one function serves them all: it
differentiates `learner.loss` and `learner.log_policy`, a user's own included.  Nothing is simulated.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy import optimize

from bounds import quadratic_forms, without_kernel
from bounds.moments import ArrayLike, Moments, Triples
from sim import checks, newton, record_logs
from sim.errors import BadInput
from sim.learners import Cost, Learner
from sim.learners.contract import PolicyLearner
from sim.policies import LogLinear, PolicyClass, PolicyList, log_linear
from sim.world import World

FREE = 1e-11
"""Curvature, relative to the largest, below which a direction of the parameters is taken as not identified."""

BLOCK = 4096
"""Triples whose losses are differentiated at once: the memory is this times the table of the policy."""


@dataclass(frozen=True)
class Prediction:
    """E SubOpt(n) = limit + coefficient / n + o(1/n), and the law of the fluctuations around it.

    Fields:
        limit: SubOpt with infinitely many triples.
        coefficient: of 1/n; None for pessimistic cost, whose price is log n / n.
        status: "ok", "rank_deficient" (the numbers are for the identified directions) or "no_minimiser" (no numbers).
        reason: why a number is None, or which directions are free.
        moments: gradient, curvature, variance and bias at the limit, for quantiles.
    """

    limit: float | None
    coefficient: float | None
    status: str = "ok"
    reason: str | None = None
    moments: Moments | None = field(default=None, repr=False)

    def at(self, n: float) -> float | None:
        """The predicted mean SubOpt with n logged triples; None where there is no prediction."""
        if self.limit is None or self.coefficient is None:
            return None
        return self.limit + self.coefficient / n

    def needed(self, epsilon: float) -> float | None:
        """The n from which the prediction is at most epsilon; None if it never is."""
        if self.limit is None or self.coefficient is None or self.limit >= epsilon:
            return None
        return max(self.coefficient / (epsilon - self.limit), 1.0)

    def quantile(self, n: float, level: float) -> float | None:
        """The predicted quantile of SubOpt with n triples, e.g. level 0.95; None within 1e-3 of level 0 or 1.

        SubOpt is S + <grad S, b>/n + <grad S, z> + z^T (grad^2 S) z / 2 with z normal of covariance V/n: a weighted
        chi-square where grad S = 0, and close to a normal elsewhere (docs/theory.md 5.7).

        Raises:
            BadInput: a level outside (0, 1).
        """
        level = checks.chance("level", level)
        if self.limit is None or self.moments is None or min(level, 1 - level) < quadratic_forms.RESOLUTION:
            return None
        slope, bend, variance, bias = (np.asarray(part) for part in self.moments[:4])
        spread = quadratic_forms.quantile(level, np.zeros_like(bias), variance / n, slope, bend)
        return max(self.limit + float(slope @ bias) / n + spread, 0.0)


@dataclass(frozen=True)
class PessimisticPrediction(Prediction):
    """Pessimistic cost: the price of pessimism on the expected log, plus the plug-in's variance / n (5.3).

    The price falls as log n / n, so that there is no 1/n coefficient.
    """

    learner: Cost | None = field(default=None, repr=False)
    world: World | None = field(default=None, repr=False)
    variance: float = 0.0

    def at(self, n: float) -> float | None:
        """SubOpt of the fit to the expected log of n triples, plus the plug-in coefficient over n."""
        policies = log_linear(self.world)  # type: ignore[arg-type]
        return float(_price(self.learner, self.world, policies, jnp.asarray(n, float))) + self.variance / n

    def needed(self, epsilon: float) -> float | None:
        """The n from which the prediction is at most epsilon, by bisection; None beyond 1e12."""

        def excess(log_n: float) -> float:
            return (self.at(np.exp(log_n)) or 0.0) - epsilon

        last = float(np.log(1e12))
        if excess(last) > 0:
            return None
        return 1.0 if excess(0.0) <= 0 else float(np.exp(optimize.brentq(excess, 0.0, last)))


@jax.jit
def _price(learner: Cost, world: World, policies: PolicyClass, n: Array) -> Array:
    visits = n * world.context_probs[:, None] * world.reference
    found = learner.fit_visits(visits, visits * world.expected_cost, jnp.ones((), bool), world, policies)
    return world.suboptimality(jnp.exp(found.log_policy))


def predict(learner: Learner, world: World, policies: PolicyClass | None = None, ridge: float = 0.0) -> Prediction:
    """Limit and 1/n coefficient of a learner's mean SubOpt.

    With l the loss of a triple, P the law of triples, L = E_P l, theta_0 its minimiser, H and T its second and third
    derivatives there, G = E_P[grad l grad l^T], V = H^-1 G H^-1 and S(theta) = SubOpt(pi_theta):

        b = H^-1 E_P[(grad^2 l) H^-1 grad l] - H^-1 (T : V) / 2
        limit = S(theta_0),  coefficient = <grad S, b> + tr(grad^2 S V) / 2 - ridge <grad S, H^-1 theta_0>

    Args:
        learner: any with `loss` and `log_policy` (sup, pref, early, cost, edit-model, a plug-in's own); its
            `expected_loss`, where it has one, takes the place of the sum of `loss` over all triples.
        world: the world of the log.
        policies: the policy class; default: log-linear in the world's policy features.
        ridge: the learner's ridge r, as added to its loss, r |theta|^2 / (2n).

    Raises:
        BadInput: a learner without a loss of one triple, or that cannot be used with this class.

    Source: docs/theory.md 5.  Not in the paper.
    """
    policies = log_linear(world) if policies is None else policies
    learner.check(world, policies)
    if isinstance(policies, PolicyList) and isinstance(learner, PolicyLearner):
        return _of_list(learner, world, policies)
    if isinstance(policies, PolicyList):
        return Prediction(None, None, reason=f"{learner.name} over a finite list has no prediction")
    if isinstance(learner, Cost) and not isinstance(policies, LogLinear):
        return Prediction(None, None, "ok", "cost learning has a prediction for the log-linear class only")
    if isinstance(learner, Cost) and learner.cost_class != "linear":
        return Prediction(None, None, "ok", "cost learning has a prediction for the linear cost class only")
    if not hasattr(learner, "loss") or not hasattr(learner, "log_policy"):
        raise BadInput(f"learner '{learner.name}': has no loss of one triple, so there is no prediction for it")
    if record_logs.needed(world):
        return _pessimistic(without_table(learner, world, ridge), learner, world)
    triples = possible_triples(world)
    if not np.any(np.asarray(triples.response) != np.asarray(triples.edited)):
        at_reference = float(world.suboptimality(world.reference))
        return Prediction(at_reference, 0.0, "rank_deficient", "no edits: every direction is free")
    return _pessimistic(_of_minimiser(learner, world, policies, triples, ridge), learner, world)


def _pessimistic(found: Prediction, learner: Learner, world: World) -> Prediction:
    """The prediction with the price of pessimism, where the learner pays it."""
    if isinstance(learner, Cost) and float(learner.radius) > 0 and found.coefficient is not None:
        reason = "pessimism costs log n / n: there is no 1/n coefficient"
        return PessimisticPrediction(found.limit, None, found.status, reason, None, learner, world, found.coefficient)
    return found


def without_table(learner: Learner, world: World, ridge: float = 0.0) -> Prediction:
    """As `predict`, for the log-linear class of attributes, without a table of the kernel; empty where it needs one."""
    try:
        limit, moments = without_kernel.expansion(learner, world)
    except without_kernel.Missing as missing:
        return Prediction(None, None, reason=str(missing))
    return _expanded(limit, moments, ridge)


def _expanded(limit: float, moments: Moments, ridge: float, status: str = "ok", free: str | None = None) -> Prediction:
    moments = Moments(*(np.asarray(part) for part in moments))
    coefficient = float(moments.slope @ moments.bias + 0.5 * np.sum(moments.bend * moments.variance))
    coefficient -= ridge * float(moments.ridge_pull)
    return Prediction(limit, coefficient, status, free, moments)


def possible_triples(world: World) -> Triples:
    """The triples of positive probability, N of them, in the order of the table."""
    law = np.asarray(world.triple_law())
    found = np.nonzero(law > 0)
    return Triples(jnp.asarray(law[found]), *(jnp.asarray(index) for index in found))


def _of_list(learner: PolicyLearner, world: World, policies: PolicyList) -> Prediction:
    """A list has no tangent: the chance of another choice than the limit's falls exponentially in n."""
    law = world.triple_law()
    values = jax.vmap(lambda table: learner.total(table, law, world))(policies.log_policies)
    index = int(jnp.argmin(jnp.where(jnp.isnan(values), jnp.inf, values)))
    limit = float(world.suboptimality(jnp.exp(policies.log_policies[index])))
    return Prediction(limit, None, reason="a finite list has a limit, approached exponentially fast, and no 1/n term")


def _of_minimiser(learner: Learner, world: World, policies: PolicyClass, triples: Triples, ridge: float) -> Prediction:
    start = learner.start(world, policies)  # type: ignore[attr-defined]
    identified, free = np.eye(start.shape[0]), None
    point, converged, hessian = _minimise(learner, world, policies, triples, start, jnp.asarray(identified))
    settled: np.ndarray | None = identified
    found, plain = np.asarray(hessian), np.ones(len(start))
    if not _full_rank(found, plain) and not _full_rank(found, _units(learner, world, policies, start)):
        at_start = np.asarray(_curvature(learner, world, policies, triples, start))
        identified, free = _directions(at_start)
        point, converged, hessian = _minimise(learner, world, policies, triples, start, jnp.asarray(identified))
        scale = float(np.abs(np.linalg.eigvalsh(at_start)).max(initial=0.0))
        settled = _settled(learner, world, policies, start, identified, np.asarray(hessian), scale)
    if settled is not None and settled.shape[1] < identified.shape[1]:
        identified = settled
        point, converged, hessian = _minimise(learner, world, policies, triples, point, jnp.asarray(identified))
    if not bool(converged) or settled is None:
        return Prediction(None, None, "no_minimiser", "the loss falls for ever along some direction of the parameters")
    subopt, moments = _moments(learner, world, policies, triples, point, jnp.asarray(identified), jnp.asarray(hessian))
    # Never negative but by rounding.
    limit = max(float(subopt), 0.0)
    if not np.isfinite(limit):
        return Prediction(None, None, "ok", "infinite: the limit gives responses that the optimum never gives")
    return _expanded(limit, moments, ridge, "ok" if free is None else "rank_deficient", free)


def _full_rank(hessian: np.ndarray, units: np.ndarray) -> bool:
    values = np.linalg.eigvalsh(hessian / np.outer(units, units))
    return bool(values.min(initial=1.0) > FREE * values.max(initial=1.0))


def _units(learner: Learner, world: World, policies: PolicyClass, start: Array) -> np.ndarray:
    """How much a unit of each parameter moves log pi, (p,), so that rank does not depend on the units of features.

    One for a parameter that names no policy.
    """
    possible = np.asarray(world.reference) > 0
    moves = np.asarray(jax.jacfwd(lambda theta: learner.log_policy(theta, world, policies))(start))[possible]  # type: ignore[attr-defined]
    size = np.sqrt(np.sum(moves**2, axis=0))
    return np.where(np.isfinite(size) & (size > 0), size, 1.0)


def _directions(curvature: np.ndarray) -> tuple[np.ndarray, str | None]:
    """An orthonormal basis (p, k) of the identified directions, and the free ones in words."""
    values, vectors = np.linalg.eigh(curvature)
    kept = np.abs(values) > FREE * np.abs(values).max(initial=0.0)
    if kept.all():
        return np.eye(len(values)), None
    free = vectors[:, ~kept]
    shown = "; ".join(np.array2string(v, precision=3, suppress_small=True, max_line_width=10**6) for v in free.T[:3])
    more = f" and {free.shape[1] - 3} more" if free.shape[1] > 3 else ""
    return vectors[:, kept], f"{free.shape[1]} of {len(values)} directions are free: {shown}{more}"


def _settled(
    learner: Learner,
    world: World,
    policies: PolicyClass,
    start: Array,
    identified: np.ndarray,
    hessian: np.ndarray,
    scale: float,
) -> np.ndarray | None:
    """The directions in which the search found a bottom, against the curvature at the start, `scale`.

    None if the policy needs others.  A parameter that names no policy may run away: the strength of a user who
    always edits, in the edit model.
    """
    values, vectors = np.linalg.eigh(hessian)
    kept = values > FREE * scale
    if kept.all():
        return identified
    ran_away = jnp.asarray(identified @ vectors[:, ~kept])
    here = learner.log_policy(start, world, policies)  # type: ignore[attr-defined]
    for direction in ran_away.T:
        there = learner.log_policy(start + direction, world, policies)  # type: ignore[attr-defined]
        if not np.allclose(np.exp(here), np.exp(there), rtol=0, atol=1e-6):
            return None
    return identified @ vectors[:, kept]


def _over_triples(function: Callable[[Triples], Any], triples: Triples) -> Any:
    """The function at every triple, in blocks where they are many."""
    if triples.law.shape[0] <= BLOCK:
        return jax.vmap(function)(triples)
    return jax.lax.map(function, triples, batch_size=BLOCK)


def _mean_loss(learner: Learner, world: World, policies: PolicyClass, triples: Triples, parameters: Array) -> Array:
    """L(theta) = E_P l, from the table of the law where the learner has a way of its own."""
    if hasattr(learner, "expected_loss"):
        return learner.expected_loss(parameters, world, policies, world.triple_law())  # type: ignore[attr-defined]

    def loss(one: Triples) -> Array:
        return learner.loss(parameters, world, policies, one.context, one.response, one.edited)  # type: ignore[attr-defined]

    return triples.law @ _over_triples(loss, triples)


class _Compiled:
    """A function of (learner, world, policies, triples, ...), compiled in haste where triples are few: there the
    compiler takes a thousand times as long as the code that it makes.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.in_haste = jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})
        self.with_care = jax.jit(function)

    def __call__(
        self, learner: Learner, world: World, policies: PolicyClass, triples: Triples, *rest: ArrayLike
    ) -> Any:
        function = self.in_haste if triples.law.shape[0] <= BLOCK else self.with_care
        return function(learner, world, policies, triples, *rest)

    def compilations(self) -> int:
        """How often it was compiled: once per shape."""
        return self.in_haste._cache_size() + self.with_care._cache_size()  # type: ignore[attr-defined]


@_Compiled
def _curvature(learner: Learner, world: World, policies: PolicyClass, triples: Triples, point: Array) -> Array:
    return newton.expansion(lambda theta: _mean_loss(learner, world, policies, triples, theta))(point).hessian


@_Compiled
def _minimise(
    learner: Learner, world: World, policies: PolicyClass, triples: Triples, start: Array, basis: Array
) -> tuple[Array, Array, Array]:
    """theta_0 = start + basis z, whether the search converged, and the Hessian in z."""

    def mean_loss(z: Array) -> Array:
        return _mean_loss(learner, world, policies, triples, start + basis @ z)

    convex = getattr(learner, "convex", True) or isinstance(policies, LogLinear)
    found = newton.minimise(
        newton.expansion(mean_loss), jnp.zeros(basis.shape[1]), convex=convex and learner.name != "edit-model"
    )
    return start + basis @ found.point, found.converged, found.hessian


@_Compiled
def _moments(
    learner: Learner,
    world: World,
    policies: PolicyClass,
    triples: Triples,
    point: Array,
    basis: Array,
    hessian: Array,
) -> tuple[Array, Moments]:
    """S(theta_0) and the moments of the expansion, contracted as they come: no array of triples x p x p."""
    inverse = jnp.linalg.inv(hessian)
    origin = jnp.zeros(basis.shape[1])

    def subopt(z: Array) -> Array:
        return _suboptimality(learner.log_policy(point + basis @ z, world, policies), world)  # type: ignore[attr-defined]

    def of_triple(one: Triples) -> tuple[Array, Array]:
        def loss(z: Array) -> Array:
            where = (world, policies, one.context, one.response, one.edited)
            return learner.loss(point + basis @ z, *where)  # type: ignore[attr-defined]

        gradient = jax.grad(loss)(origin)
        turned = jax.jvp(jax.grad(loss), (origin,), (inverse @ gradient,))[1]
        return jnp.sqrt(one.law) * gradient, one.law * turned

    roots, turned = _over_triples(of_triple, triples)
    variance = inverse @ (roots.T @ roots) @ inverse

    def mean_loss(z: Array) -> Array:
        return _mean_loss(learner, world, policies, triples, point + basis @ z)

    third = _third_against(mean_loss, origin, variance)
    bias = inverse @ (jnp.sum(turned, axis=0) - 0.5 * third)
    slope, bend = jax.grad(subopt)(origin), jax.hessian(subopt)(origin)
    ridge_pull = slope @ inverse @ (basis.T @ point)
    # The search stops within rounding of the minimiser; one more Newton step, to first order, removes what is left.
    rest = slope @ inverse @ (jnp.sqrt(triples.law) @ roots)
    limit = world.suboptimality(jnp.exp(learner.log_policy(point, world, policies)))  # type: ignore[attr-defined]
    return limit - rest, Moments(slope, bend, variance, bias, ridge_pull)


def _third_against(function: Callable[[Array], Array], point: Array, variance: Array) -> Array:
    """T : V, the gradient of sum_ij V_ij d2 function / dz_i dz_j, one direction of V at a time."""
    values, vectors = jnp.linalg.eigh(variance)
    directions = (vectors * jnp.sqrt(jnp.maximum(values, 0.0))).T

    def along(v: Array) -> Array:
        def slope(z: Array) -> Array:
            return jax.jvp(jax.grad(function), (z,), (v,))[1]

        return jax.jvp(slope, (point,), (v,))[1]

    return jnp.sum(jax.lax.map(along, directions), axis=0)


def _suboptimality(log_policy: Array, world: World) -> Array:
    # beta E KL(pi || pi*), smooth where pi = pi*: `World.suboptimality` guards its value there, not its derivatives.
    possible = world.log_optimal > -jnp.inf
    logs = jnp.where(possible, log_policy, 0.0) - jnp.where(possible, world.log_optimal, 0.0)
    terms = jnp.where(possible, jnp.exp(jnp.where(possible, log_policy, 0.0)) * logs, 0.0)
    return world.temperature * jnp.sum(world.context_probs[:, None] * terms)
