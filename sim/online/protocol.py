"""Protocol 1 as one compiled loop over rounds, batched over seeds and lists of policies.

A round draws a context, the chosen policy's response, the user's edit, and pays its distance.  A rule sees the cost
alone, so a round is one draw from the law of the cost under the chosen policy, which is exact and far smaller than
the table of triples.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from sim.errors import BadInput
from sim.online.contract import Rule, Tally
from sim.world import World


class Arms(NamedTuple):
    """The policies to choose from as their laws of cost, for a test user that may drift in P phases.

    A leading axis of lanes gives every seed its own list of policies.

    Fields:
        costs: the values that a cost can have, ascending, shape (C,).
        cumulative: `cumulative[p, k, c]` is the probability under arm k in phase p of a cost of at most `costs[c]`.
        expected: J of each arm in each phase, shape (P, K), of the test user, as are the next two.
        suboptimality: SubOpt (Eq. 2), shape (P, K).
        regularised: J_beta (Eq. 1), shape (P, K).
        begins: the round with which each phase begins, the first with 0, shape (P,).
    """

    costs: Float[Array, " C"]
    cumulative: Float[Array, "*lanes P K C"]
    expected: Float[Array, "*lanes P K"]
    suboptimality: Float[Array, "*lanes P K"]
    regularised: Float[Array, "*lanes P K"]
    begins: Int[Array, " P"]


class History(NamedTuple):
    """What happened until each recorded round, summed from the first, of shape (S, R) unless said.

    Fields:
        rounds: the recorded rounds, shape (R,).
        arm: the one that was played in the recorded round itself.
        plays: of each arm, shape (S, R, K).
        paid: the realised cost.
        expected: the sum of J of the arms played.
        suboptimality: the sum of SubOpt (Eq. 2).
        regularised: the sum of J_beta (Eq. 1).
        regret: the sum of J less the best arm's J of the same round.
    """

    rounds: np.ndarray
    arm: np.ndarray
    plays: np.ndarray
    paid: np.ndarray
    expected: np.ndarray
    suboptimality: np.ndarray
    regularised: np.ndarray
    regret: np.ndarray


class _Sums(NamedTuple):
    arm: Array
    plays: Array
    paid: Array
    expected: Array
    suboptimality: Array
    regularised: Array
    regret: Array


def arms(users: World | Sequence[World], policies: Float[Array, "*lanes K X A"], begins: Sequence[int] = (0,)) -> Arms:
    """The arms of a list of policies against a test user, or against several in turn.

    Args:
        users: the test user's world (of the same pi_ref and beta as the log's), one per phase.
        policies: the list, probabilities (K, X, A), with leading lanes or not.
        begins: the round, counted from 0, with which each phase begins.

    Raises:
        BadInput: an empty list, phases that do not begin at 0 or do not ascend, worlds of other shapes.
    """
    users = [users] if isinstance(users, World) else list(users)
    _check(users, policies, begins)
    costs = np.unique(np.concatenate([np.asarray(user.distance).ravel() for user in users]))
    laws = [_cost_law(user, policies, costs) for user in users]
    cumulative = jnp.cumsum(jnp.stack([law for law, *_ in laws], axis=-3), axis=-1)
    values = (jnp.stack(phases, axis=-2) for phases in zip(*(of_user for _, *of_user in laws), strict=True))
    expected, suboptimality, regularised = values
    last = cumulative[..., -1:]
    return Arms(jnp.asarray(costs), cumulative / last, expected, suboptimality, regularised, jnp.asarray(begins))


def among(arms: Arms, chosen: Sequence[int]) -> Arms:
    """The same user and rounds with some of the policies only."""
    k = jnp.asarray(list(chosen), int)
    return arms._replace(
        cumulative=arms.cumulative[..., k, :],
        expected=arms.expected[..., k],
        suboptimality=arms.suboptimality[..., k],
        regularised=arms.regularised[..., k],
    )


def summed(arms: Arms, values: Float[Array, "*lanes P"], rounds: np.ndarray) -> np.ndarray:
    """The sum over rounds of a number per phase, up to each of the rounds: shape (*lanes, R)."""
    begins = np.asarray(arms.begins)
    ends = np.append(begins[1:], np.iinfo(int).max)
    within = np.clip(rounds[None], begins[:, None], ends[:, None]) - begins[:, None]
    return np.asarray(values) @ within


def _check(users: list[World], policies: Array, begins: Sequence[int]) -> None:
    if policies.ndim < 3 or policies.shape[-3] == 0:
        raise BadInput(f"policies: expected at least one, as (K, X, A), got shape {tuple(policies.shape)}")
    for user in users:
        if (user.contexts, user.responses) != policies.shape[-2:]:
            raise BadInput(
                f"policies: expected {user.contexts} contexts x {user.responses} responses as in the test user's world,"
                f" got {policies.shape[-2]} x {policies.shape[-1]}"
            )
    starts = list(begins)
    if len(starts) != len(users) or starts[0] != 0 or any(b <= a for a, b in pairwise(starts)):
        raise BadInput(f"begins: expected an ascending round per phase, the first 0, for {len(users)}, got {starts}")


def _cost_law(user: World, policies: Array, costs: np.ndarray) -> tuple[Array, ...]:
    """P(cost = c) of each policy, its J, its SubOpt and its J_beta."""
    place = np.searchsorted(costs, np.asarray(user.distance))
    indicator = jnp.asarray(place[..., None] == np.arange(len(costs)), float)
    return _of_policies(user, policies, jnp.einsum("xye,yec->xyc", user.editor.dense(), indicator))


@jax.jit
def _of_policies(user: World, policies: Array, of_response: Array) -> tuple[Array, ...]:
    law = jnp.einsum("x,...kxy,xyc->...kc", user.context_probs, policies, of_response)
    flat = policies.reshape(-1, *policies.shape[-2:])
    values = (jax.vmap(of)(flat) for of in (user.cost, user.suboptimality, user.regularised_cost))
    return law, *(value.reshape(policies.shape[:-2]) for value in values)


def play(
    rule: Rule,
    arms: Arms,
    rounds: int | Sequence[int] | np.ndarray,
    seeds: int | Sequence[int] = 1,
    root_seed: int = 0,
    prior: Tally | None = None,
) -> History:
    """Play a rule for T rounds, once per seed.

    Args:
        rule: any `Rule`.
        arms: the policies and the test user; with lanes, one per seed.
        rounds: T, recording every round; or the ascending rounds to record, the last of which is T.
        seeds: how many, or which; the draws are a function of seed and root seed alone, so that rules are compared
            on the same draws.
        root_seed: of all draws.
        prior: the rule's warm start, one per seed (leading axis).

    Raises:
        BadInput: fewer rounds than arms, rounds that do not ascend, lanes that do not fit the seeds, a rule whose
            declared c_max is below what the test user may cost.
    """
    at = np.arange(1, rounds + 1) if isinstance(rounds, int) else np.asarray(rounds, int)
    chosen = np.arange(seeds) if isinstance(seeds, int) else np.asarray(seeds, int)
    count = arms.expected.shape[-1]
    if len(at) == 0 or at[0] < 1 or np.any(np.diff(at) <= 0) or at[-1] < count:
        raise BadInput(f"rounds: expected ascending rounds and at least one per arm ({count}), got {_shown(at)}")
    laned = arms.expected.ndim == 3
    if laned and arms.expected.shape[0] != len(chosen):
        raise BadInput(f"arms: expected one lane per seed ({len(chosen)}), got {arms.expected.shape[0]}")
    _check_range(rule, arms)
    root = jax.random.key(root_seed)
    keys = jax.vmap(lambda seed: jax.random.fold_in(root, seed))(jnp.asarray(chosen))
    sums = _play(rule, arms, keys, jnp.asarray(at), prior)
    return History(at, *(np.asarray(part) for part in sums))


def _check_range(rule: Rule, arms: Arms) -> None:
    declared, most = getattr(rule, "c_max", None), float(arms.costs[-1])
    if declared is not None and float(declared) < most * (1 - 1e-12):
        raise BadInput(f"{rule.name}.c_max: expected at least the test user's largest cost {most:g}, got {declared:g}")


def _shown(at: np.ndarray) -> str:
    return f"{at.tolist()}" if len(at) <= 6 else f"{len(at)} rounds from {at[0]} to {at[-1]}"


@jax.jit
def _play(rule: Rule, arms: Arms, keys: Array, at: Array, prior: Tally | None) -> _Sums:
    lanes = 0 if arms.expected.ndim == 3 else None
    axes = Arms(None, lanes, lanes, lanes, lanes, None)  # type: ignore[arg-type]
    return jax.vmap(_one, in_axes=(None, axes, 0, None, None if prior is None else 0))(rule, arms, keys, at, prior)


def _one(rule: Rule, arms: Arms, key: Array, at: Array, prior: Tally | None) -> _Sums:
    """One seed: the sums at each recorded round."""
    count = arms.expected.shape[-1]
    best = jnp.min(arms.expected, axis=-1)

    def one_round(carry: tuple[Array, object, _Sums]) -> tuple[Array, object, _Sums]:
        t, state, sums = carry
        for_rule, for_world = jax.random.split(jax.random.fold_in(key, t))
        arm, _ = rule.choose(state, for_rule)
        phase = jnp.searchsorted(arms.begins, t, side="right") - 1
        drawn = jnp.searchsorted(arms.cumulative[phase, arm], jax.random.uniform(for_world, (), float), side="right")
        cost = arms.costs[jnp.minimum(drawn, len(arms.costs) - 1)]
        expected = arms.expected[phase, arm]
        sums = _Sums(
            arm,
            sums.plays.at[arm].add(1.0),
            sums.paid + cost,
            sums.expected + expected,
            sums.suboptimality + arms.suboptimality[phase, arm],
            sums.regularised + arms.regularised[phase, arm],
            sums.regret + (expected - best[phase]),
        )
        return t + 1, rule.update(state, arm, cost), sums

    def until(carry: tuple[Array, object, _Sums], end: Array) -> tuple[tuple[Array, object, _Sums], _Sums]:
        carry = jax.lax.while_loop(lambda c: c[0] < end, one_round, carry)
        return carry, carry[2]

    zero = jnp.zeros(())
    nothing = _Sums(jnp.zeros((), int), jnp.zeros(count), zero, zero, zero, zero, zero)
    return jax.lax.scan(until, (jnp.zeros((), int), rule.start(count, prior), nothing), at)[1]
