"""The one contract of all learners.

A learner is a frozen dataclass of its settings and a pytree: numbers are leaves (changing them does not compile
anything anew), choices are static.  It is written for one log; `sim.learners.fit` batches it.  To add one: subclass
`Learner` (or `PolicyLearner`, which needs only a loss), and register it (`sim.learners.register`).
"""

import abc
import dataclasses
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from sim.newton import Minimum
from sim.objectives import Choices, ChoiceWeights, Derivatives, LogPolicy, Objective
from sim.policies import LogLinear, PolicyClass
from sim.world import World

Scalar = Float[Array, ""]


class Status(IntEnum):
    """How a fit ended; a failed fit is a value and keeps its row."""

    ok = 0
    iteration_limit = 1
    """The search stopped before it converged."""
    separated = 2
    """Without the ridge there is no finite optimum: the log can be fitted ever better by ever larger parameters."""
    no_information = 3
    """No triple of the log holds an edit; the answer is the reference policy."""
    not_finite = 4
    """A number overflowed or is undefined."""
    outside_class = 5
    """The log holds edits to responses that no policy of the class gives; they were left out of the fit."""


class EditLog(NamedTuple):
    """One log as the learner sees it: counts N[x, y, e], and held-out counts for choosing settings (may be zero)."""

    counts: Float[Array, "X A A"]
    held_out: Float[Array, "X A A"]

    @property
    def n(self) -> Scalar:
        """The number of triples, ties included."""
        return jnp.sum(self.counts)

    @property
    def edits(self) -> Scalar:
        """The number of triples in which something was edited."""
        return self.n - jnp.sum(jnp.diagonal(self.counts, axis1=1, axis2=2))


class Fit(NamedTuple):
    """What a learner returns for one log.

    `notes` are further numbers for the row, by column name.  `certificate` is below one only if the fit has a finite
    optimum without its ridge; -inf where the question does not arise.
    """

    parameters: Float[Array, " p"]
    log_policy: LogPolicy
    status: Int[Array, ""]
    iterations: Int[Array, ""]
    notes: dict[str, Scalar]
    certificate: Scalar


class Learner(abc.ABC):
    """A rule that turns a log into a policy.  `name` is the name in regimes; `baseline` ones need no log."""

    name: ClassVar[str]
    baseline: ClassVar[bool] = False

    @classmethod
    def from_settings(cls, **settings: Any) -> "Learner":
        """The learner of one point of its settings table."""
        return cls(**settings)

    def settings(self) -> dict[str, Any]:
        """The settings that tell this learner's rows apart, by column name: the fields of its dataclass."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def check(self, world: World, policies: PolicyClass) -> None:
        """Raise `BadInput` if these settings cannot be used in this world with this class; most can."""
        return None

    def pulls(self, counts: Float[Array, "X A A"], world: World, notes: dict[str, Scalar]) -> Bool[Array, "X A A"]:
        """Where the log's loss falls, without end, as log pi(e|x) - log pi(y|x) grows, for the fit with these notes."""
        return jnp.zeros(counts.shape, bool)

    @abc.abstractmethod
    def fit(self, log: EditLog, world: World, policies: PolicyClass) -> Fit:
        """The policy learned from one log."""


