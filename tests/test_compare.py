"""Theory joined to rows, the verdicts, and `medley predict`."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

import sim
from bounds import compare, finite_class, of_learner, predict
from sim import regimes
from sim.learners import Cost, Early, Preference
from sim.policies import log_linear, policy_list
from sim.regimes import Regime

MEDLEY = str(Path(sys.executable).parent / "medley")


def table_of(tmp_path: Path, text: str) -> tuple[pd.DataFrame, Regime]:
    (tmp_path / "mine.toml").write_text(text)
    regime = regimes.load(str(tmp_path / "mine.toml"))
    return compare.joined(sim.run(regime), regime), regime


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Regime]:
    return table_of(
        tmp_path_factory.mktemp("small"),
        'n = [300, 3000]\nseeds = 60\nlearners = ["edited", "sup", "pref", "cost", "early"]\n'
        '[world]\nfamily = "attributes"\nattributes = 2\ncontexts = 2\nstrength = [1.0, 0.4]\n'
        '[pref]\nlink = ["balance", "paper"]\n[cost]\nradius = [0.0, 1.0]\n[early]\nlam = [0.5, "held-out"]\n',
    )


def rows(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    for name, value in values.items():
        table = table[table[name] == value]
    assert len(table)
    return table


def test_every_row_carries_its_own_prediction(small: tuple[pd.DataFrame, Regime]) -> None:
    table, _ = small
    for strength in (1.0, 0.4):
        world = sim.world("attributes", attributes=2, contexts=2, strength=strength)
        for n in (300, 3000):
            where = {"strength": strength, "n": n}
            found = rows(table, learner="pref", link="balance", **where)
            assert found["predicted"].to_numpy() == pytest.approx(predict(Preference(), world, ridge=1e-4).at(n))
            found = rows(table, learner="early", lam=0.5, **where)
            assert found["predicted"].to_numpy() == pytest.approx(predict(Early(0.5), world, ridge=1e-4).at(n))
            found = rows(table, learner="cost", radius=1.0, **where)
            assert found["predicted"].to_numpy() == pytest.approx(predict(Cost(radius=1.0), world).at(n), rel=1e-6)
            edited = float(world.suboptimality(world.edited(world.reference)))
            assert rows(table, learner="edited", **where)["limit"].to_numpy() == pytest.approx(edited)
            held_out = table[(table["learner"] == "early") & table["lam"].isna()]
            assert held_out["predicted"].isna().all()


def test_bounds_stand_in_the_rows_of_their_learner_only(small: tuple[pd.DataFrame, Regime]) -> None:
    table, regime = small
    world = sim.world("attributes", attributes=2, contexts=2, strength=0.4)
    found = rows(table, learner="sup", strength=0.4, n=300)
    expected = finite_class.sup_sharp(world, log_linear(world), 300, regime.delta).value
    assert found["bound_sup_sharp"].to_numpy() == pytest.approx(expected)
    assert found["bound_sup_sharp_holds"].all()
    assert found["bound_pref"].isna().all()
    paper = rows(table, learner="pref", link="paper")
    assert paper["bound_pref"].isna().all()
    pessimistic = rows(table, learner="cost", radius=1.0)
    assert pessimistic["bound_cost"].to_numpy() == pytest.approx(2 * pessimistic["bonus"].to_numpy())
    assert rows(table, learner="cost", radius=0.0)["bound_cost"].isna().all()
    assert compare.bound_names(table) == sorted(compare.bound_names(table))


def test_verdicts_count_violations(small: tuple[pd.DataFrame, Regime]) -> None:
    table, regime = small
    found = compare.verdicts(table, regime.delta)
    assert (found["violations"] == 0).all() and found["valid"].all()
    assert found["rate_high"].to_numpy() == pytest.approx(1 - 0.025 ** (1 / found["logs"].to_numpy()))
    assert (found["logs"] == 60).all()
    broken = table.copy()
    bad = (broken["learner"] == "sup") & (broken["seed"] < 30)
    broken.loc[bad, "suboptimality"] = 1e6
    found = compare.verdicts(broken, regime.delta)
    ours = found[found["bound"] == "sup_sharp"]
    assert (ours["violations"] >= 28).all() and not ours["valid"].any()
    assert "VIOLATED" in compare.readable(compare.compared(broken, regime.delta))


def test_a_fit_outside_the_ball_is_not_spoken_of(tmp_path: Path) -> None:
    table, regime = table_of(
        tmp_path,
        'n = [60, 3000]\nseeds = 40\nlearners = ["sup", "pref"]\n'
        '[world]\nfamily = "attributes"\nattributes = 2\ncontexts = 2\nstrength = 0.3\n',
    )
    world = sim.world("attributes", attributes=2, contexts=2, strength=0.3)
    outside = table["parameter_norm"] > finite_class.ball_radius(world)
    preference = table["learner"] == "pref"
    assert outside[preference & (table["n"] == 60)].any() and not outside[table["n"] == 3000].any()
    assert (table.loc[preference, "bound_pref_holds"].astype(bool) == ~outside[preference]).all()
    assert table.loc[~preference, "bound_pref_holds"].isna().all() and table.loc[preference, "bound_pref"].notna().all()
    found = compare.verdicts(table, regime.delta)
    short = found[(found["bound"] == "pref") & (found["n"] == 60)].iloc[0]
    assert short["left_out"] == outside[preference & (table["n"] == 60)].sum()
    assert short["logs"] == 40
    assert f"{found.loc[found['bound'] == 'pref', 'left_out'].sum()} fits left the ball" in compare.readable(
        compare.compared(table, regime.delta)
    )


def test_accuracy_is_in_standard_errors_and_per_cent(small: tuple[pd.DataFrame, Regime]) -> None:
    table, _ = small
    found = compare.accuracy(table)
    one = found[(found["label"] == "sup") & (found["n"] == 3000) & (found["strength"] == 0.4)].iloc[0]
    measured = rows(table, learner="sup", n=3000, strength=0.4)["suboptimality"].to_numpy()
    assert one["measured"] == pytest.approx(measured.mean())
    assert one["errors_apart"] == pytest.approx((measured.mean() - one["predicted"]) / stats.sem(measured))
    assert one["per_cent"] == pytest.approx(100 * (measured.mean() / one["predicted"] - 1))
    assert abs(one["errors_apart"]) < 5


def test_predicted_winners_agree_where_the_lead_is_clear(small: tuple[pd.DataFrame, Regime]) -> None:
    found = compare.winners(small[0])
    assert len(found) == 4
    assert found["agree"][found["clear"]].all()
    assert set(found["predicted_winner"]) <= set(found["measured_winner"]) | {"early (lam 0.5)", "sup", "pref"}


def test_a_broken_assumption_is_told_and_lists_have_set_bounds(tmp_path: Path) -> None:
    table, _ = table_of(
        tmp_path,
        'n = 500\nseeds = 4\nlearners = ["sup", "pref"]\n[world]\nfamily = "attributes"\nattributes = 2\n'
        '[user]\nother_optimum = 1.0\n[policy]\nclass = "list"\nsize = 16\n',
    )
    preference = rows(table, learner="pref")
    assert not preference["bound_pref"].isna().any() and not preference["bound_pref_holds"].any()
    supervision = rows(table, learner="sup")
    assert supervision["bound_sup_set_holds"].all() and not supervision["bound_sup_paper_holds"].any()
    assert supervision["predicted"].isna().all() and not supervision["limit"].isna().any()
    world = sim.world("attributes", attributes=2, user={"other_optimum": 1.0})
    bound = of_learner.bounds_of(Preference(), world, policy_list(world, 16), [500], 0.05)["pref"][0]
    assert "balance fails by" in (bound.why_not() or "")


def predict_json(*arguments: str) -> dict:
    done = subprocess.run([MEDLEY, "predict", *arguments, "--json"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_predict_prints_the_contract_keys() -> None:
    found = predict_json("attributes", "--learner", "early", "--lam", "0.3", "--n", "300", "--set", "attributes=2")
    assert set(found) >= {"learner", "limit", "coefficient", "status", "n", "delta", "predicted", "bounds", "reasons"}
    assert found["predicted"] == pytest.approx(found["limit"] + found["coefficient"] / 300)
    found = predict_json("attributes", "--learner", "cost", "--radius", "1", "--n", "300", "--set", "attributes=2")
    assert found["coefficient"] is None and found["predicted"] > 0 and "coefficient" in found["reasons"]
    assert set(found["bounds"]["cost_population"]) == {"value", "terms", "violations", "reason"}
    broken = predict_json(*"attributes --learner pref --n 9 --set user.other_optimum=1 --set attributes=2".split())
    assert broken["bounds"]["pref"]["value"] is None
    assert "balance fails by" in broken["bounds"]["pref"]["reason"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["attributes", "--learner", "supp"], "did you mean 'sup'"),
        (["attributes", "--learner", "sup", "--delta", "1.5"], "delta: expected"),
        (["attributes", "--learner", "sup", "--n", "0"], "n: expected"),
        (["attributes", "--learner", "reference"], "no loss of one triple"),
        (["attributes", "--learner", "sup", "--lam", "2"], "lam"),
        (["nowhere.npz", "--learner", "sup"], "nowhere.npz"),
    ],
)
def test_predict_refuses_in_one_line(arguments: list[str], words: str) -> None:
    done = subprocess.run([MEDLEY, "predict", *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert words in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_too_few_logs_decide_nothing() -> None:
    held = pd.DataFrame({"bound": ["mine"], "label": "sup", "holds": True, "left_out": 0, "violations": 4, "logs": 4})
    held = held.assign(rate_low=0.4, rate_high=1.0, valid=True, decidable=False, tightness=0.1)
    assert compare.bounds_in_brief(held)["verdict"].tolist() == ["too few logs"]
    assert compare.bounds_in_brief(held.assign(decidable=True))["verdict"].tolist() == ["valid"]
    assert compare.bounds_in_brief(held.assign(valid=False))["verdict"].tolist() == ["VIOLATED"]
    assert compare.bounds_in_brief(held.assign(bound="a_population"))["verdict"].tolist() == ["typical, no promise"]


@pytest.mark.parametrize(("violations", "logs"), [(0, 1), (1, 1), (0, 200), (3, 200), (40, 200), (200, 200)])
def test_rates_have_the_exact_interval_and_test(violations: int, logs: int) -> None:
    low, high, compatible = compare._rate(violations, logs, 0.05)
    interval = stats.binomtest(violations, logs).proportion_ci(0.95, method="exact")
    assert (low, high) == pytest.approx((interval.low, interval.high), rel=1e-9, abs=1e-15)
    p_value = stats.binomtest(violations, logs, 0.05, alternative="greater").pvalue
    assert compatible == (p_value >= 1e-6)
