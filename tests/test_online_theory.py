"""Theory beside the rows of an online phase: bounds at every round, how regret grows, predictions without a log."""

import numpy as np
import pandas as pd
import pytest

import sim
from bounds import online as theory
from bounds.contraction import second_eigenvalue
from bounds.regret import online_preference_slope, self_training_slope, ucb_regret
from sim import regimes
from sim.online.gaps import kinds_of, max_gaps
from sim.online.self_training import epoch_lengths
from sim.online.tables import picks_among_policies

ROUNDS = np.unique(np.round(np.geomspace(1, 1e5, 40)).astype(int))


def test_growth_tells_logarithms_from_powers() -> None:
    slope, fit, exponent, shape = theory.growth(ROUNDS, 3.0 + 7.0 * np.log(ROUNDS))
    assert slope == pytest.approx(7.0) and fit == pytest.approx(1.0) and exponent < 0.2 and shape == "log T"
    assert theory.growth(ROUNDS, 2.0 + np.log(ROUNDS) ** 2).shape == "log^2 T"
    for power in (0.2, 0.6):
        _, fit, exponent, shape = theory.growth(ROUNDS, 2.0 * ROUNDS**power)
        assert exponent == pytest.approx(power) and fit < 0.99 and shape == f"T^{power:.2f}"
    assert np.isnan(theory.growth(ROUNDS, 0.0 * ROUNDS)[:3]).all()
    assert np.isnan(theory.growth(np.array([1, 2, 3, 4, 5]), np.arange(1.0, 6.0))[:3]).all()


@pytest.mark.parametrize(("strength", "attributes", "temperature"), [(0.5, 4, 0.5), (0.2, 3, 0.3), (1.0, 1, 2.0)])
def test_the_slope_of_online_preferences_in_attribute_worlds(strength, attributes, temperature) -> None:
    world = sim.world("attributes", strength=strength, attributes=attributes, temperature=temperature, contexts=2)
    assert online_preference_slope(world) == pytest.approx(temperature * 2 * attributes / strength, rel=1e-9)
    assert online_preference_slope(world, 1.3) == pytest.approx(
        temperature * 2 * attributes / strength * 0.3 / np.log(1.3)
    )


@pytest.mark.parametrize("growth", [1.5, 2.0, 3.0])
def test_the_slope_of_self_training_is_that_of_the_recursion(growth: float) -> None:
    world = sim.world("attributes", strength=0.5)
    eta, step = float(second_eigenvalue(world).max()) ** 2, 0.5 * 12 / 2
    lengths = epoch_lengths(10**15, growth)[:-1]
    error, regret = 0.0, []
    for length in lengths:
        regret.append(length * error)
        error = eta * error + step / length
    late = len(lengths) - 5
    slope = np.polyfit(np.log(np.cumsum(lengths))[late:], np.cumsum(regret)[late:], 1)[0]
    assert self_training_slope(world, growth) == pytest.approx(slope, rel=2e-3)
    assert np.isnan(self_training_slope(world, 4.1)) and np.isnan(self_training_slope(world, 1.0))


@pytest.fixture(scope="module")
def regime(tmp_path_factory: pytest.TempPathFactory) -> regimes.Regime:
    path = tmp_path_factory.mktemp("regime") / "theory.toml"
    path.write_text(
        'n = [300]\nseeds = 6\nlearners = ["reference", "sup", "pref"]\n[world]\nfamily = "attributes"\n'
        "attributes = 2\nstrength = [0.1, 0.5]\n[test_user]\nstrength = 1.0\n"
        '[online]\nrounds = 3000\nrules = ["ucb", "self-training", "online-preference"]\nalpha = [0.1, "theory"]\n'
        'reference = ["own", "kept"]\n'
    )
    return regimes.load(str(path))


@pytest.fixture(scope="module")
def online(regime: regimes.Regime) -> pd.DataFrame:
    return sim.run_online(regime)


def test_the_bound_is_the_mean_over_logs_of_the_written_one(online: pd.DataFrame) -> None:
    found = theory.regret(online)
    own = online[(online["setting"] == "strength = 0.1") & (online["round"] == 1)]
    cost = own[own["method"].isin(["sup", "pref"])].pivot(index="seed", columns="method", values="expected_cost")
    gaps = (cost.to_numpy() - cost.to_numpy().min(axis=1, keepdims=True)).tolist()
    rows = found[(found["setting"] == "strength = 0.1") & (found["method"] == "late (alpha theory)")]
    for row in rows.to_dict("records"):
        t = row["round"]
        written = [ucb_regret(np.array(gap), t, 2.0) if t >= 2 else np.inf for gap in gaps]
        assert row["bound"] == pytest.approx(np.mean(written))
        assert row["least"] == pytest.approx(np.mean([min(b, t * max(g)) for b, g in zip(written, gaps, strict=True)]))
        assert row["trivial"] == pytest.approx(t * np.mean([max(gap) for gap in gaps]))
    assert found.loc[found["method"] == "late (alpha 0.1)", "bound"].isna().all()
    assert found.loc[found["alone"], "method"].unique().tolist() == ["reference", "sup", "pref"]


