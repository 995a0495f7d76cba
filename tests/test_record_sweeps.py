"""Sweeps and theory over worlds on both sides of the size from which logs are records."""

import pandas as pd
import pytest

import sim
from bounds import compared, joined
from sim import regimes, sweep
from sim.errors import BadInput
from sim.estimate import estimate

pytestmark = pytest.mark.slow

RAW = {
    "n": [60],
    "seeds": 3,
    "learners": ["reference", "edited", "sup", "pref", "cost", "early"],
    "world": {"attributes": [3, 11], "contexts": 1},
    "cost": {"radius": [0.0, 1.0]},
    "early": {"lam": [1.0, "held-out"]},
}


def regime(tmp_path, **change):
    return regimes.resolve("records", RAW | change, tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = regime(tmp_path_factory.mktemp("regime"))
    return made, joined(sim.run(made), made)


def test_both_sizes_give_the_same_columns(run):
    table = run[1]
    assert len(table) == 2 * 3 * 8
    for _, group in table.groupby("attributes"):
        assert group["suboptimality"].gt(0).all()
        assert set(group["status"]) <= {"ok", "separated"}
        assert group.loc[group["learner"] == "pref", "parameter_norm"].notna().all()
        assert group.loc[group["learner"] == "cost", "pessimism_gap"].notna().all()


def test_predictions_are_empty_only_where_they_need_the_kernel(run):
    table = run[1]
    large = table[table["attributes"] == 11].groupby("learner")["predicted"].first()
    assert set(large[large.isna()].index) == {"pref", "early"}
    assert table.loc[table["attributes"] == 11, "efficiency_floor"].isna().all()
    assert table.loc[(table["attributes"] == 3) & (table["learner"] == "pref"), "predicted"].notna().all()
    found = compared(table, 0.05)
    assert {3, 11} <= set(found.verdicts["attributes"]) and len(found.accuracy)


def test_a_row_does_not_depend_on_how_the_work_is_cut(run, monkeypatch):
    made, table = run
    monkeypatch.setattr(sweep, "LANES", 2)
    again = sim.run(made)
    pd.testing.assert_frame_equal(again[table["attributes"] == 11], table[table["attributes"] == 11][again.columns])


def test_a_task_of_large_worlds_is_few_logs(tmp_path):
    cells = regimes.cells(regime(tmp_path, world={"attributes": [10, 20], "contexts": 3}, n=[1, 2**20]))
    assert [sweep.by_records(cell) for cell in cells] == [False, False, True, True]
    assert [sweep.width_of(cell, online=False) for cell in cells] == [10, 10, 10, 10]


def test_seeds_do_not_matter_to_each_other(run, tmp_path):
    more = sim.run(regime(tmp_path, seeds=5, world={"attributes": 11, "contexts": 1}))
    first = more[more["seed"] < 3].reset_index(drop=True)
    expected = run[1][run[1]["attributes"] == 11].reset_index(drop=True)[first.columns]
    pd.testing.assert_frame_equal(first, expected)


def test_what_such_a_run_costs_is_measured(tmp_path):
    raw = {"n": [20, 40], "seeds": 1, "learners": ["sup"], "world": {"attributes": 11, "contexts": 1}}
    found = estimate(regimes.resolve("records", raw, tmp_path))
    assert found.minutes > 0 and found.memory_mb > 0


def test_what_needs_counts_is_refused_before_the_run(tmp_path):
    plain = {"n": [20], "seeds": 1, "world": {"attributes": [3, 11], "contexts": 1}}
    for change, message in [
        ({"learners": ["sup", "edit-model"]}, r"edit-model: expected a learner of demonstrations"),
        ({"learners": ["sup"], "policy": {"class": "mixture"}}, r"policy.class: expected 'log-linear' in attributes"),
        ({"learners": ["sup"], "n": [20, 2**20 + 1]}, r"n: expected at most 1048576 where logs are records .* 1048577"),
        ({"learners": ["sup", "pref"], "online": {}}, r"\[online\]: expected worlds of at most 1024 responses"),
    ]:
        with pytest.raises(BadInput, match=message):
            sweep.check(regimes.resolve("records", plain | change, tmp_path))
