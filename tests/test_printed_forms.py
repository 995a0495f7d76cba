"""The paper's printed forms beside the right ones (docs/theory.md 8): each against its equation, each by its regime."""

import jax.numpy as jnp
import numpy as np
import pytest

import sim
from bounds import predict
from bounds.compare import joined
from sim import regimes
from sim.learners import Cost, Early
from sim.learners.cost import cost_list
from sim.policies import log_linear, mixture, policy_list

SMALL = {"attributes": 2, "contexts": 2, "strength": 0.6}


@pytest.fixture(scope="module")
def world() -> sim.World:
    return sim.world("attributes", **SMALL)


@pytest.fixture(scope="module")
def logs(world: sim.World) -> sim.Logs:
    return sim.sample(world, 200, 3)


def normalised(table: np.ndarray) -> np.ndarray:
    return table / table.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("radius", [0.0, 1.0])
def test_the_displayed_optimum_squares_the_reference(radius: float, world: sim.World, logs: sim.Logs) -> None:
    right, printed = (sim.fit(Cost(radius, optimum=form), logs, world) for form in ("tilted", "paper"))
    reference = np.asarray(world.reference)
    np.testing.assert_array_equal(printed.parameters, right.parameters)
    for s in range(3):
        # pi_ref exp(-f / beta) is the right form's policy, whatever f is; the display has pi_ref once more.
        expected = normalised(np.exp(right.log_policy[s]) * reference)
        np.testing.assert_allclose(np.exp(printed.log_policy[s]), expected, rtol=1e-10)


def test_its_limit_is_predicted(world: sim.World) -> None:
    reference, cost = np.asarray(world.reference), np.asarray(world.expected_cost)
    displayed = normalised(reference**2 * np.exp(-cost / float(world.temperature)))
    found = predict(Cost(optimum="paper"), world)
    assert (
        found.limit == pytest.approx(float(world.suboptimality(jnp.asarray(displayed))), rel=1e-8)
        and found.limit > 1e-5
    )


def worst_member(tables: np.ndarray, reference: np.ndarray, counts: np.ndarray, lam: float) -> int:
    """The member with the least sum of log sigma(r(e) - r(y)) + lam log pi(e), triple by triple."""
    values = np.zeros(len(tables))
    for (x, y, e), count in np.ndenumerate(counts):
        ratio = tables[:, x, e] - reference[x, e] - tables[:, x, y] + reference[x, y]
        preferred = -np.log1p(np.exp(-ratio)) if y != e else 0.0
        values += count * (preferred + lam * tables[:, x, e])
    return int(np.argmin(values))


@pytest.mark.parametrize("lam", [0.0, 0.3])
def test_likelihoods_minimised_pick_the_worst_member(lam: float, world: sim.World, logs: sim.Logs) -> None:
    policies = policy_list(world, 9)
    tables, reference = np.asarray(policies.log_policies), np.log(np.asarray(world.reference))
    found = sim.fit(Early(lam, objective="paper"), logs, world, policies)
    for s in range(3):
        worst = worst_member(tables, reference, logs.counts[s], lam)
        np.testing.assert_array_equal(found.log_policy[s], tables[worst])
    worst = worst_member(tables, reference, np.asarray(world.triple_law()), lam)
    limit = predict(Early(lam, objective="paper"), world, policies).limit
    assert limit == pytest.approx(float(world.suboptimality(jnp.exp(policies.log_policies[worst]))))


def test_the_unsquared_set_is_the_slow_one(world: sim.World, logs: sim.Logs) -> None:
    costs, distance = np.asarray(cost_list(world, 8)), np.asarray(world.distance)
    found = sim.fit(Cost(1.0, cost_class="list", size=8, confidence="paper"), logs, world)
    allowed = 2 * distance.max() ** 2 * np.log(8 / 0.05)
    for s in range(3):
        errors, sums = np.zeros(8), np.zeros((8, 8))
        for (x, y, e), count in np.ndenumerate(logs.counts[s]):
            errors += count * (distance[y, e] - costs[:, x, y]) ** 2
            sums += count * (costs[:, None, x, y] - costs[None, :, x, y])
        members = sums[:, int(errors.argmin())] <= allowed
        f_bar = costs[members].max(axis=0)
        expected = normalised(np.asarray(world.reference) * np.exp(-f_bar / float(world.temperature)))
        np.testing.assert_allclose(np.exp(found.log_policy[s]), expected, rtol=1e-9)
        gap = float(world.expect(world.optimal, jnp.asarray(f_bar) - world.expected_cost))
        assert found.notes["pessimism_gap"][s] == pytest.approx(gap, rel=1e-9, abs=1e-14)


CLAIMS = {
    "double-reference": ("optimum", ["n=[1000000]", "seeds=20", "world.temperature=[0.25, 1.0]"]),
    "likelihood-sign": ("objective", ["n=[1000]", "seeds=20"]),
    "unsquared-set": ("confidence", ["n=[1000000]", "seeds=20"]),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_each_regime_shows_its_claim(name: str) -> None:
    setting, smaller = CLAIMS[name]
    regime = regimes.load(name, smaller)
    table = joined(sim.run(regime), regime)
    axis = "temperature" if name == "double-reference" else "strength"
    assert table[axis].nunique() > 1
    for _, cell in table.groupby(axis):
        printed = cell.loc[cell[setting] == "paper", "suboptimality"]
        right = cell.loc[cell[setting].notna() & (cell[setting] != "paper"), "suboptimality"]
        # In more than ten standard errors of the difference, on 20 logs.
        assert len(printed) == len(right) == 20
        spread = np.hypot(printed.std(), right.std()) / np.sqrt(20)
        assert printed.mean() - right.mean() > 10 * spread
    bounds_of_printed = table.loc[table[setting] == "paper", [c for c in table if c.startswith("bound_")]]
    assert bounds_of_printed.isna().all(axis=None)


def test_what_cannot_be_is_refused(world: sim.World, logs: sim.Logs) -> None:
    with pytest.raises(sim.BadInput, match="version space"):
        Cost(1.0, confidence="paper")
    with pytest.raises(sim.BadInput, match="optimum"):
        Cost(optimum="papr")
    with pytest.raises(sim.BadInput, match="log-linear"):
        sim.fit(Cost(optimum="paper"), logs, world, mixture(world))
    with pytest.raises(sim.BadInput, match="over a list"):
        sim.fit(Early(objective="paper"), logs, world, log_linear(world))
    with pytest.raises(sim.BadInput, match="over a list"):
        predict(Early(objective="paper"), world)
    with pytest.raises(sim.BadInput, match="held-out"):
        Early.from_settings(lam="held-out", objective="paper")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["learners=['early']", "early.objective=paper", "early.lam=1.0"], "over a list"),
        (["learners=['edit-model']", "world.family=tabular", "world.responses=6"], "2^K responses"),
        (["learners=['cost']", "cost.optimum=paper", "policy.class=mixture"], "log-linear"),
    ],
)
def test_a_run_refuses_it_before_it_starts(settings: list[str], words: str, tmp_path) -> None:
    regime = regimes.load("link", ["n=[20]", "seeds=2", *settings])
    with pytest.raises(sim.BadInput) as refused:
        sim.run(regime, tmp_path / "out")
    assert words in str(refused.value)
    assert not (tmp_path / "out").exists()
