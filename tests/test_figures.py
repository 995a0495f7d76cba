"""Figures and summaries: the numbers behind them, and files that are the same each time."""

from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import sim
from bounds import efficiency_floor, predict
from bounds.compare import joined
from figures import suboptimality
from figures.suboptimality import _spread
from sim import regimes
from sim.learners import Preference
from sim.summary import axes, contests, mean_and_interval, paired_gap, text_table, with_labels

OVERRIDES = ["n=[30, 300]", "seeds=7", "world.strength=[1.0, 0.3]", "world.attributes=2"]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return sim.run("tradeoffs", overrides=OVERRIDES)


def test_axes_are_what_varies(table: pd.DataFrame) -> None:
    assert axes(table) == ["strength"]


def test_labels_tell_learners_apart(table: pd.DataFrame) -> None:
    labelled = with_labels(table)
    assert len(labelled) == len(table)
    assert set(labelled["label"]) == {
        "reference", "edited", "sup", "pref", "pref (paper link)", "cost (plug-in)", "cost (pessimistic)",
        "early (lam 1)", "early (lam held-out)",
    }  # fmt: skip
    assert not labelled.duplicated(["label", "strength", "n", "seed"]).any()


def test_contests_by_hand(table: pd.DataFrame) -> None:
    found = contests(table)
    assert [(c.cell["strength"], c.n) for c in found] == [(0.3, 30), (0.3, 300), (1.0, 30), (1.0, 300)]
    for contest in found:
        rows = with_labels(table)
        rows = rows[(rows.strength == contest.cell["strength"]) & (rows.n == contest.n)]
        means = {label: group["suboptimality"].mean() for label, group in rows.groupby("label")}
        assert contest.means == pytest.approx(means)
        competing = {label: mean for label, mean in means.items() if label not in ("reference", "edited")}
        assert contest.winner == min(competing, key=lambda label: competing[label])
        assert contest.not_ok == int((rows["status"] != "ok").sum())


def test_paired_gap_uses_pairs() -> None:
    noise = np.random.default_rng(0).normal(size=50) * 100
    gap, error = paired_gap(noise, noise + np.tile([1.0, 3.0], 25))
    assert gap == pytest.approx(2.0, abs=1e-9)
    assert error == pytest.approx(np.std(np.tile([1.0, 3.0], 25), ddof=1) / np.sqrt(50), rel=1e-9)
    assert np.isnan(paired_gap(np.ones(1), np.zeros(1))[1])


def test_intervals_cover_the_mean_of_a_skewed_law() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        _, low, high = mean_and_interval(rng.exponential(size=100))
        hits += low <= 1.0 <= high
    # A percentile bootstrap of 100 exponentials covers a little less than 95%.
    assert 0.89 * 400 <= hits <= 0.98 * 400


@pytest.mark.parametrize("values", [[2.0], [2.0, 2.0], [1.0, np.inf]])
def test_intervals_of_degenerate_numbers_are_points(values: list[float]) -> None:
    mean, low, high = mean_and_interval(np.array(values))
    assert mean == low == high


def test_text_table_shows_every_learner_and_winner(table: pd.DataFrame) -> None:
    text = text_table(table)
    assert "strength = 0.3" in text and "strength = 1" in text
    assert sum(line.count("*") + line.count("~") for line in text.splitlines()[2:]) == 4
    assert max(len(line) for line in text.splitlines()) <= 100


def test_drawing_twice_gives_the_same_bytes(table: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("a", "b"):
        drawn = suboptimality.save_all(table, tmp_path / name)
    assert [d["name"] for d in drawn] == ["suboptimality", "suboptimality-strength-0.3", "suboptimality-strength-1"]
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert len(files) == 7
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_the_plotted_numbers_are_the_means(table: pd.DataFrame, tmp_path: Path) -> None:
    suboptimality.save_all(table, tmp_path)
    numbers = pd.read_csv(tmp_path / "suboptimality.csv")
    row = numbers[(numbers.label == "sup") & (numbers.n == 300) & (numbers.strength == 0.3)].iloc[0]
    rows = table[(table.learner == "sup") & (table.n == 300) & (table.strength == 0.3)]
    assert row["mean"] == pytest.approx(rows["suboptimality"].mean(), rel=1e-12)
    assert row["low"] < row["mean"] < row["high"] and row["logs"] == 7


@pytest.fixture(scope="module")
def with_theory(table: pd.DataFrame) -> pd.DataFrame:
    return joined(table, regimes.load("tradeoffs", OVERRIDES))


def test_lines_are_predicted_and_markers_measured(with_theory: pd.DataFrame) -> None:
    numbers = suboptimality.curves(with_theory)
    panel = numbers[numbers["strength"] == 0.3]
    figure, ax = plt.subplots(subplot_kw={"xscale": "log", "yscale": "log"})
    suboptimality.draw(panel, ax, "")
    drawn = {(line.get_color(), line.get_marker(), line.get_linestyle()): line for line in ax.get_lines()}
    world = sim.world("attributes", strength=0.3, attributes=2)
    found = predict(Preference(), world, ridge=1e-4)
    line, markers = drawn["#D55E00", "None", "-"], drawn["#D55E00", "s", "None"]
    assert line.get_ydata() == pytest.approx([found.at(30), found.at(300)])
    rows = with_theory[
        (with_theory.learner == "pref") & (with_theory.link == "balance") & (with_theory.strength == 0.3)
    ]
    assert markers.get_ydata() == pytest.approx(rows.groupby("n")["suboptimality"].mean().to_list())
    held_out = panel[panel["label"] == "early (lam held-out)"].sort_values("n")
    assert held_out["predicted"].isna().all()
    assert drawn["#CC79A7", "None", "--"].get_ydata() == pytest.approx(held_out["mean"].to_list())
    floor = efficiency_floor(world)[0]
    assert drawn["#333333", "None", "-."].get_ydata() == pytest.approx([floor / 30, floor / 300])
    assert "efficiency floor" in [text.get_text() for text in ax.texts]
    plt.close(figure)


def test_a_world_without_a_floor_draws_none(with_theory: pd.DataFrame) -> None:
    numbers = suboptimality.curves(with_theory.assign(efficiency_floor=np.nan))
    figure, ax = plt.subplots(subplot_kw={"xscale": "log", "yscale": "log"})
    suboptimality.draw(numbers[numbers["strength"] == 1.0], ax, "")
    assert "efficiency floor" not in [text.get_text() for text in ax.texts]
    plt.close(figure)


def test_the_caption_says_what_is_drawn(table: pd.DataFrame, with_theory: pd.DataFrame, tmp_path: Path) -> None:
    plain, full = (suboptimality.save_all(rows, tmp_path)[0]["caption"] for rows in (table, with_theory))
    assert "predicted" not in plain and "floor" not in plain
    assert "lines are predicted" in full and "efficiency floor" in full


@pytest.mark.parametrize("wanted", [[], [0.3], [0.0, 0.0, 0.0, 1.0], [-5.0, -5.0, 2.0], [0.1, 0.2, 0.9]])
def test_labels_are_spread_and_stay_near(wanted: list[float]) -> None:
    places = _spread(wanted, 0.25, -0.2)
    assert all(b - a >= 0.25 - 1e-12 for a, b in pairwise(places))
    assert all(place >= -0.2 - 1e-12 for place in places)
    if wanted == [0.3]:
        assert places == [0.3]
