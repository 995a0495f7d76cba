"""Late ensembling (Algorithm 1): train one policy per learner from a log, then let a rule pick among them online."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sim import learners
from sim.learners import Cost, Fits, Learner
from sim.learners.contract import Status
from sim.linear_solve import solve_positive
from sim.logs import Logs
from sim.online.contract import Tally
from sim.policies import PolicyClass
from sim.world import World, from_reference

LEARNERS = ("sup", "pref", "cost", "early")
"""The list that the paper trains: SUP, PREF, RL, EF."""


@dataclass(frozen=True)
class Trained:
    """The policies trained from each log: `policies` (S, K, X, A), in the order of `names`, and every fit's status."""

    names: tuple[str, ...]
    policies: Float[Array, "S K X A"]
    statuses: tuple[np.ndarray, ...]

    @property
    def not_ok(self) -> int:
        """How many of the fits were not ok; their policies are in the list all the same."""
        return int(sum((status != Status.ok).sum() for status in self.statuses))


def train(
    logs: Logs,
    world: World,
    chosen: Mapping[str, Learner] | tuple[str, ...] = LEARNERS,
    policies: PolicyClass | None = None,
) -> Trained:
    """The list of policies, one per learner, from each of the logs.

    Args:
        logs: S logs of `world`.
        world: of the logs.
        chosen: the learners, by label or by name.
        policies: their class; default: log-linear in the world's policy features.
    """
    made = dict(chosen) if isinstance(chosen, Mapping) else {name: learners.make(name) for name in chosen}
    fits: list[Fits] = [learners.fit(learner, logs, world, policies) for learner in made.values()]
    tables = np.stack([np.exp(fit.log_policy) for fit in fits], axis=1)
    return Trained(tuple(made), jnp.asarray(tables), tuple(fit.status for fit in fits))


def edited_by(world: World, user: World) -> World:
    """The log's world as a test user edits in it: her kernel and distance, the log's contexts, pi_ref and beta.

    Her optimum follows from Eq. 1 (docs/theory.md 6.3).
    """
    return from_reference(
        np.asarray(world.context_probs),
        np.asarray(world.reference),
        user.editor.dense(),
        np.asarray(user.distance),
        float(world.temperature),
        np.asarray(world.policy_features.table),
    )


def warm_start(logs: Logs, world: World, policies: Float[Array, "S K X A"], noise: float | None = None) -> Tally:
    """Pseudo-plays from the log: what the fitted cost model says of each policy, worth as many plays as it is sure.

    With w_hat and Lambda of the cost learner and psi_k = E_{x, y ~ pi_k} psi(x, y), arm k starts at mean <w_hat,
    psi_k> and at N_k = 1 / |psi_k|^2_{Lambda^-1} plays: the plays whose mean would have that variance.

    Args:
        logs: S logs of `world`, whose linear cost features the model uses.
        world: of the logs.
        policies: the list of each seed.
        noise: at least this share of a play is kept back as doubt about the model: N_k is capped at 1 / noise^2;
            default: no cap.

    Departure from the paper: it has no warm start.
    """
    visits, paid = logs.counts.sum(axis=3), (logs.counts * np.asarray(world.distance)).sum(axis=3)
    most = np.inf if noise is None else 1 / noise**2
    tables = (jnp.asarray(visits, float), jnp.asarray(paid, float))
    return _warm_start(world, policies, *tables, jnp.asarray(Cost().ridge), jnp.asarray(most))


@jax.jit
def _warm_start(world: World, policies: Array, visits: Array, paid: Array, ridge: Array, most: Array) -> Tally:
    psi = world.cost_features

    def one(policies: Array, visits: Array, paid: Array) -> Tally:
        gram = psi.gram(visits) + ridge * jnp.eye(psi.dimension)
        features = jax.vmap(lambda policy: psi.push(world.context_probs[:, None] * policy))(policies)
        solved, _ = solve_positive(gram, jnp.column_stack([psi.push(paid), features.T]))
        means = jnp.maximum(features @ solved[:, 0], 0.0)
        plays = jnp.minimum(1 / jnp.sum(features.T * solved[:, 1:], axis=0), most)
        return Tally(plays, plays * means, jnp.zeros((), int))

    return jax.vmap(one)(policies, visits, paid)
