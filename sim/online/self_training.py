"""Pure online learning, without a log: supervision on one's own edits, and preferences with each record's reference.

Both play a policy for an epoch, then fit on what was edited.  An epoch is a table of counts, so that its length costs
nothing (docs/theory.md 6.2).
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sim import checks
from sim.errors import BadInput, choose
from sim.learners.contract import EditLog
from sim.learners.defaults import RIDGE
from sim.learners.supervision import Supervision
from sim.objectives import Derivatives, Objective
from sim.policies import LogLinear, log_linear
from sim.world import World

REFERENCES = ("own", "kept")
GROWTH = 2.0
"""Of the epochs of self-training where a regime gives none."""
PREFERENCE_GROWTH = 1.3
"""Of the epochs of online preferences."""
Seed = int | list[int]


@dataclass(frozen=True)
class Epochs:
    """What each epoch played.

    Fields:
        lengths: rounds of each epoch, shape (E,).
        suboptimality: SubOpt of the policy that it played (Eq. 2), shape (S, E).
        expected_cost: J of that policy, shape (S, E).
    """

    lengths: np.ndarray
    suboptimality: np.ndarray
    expected_cost: np.ndarray

    @property
    def rounds(self) -> np.ndarray:
        """The rounds played by the end of each epoch, (E,)."""
        return np.cumsum(self.lengths)

    @property
    def regret(self) -> np.ndarray:
        """Reg_T = sum over rounds of SubOpt (Eq. 2) by the end of each epoch, (S, E)."""
        return np.cumsum(self.lengths * self.suboptimality, axis=1)

    def summed(self, values: np.ndarray, rounds: np.ndarray) -> np.ndarray:
        """The sum over rounds of a number per epoch (S, E), up to each of the rounds: (S, R)."""
        begins = self.rounds - self.lengths
        return values @ (np.clip(rounds[None], begins[:, None], self.rounds[:, None]) - begins[:, None])


def epoch_lengths(rounds: int, growth: float, first: int = 10) -> np.ndarray:
    """Epochs of `first` rounds, then each `growth` times the one before, rounded up; the last is cut at `rounds`.

    Raises:
        BadInput: rounds or first below 1, growth below 1.
    """
    checks.in_range("rounds", rounds, 1, 1e15)
    checks.in_range("first", first, 1, 1e15)
    checks.in_range("growth", growth, 1, 1e6)
    lengths, length, left = [], float(first), rounds
    while left > 0:
        lengths.append(min(int(np.ceil(length)), left))
        left -= lengths[-1]
        length *= growth
    return np.array(lengths)


def self_train(world: World, rounds: int, growth: float, seeds: int, first: int = 10, root_seed: Seed = 0) -> Epochs:
    """Supervision on one's own edits: play pi_e for an epoch, fit pi_{e+1} to that epoch's edits (Eq. 3).

    pi_0 = pi_ref.  A fit ignores what came before its epoch: those edits are of a worse policy.

    Args:
        world: whose user edits; its log-linear class is the one that is fitted.
        rounds: T.
        growth: how many times longer each epoch is than the one before, at least 1; docs/theory.md 6.2 says what it
            should be.
        seeds: how many runs.
        first: rounds of the first epoch.
        root_seed: of all draws, one number or several.
    """
    lengths = epoch_lengths(rounds, growth, first)
    rng = np.random.default_rng(_key(root_seed, 1))
    tables = np.broadcast_to(np.asarray(world.reference), (seeds, *world.reference.shape))
    played = []
    for length in lengths:
        played.append(_values(world, jnp.asarray(tables)))
        counts = _draw(rng, world, tables, int(length))
        tables = np.asarray(_supervised(world, log_linear(world), jnp.asarray(counts)))
    return Epochs(lengths, *np.stack(played, axis=2))


def online_preference(
    world: World,
    rounds: int,
    seeds: int,
    reference: str = "own",
    growth: float = PREFERENCE_GROWTH,
    first: int = 10,
    root_seed: Seed = 0,
) -> Epochs:
    """Preferences on all edits so far, the policy refitted at the end of each epoch (Eq. 4, link of scale 1).

    Args:
        world: whose user edits; its log-linear class is the one that is fitted.
        rounds: T.
        seeds: how many runs.
        reference: "own" takes log(pi / pi_t), pi_t the policy that produced the record's y: under balance its optimum
            is pi*.  "kept" takes log(pi / pi_ref) for every record, which is wrong as soon as pi_t is not pi_ref.
        growth, first: of the epochs.
        root_seed: of all draws.

    Raises:
        BadInput: an unknown reference, numbers out of range.
    """
    choose("reference", reference, REFERENCES)
    lengths = epoch_lengths(rounds, growth, first)
    rng = np.random.default_rng(_key(root_seed, 2))
    offsets = np.broadcast_to(np.log(np.asarray(world.reference)), (seeds, *world.reference.shape))
    kept, tables = offsets, np.exp(offsets)
    pairs = _Pairs.empty(seeds, world, len(lengths))
    played = []
    for epoch, length in enumerate(lengths):
        played.append(_values(world, jnp.asarray(tables)))
        counts = _draw(rng, world, tables, int(length))
        pairs = pairs.with_epoch(epoch, counts, np.log(tables) if reference == "own" else kept)
        tables = np.exp(np.asarray(_preferred(world, log_linear(world), pairs)))
    return Epochs(lengths, *np.stack(played, axis=2))


class _Pairs(NamedTuple):
    """Edits of every epoch, (S, E, X, A, A), and the log reference of each epoch, (S, E, X, A)."""

    counts: np.ndarray
    offsets: np.ndarray

    @staticmethod
    def empty(seeds: int, world: World, epochs: int) -> "_Pairs":
        shape = (seeds, epochs, world.contexts, world.responses)
        if np.prod(shape) * world.responses > 2e9:
            raise BadInput(f"epochs: {epochs} epochs x {seeds} seeds do not fit in memory; raise growth or lower seeds")
        return _Pairs(np.zeros((*shape, world.responses)), np.zeros(shape))

    def with_epoch(self, epoch: int, counts: np.ndarray, offsets: np.ndarray) -> "_Pairs":
        self.counts[:, epoch], self.offsets[:, epoch] = counts, np.where(np.isfinite(offsets), offsets, 0.0)
        return self


def _key(root_seed: Seed, purpose: int) -> list[int]:
    return [*root_seed, purpose] if isinstance(root_seed, list) else [root_seed, purpose]


def _draw(rng: np.random.Generator, world: World, tables: np.ndarray, length: int) -> np.ndarray:
    """Counts (S, X, A, A) of an epoch: x ~ rho, y ~ each seed's own policy, e ~ q."""
    law = np.asarray(world.context_probs)[:, None, None] * tables[..., None] * world.editor.dense()
    flat = law.reshape(len(tables), -1)
    drawn = rng.multinomial(length, flat / flat.sum(axis=1, keepdims=True))
    return drawn.reshape(law.shape).astype(float)


