"""Coactive learning: the preference perceptron, for users whose edit only has to improve on the response."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sim import checks
from sim.policies import centred_regression
from sim.world import World


@dataclass(frozen=True)
class Coactive:
    """A run of the perceptron: average regret (1/t) sum U(y*) - U(y_t) at each recorded round, (S, R).

    `bound` (R,) is (1 / (alpha t)) sum of slacks + 2 R |w*| / (alpha sqrt t), for the expected regret.
    """

    rounds: np.ndarray
    regret: np.ndarray
    bound: np.ndarray


def informativeness(world: World, utility: Float[np.ndarray, "X A"]) -> float:
    """The largest alpha such that an edit gains, in mean, alpha of what there is to gain, in every context.

    alpha = min over x and y of E_q[U(e) - U(y)] / (max U - U(y)), over the y that are not best; it is negative where
    editing makes some response worse in mean, and 1 where there is nothing to gain.

    Source: Shivaswamy and Joachims (2015), expected alpha-informative feedback, without slack.
    """
    gain = np.einsum("xye,xe->xy", world.editor.dense(), utility) - utility
    missing = utility.max(axis=1, keepdims=True) - utility
    possible = missing > 1e-12 * np.abs(utility).max(initial=1e-300)
    return float(np.min(gain[possible] / missing[possible], initial=1.0))


def slacks(world: World, utility: Float[np.ndarray, "X A"], alpha: float) -> Float[np.ndarray, "X A"]:
    """What an edit misses of alpha times what there is to gain: xi(x, y) = (alpha (max U - U(y)) - E_q gain)_+."""
    gain = np.einsum("xye,xe->xy", world.editor.dense(), utility) - utility
    return np.maximum(alpha * (utility.max(axis=1, keepdims=True) - utility) - gain, 0.0)


def optimal_utility(world: World) -> Float[np.ndarray, " d"]:
    """The weights w* whose utility <w*, phi> is, in least squares and up to a constant per context, log pi*."""
    return np.linalg.lstsq(*centred_regression(world, np.asarray(world.optimal)), rcond=None)[0]


def preference_perceptron(
    world: World, weights: Float[np.ndarray, " d"], rounds: list[int], seeds: int, alpha: float, root_seed: int = 0
) -> Coactive:
    """w <- w + phi(x, e) - phi(x, y) after every edit, y the response with the largest <w, phi(x, y)>.

    The user's utility is U = <w*, phi>; how much her edits improve it is the world's (`informativeness`), and need
    not be its cost.

    Args:
        world: whose user edits; phi are its policy features.
        weights: w*, shape (d,).
        rounds: ascending rounds to record; the last is T.
        seeds: how many runs.
        alpha: in (0, 1]; the bound charges slack for what edits miss of it.
        root_seed: of all draws.

    Source: Shivaswamy and Joachims (2015), Algorithm 1 and Theorem 2.
    """
    alpha = checks.in_range("alpha", alpha, 1e-12, 1)
    at = np.asarray(rounds, int)
    phi = np.asarray(world.policy_features.table)
    utility = phi @ np.asarray(weights)
    keys = jax.random.split(jax.random.key(root_seed), seeds)
    missed = jnp.asarray(utility.max(axis=1, keepdims=True) - utility)
    edits = jnp.cumsum(jnp.asarray(world.editor.dense()), axis=2)
    regret, slack = _run(world, edits, missed, jnp.asarray(slacks(world, utility, alpha)), keys, jnp.asarray(at))
    radius = float(np.linalg.norm(phi, axis=2).max())
    bound = np.asarray(slack).mean(axis=0) / (alpha * at)
    bound = bound + 2 * radius * float(np.linalg.norm(weights)) / (alpha * np.sqrt(at))
    return Coactive(at, np.asarray(regret) / at, bound)


@jax.jit
def _run(world: World, edits: Array, missed: Array, slack: Array, keys: Array, at: Array) -> tuple[Array, Array]:
    phi = world.policy_features

    def one(key: Array) -> tuple[Array, Array]:
        def one_round(carry: tuple[Array, ...]) -> tuple[Array, ...]:
            t, weights, regret, slacked = carry
            draws = jax.random.uniform(jax.random.fold_in(key, t), (2,), float)
            x = jnp.searchsorted(jnp.cumsum(world.context_probs), draws[0], side="right")
            x = jnp.minimum(x, world.contexts - 1)
            y = jnp.argmax(phi.table[x] @ weights)
            e = jnp.minimum(jnp.searchsorted(edits[x, y], draws[1], side="right"), world.responses - 1)
            step = phi.table[x, e] - phi.table[x, y]
            return t + 1, weights + step, regret + missed[x, y], slacked + slack[x, y]

        def until(carry: tuple[Array, ...], end: Array) -> tuple[tuple[Array, ...], tuple[Array, Array]]:
            carry = jax.lax.while_loop(lambda c: c[0] < end, one_round, carry)
            return carry, (carry[2], carry[3])

        begin = (jnp.zeros((), int), jnp.zeros(phi.dimension), jnp.zeros(()), jnp.zeros(()))
        return jax.lax.scan(until, begin, at)[1]

    return jax.vmap(one)(keys)
