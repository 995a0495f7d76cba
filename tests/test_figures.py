"""Figures and summaries: the numbers behind them, and files that are the same each time."""

from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

import sim
from bounds import compare, efficiency_floor, predict
from bounds.compare import joined
from figures import bound_figures, style, suboptimality, theory, tightness, winners
from figures.labels import End, label_ends, spread
from figures.ticks import set_log_ticks
from sim import regimes
from sim.learners import Preference
from sim.summary import axes, contests, mean_and_interval, paired_gap, text_table, with_labels

OVERRIDES = ["n=[30, 300]", "seeds=7", "world.strength=[1.0, 0.3]", "world.attributes=2"]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return sim.run("tradeoffs", overrides=OVERRIDES)


@pytest.fixture(scope="module")
def with_theory(table: pd.DataFrame) -> pd.DataFrame:
    return joined(table, regimes.load("tradeoffs", OVERRIDES))


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


def test_drawing_twice_gives_the_same_bytes(with_theory: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("a", "b"):
        drawn = suboptimality.save_all(with_theory, tmp_path / name)
        bound_figures.save_all(with_theory, tmp_path / name, 0.05)
        winners.save_all(compare.winners(with_theory), tmp_path / name)
    assert [d["name"] for d in drawn] == ["suboptimality"]
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert len(files) == 3 + 5 + 3
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_the_plotted_numbers_are_the_means(table: pd.DataFrame, tmp_path: Path) -> None:
    suboptimality.save_all(table, tmp_path)
    numbers = pd.read_csv(tmp_path / "suboptimality.csv")
    row = numbers[(numbers.label == "sup") & (numbers.n == 300) & (numbers.strength == 0.3)].iloc[0]
    rows = table[(table.learner == "sup") & (table.n == 300) & (table.strength == 0.3)]
    assert row["mean"] == pytest.approx(rows["suboptimality"].mean(), rel=1e-12)
    assert row["low"] < row["mean"] < row["high"] and row["logs"] == 7


def _curves(ax: Axes) -> list[Line2D]:
    """The lines that are drawn against data, less those that lead to a label."""
    return [line for line in ax.get_lines() if line.get_transform() != ax.transAxes]


def test_lines_are_predicted_and_markers_measured(with_theory: pd.DataFrame) -> None:
    numbers = suboptimality.curves(with_theory)
    panel = numbers[numbers["strength"] == 0.3]
    figure, ax = plt.subplots(subplot_kw={"xscale": "log", "yscale": "log"})
    suboptimality.draw(panel, ax, "")
    drawn = {(line.get_color(), line.get_marker(), line.get_linestyle()): line for line in _curves(ax)}
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
    assert floor is not None
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
    assert "thin lines are predicted" in full and "efficiency floor" in full


@pytest.mark.parametrize("wanted", [[], [0.3], [0.0, 0.0, 0.0, 1.0], [-5.0, -5.0, 2.0], [0.1, 0.2, 0.9]])
def test_labels_are_spread_and_stay_near(wanted: list[float]) -> None:
    places = spread(wanted, 0.25, -0.2)
    assert all(b - a >= 0.25 - 1e-12 for a, b in pairwise(places))
    assert all(place >= -0.2 - 1e-12 for place in places)
    if wanted == [0.3]:
        assert places == [0.3]


def test_a_single_size_and_point_draw_marks_that_can_be_seen(with_theory: pd.DataFrame, tmp_path: Path) -> None:
    one = with_theory[(with_theory.n == 300) & (with_theory.strength == 0.3)]
    assert [d["name"] for d in suboptimality.save_all(one, tmp_path)] == ["suboptimality"]
    assert [d["name"] for d in bound_figures.save_all(one, tmp_path, 0.05)] == ["bounds"]
    assert winners.save_all(compare.winners(one), tmp_path) == []
    figure, ax = plt.subplots(subplot_kw={"xscale": "log", "yscale": "log"})
    suboptimality.draw(suboptimality.curves(one), ax, "")
    assert "_" in [line.get_marker() for line in ax.get_lines()]
    plt.close(figure)


def test_empty_numbers_and_learners_of_ones_own_do_not_break_figures(with_theory: pd.DataFrame, tmp_path: Path) -> None:
    other = with_theory.assign(learner=with_theory["learner"].replace("sup", "hinge"))
    nothing = other.assign(
        suboptimality=np.nan, **{c: np.nan for c in other if c.startswith("bound_") and "holds" not in c}
    )
    for rows in (other, nothing):
        assert suboptimality.save_all(rows, tmp_path) and compare.compared(rows, 0.05)
        bound_figures.save_all(rows, tmp_path, 0.05)
    assert style.look("hinge") == style.look("hinge (size 3)") != style.look("sup")


def test_bounds_by_hand(with_theory: pd.DataFrame, tmp_path: Path) -> None:
    drawn = bound_figures.save_all(with_theory, tmp_path, 0.05)
    assert [d["name"] for d in drawn] == ["bounds", "tightness"]
    numbers = pd.read_csv(tmp_path / "bounds.csv")
    row = numbers[(numbers.name == "sup_paper") & (numbers.n == 300) & (numbers.strength == 0.3)].iloc[0]
    rows = with_theory[(with_theory.learner == "sup") & (with_theory.n == 300) & (with_theory.strength == 0.3)]
    quantile = np.quantile(rows["suboptimality"], 0.95)
    assert row["quantile"] == pytest.approx(quantile, rel=1e-12)
    assert row["bound"] == pytest.approx(rows["bound_sup_paper"].iloc[0], rel=1e-12)
    assert row["tightness"] == pytest.approx(rows["bound_sup_paper"].iloc[0] / quantile, rel=1e-12)
    assert row["label"] == "sup" and row["logs"] == 7 and row["drawn"]
    assert set(numbers.loc[numbers.drawn, "label"]) == {"sup", "pref", "cost (pessimistic)"}


def test_bounds_are_drawn_beside_the_quantile_and_over_it(with_theory: pd.DataFrame) -> None:
    numbers = tightness.numbers(with_theory, 0.05)
    shown = numbers[(numbers["strength"] == 0.3) & (numbers["label"] == "sup")]
    figure, (top, below) = plt.subplots(2, subplot_kw={"xscale": "log", "yscale": "log"})
    label_ends(top, tightness.draw(shown, top))
    tightness.draw_ratios(shown, below)
    paper = shown[shown["name"] == "sup_paper"].sort_values("n")
    by_dash = [{line.get_linestyle(): line for line in ax.get_lines()} for ax in (top, below)]
    assert by_dash[0][":"].get_ydata() == pytest.approx(paper["bound"].to_list())
    assert by_dash[1][":"].get_ydata() == pytest.approx(paper["tightness"].to_list())
    markers = next(line for line in top.get_lines() if line.get_marker() == "o")
    assert markers.get_ydata() == pytest.approx(paper["quantile"].to_list())
    assert {text.get_text() for text in top.texts} == {"measured 95% quantile", "sup", "sup_paper", "sup_sharp"}
    plt.close(figure)


def test_bounds_that_do_not_hold_are_left_out_and_named(with_theory: pd.DataFrame, tmp_path: Path) -> None:
    broken = with_theory.copy()
    broken.loc[broken["learner"] == "sup", "bound_sup_paper_holds"] = False
    broken.loc[(broken["learner"] == "sup") & (broken["n"] == 30), "bound_sup"] = np.inf
    caption = bound_figures.save_all(broken, tmp_path, 0.05)[0]["caption"]
    assert "sup_paper" in caption.split("because their assumptions fail here: ")[1].split(".")[0]
    assert "infinite: sup (n = 30)." in caption and "have no value here: pref_set, sup_set." in caption
    svg = (tmp_path / "bounds.svg").read_text()
    assert "sup_sharp" in svg and "sup_paper" not in svg


def test_a_table_without_bounds_has_no_such_figure(table: pd.DataFrame, tmp_path: Path) -> None:
    assert bound_figures.save_all(table, tmp_path, 0.05) == []
    assert winners.save_all(compare.winners(table), tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_map_of_winners_by_hand(with_theory: pd.DataFrame, tmp_path: Path) -> None:
    found = compare.winners(with_theory)
    written = winners.save_all(found, tmp_path)
    clear = found[found["clear"]]
    assert f"Predicted = measured in {clear['agree'].sum()} of {len(clear)} clear cells" in written[0]["caption"]
    numbers = pd.read_csv(tmp_path / "winners.csv")
    for cell in numbers.to_dict("records"):
        rows = with_labels(with_theory)
        rows = rows[(rows.strength == cell["strength"]) & (rows.n == cell["n"]) & rows.predicted.notna()]
        rows = rows[~rows.learner.isin(["reference", "edited"])]
        assert cell["measured_winner"] == rows.groupby("label")["suboptimality"].mean().idxmin()
        assert cell["predicted_winner"] == rows.groupby("label")["predicted"].first().idxmin()
        assert cell["competing"] == rows["label"].nunique() and cell["logs"] == 7


def test_letters_tell_learners_and_their_settings_apart() -> None:
    found = winners.letters(["sup", "early (lam 0.5)", "early (lam 1)", "edit-model", "cost", "sss", "s"])
    assert found["sup"] == "S" and found["early (lam 0.5)"] == "E1" and found["early (lam 1)"] == "E2"
    assert found["edit-model"] == "D" and found["sss"] == "?"


def test_a_list_of_policies_has_no_efficiency_floor() -> None:
    overrides = [*OVERRIDES[:1], "seeds=1", "world.attributes=2", "world.strength=0.5", "policy.size=16"]
    regime = regimes.load("finite-class", overrides)
    assert joined(sim.run(regime), regime)["efficiency_floor"].isna().all()


def test_the_report_shows_verdicts_predictions_and_winners(with_theory: pd.DataFrame) -> None:
    found = compare.compared(with_theory, 0.05)
    page = theory.section(found, 0.05).body
    brief = compare.bounds_in_brief(found.verdicts).set_index(["bound", "label"])
    row = brief.loc[("sup_paper", "sup")]
    cells = ["sup_paper", "sup", "valid", f"{row['violations']:.0f} of {row['logs']:.0f}"]
    assert all(f">{text}</t" in page for text in cells)
    ratio = compare.accuracy_by_size(found.accuracy).loc["sup", 300]
    assert f"<td>{ratio:+.3g}</td>" in page and compare.agreement(found.winners) in page
    empty = compare.Comparison(pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
    assert theory.section(empty, 0.05).body == "<p>No theory speaks of these learners in these worlds.</p>"


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((1e-5, 2.0), {"10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "10⁰"}),
        ((50.0, 2e5), {"100", "1,000", "10,000", "100,000"}),
        ((0.03, 0.4), {"0.05", "0.1", "0.2"}),
        ((2e-6, 3e-5), {"2×10⁻⁶", "5×10⁻⁶", "10⁻⁵", "2×10⁻⁵"}),
    ],
)
def test_ticks_of_a_logarithmic_axis_are_plain_text(limits: tuple[float, float], expected: set[str]) -> None:
    figure, ax = plt.subplots()
    ax.set(yscale="log", ylim=limits)
    set_log_ticks(figure)
    figure.canvas.draw()
    # A power of ten may be rounded to just below the limit, on some processors.
    low, high = limits[0] * (1 - 1e-9), limits[1] * (1 + 1e-9)
    shown = {tick.label1.get_text() for tick in ax.yaxis.get_major_ticks() if low <= tick.get_loc() <= high}
    assert shown == expected
    assert not any(tick.label1.get_text() for tick in ax.yaxis.get_minor_ticks())
    plt.close(figure)


def test_labels_stand_at_the_ends_of_their_curves() -> None:
    figure, ax = plt.subplots(subplot_kw={"xscale": "log", "yscale": "log"})
    ax.plot([10, 1000], [1.0, 0.01])
    label_ends(ax, [End(0.01, 1000.0, "falling", "red")])
    (leader,) = [line for line in ax.get_lines() if line.get_color() == "red"]
    start = leader.get_xydata()[0]
    on_screen = ax.transAxes.transform(start)
    assert on_screen == pytest.approx(ax.transData.transform((1000.0, 0.01)))
    plt.close(figure)
