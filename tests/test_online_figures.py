"""Figures of an online phase: their numbers against the rows, and drawing from numbers that were read back."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import sim
from bounds import online as theory
from figures import online_arms, online_costs, online_gaps, online_ranks, online_regret, panels, style
from figures.catalog import as_csv, read_csv
from figures.online_parts import looks, title
from sim import regimes
from sim.online.gaps import max_gaps

REGIME = """
n = [60]
seeds = 6
learners = ["sup", "pref"]
[world]
family = "attributes"
attributes = 2
contexts = 2
strength = [0.9, 0.2]
[test_user]
strength = 1.0
other_optimum = [0.0, 0.4]
[online]
rounds = 40
recorded = 9
rules = ["ucb", "uniform"]
alpha = [0.2, "theory"]
"""


@pytest.fixture(scope="module")
def regime(tmp_path_factory: pytest.TempPathFactory) -> regimes.Regime:
    path = tmp_path_factory.mktemp("regime") / "small.toml"
    path.write_text(REGIME)
    return regimes.load(str(path))


@pytest.fixture(scope="module")
def online(regime: regimes.Regime) -> pd.DataFrame:
    return sim.run_online(regime)


@pytest.fixture(scope="module")
def regret(online: pd.DataFrame, regime: regimes.Regime) -> pd.DataFrame:
    found = theory.regret(online)
    return online_regret.numbers(found, theory.verdicts(found, regime), online)


def of_one_user(numbers: pd.DataFrame) -> pd.DataFrame:
    return numbers[numbers["test_user"] == numbers["test_user"].iloc[-1]]


def test_running_costs_are_means_so_far(online: pd.DataFrame) -> None:
    numbers = online_costs.numbers(online)
    at = sorted(numbers["round"].unique())[-2]
    row = numbers[(numbers["method"] == "late (alpha 0.2)") & (numbers["round"] == at)].iloc[1]
    rows = online[
        (online["method"] == "late (alpha 0.2)") & (online["round"] == at) & (online["setting"] == row["setting"])
        & (online["test_user"] == row["test_user"])
    ]  # fmt: skip
    assert len(rows) == 6
    assert row["mean"] == pytest.approx((rows["expected_cost"] / at).mean(), rel=1e-12)
    assert row["low"] <= row["mean"] <= row["high"] and row["logs"] == 6 and not row["alone"]
    assert not numbers.duplicated(["test_user", "setting", "method", "round"]).any()
    assert set(numbers.loc[numbers["alone"], "method"]) == {"sup", "pref"}


def test_shares_are_counts_over_logs(online: pd.DataFrame) -> None:
    numbers = online_arms.numbers(online)
    assert online_arms.listed(numbers) == ["sup", "pref"]
    assert set(numbers["method"]) == {"late (alpha 0.2)", "late (alpha theory)"}
    np.testing.assert_allclose(numbers[["sup", "pref"]].sum(axis=1), 1.0)
    row = numbers.iloc[17]
    rows = online[
        (online[["test_user", "setting", "method", "round"]] == row[["test_user", "setting", "method", "round"]]).all(
            axis=1
        )
    ]
    assert row["sup"] == pytest.approx((rows["arm"].astype(str) == "sup").mean()) and len(rows) == 6


def test_gaps_say_over_what_they_are_taken(online: pd.DataFrame) -> None:
    numbers = online_gaps.numbers(online)
    assert numbers[["settings", "rounds", "logs"]].drop_duplicates().to_numpy().tolist() == [[2, 40, 6]]
    words = online_gaps.caption(numbers)
    assert "2 settings, 40 rounds, 6 logs" in words


def test_ranks_have_the_quantiles_of_their_boxes(online: pd.DataFrame) -> None:
    gaps = max_gaps(online, ["strength"])
    numbers = online_ranks.numbers(gaps)
    own = gaps[gaps["method"] == "pref"]["max_gap"]
    row = numbers[numbers["method"] == "pref"].iloc[0]
    found = row[["gap_5", "gap_25", "gap_75", "gap_95"]].to_list()
    assert found == pytest.approx(own.quantile([0.05, 0.25, 0.75, 0.95]).to_list())


def test_regret_keeps_what_learns_and_its_prediction(regret: pd.DataFrame) -> None:
    assert set(regret["method"]) == {"late (alpha 0.2)", "late (alpha theory)", "uniform"}
    assert {"predicted_slope", "predicted_exponent", "bound", "trivial"} <= set(regret.columns)


@pytest.mark.parametrize("kind", [online_costs, online_arms, online_gaps, online_regret, online_ranks])
def test_figures_of_numbers_read_back_are_the_same(
    kind: ModuleType, online: pd.DataFrame, regret: pd.DataFrame, tmp_path: Path
) -> None:
    style.apply()
    given = max_gaps(online, ["strength"]) if kind is online_ranks else online
    numbers = regret if kind is online_regret else kind.numbers(given)
    numbers = numbers if kind in (online_gaps, online_ranks) else of_one_user(numbers)
    for name, one in (("a", numbers), ("b", read_csv(as_csv(numbers)))):
        panels.save(kind.figure(one), tmp_path, name)
        assert "None" not in kind.caption(one) and "nan" not in kind.caption(one)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.filterwarnings("error")
def test_a_single_round_is_drawn_without_a_warning(online: pd.DataFrame) -> None:
    numbers = of_one_user(online_costs.numbers(online))
    drawn = online_costs.figure(numbers[numbers["round"] == 1])
    assert all(ax.get_xlim()[0] == 1 for ax in drawn.axes)


def test_methods_look_different() -> None:
    names = ["sup", "pref", "early (lam 1)", "late (alpha 0.1)", "late (alpha theory)", "exp3", "thompson", "uniform"]
    found = [(look.colour, look.dash) for look in looks(names).values()]
    assert len(set(found)) == len(names)


def test_titles_break_after_two_parameters() -> None:
    assert title("family = a, strength = 1, harmful = 2") == "family = a, strength = 1\nharmful = 2"
    assert title("all") == ""
