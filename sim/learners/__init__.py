"""The offline learners, by name, and the batched fit."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sim import checks
from sim.errors import BadInput, choose
from sim.learners.baselines import Edited, Reference
from sim.learners.contract import EditLog, Fit, Learner, PolicyLearner, Status
from sim.learners.cost import Cost
from sim.learners.early import Early, EarlyHeldOut
from sim.learners.edit_model import EditModel
from sim.learners.preference import Preference
from sim.learners.records import Row, check_records, fit_records
from sim.learners.separation import PROVEN, is_separated, shows_separation
from sim.learners.supervision import Supervision
from sim.logs import Logs
from sim.policies import LogLinear, PolicyClass, log_linear
from sim.pytrees import names_its_class
from sim.record_logs import RecordLogs
from sim.world import World

__all__ = [
    "LEARNERS", "Cost", "Early", "EarlyHeldOut", "EditModel", "Edited", "Fits", "Learner", "PolicyLearner",
    "Preference", "Reference", "Status", "Supervision", "check_records", "fit", "make", "register",
]  # fmt: skip

LEARNERS: dict[str, type[Learner]] = {
    "reference": Reference,
    "edited": Edited,
    "sup": Supervision,
    "pref": Preference,
    "cost": Cost,
    "early": Early,
    "edit-model": EditModel,
}


class Fits(NamedTuple):
    """Fits of one learner on several logs: every field has the logs as its first axis, of length S.

    Fields:
        log_policy: log pi of the learned policies, shape (S, X, A); empty, (S, 0, 0), where the policies of all logs
            are too large to be kept (logs that are records).
        parameters: of the policies in their class, shape (S, p).
        status: `Status` values, shape (S,).
        iterations: steps of the search, shape (S,).
        suboptimality: SubOpt of each policy, exact (Eq. 2), shape (S,).
        expected_cost: J of each policy, exact, shape (S,).
        notes: further columns of a row, by name, shape (S,) each.
    """

    log_policy: np.ndarray
    parameters: np.ndarray
    status: np.ndarray
    iterations: np.ndarray
    suboptimality: np.ndarray
    expected_cost: np.ndarray
    notes: dict[str, np.ndarray]


def register(name: str, learner: type[Learner]) -> None:
    """Make a learner class available as `learners = ["name"]`; its dataclass fields are the keys of table `[name]`.

    Args:
        name: as written in a regime.
        learner: a dataclass derived from `sim.learners.Learner`, decorated with `sim.pytree`.

    Raises:
        BadInput: a class that is not.
    """
    if not (isinstance(learner, type) and issubclass(learner, Learner) and dataclasses.is_dataclass(learner)):
        raise BadInput(f"learner '{name}': expected a dataclass derived from sim.learners.Learner, got {learner!r}")
    if not names_its_class(learner):
        raise BadInput(f"learner '{name}': decorate {learner.__name__} with sim.pytree, above @dataclass")
    LEARNERS[name] = learner


def defaults(name: str) -> dict[str, Any]:
    """The settings of a learner that have a default value, by key."""
    choose("learner", name, LEARNERS)
    return {f.name: f.default for f in dataclasses.fields(LEARNERS[name]) if f.default is not None}  # type: ignore[arg-type]


def make(name: str, **settings: Any) -> Learner:
    """A learner by name: "sup", "pref", "cost", "early", "edit-model", "reference", "edited", or a registered one.

    Args:
        name: as in `learners` of a regime.
        settings: the fields of the learner's class, as in `make("pref", link="paper")`; the others take their defaults.

    Raises:
        BadInput: an unknown name or setting (the nearest is suggested), a value of the wrong type or range.
    """
    choose("learner", name, LEARNERS)
    known = {f.name: f for f in dataclasses.fields(LEARNERS[name])} | EXTRA.get(name, {})  # type: ignore[arg-type]
    for key, value in settings.items():
        choose(f"setting of [{name}]", key, known)
        _check_setting(name, key, value, known[key].default, static=known[key].metadata.get("static", False))
    return LEARNERS[name].from_settings(**settings)


EXTRA = {"early": {f.name: f for f in dataclasses.fields(EarlyHeldOut) if f.name == "held_out"}}
"""Settings that only some values of another setting use."""

RANGES = {"delta": (1e-300, 1 - 1e-16), "c_max": (1e-300, np.inf)}
"""Ranges of the numeric settings; those not named here are at least 0."""


def _check_setting(name: str, key: str, value: Any, default: Any, static: bool) -> None:
    where = f"{name}.{key}"
    if static and isinstance(default, int):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise BadInput(f"{where}: expected a whole number, at least 1, got {value!r}")
    elif static and not isinstance(value, type(default)):
        raise BadInput(f"{where}: expected {type(default).__name__}, got {value!r}")
    elif not static and not (name == "early" and key == "lam" and value == "held-out"):
        checks.in_range(where, value, *RANGES.get(key, (0.0, np.inf)))


def fit(learner: str | Learner, logs: Logs | RecordLogs, world: World, policies: PolicyClass | None = None) -> Fits:
    """Fit a learner to every log and evaluate the policies exactly: in one compiled call, or log by log for records.

    Args:
        learner: a name, or a learner with settings, as in `Preference(link="paper")`.
        logs: from `sim.sample`, S logs of n triples each.
        world: the world the logs come from.
        policies: the class to search; default: log-linear in the world's policy features.

    Returns:
        The S policies, with their statuses and their exact SubOpt and J.  A fit that failed is among them.  The last
        bits of a fit depend on S, and from 256 logs on also on which others they are.

    Raises:
        BadInput: a learner that cannot be used with this class or these logs.

    Source: the losses are those of docs/theory.md 5 (Eq. 3 to 7), plus ridge |theta|^2 / (2n).
    """
    chosen = make(learner) if isinstance(learner, str) else learner
    policies = log_linear(world) if policies is None else policies
    policies = policies.of_reference(world) if isinstance(policies, LogLinear) else policies
    chosen.check(world, policies)
    # Whole numbers become fractions here, so that lam = 1 shares the compiled code of lam = 0.3.
    chosen = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), chosen)
    drawn = logs.held_out.context.size if isinstance(logs, RecordLogs) else logs.held_out.any()
    if getattr(chosen, "held_out", 0) and not drawn:
        raise BadInput(f"{chosen.name}: chooses a setting on held-out edits; draw logs with held_out=200")
    if isinstance(logs, RecordLogs):
        check_records(chosen, world, policies)
        assert isinstance(policies, LogLinear)
        return _stacked(fit_records(chosen, logs, world, policies))
    fits, suboptimality, cost = fit_batch(chosen, EditLog(*logs.as_floats), world, policies)
    return Fits(
        np.asarray(fits.log_policy),
        np.asarray(fits.parameters),
        _decided(fits, logs, chosen, world, policies),
        np.asarray(fits.iterations),
        np.asarray(suboptimality),
        np.asarray(cost),
        {name: np.asarray(value) for name, value in fits.notes.items()},
    )


def _stacked(rows: list[Row]) -> Fits:
    """The rows of all logs as one result."""
    columns = {name: np.stack([np.asarray(getattr(row, name)) for row in rows]) for name in Row._fields[:-1]}
    notes = {name: np.array([row.notes[name] for row in rows]) for name in sorted(rows[0].notes)}
    return Fits(**columns, notes=notes)


@jax.jit
def fit_batch(learner: Learner, logs: EditLog, world: World, policies: PolicyClass) -> tuple[Fit, Array, Array]:
    """`learner.fit` over a batch of logs, with SubOpt and J of each policy.  Compiled once per shape."""

    def one(log: EditLog) -> tuple[Fit, Array, Array]:
        found = learner.fit(log, world, policies)
        policy = jnp.exp(found.log_policy)
        return found, world.suboptimality(policy), world.cost(policy)

    return jax.vmap(one)(logs)


def _decided(fits: Fit, logs: Logs, learner: Learner, world: World, policies: PolicyClass) -> np.ndarray:
    """The statuses, with separation decided where the certificate leaves it open."""
    status, certificate = np.array(fits.status), np.asarray(fits.certificate)
    searched = np.isin(status, (Status.ok, Status.iteration_limit)) & (certificate > -np.inf)
    undecided = np.flatnonzero(searched & ~(certificate < PROVEN))
    if not len(undecided) or not isinstance(policies, LogLinear):
        return status
    table, support = np.asarray(policies.features.table), np.asarray(policies.support)
    supported = support[:, :, None] & support[:, None, :]
    pulls = np.asarray(_pulls(learner, logs.as_floats[0], world, fits.notes)) & supported
    parameters = np.asarray(fits.parameters)
    for s in undecided:
        if shows_separation(table, pulls[s], parameters[s]) or is_separated(table, pulls[s]):
            status[s] = Status.separated
    return status


@jax.jit
def _pulls(learner: Learner, counts: Array, world: World, notes: dict[str, Array]) -> Array:
    """`learner.pulls` of every log."""
    return jax.vmap(lambda counted, noted: learner.pulls(counted, world, noted))(counts, notes)