class PolicyLearner(Learner):
    """A learner that minimises the mean over the log of a loss of the policy (docs/theory.md 5).

    Subclasses state `triple_loss`, and must have a field `ridge`; the rest follows by automatic differentiation.  Where
    the loss is made of comparisons and demonstrations they may also state `choice_weights`: much faster, and with it go
    the exact test of separation and worlds whose logs are records.
    """

    ridge: Array | float
    convex: ClassVar[bool] = False
    """Whether the loss is convex in the policy's probabilities; if not, mixtures are fitted from several starts."""

    @abc.abstractmethod
    def triple_loss(
        self,
        log_policy: LogPolicy,
        world: World,
        context: Int[Array, ""],
        response: Int[Array, ""],
        edited: Int[Array, ""],
    ) -> Scalar:
        """The loss of one triple (x, y, e), given the table log pi (X, A)."""

    def start(self, world: World, policies: PolicyClass) -> Float[Array, " p"]:
        """Where the search for the parameters begins, which also says how many there are."""
        return jnp.zeros(policies.dimension)

    def log_policy(self, parameters: Float[Array, " p"], world: World, policies: PolicyClass) -> LogPolicy:
        """The policy that these parameters name, log pi (X, A)."""
        return policies.log_policy(parameters)

    def loss(
        self,
        parameters: Float[Array, " p"],
        world: World,
        policies: PolicyClass,
        context: Int[Array, ""],
        response: Int[Array, ""],
        edited: Int[Array, ""],
    ) -> Scalar:
        """The loss of one triple as a function of the parameters: what the theory differentiates."""
        return self.triple_loss(policies.log_policy(parameters), world, context, response, edited)

    def choice_weights(self, world: World) -> ChoiceWeights | None:
        """The loss of one triple as a comparison and a demonstration; None if it is not of that form."""
        return None

    def remarks(self) -> dict[str, Scalar]:
        """Further numbers for the row of a fit, by column name."""
        return {}

    def choices(self, counts: Float[Array, "X A A"], world: World) -> Choices | None:
        """sum counts * loss as comparisons and demonstrations; None if it is not of that form."""
        weights = self.choice_weights(world)
        return None if weights is None else weights.of(counts, world.reference)

    def pulls(self, counts: Float[Array, "X A A"], world: World, notes: dict[str, Scalar]) -> Bool[Array, "X A A"]:
        """Those of its choices."""
        choices = self.choices(counts, world)
        return super().pulls(counts, world, notes) if choices is None else choices.pulls

    def derivatives(self, log_policy: LogPolicy, counts: Float[Array, "X A A"], world: World) -> Derivatives:
        """Value, gradient and curvature, in the table, of sum counts * loss."""
        choices = self.choices(counts, world)
        if choices is not None:
            return choices.derivatives(log_policy)

        def of_context(row: Array, x: Array) -> Array:
            return self._total(log_policy.at[x].set(row), counts, world, x)

        xs = jnp.arange(log_policy.shape[0])
        value = jnp.sum(jax.vmap(of_context)(log_policy, xs))
        gradient = jax.vmap(jax.grad(of_context))(log_policy, xs)
        return Derivatives(value, gradient, jax.vmap(jax.hessian(of_context))(log_policy, xs))

    def total(self, log_policy: LogPolicy, counts: Float[Array, "X A A"], world: World) -> Scalar:
        """sum over triples of counts * loss."""
        choices = self.choices(counts, world)
        if choices is not None:
            return choices.total(log_policy)
        xs = jnp.arange(log_policy.shape[0])
        return jnp.sum(jax.vmap(lambda x: self._total(log_policy, counts, world, x))(xs))

    def _total(self, log_policy: Array, counts: Array, world: World, x: Array) -> Array:
        ys = jnp.arange(log_policy.shape[1])
        losses = jax.vmap(lambda y: jax.vmap(lambda e: self.triple_loss(log_policy, world, x, y, e))(ys))(ys)
        return jnp.sum(jnp.where(counts[x] > 0, counts[x] * losses, 0.0))

    def fit(self, log: EditLog, world: World, policies: PolicyClass) -> Fit:
        """Minimise the mean loss plus ridge |theta|^2 / (2n) over the class."""
        usable = jnp.where(policies.possible[:, None, :], log.counts, 0.0)
        choices = self.choices(usable / log.n, world)
        objective = Objective(
            lambda table: self.total(table, usable / log.n, world),
            lambda table: self.derivatives(table, usable / log.n, world),
            self.convex,
            choices,
        )
        solution = policies.minimise(objective, self.ridge / log.n)
        minimum = solution.minimum
        notes = {"start_spread": solution.spread}
        if isinstance(policies, LogLinear):
            notes["parameter_norm"] = jnp.linalg.norm(solution.parameters)
        notes |= self.remarks()
        fitted = EditLog(usable, log.held_out)
        found = answer(
            fitted.edits > 0,
            world,
            solution.parameters,
            solution.log_policy,
            status_of(minimum),
            minimum.iterations,
            notes,
        )
        found = found._replace(status=jnp.where(fitted.n < log.n, Status.outside_class, found.status))
        if choices is None or not isinstance(policies, LogLinear):
            return found
        certificate = jnp.where(fitted.edits > 0, solution.certificate, -jnp.inf)
        return found._replace(certificate=certificate)


def answer(
    informed: Bool[Array, ""],
    world: World,
    parameters: Array,
    log_policy: LogPolicy,
    status: Array,
    iterations: Array,
    notes: dict[str, Array],
) -> Fit:
    """A `Fit`; with no edit in the log (not `informed`) the policy is the reference and the status says so."""
    return Fit(
        parameters,
        jnp.where(informed, log_policy, jnp.log(world.reference)),
        jnp.where(informed, status, Status.no_information),
        iterations,
        notes,
        jnp.asarray(-jnp.inf),
    )


def status_of(minimum: Minimum) -> Array:
    """How a search ended: converged, out of steps, or at a number that is not finite."""
    unfinished = jnp.where(minimum.finite, Status.iteration_limit, Status.not_finite)
    return jnp.where(minimum.converged, Status.ok, unfinished)