@jax.jit
def _values(world: World, tables: Array) -> Array:
    """SubOpt and J of each policy, (2, S)."""
    return jnp.stack([jax.vmap(world.suboptimality)(tables), jax.vmap(world.cost)(tables)])


@jax.jit
def _supervised(world: World, policies: LogLinear, counts: Array) -> Array:
    def one(counts: Array) -> Array:
        return jnp.exp(Supervision().fit(EditLog(counts, jnp.zeros_like(counts)), world, policies).log_policy)

    return jax.vmap(one)(counts)


@jax.jit
def _preferred(world: World, policies: LogLinear, pairs: _Pairs) -> Array:
    """The log-policy of each seed that minimises sum -log sigma(r(e) - r(y)), r = log pi less its epoch's offset."""

    def one(counts: Array, offsets: Array) -> Array:
        margins = offsets[:, :, None, :] - offsets[:, :, :, None]
        seen = counts * (1 - jnp.eye(counts.shape[-1]))
        n = jnp.sum(counts)

        def derivatives(log_policy: Array) -> Derivatives:
            difference = log_policy[:, None, :] - log_policy[:, :, None] - margins
            value = jnp.sum(seen * jax.nn.softplus(-difference)) / n
            pull = jnp.sum(seen * jax.nn.sigmoid(-difference), axis=0) / n
            bend = jnp.sum(seen * jax.nn.sigmoid(difference) * jax.nn.sigmoid(-difference), axis=0) / n
            gradient = jnp.sum(pull, axis=2) - jnp.sum(pull, axis=1)
            both = bend + jnp.swapaxes(bend, 1, 2)
            curvature = jnp.sum(both, axis=2)[:, :, None] * jnp.eye(both.shape[1]) - both
            return Derivatives(value, gradient, curvature)

        objective = Objective(lambda table: derivatives(table).value, derivatives)
        return policies.minimise(objective, jnp.asarray(RIDGE) / n).log_policy

    return jax.vmap(one)(jnp.asarray(pairs.counts), jnp.asarray(pairs.offsets))
