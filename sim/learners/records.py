"""Fits to logs that are records: worlds of a million responses, without an array of pairs of responses.

In the log-linear class of attributes each context is a problem of K parameters, and the losses that are made of
choices need no more of a log than its demonstrations summed up and its comparisons by their difference.  A policy of
the class is a product of attributes: where the optimum is one too, SubOpt and J are sums over attributes.  One log
follows the other.  Shapes: X contexts, K attributes, A = 2^K responses.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sim import log_linear_parts as parts
from sim import newton
from sim.errors import BadInput
from sim.features import AttributeFeatures
from sim.learners import record_statistics
from sim.learners.contract import EditLog, Fit, Learner, PolicyLearner, Status, status_of
from sim.learners.cost import Cost
from sim.learners.early import GRID, Early, EarlyHeldOut
from sim.learners.preference import Preference
from sim.learners.record_statistics import Comparisons, Demonstrations
from sim.learners.separation import PROVEN, differences_separate
from sim.log_linear_parts import Part
from sim.newton import Minimum
from sim.objectives import ChoiceWeights, logistic_loss
from sim.policies import LogLinear, PolicyClass
from sim.product_policies import ProductTruths
from sim.record_logs import RecordLogs, Triples
from sim.world import World

LARGEST_POLICIES = 2**22
"""Numbers up to which the policies of all logs are returned as tables."""


class Row(NamedTuple):
    """The fit to one log, evaluated; `log_policy` (X, A) where it is wanted, else empty."""

    log_policy: np.ndarray
    parameters: np.ndarray
    status: int
    iterations: int
    suboptimality: float
    expected_cost: float
    notes: dict[str, float]


class Search(NamedTuple):
    """The parameters (X, K) with the least loss, how the search went, and the certificate (`Fit.certificate`)."""

    point: Float[Array, "X K"]
    minimum: Minimum
    certificate: Float[Array, ""]


def check_records(learner: Learner, world: World, policies: PolicyClass) -> None:
    """Refuse what needs a table of counts: a learner whose loss is of no known form, a class without attributes."""
    of_choices = isinstance(learner, PolicyLearner) and learner.choice_weights(world) is not None
    linear = isinstance(learner, Cost) and learner.cost_class == "linear"
    if not (learner.baseline or of_choices or linear or isinstance(learner, EarlyHeldOut)):
        raise BadInput(
            f"{learner.name}: expected a learner of demonstrations, of comparisons or of a linear cost where logs are"
            f" records ({world.responses} responses), got one that needs counts; use sup, pref, early or cost, or at"
            " most 10 attributes"
        )
    if not isinstance(policies, LogLinear) or not _of_attributes(policies):
        raise BadInput(
            f"policy.class: expected 'log-linear' in attributes, all responses possible, where logs are records"
            f" ({world.responses} responses), got another; use it, or at most 10 attributes"
        )


def _of_attributes(policies: LogLinear) -> bool:
    features = policies.features
    if not isinstance(features, AttributeFeatures) or features.constant.size > 0:
        return False
    return bool(jnp.all(features.centre == 0.5)) and bool(jnp.all(policies.support))


def fit_records(learner: Learner, logs: RecordLogs, world: World, policies: LogLinear) -> list[Row]:
    """The rows of all logs, one after the other."""
    keep = len(logs.context) * world.contexts * world.responses <= LARGEST_POLICIES
    fitter = Fitter(learner, world, policies, keep)
    if learner.baseline:
        return [fitter.baseline()] * len(logs.context)
    return [fitter.row(logs.of(s), logs.held_out_of(s)) for s in range(len(logs.context))]


class Fitter:
    """One learner in one world, with what all logs share."""

    def __init__(self, learner: Learner, world: World, policies: LogLinear, keep: bool) -> None:
        self.learner, self.world, self.policies, self.keep = learner, world, policies, keep
        self.truths = ProductTruths.of(world)
        self.log_reference = np.log(np.asarray(world.reference))
        self.attributes = policies.dimension // world.contexts

    def baseline(self) -> Row:
        """A policy that needs no log."""
        nothing = jnp.zeros((self.world.contexts, 0, 0))
        return self._of_fit(self.learner.fit(EditLog(nothing, nothing), self.world, self.policies))

    def row(self, log: Triples, held_out: Triples) -> Row:
        """The fit to one log."""
        if isinstance(self.learner, Cost):
            visits, paid, informed = self._visits(log)
            return self._of_fit(_fit_cost(self.learner, visits, paid, informed, self.world, self.policies))
        if isinstance(self.learner, EarlyHeldOut):
            return self._of_choices(self._best_early(self.learner, log, held_out), log)
        assert isinstance(self.learner, PolicyLearner)
        return self._of_choices(self.learner, log)

    def _of_fit(self, found: Fit) -> Row:
        suboptimality, cost = _evaluated(self.world, found.log_policy)
        table, notes = self._kept(found.log_policy), {name: float(value) for name, value in found.notes.items()}
        ended = int(found.status), int(found.iterations)
        return Row(table, np.asarray(found.parameters), *ended, float(suboptimality), float(cost), notes)

    def _kept(self, log_policy: Any) -> np.ndarray:
        return np.asarray(log_policy) if self.keep else np.zeros((0, 0))

    def _visits(self, log: Triples) -> tuple[Array, Array, Array]:
        """How often each response was visited and what was paid for it, (X, A), and whether anything was edited."""
        shape = (self.world.contexts, self.world.responses)
        cells = np.ravel_multi_index((log.context, log.response), shape)
        paid = np.asarray(self.world.distance[log.response, log.edited])
        tables = [np.bincount(cells, weights, minlength=shape[0] * shape[1]) for weights in (None, paid)]
        visits, costs = (jnp.asarray(table.reshape(shape).astype(float)) for table in tables)
        return visits, costs, jnp.asarray(bool(np.any(log.response != log.edited)))

    def _of_choices(self, learner: PolicyLearner, log: Triples) -> Row:
        weights = learner.choice_weights(self.world)
        assert weights is not None
        shown, compared = self._statistics(weights, log)
        found = self._found(learner, weights, shown, compared, log)
        return self._answer(learner, found, self._status(weights, shown, compared, found, log))

    def _found(
        self,
        learner: PolicyLearner,
        weights: ChoiceWeights,
        shown: Demonstrations | None,
        compared: Comparisons | None,
        log: Triples,
    ) -> Search:
        n = float(len(log.context))
        return _search(weights, shown, compared, jnp.asarray(learner.ridge, float), n, self.attributes)

    def _statistics(self, weights: ChoiceWeights, log: Triples) -> tuple[Demonstrations | None, Comparisons | None]:
        shown = compared = None
        if weights.shown is not None:
            shown = record_statistics.demonstrations(log, self.world.contexts, self.attributes)
        if weights.compared is not None:
            compared = record_statistics.comparisons(log, self.log_reference, self.attributes)
        return shown, compared

    def _status(
        self,
        weights: ChoiceWeights,
        shown: Demonstrations | None,
        compared: Comparisons | None,
        found: Search,
        log: Triples,
    ) -> Status:
        if not np.any(log.response != log.edited):
            return Status.no_information
        status = Status(int(status_of(found.minimum)))
        if status == Status.not_finite or float(found.certificate) < PROVEN:
            return status
        if shown is not None and weights.shown is not None and float(weights.shown) > 0:
            # Every other response is pulled away from, so that only an attribute that never changes can run away; the
            # comparisons, which the same responses win, do not stop it.
            separated = shown.constant
        else:
            points = np.asarray(found.point)
            separated = compared is not None and any(
                differences_separate(compared.pulls(x), points[x]) for x in range(self.world.contexts)
            )
        return Status.separated if separated else status

    def _answer(self, learner: PolicyLearner, found: Search, status: Status) -> Row:
        theta = found.point.ravel()
        known = status != Status.no_information
        wanted = self.keep or (known and self.truths is None)
        log_policy = _log_policy(self.policies, theta) if wanted else None
        if not known:
            log_policy = jnp.log(self.world.reference)
        if known and self.truths is not None:
            measured = self.truths.evaluated(found.point)
        else:
            measured = _evaluated(self.world, log_policy)
        notes = {"start_spread": 0.0, "parameter_norm": float(jnp.linalg.norm(theta))}
        notes |= {name: float(value) for name, value in learner.remarks().items()}
        table = self._kept(log_policy)
        suboptimality, cost = (float(value) for value in measured)
        return Row(table, np.asarray(theta), int(status), int(found.minimum.iterations), suboptimality, cost, notes)

    def _best_early(self, learner: EarlyHeldOut, log: Triples, held_out: Triples) -> Early:
        """The lam of the grid whose fit has the least preference loss on held-out edits."""
        made = [Early(jnp.asarray(lam), learner.link, learner.ridge) for lam in GRID]
        weights, edits = Preference().choice_weights(self.world), np.any(log.response != log.edited)
        _, compared = self._statistics(weights, held_out)
        assert compared is not None
        scores = []
        for early in made:
            own = early.choice_weights(self.world)
            found = self._found(early, own, *self._statistics(own, log), log)
            scores.append(float(_held_out_loss(compared, found.point)) if edits else 0.0)
        return made[int(np.argmin(np.where(np.isnan(scores), np.inf, scores)))]


def _held_out_loss(compared: Comparisons, point: Array) -> Array:
    """sum over comparisons of log(1 + exp(-(r(e) - r(y)))), r = log(pi / pi_ref)."""
    margin = jnp.einsum("xmk,xk->xm", jnp.asarray(compared.psi), point) - compared.offset
    return jnp.sum(compared.wins * logistic_loss(margin)[0] + compared.losses * logistic_loss(-margin)[0])


@jax.jit
def _fit_cost(learner: Cost, visits: Array, paid: Array, informed: Array, world: World, policies: PolicyClass) -> Fit:
    return learner.fit_visits(visits, paid, informed, world, policies)


@jax.jit
def _log_policy(policies: LogLinear, theta: Array) -> Array:
    return policies.log_policy(theta)


@jax.jit
def _evaluated(world: World, log_policy: Array) -> tuple[Array, Array]:
    """SubOpt and J."""
    policy = jnp.exp(log_policy)
    return world.suboptimality(policy), world.cost(policy)


@functools.partial(jax.jit, static_argnames="size")
def _search(
    weights: ChoiceWeights,
    shown: Demonstrations | None,
    compared: Comparisons | None,
    ridge: Array,
    n: Array | float,
    size: int,
) -> Search:
    """The minimiser of the mean loss plus ridge |theta|^2 / (2n), every context being searched on its own."""
    found = _parts(weights, shown, compared, n)

    def search(own: list[Part]) -> Minimum:
        function = newton.ridged(lambda point: parts.total(own, point), ridge / n)
        return newton.minimise(function, parts.start(own, size, ridge / n))

    minima = jax.vmap(search)(found)
    together = newton.of_separate(minima, minima.point, minima.hessian)
    scale = jnp.asarray(weights.scale, float)
    certificate = parts.certificate(minima, lambda inverse: _widest(found, inverse), ridge / n, scale)
    return Search(minima.point, together, certificate)


def _parts(
    weights: ChoiceWeights, shown: Demonstrations | None, compared: Comparisons | None, n: Array | float
) -> list[Part]:
    """The terms of the mean loss, every array with the contexts as first axis."""
    found: list[Part] = []
    if shown is not None and weights.shown is not None:
        number, target = (weights.shown / n * jnp.asarray(part) for part in shown)
        found.append(parts.ShownOnCube(number, target))
    if compared is not None and weights.compared is not None:
        psi, offset, wins, losses = (jnp.asarray(part) for part in compared)
        share, scale = weights.compared / n, jnp.asarray(weights.scale, float)
        found.append(parts.of_differences(psi, offset, share * wins, share * losses, scale))
    return found


def _widest(found: list[Part], inverse: Float[Array, "X K K"]) -> Float[Array, " X"]:
    """At least max psi^T inverse psi over what the log compares, psi in {-1, 0, 1}^K where something is shown."""
    largest = jnp.zeros(len(inverse))
    for part in found:
        if isinstance(part, parts.ShownOnCube):
            all_pairs = jnp.sum(jnp.abs(inverse), axis=(1, 2))
            largest = jnp.maximum(largest, jnp.where(part.number > 0, all_pairs, 0.0))
        if isinstance(part, parts.Grouped):
            seen = parts.Seen(part.psi, part.products, part.wins + part.losses > 0)
            largest = jnp.maximum(largest, jax.vmap(parts.widest)(seen, inverse))
    return largest
