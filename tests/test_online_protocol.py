"""Protocol 1, late ensembling and the regret bound: exact truths, the declared law, and a plain loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import sim
from bounds.regret import informative_from, ucb_regret
from sim.learners import Cost
from sim.online import (
    UCB,
    ExploreThenCommit,
    Oracle,
    Rule,
    Session,
    Tally,
    Thompson,
    Uniform,
    arms,
    edited_by,
    play,
    protocol,
    train,
    warm_start,
)

WORLD = {"attributes": 2, "contexts": 2}


@pytest.fixture(scope="module")
def world() -> sim.World:
    return sim.world("attributes", strength=0.4, **WORLD)


@pytest.fixture(scope="module")
def tester() -> sim.World:
    return sim.world("attributes", strength=0.9, user={"other_optimum": 0.4}, **WORLD)


@pytest.fixture(scope="module")
def policies(world: sim.World) -> jax.Array:
    return jnp.stack([world.reference, world.edited(world.reference), world.optimal])


def test_the_test_user_brings_kernel_and_distance_only(world: sim.World, tester: sim.World) -> None:
    test = edited_by(world, tester)
    np.testing.assert_allclose(test.reference, world.reference, rtol=1e-14)
    np.testing.assert_array_equal(test.editor.dense(), tester.editor.dense())
    cost = np.einsum("xye,ye->xy", tester.editor.dense(), np.asarray(tester.distance))
    tilted = np.asarray(world.reference) * np.exp(-cost / float(world.temperature))
    np.testing.assert_allclose(test.optimal, tilted / tilted.sum(axis=1, keepdims=True), rtol=1e-12)


def test_the_law_of_the_cost_is_exact(world: sim.World, tester: sim.World, policies: jax.Array) -> None:
    test = edited_by(world, tester)
    found = arms(test, policies)
    for k, policy in enumerate(np.asarray(policies)):
        law = dict.fromkeys(np.asarray(found.costs).tolist(), 0.0)
        for (x, y, e), q in np.ndenumerate(test.editor.dense()):
            law[float(test.distance[y, e])] += float(test.context_probs[x]) * policy[x, y] * q
        np.testing.assert_allclose(found.cumulative[0, k], np.cumsum(list(law.values())), rtol=1e-12)
        mean = sum(cost * p for cost, p in law.items())
        assert float(found.expected[0, k]) == pytest.approx(mean) == float(test.cost(jnp.asarray(policy)))
        assert float(found.suboptimality[0, k]) == pytest.approx(float(test.suboptimality(jnp.asarray(policy))))


@pytest.mark.parametrize("root_seed", [3, 4])
def test_what_is_paid_has_the_declared_law(root_seed: int, tester: sim.World, policies: jax.Array) -> None:
    found = arms(tester, policies)
    history = play(Oracle(jnp.asarray([1.0, 0.0, 1.0])), found, 30, 400, root_seed)
    paid = np.diff(history.paid, axis=1, prepend=0.0).ravel()
    law = np.diff(np.asarray(found.cumulative[0, 1]), prepend=0.0)
    counts = [np.isclose(paid, cost, atol=1e-9).sum() for cost in np.asarray(found.costs)]
    assert sum(counts) == 12_000
    assert stats.chisquare(counts, 12_000 * law).pvalue > 1e-4


@pytest.mark.parametrize("rule", [UCB(0.3, 9.0), Thompson(0.4, 9.0), ExploreThenCommit(3)], ids=lambda rule: rule.name)
def test_the_loop_is_a_plain_loop(rule: Rule, world: sim.World, tester: sim.World, policies: jax.Array) -> None:
    found = arms([world, tester], policies, begins=(0, 25))
    history = play(rule, found, 60, [7])
    key, state = jax.random.fold_in(jax.random.key(0), 7), rule.start(3)
    chosen, paid, regret = [], 0.0, 0.0
    for t in range(60):
        for_rule, for_world = jax.random.split(jax.random.fold_in(key, t))
        arm = int(rule.choose(state, for_rule)[0])
        phase = 0 if t < 25 else 1
        draw = float(jax.random.uniform(for_world, (), float))
        place = np.searchsorted(np.asarray(found.cumulative)[phase, arm], draw, side="right")
        state = rule.update(state, jnp.asarray(arm), found.costs[place])
        chosen.append(arm)
        paid += float(found.costs[place])
        expected = np.asarray(found.expected)[phase]
        regret += expected[arm] - expected.min()
    assert np.diff(history.plays[0], axis=0, prepend=0).argmax(axis=1).tolist() == chosen
    assert history.paid[0, -1] == pytest.approx(paid) and history.regret[0, -1] == pytest.approx(regret)
    assert set(chosen) == {0, 1, 2}


def test_recorded_rounds_do_not_change_what_happens(tester: sim.World, policies: jax.Array) -> None:
    found = arms(tester, policies)
    every, some = play(UCB(0.5, 9.0), found, 50, 5), play(UCB(0.5, 9.0), found, [3, 17, 50], 5)
    for name in ("plays", "paid", "expected", "suboptimality", "regret"):
        np.testing.assert_array_equal(getattr(every, name)[:, [2, 16, 49]], getattr(some, name))
    alone = play(UCB(0.5, 9.0), found, 50, [3])
    np.testing.assert_array_equal(every.plays[3], alone.plays[0])


def test_lanes_are_lists_of_their_own(tester: sim.World, policies: jax.Array) -> None:
    both = jnp.stack([policies, policies[::-1]])
    history = play(Uniform(), arms(tester, both), 40, 2)
    for lane, order in enumerate((policies, policies[::-1])):
        alone = play(Uniform(), arms(tester, order), 40, [lane])
        np.testing.assert_allclose(history.expected[lane], alone.expected[0], rtol=1e-12)


def test_settings_sizes_and_worlds_of_one_shape_share_a_compilation(world, tester, policies) -> None:
    play(UCB(0.5, 9.0), arms(tester, policies), 21, 3)
    before = protocol._play._cache_size()
    for alpha in (0.1, 2.0):
        play(UCB(alpha, 9.0), arms(edited_by(world, tester), policies), 21, 3, root_seed=2)
    assert protocol._play._cache_size() == before


def test_one_arm_and_one_round(tester: sim.World, policies: jax.Array) -> None:
    history = play(UCB(c_max=9.0), arms(tester, policies[:1]), 1, 2)
    assert history.plays.tolist() == [[[1.0]], [[1.0]]] and (history.regret == 0).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda t, p: play(UCB(c_max=9.0), arms(t, p), 2), "at least one per arm"),
        (lambda t, p: play(UCB(c_max=9.0), arms(t, p), [5, 4]), "ascending"),
        (lambda t, p: play(UCB(c_max=0.1), arms(t, p), 9), "ucb.c_max: expected at least"),
        (lambda t, p: play(UCB(c_max=9.0), arms(t, p[None]), 9, 2), "one lane per seed"),
        (lambda t, p: arms(t, p[:0]), "at least one"),
        (lambda t, p: arms(t, p[:, :1]), "contexts x"),
        (lambda t, p: arms([t, t], p, (0, 0)), "ascending round per phase"),
        (lambda t, p: arms([t, t], p), "ascending round per phase"),
    ],
)
def test_bad_input_is_refused(call, words: str, tester: sim.World, policies: jax.Array) -> None:
    with pytest.raises(sim.BadInput, match=words):
        call(tester, policies)


# Late ensembling


def test_the_list_is_the_learners_policies(world: sim.World) -> None:
    logs = sim.sample(world, 100, 4)
    found = train(logs, world, {"a": Cost(), "b": Cost(1.0)})
    assert found.names == ("a", "b") and found.policies.shape == (4, 2, 2, 4)
    np.testing.assert_allclose(found.policies[:, 1], np.exp(sim.fit(Cost(1.0), logs, world).log_policy), rtol=1e-12)
    assert train(logs, world).names == ("sup", "pref", "cost", "early") and found.not_ok == 0


def test_a_warm_start_knows_what_the_log_knows(world: sim.World) -> None:
    logs = sim.sample(world, 20_000, 3)
    policies = jnp.broadcast_to(jnp.stack([world.reference, world.optimal]), (3, 2, 2, 4))
    found = warm_start(logs, world, policies, 0.7)
    expected = [float(world.cost(world.reference)), float(world.cost(world.optimal))]
    np.testing.assert_allclose(found.means, [expected] * 3, rtol=0.05)
    psi = np.asarray(world.cost_features.table)
    for s in range(3):
        gram = np.einsum("xy,xyd,xyf->df", logs.counts[s].sum(axis=2), psi, psi) + Cost().ridge * np.eye(psi.shape[2])
        of_optimal = np.einsum("x,xy,xyd->d", world.context_probs, world.optimal, psi)
        weights = np.linalg.solve(gram, np.einsum("xye,ye,xyd->d", logs.counts[s], world.distance, psi))
        residual = np.asarray(world.distance)[None] - (psi @ weights)[:, :, None]
        noise = (logs.counts[s] * residual**2).sum() / 20_000
        variance = noise * (of_optimal @ np.linalg.solve(gram, of_optimal))
        assert found.plays[s, 1] == pytest.approx(0.7 / variance, rel=1e-8)
    history = play(UCB(0.0, 9.0), arms(world, policies), 20, 3, prior=found)
    assert history.plays[:, -1].tolist() == [[0.0, 20.0]] * 3


@pytest.mark.parametrize("root_seed", [0, 1])
def test_a_warm_start_is_as_sure_as_it_says(root_seed: int) -> None:
    # A weak user's log: rare and large costs, many times as noisy as a strong user's plays.
    world = sim.world("attributes", strength=0.1, **WORLD)
    logs = sim.sample(world, 3000, 300, root_seed)
    policies = jnp.broadcast_to(jnp.stack([world.reference, world.optimal]), (300, 2, 2, 4))
    found = warm_start(logs, world, policies, 1.0)
    expected = np.array([float(world.cost(world.reference)), float(world.cost(world.optimal))])
    # (mean - J) sqrt(N) has the variance of a play.
    apart = (np.asarray(found.means) - expected) * np.sqrt(np.asarray(found.plays))
    for values in apart.T:
        assert 0.75 < np.mean(values**2) < 1.3
        assert abs(values.mean()) < 4.5 / np.sqrt(300)


def test_sessions_and_the_loop_are_one_rule(tester: sim.World, policies: jax.Array) -> None:
    session = Session(UCB(0.0, 9.0), 3, 9.0, prior=Tally(jnp.ones(3), jnp.asarray([3.0, 1.0, 2.0]), jnp.zeros((), int)))
    assert session.choose() == 1


# The bound


@pytest.mark.parametrize("rounds", [4, 200, 1e5, 1e12])
def test_the_bound_is_the_written_one(rounds: float) -> None:
    gaps, c_max = np.array([0.0, 0.2, 0.05, 0.0]), 1.5
    of_gaps = sum(8 * c_max**2 * np.log(rounds) / gap + (1 + np.pi**2 / 3) * gap for gap in (0.2, 0.05))
    of_arms = 4 * np.sqrt(2) * c_max * np.sqrt(4 * rounds * np.log(rounds)) + (1 + np.pi**2 / 3) * 0.25
    assert ucb_regret(gaps, rounds, c_max) == pytest.approx(min(of_gaps, of_arms))


def test_it_says_something_from_a_round_on() -> None:
    gaps = np.array([0.0, 0.3, 0.1])
    first = informative_from(gaps, 1.0)
    assert first is not None and 200 < first < 1e5
    assert ucb_regret(gaps, first, 1.0) < 0.3 * first and ucb_regret(gaps, first - 1, 1.0) >= 0.3 * (first - 1)
    assert informative_from(np.zeros(3), 1.0) is None
    with pytest.raises(sim.BadInput, match="at least one per arm"):
        ucb_regret(gaps, 2, 1.0)
    with pytest.raises(sim.BadInput, match="below 0"):
        ucb_regret(-gaps, 20, 1.0)


@pytest.mark.parametrize("root_seed", [0, 1])
def test_measured_regret_is_below_the_bound_and_grows_as_its_logarithm(root_seed: int) -> None:
    world = sim.world("attributes", strength=1.0, **WORLD)
    # The best and the worst response of each context, and a mixture: gaps that 100,000 rounds can tell apart.
    best, worst = (jax.nn.softmax(sign * 1e3 * world.expected_cost, axis=1) for sign in (-1, 1))
    found = arms(world, jnp.stack([worst, best, 0.5 * (best + worst)]))
    c_max = float(found.costs[-1])
    gaps = np.asarray(found.expected[0] - found.expected[0].min())
    rounds = np.unique(np.geomspace(10, 1e5, 13).astype(int))
    history = play(UCB(c_max=c_max), found, rounds, 100, root_seed)
    mean = history.regret.mean(axis=0)
    for n, measured in zip(rounds, mean, strict=True):
        assert measured < min(ucb_regret(gaps, float(n), c_max), n * gaps.max())
    # Late enough, each decade adds about the same: a line in log T, far below a power of T.
    late = rounds >= 3000
    slope, curve = (np.polyfit(np.log(rounds[late]), y, 1)[0] for y in (mean[late], np.log(mean[late])))
    assert slope > 0 and curve < 0.45
