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
    """The policies trained from each log.

    Fields:
        names: of the learners, in the order of the policies.
        policies: probabilities, shape (S, K, X, A).
        statuses: of every fit, an array (S,) per learner.
    """

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


def warm_start(logs: Logs, world: World, policies: Float[Array, "S K X A"], play_variance: float) -> Tally:
    """Pseudo-plays from the log: what the fitted cost model says of each policy, worth as many plays as it is sure.

    With w_hat and Lambda of the cost learner, psi_k = E_{x, y ~ pi_k} psi(x, y) and sigma^2 the mean squared residual
    of the fit, the model's mean <w_hat, psi_k> has variance sigma^2 |psi_k|^2_{Lambda^-1}.  Arm k starts at that mean
    and at the number of plays whose mean has the same variance, N_k = play_variance / (sigma^2 |psi_k|^2).

    The costs of a weak user's log are rare and large, so that it is worth fewer plays of a strong test user than it
    has triples.  What the cost features miss is in sigma^2 only as noise: a misspecified model is surer than it should
    be (docs/theory.md 6.1).

    Args:
        logs: S logs of `world`, whose linear cost features the model uses.
        world: of the logs.
        policies: the list of each seed.
        play_variance: of the cost of one play, declared; (c_max / 2)^2 is the largest that costs in [0, c_max] have.

    Departure from the paper: it has no warm start.
    """
    distance = np.asarray(world.distance)
    of_pairs = ((logs.counts * weight).sum(axis=3) for weight in (1.0, distance, distance**2))
    visits, paid, squared = (jnp.asarray(table, float) for table in of_pairs)
    return _warm_start(world, policies, visits, paid, squared, jnp.asarray(Cost().ridge), jnp.asarray(play_variance))


@jax.jit
def _warm_start(
    world: World, policies: Array, visits: Array, paid: Array, squared: Array, ridge: Array, play_variance: Array
) -> Tally:
    psi = world.cost_features

    def one(policies: Array, visits: Array, paid: Array, squared: Array) -> Tally:
        gram = psi.gram(visits) + ridge * jnp.eye(psi.dimension)
        features = jax.vmap(lambda policy: psi.push(world.context_probs[:, None] * policy))(policies)
        solved, _ = solve_positive(gram, jnp.column_stack([psi.push(paid), features.T]))
        fitted = psi.pull(solved[:, 0])
        residual = jnp.sum(squared - 2 * paid * fitted + visits * fitted**2) / jnp.sum(visits)
        means = jnp.maximum(features @ solved[:, 0], 0.0)
        variance = jnp.maximum(residual, TINY) * jnp.sum(features.T * solved[:, 1:], axis=0)
        plays = jnp.minimum(play_variance / variance, SUREST)
        return Tally(plays, plays * means, jnp.zeros((), int))

    return jax.vmap(one)(policies, visits, paid, squared)


TINY, SUREST = 1e-300, 1e12
"""A log in which nobody edits has no residual: its model is as sure as counts in 64-bit floats can say."""
