"""The offline learners, by name, and the batched fit."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sim.errors import BadInput, choose
from sim.learners.baselines import Edited, Reference
from sim.learners.contract import EditLog, Fit, Learner, PolicyLearner, Status
from sim.learners.cost import Cost
from sim.learners.early import Early, EarlyHeldOut
from sim.learners.preference import Preference
from sim.learners.separation import PROVEN, is_separated
from sim.learners.supervision import Supervision
from sim.logs import Logs
from sim.policies import LogLinear, PolicyClass, log_linear
from sim.world import World

__all__ = [
    "LEARNERS", "Cost", "Early", "EarlyHeldOut", "Edited", "Fits", "Learner", "PolicyLearner", "Preference",
    "Reference", "Status", "Supervision", "fit", "make", "register",
]  # fmt: skip

LEARNERS: dict[str, Any] = {
    "reference": Reference,
    "edited": Edited,
    "sup": Supervision,
    "pref": Preference,
    "cost": Cost,
    "early": lambda **settings: make_early(**settings),
}


class Fits(NamedTuple):
    """Fits of one learner on several logs: every field has the logs as its first axis.

    `status` holds `Status` values; `suboptimality` and `expected_cost` are exact.
    """

    log_policy: np.ndarray
    parameters: np.ndarray
    status: np.ndarray
    iterations: np.ndarray
    suboptimality: np.ndarray
    expected_cost: np.ndarray
    notes: dict[str, np.ndarray]


def register(name: str, build: Any) -> None:
    """Make `build(**settings) -> Learner` available as `learners = ["name"]`, its settings as table `[name]`."""
    LEARNERS[name] = build


def make_early(**settings: Any) -> Learner:
    """Early ensembling with lam given, or chosen on held-out edits: `lam = "held-out"`."""
    if settings.get("lam") == "held-out":
        return EarlyHeldOut(**{key: value for key, value in settings.items() if key != "lam"})
    if "held_out" in settings:
        raise BadInput('early.held_out: only lam = "held-out" uses held-out edits; leave it out')
    return Early(**settings)


def make(name: str, **settings: Any) -> Learner:
    """A learner by name: "sup", "pref", "cost", "early", "reference", "edited", or a registered one."""
    choose("learner", name, LEARNERS)
    try:
        return LEARNERS[name](**settings)
    except TypeError as error:
        raise BadInput(f"{name}: {error}") from None


def fit(learner: str | Learner, logs: Logs, world: World, policies: PolicyClass | None = None) -> Fits:
    """Fit a learner to every log, in one compiled call, and evaluate the policies exactly.

    Args:
        learner: a name, or a learner with settings, as in `Preference(link="paper")`.
        logs: from `sim.sample`.
        world: the world the logs come from.
        policies: the class to search; default: log-linear in the world's policy features.
    """
    learner = make(learner) if isinstance(learner, str) else learner
    policies = log_linear(world) if policies is None else policies
    counts, held_out = jnp.asarray(logs.counts, float), jnp.asarray(logs.held_out, float)
    fits, suboptimality, cost = fit_batch(learner, EditLog(counts, held_out), world, policies)
    return Fits(
        np.asarray(fits.log_policy),
        np.asarray(fits.parameters),
        _decided(fits, policies),
        np.asarray(fits.iterations),
        np.asarray(suboptimality),
        np.asarray(cost),
        {name: np.asarray(value) for name, value in fits.notes.items()},
    )


@jax.jit
def fit_batch(
    learner: Learner, logs: EditLog, world: World, policies: PolicyClass
) -> tuple[Fit, Array, Array]:
    """`learner.fit` over a batch of logs, with SubOpt and J of each policy.  Compiled once per shape."""

    def one(log: EditLog) -> tuple[Fit, Array, Array]:
        found = learner.fit(log, world, policies)
        policy = jnp.exp(found.log_policy)
        return found, world.suboptimality(policy), world.cost(policy)

    return jax.vmap(one)(logs)


def _decided(fits: Fit, policies: PolicyClass) -> np.ndarray:
    """The statuses, with separation decided where the certificate leaves it open."""
    status = np.array(fits.status)
    if fits.pulls is None or not isinstance(policies, LogLinear):
        return status
    table, pulls = np.asarray(policies.features.table), np.asarray(fits.pulls)
    support = np.asarray(policies.support)
    for s in np.flatnonzero(~(np.asarray(fits.certificate) < PROVEN)):
        if is_separated(table, pulls[s] & support[:, :, None] & support[:, None, :]):
            status[s] = Status.separated
    return status
