"""The rules against plain loops written from their papers: same draws, same choices."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sim
from sim.online import (
    KLUCB,
    RULES,
    UCB,
    DiscountedUCB,
    Exp3,
    ExploreThenCommit,
    Oracle,
    Rule,
    Session,
    SlidingWindowUCB,
    SuccessiveElimination,
    Tally,
    Thompson,
    Uniform,
)

ARMS, ROUNDS, C_MAX = 3, 150, 2.0
COSTS = np.random.default_rng(0).uniform(size=(ROUNDS, ARMS)) * [2.0, 1.2, 1.5]
"""What every arm would cost in every round."""


def played(rule: Rule, seed: int = 0, costs: np.ndarray = COSTS) -> list[int]:
    session = Session(rule, ARMS, C_MAX, seed)
    chosen = []
    for row in costs:
        chosen.append(session.choose())
        session.pay(float(row[chosen[-1]]))
    return chosen


def loop(pick: Callable[[int, list[list[float]], list[tuple[int, float]]], int]) -> list[int]:
    """Plays `pick(t, costs paid per arm, rounds so far)`, t from 1."""
    paid: list[list[float]] = [[] for _ in range(ARMS)]
    past: list[tuple[int, float]] = []
    for t, row in enumerate(COSTS, start=1):
        arm = pick(t, paid, past)
        paid[arm].append(float(row[arm]))
        past.append((arm, float(row[arm])))
    return [arm for arm, _ in past]


def first_least(values: list[float]) -> int:
    return min(range(len(values)), key=lambda k: (values[k], k))


@pytest.mark.parametrize("alpha", [0.0, 0.3, C_MAX * math.sqrt(2)])
def test_ucb_is_algorithm_1(alpha: float) -> None:
    def pick(t: int, paid: list[list[float]], past: list) -> int:
        if t <= ARMS:
            return t - 1
        return first_least([sum(p) / len(p) - alpha * math.sqrt(math.log(t) / len(p)) for p in paid])

    assert played(UCB(alpha)) == loop(pick)
    assert played(UCB(c_max=C_MAX)) == played(UCB(C_MAX * math.sqrt(2)))


def test_ties_go_to_the_first_arm() -> None:
    flat = np.ones((12, ARMS))
    assert played(UCB(1.0), costs=flat) == [0, 1, 2] * 4
    assert played(ExploreThenCommit(2), costs=flat) == [0, 1, 2, 0, 1, 2] + [0] * 6


def test_kl_ucb_is_its_definition() -> None:
    def kl(p: float, q: float) -> float:
        terms = [(p, q), (1 - p, 1 - q)]
        return sum(0.0 if a == 0 else math.inf if b == 0 else a * math.log(a / b) for a, b in terms)

    def index(costs: list[float], t: int) -> float:
        mean = sum(costs) / len(costs) / C_MAX
        low, high = 0.0, mean
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (low, middle) if len(costs) * kl(mean, middle) <= math.log(t) else (middle, high)
        return high

    assert played(KLUCB(C_MAX)) == loop(lambda t, paid, past: t - 1 if t <= ARMS else first_least(
        [index(p, t) for p in paid]))  # fmt: skip


def test_thompson_draws_normals() -> None:
    def pick(t: int, paid: list[list[float]], past: list) -> int:
        if t <= ARMS:
            return t - 1
        normal = np.asarray(jax.random.normal(jax.random.fold_in(jax.random.key(5), t - 1), (ARMS,), float))
        return first_least([sum(p) / len(p) + normal[k] * C_MAX / 2 / math.sqrt(len(p)) for k, p in enumerate(paid)])

    assert played(Thompson(c_max=C_MAX), seed=5) == loop(pick)
    assert played(Thompson(c_max=C_MAX), seed=5) != played(Thompson(c_max=C_MAX), seed=6)


@pytest.mark.parametrize("rate", [None, 0.2])
def test_exp3_weighs_by_probability(rate: float | None) -> None:
    losses = [0.0] * ARMS
    expected = []
    for t, row in enumerate(COSTS, start=1):
        eta = math.sqrt(math.log(ARMS) / (ARMS * t)) if rate is None else rate
        weights = np.exp(-eta * (np.array(losses) - min(losses)))
        odds = weights / weights.sum()
        key = jax.random.fold_in(jax.random.key(2), t - 1)
        arm = int(jax.random.categorical(key, jnp.log(jnp.asarray(odds))))
        losses[arm] += row[arm] / C_MAX / odds[arm]
        expected.append(arm)
    assert played(Exp3(rate, C_MAX), seed=2) == expected


def test_explore_then_commit_keeps_its_choice() -> None:
    def pick(t: int, paid: list[list[float]], past: list) -> int:
        if t <= 4 * ARMS:
            return (t - 1) % ARMS
        return first_least([sum(p[:4]) / 4 for p in paid])

    assert played(ExploreThenCommit(4)) == loop(pick)


def test_successive_elimination_drops_arms_for_good() -> None:
    active = set(range(ARMS))
    delta = 0.9

    def pick(t: int, paid: list[list[float]], past: list) -> int:
        if t > 1:
            radius = [
                C_MAX * math.sqrt(math.log(4 * ARMS * len(p) ** 2 / delta) / (2 * len(p))) if p else math.inf
                for p in paid
            ]
            means = [sum(p) / len(p) if p else 0.0 for p in paid]
            bar = min(means[k] + radius[k] for k in active)
            active.intersection_update({k for k in active if means[k] - radius[k] <= bar})
        return min(active, key=lambda k: (len(paid[k]), k))

    costs = COSTS.copy()
    costs[:, 0] = 2.0
    costs[:, 1] = 0.0
    slow_costs, globals()["COSTS"] = COSTS, costs
    try:
        expected = loop(pick)
    finally:
        globals()["COSTS"] = slow_costs
    found = played(SuccessiveElimination(delta, C_MAX), costs=costs)
    assert found == expected and found[-1] != 0 and 0 in found


def test_discounted_ucb_forgets() -> None:
    discount, alpha = 0.9, 0.4

    def pick(t: int, paid: list[list[float]], past: list[tuple[int, float]]) -> int:
        if t <= ARMS:
            return t - 1
        weights = [discount ** (len(past) - 1 - i) for i in range(len(past))]
        plays = [sum(w for w, (arm, _) in zip(weights, past, strict=True) if arm == k) for k in range(ARMS)]
        sums = [sum(w * c for w, (arm, c) in zip(weights, past, strict=True) if arm == k) for k in range(ARMS)]
        bonus = alpha * math.sqrt(math.log(max(sum(plays), 1.0)))
        return first_least([s / n - bonus / math.sqrt(n) for s, n in zip(sums, plays, strict=True)])

    assert played(DiscountedUCB(discount, alpha)) == loop(pick)


def test_sliding_window_ucb_sees_its_window_only() -> None:
    window, alpha = 11, 0.4

    def pick(t: int, paid: list[list[float]], past: list[tuple[int, float]]) -> int:
        seen = [[c for arm, c in past[-window:] if arm == k] for k in range(ARMS)]
        lost = [k for k in range(ARMS) if not seen[k]]
        if lost:
            return lost[0]
        log = math.log(min(t - 1, window))
        return first_least([sum(p) / len(p) - alpha * math.sqrt(log / len(p)) for p in seen])

    assert played(SlidingWindowUCB(window, alpha)) == loop(pick)


def test_uniform_is_uniform_and_the_oracle_knows() -> None:
    counts = np.bincount([arm for seed in range(30) for arm in played(Uniform(), seed)], minlength=ARMS)
    expected = 30 * ROUNDS / ARMS
    assert np.all(np.abs(counts - expected) < 4.5 * np.sqrt(expected * (1 - 1 / ARMS)))
    assert set(played(Oracle(jnp.asarray([0.4, 0.1, 0.3])))) == {1}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_diagnostics_are_a_law_that_gives_the_arm(rule: type[Rule]) -> None:
    session = Session(rule(), ARMS, 1.0)
    for _ in range(20):
        arm = session.choose()
        assert session.diagnostics is not None
        law = np.asarray(session.diagnostics.probabilities)
        assert law.sum() == pytest.approx(1) and law[arm] > 0
        session.pay(0.5)


def test_a_warm_start_is_plays_and_costs() -> None:
    prior = Tally(jnp.asarray([4.0, 1e-3, 2.0]), jnp.asarray([4.0, 0.0, 0.2]), jnp.zeros((), int))
    session = Session(UCB(0.0), ARMS, C_MAX, prior=prior)
    assert session.choose() == 1
    session.pay(2.0)
    assert session.choose() == 2


def test_nothing_is_learned_from_a_skipped_round() -> None:
    session = Session(UCB(0.0), 2, 1.0)
    assert session.choose() == 0
    session.skip()
    # The first arm is still untried; its round is over.
    assert session.round == 1 and not session.waiting and session.choose() == 0
    session.pay(0.5)
    assert session.choose() == 1
    drawn = Session(Uniform(), 2, 1.0)
    arms = set()
    for _ in range(20):
        arms.add(drawn.choose())
        drawn.skip()
    assert arms == {0, 1}
    with pytest.raises(sim.BadInput, match="nothing to skip"):
        drawn.skip()


def test_a_session_refuses_and_names_round_and_arm() -> None:
    session = Session(UCB(), 2, 1.0)
    with pytest.raises(sim.BadInput, match="nothing to pay for"):
        session.pay(0.5)
    session.choose()
    with pytest.raises(sim.BadInput, match="round 1: arm 0 was chosen"):
        session.choose()
    for cost in (math.nan, -0.1, 1.5, math.inf):
        with pytest.raises(sim.BadInput, match=r"round 1, arm 0: expected a cost in \[0, 1\]"):
            session.pay(cost)
    session.pay(1.0)
    assert session.choose() == 1 and session.round == 1
    with pytest.raises(sim.BadInput, match="at least one policy"):
        Session(UCB(), 0, 1.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: UCB(-0.1),
        lambda: UCB(math.nan),
        lambda: UCB(c_max=0.0),
        lambda: KLUCB(-1.0),
        lambda: Thompson(0.0),
        lambda: Exp3(-1.0),
        lambda: ExploreThenCommit(0),
        lambda: SuccessiveElimination(1.0),
        lambda: DiscountedUCB(0.0),
        lambda: SlidingWindowUCB(0),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[], Rule]) -> None:
    with pytest.raises(sim.BadInput, match="expected"):
        make()