def test_verdicts_name_what_is_predicted(online: pd.DataFrame, regime: regimes.Regime) -> None:
    found = theory.verdicts(theory.regret(online), regime).set_index(["setting", "method"])
    assert (found["violations"] == 0).all() and not {"sup", "reference"} & set(found.index.get_level_values(1))
    assert found.loc[("strength = 0.5", "self-training"), "predicted_exponent"] == 0.0
    assert found.loc[("strength = 0.5", "online-preference (reference kept)"), "predicted_exponent"] == 1.0
    # The test user's strength is 1, so that the log's does not matter to those who learn without it.
    slope = 0.5 * 6 / 1.0 * 0.3 / np.log(1.3)
    assert found.loc[("strength = 0.1", "online-preference (reference own)"), "predicted_slope"] == pytest.approx(slope)
    text = theory.readable(found.reset_index(), 3000)
    assert "late (alpha theory): mean regret below its bound at every round in 2 of 2 settings" in text
    broken = theory.regret(online).assign(regret=lambda rows: rows["least"] * 1.01)
    assert "in 0 of 2 settings" in theory.readable(theory.verdicts(broken, regime), 3000)


@pytest.mark.slow
def test_a_user_who_drifts_has_no_bound(tmp_path) -> None:
    path = tmp_path / "drift.toml"
    path.write_text(
        'n = [50]\nseeds = 2\nlearners = ["sup", "pref"]\n[world]\nfamily = "attributes"\nattributes = 1\n'
        '[[test_user]]\n[[test_user]]\nfrom_round = 6\nother_optimum = 1.0\n[online]\nrounds = 10\nrules = ["ucb"]\n'
    )
    found = theory.regret(sim.run_online(str(path)))
    assert found["bound"].isna().all() and found["trivial"].isna().all() and found["regret"].notna().all()


# The claims of the regimes that ship


@pytest.mark.slow
def test_late_ensembling_has_the_smallest_largest_gap() -> None:
    rows = sim.run_online("late-ensemble")
    assert rows["seed"].nunique() >= 200
    alone = kinds_of(rows).alone
    for _, gaps in max_gaps(rows).groupby("test_user"):
        gaps = gaps.set_index("method")
        late = gaps.loc["late (alpha 0.1)"]
        assert late["below_alone"] > 0.999
        others = gaps.loc[[*alone, "uniform"]]
        assert (others["low"] > late["high"]).all()
        assert (others["max_gap_by_seed"] > late["max_gap_by_seed"]).all()
        # The smallest of all is the same rule with a warm start, or another late one.
        assert str(gaps["max_gap"].idxmin()).startswith("late")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", sorted(name for name, raw in regimes.shipped().items() if "ucb" in raw.get("online", {}).get("rules", []))
)
def test_regret_is_below_its_bound_in_every_shipped_regime(name: str) -> None:
    overrides = ["seeds=20", "online.rules=['ucb']", "online.alpha='theory'", "online.rounds=100000"]
    online = regimes.shipped()[name]["online"]
    assert picks_among_policies(online)
    if name == "late-ensemble-random":
        overrides.append("world.world_seed=[0, 100]")
    regime = _without(name, {"discount", "window", "warm_start"}, overrides)
    measured = theory.regret(sim.run_online(regime))
    # A test user who drifts has no bound; the first of her phases has.
    found = theory.verdicts(measured, regime)
    assert found["bounded"].any() and (found["violations"] == 0).all()


def _without(name: str, keys: set[str], overrides: list[str]) -> regimes.Regime:
    """A shipped regime without some keys of [online], and with the first phase of its test user only."""
    from pathlib import Path

    raw = regimes.shipped()[name]
    raw["online"] = {key: value for key, value in raw["online"].items() if key not in keys}
    user = raw.get("test_user", {})
    raw["test_user"] = user[0] if isinstance(user, list) else user
    for override in overrides:
        raw = sim.overrides.apply(raw, override)
    return regimes.resolve(name, raw, Path.cwd())


@pytest.mark.slow
def test_regret_grows_as_the_logarithm() -> None:
    overrides = ["online.rules=['ucb']", "online.alpha=['theory']"]
    regime = regimes.load("regret", overrides)
    found = theory.verdicts(theory.regret(sim.run_online(regime)), regime).iloc[0]
    assert found["log_r2"] > 0.995 and found["violations"] == 0 and found["informative_from"] < 2000


@pytest.mark.slow
def test_learning_without_a_log_grows_as_predicted() -> None:
    regime = regimes.load("pure-online")
    found = theory.verdicts(theory.regret(sim.run_online(regime)), regime).set_index("method")
    for method in ("self-training (growth 16.0)", "self-training (growth 64.0)", "online-preference (reference kept)"):
        row = found.loc[method]
        assert row["exponent"] == pytest.approx(row["predicted_exponent"], abs=0.1), method
    assert (
        found.loc["self-training (growth 4.0)", "shape"] == found.loc["self-training (growth 4.0)", "predicted_shape"]
    )
    for method in ("self-training (growth 2.0)", "online-preference (reference own)"):
        row = found.loc[method]
        assert (
            row["log_r2"] > 0.99
            and row["shape"] == "log T"
            and row["log_slope"] == pytest.approx(row["predicted_slope"], rel=0.15)
        ), method
