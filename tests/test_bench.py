"""The benchmark: its keys, what is compared and what is not, and its rivals as an oracle.  No time is asserted."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bench_jobs import allocating, counting

import medley
import sim
from figures import scaling as pictures
from sim import machine
from sim.bench import child, contest, rivals, scaling, speed
from sim.bench.contest import Effort
from sim.learners import Preference, Supervision
from sim.world import World

MEDLEY = str(Path(sys.executable).parent / "medley")
KEYS = {
    "preference_fits_per_second", "supervision_fits_per_second", "preference_ratio_sklearn", "preference_ratio_scipy",
    "supervision_ratio_scipy", "rows_per_second", "sampling_ratio_n", "peak_memory_mb",
}  # fmt: skip
TINY = Effort(n=1000, batch=8, batches=2, compared=3, rounds=1)


@pytest.fixture(scope="module")
def asymmetric() -> World:
    return sim.world("attributes", contexts=2, attributes=3, strength=0.3)


@pytest.fixture(scope="module")
def values() -> dict:
    return speed.measure(speed.Size(TINY, drawn=3, swept=5, tasks=1, rounds=1))


@pytest.mark.slow
def test_every_key_is_there_positive_and_json(values: dict) -> None:
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["reasons"] == {} and None not in values.values()
    for key in KEYS:
        assert isinstance(values[key], float) and math.isfinite(values[key]) and values[key] > 0, key
    assert (values["logs"], values["compared_logs"], values["separated_logs"]) == (16, 3, 0)
    assert values["sweep_rows"] == 5 * 4
    assert isinstance(values["device"], str) and values["device"] and values["cores"] >= 1


@pytest.mark.slow
def test_ratios_are_of_rates_and_estimates_agree(values: dict) -> None:
    for name, packages in contest.PACKAGES.items():
        for key in packages:
            theirs = values[f"{name}_fits_per_second_{key}"]
            assert values[f"{name}_ratio_{key}"] == pytest.approx(values[f"{name}_fits_per_second"] / theirs)
            assert 0 < values[f"{name}_disagreement_{key}"] <= 1e-6
            assert "tolerance" in values[f"{name}_setting_{key}"]


@pytest.mark.slow
def test_the_text_shows_every_number(values: dict) -> None:
    text = speed.readable(values)
    assert values["device"] in text and values["preference_setting_scipy"] in text
    assert "rows per second" in text and "peak memory" in text and "scikit-learn" in text


def rivals_of(world: World) -> list[tuple[str, rivals.Rival]]:
    return [(name, rival) for name, others in contest.RIVALS.items() for rival in others(world)]


@pytest.mark.slow
@pytest.mark.parametrize("n", [300, 5000])
def test_fits_equal_every_rival(asymmetric: World, n: int) -> None:
    drawn = sim.sample(asymmetric, n, 4)
    ours = {name: sim.fit(learner, drawn, asymmetric) for name, learner in contest.OURS.items()}
    found = rivals_of(asymmetric)
    assert {(r.package, r.layout) for _, r in found} == {
        (package, layout) for package in ("SciPy", "scikit-learn") for layout in ("whole", "by context")
    }
    with rivals.at_their_best():
        for name, rival in found:
            for counts, theta in zip(drawn.counts, ours[name].parameters, strict=True):
                estimate = rival.estimate(rival.blocks(counts), 1e-10)
                np.testing.assert_allclose(estimate, theta, rtol=0, atol=1e-6, err_msg=f"{name}, {rival}")


def test_a_world_whose_contexts_share_parameters_is_fitted_whole() -> None:
    world = sim.world("tabular", responses=5, contexts=2, policy_dimension=3, strength=0.6)
    assert rivals.layouts(world) == ("whole",)
    drawn = sim.sample(world, 4000, 2)
    theta = sim.fit(Supervision(ridge=1e-7), drawn, world).parameters
    for rival in rivals.supervision(world):
        np.testing.assert_allclose(rival.estimate(rival.blocks(drawn.counts[1]), 1e-10), theta[1], rtol=0, atol=1e-6)


def test_preference_needs_a_reference_in_the_class() -> None:
    with pytest.raises(sim.BadInput, match="reference policy is log-linear"):
        rivals.preference(sim.world("attributes", policy_interaction=1.0))


def test_aggregated_pairs_by_hand() -> None:
    # One attribute: one difference up to sign, the win of e = 1 over y = 0 and its opposite.
    world = sim.world("attributes", attributes=1, contexts=2)
    counts = np.array([[[5, 7], [2, 9]], [[1, 0], [4, 8]]])
    scipy = [rival for rival in rivals.preference(world) if rival.package == "SciPy"]
    blocks = next(rival for rival in scipy if rival.layout == "by context").blocks(counts)
    sign = np.sign(blocks[0].rows[0, 0])
    assert [block.rows.shape for block in blocks] == [(1, 1), (1, 1)] and [list(b.columns) for b in blocks] == [
        [0],
        [1],
    ]
    up, down = ("wins", "losses") if sign > 0 else ("losses", "wins")
    assert [getattr(block, up)[0] for block in blocks] == [7, 0]
    assert [getattr(block, down)[0] for block in blocks] == [2, 4]


def wrong(world: World) -> list[rivals.Rival]:
    return [replace(rival, shift=rival.shift + 1e-5) for rival in rivals.preference(world)]


def undefined(world: World) -> list[rivals.Rival]:
    return [replace(rival, shift=rival.shift * np.nan) for rival in rivals.preference(world)]


@pytest.mark.slow
@pytest.mark.parametrize("others", [wrong, undefined])
def test_a_rival_that_disagrees_has_no_ratio(asymmetric: World, others) -> None:
    found = contest.hold(asymmetric, TINY, contest.RIVALS | {"preference": others})
    assert found["preference_ratio_scipy"] is None and found["preference_ratio_sklearn"] is None
    assert "no setting of SciPy agrees" in found["reasons"]["preference_ratio_scipy"]
    assert "more than 1e-06" in found["reasons"]["preference_ratio_sklearn"]
    assert found["preference_fits_per_second"] > 0 and found["supervision_ratio_scipy"] > 0
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.slow
def test_separated_logs_are_left_out_and_counted() -> None:
    world = sim.world("attributes", attributes=2, contexts=1, strength=0.5)
    effort = replace(TINY, n=12, batch=30)
    drawn = sim.sample(world, 12, 60)
    status = np.stack([sim.fit(learner, drawn, world).status for learner in contest.OURS.values()])
    separated = int(np.any(status == sim.learners.Status.separated, axis=0).sum())
    assert 0 < separated < 60
    found = contest.hold(world, effort)
    assert found["separated_logs"] == separated and found["logs"] == 60
    assert found["reasons"] == {} and found["preference_disagreement_scipy"] <= 1e-6


def test_where_all_separate_everything_says_so() -> None:
    found = contest.hold(sim.world("attributes"), replace(TINY, n=3))
    assert found["separated_logs"] + found["uninformative_logs"] == 16 and found["compared_logs"] == 0
    assert found["preference_fits_per_second"] is None
    assert set(found["reasons"].values()) == {contest.ALL_SEPARATE}
    assert found["reasons"].keys() >= KEYS & found.keys()


@pytest.mark.slow
def test_without_scikit_learn_its_numbers_say_what_to_install(
    asymmetric: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rivals, "find_spec", lambda name: None)
    found = contest.hold(asymmetric, TINY)
    assert found["preference_ratio_sklearn"] is None and found["preference_ratio_scipy"] > 0
    assert found["reasons"]["preference_ratio_sklearn"].startswith("needs the package scikit-learn; pip install")


def test_the_ridge_moves_no_estimate_by_more_than_it_says(asymmetric: World) -> None:
    drawn = sim.sample(asymmetric, 1000, 5)
    for kind in (Preference, Supervision):
        with_ridge, without = (sim.fit(kind(ridge=r), drawn, asymmetric).parameters for r in (contest.RIDGE, 0.0))
        assert np.abs(with_ridge - without).max() < 0.1 * contest.AGREEMENT


@pytest.mark.parametrize(
    ("then", "seconds", "error"),
    [
        ("end", 60, None),
        ("raise", 60, "ValueError: a reason"),
        ("die", 60, "the process ended with status 3: most likely out of memory"),
    ],
)
def test_a_child_keeps_its_steps_however_it_ends(then: str, seconds: float, error: str | None) -> None:
    found = child.in_child(counting, 2, then, seconds=seconds)
    assert found.pop("peak_mb") > 1
    assert found == {"step_0": 0, "step_1": 1, "error": error}


def test_a_child_is_stopped() -> None:
    assert child.in_child(counting, 0, "sleep", seconds=0.2)["error"] == "not done after 0.2 s"


@pytest.mark.slow
def test_peak_memory_is_the_childs_own() -> None:
    ours = np.ones(700 * 2**17)
    assert machine.peak_mb() > 700
    without, held = (child.in_child(allocating, mb, seconds=60)["peak_mb"] for mb in (0, 200))
    assert ours[0] == 1 and without < 700
    assert held - without == pytest.approx(200, abs=20)


@pytest.mark.slow
def test_a_child_that_wants_more_memory_than_it_may_fails_alone() -> None:
    assert "MemoryError" in child.in_child(allocating, 20_000, seconds=60, memory_mb=10_000)["error"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    path = tmp_path_factory.mktemp("scaling") / "scaling.csv"
    axes = {
        "attributes": replace(scaling.AXES["attributes"], values=(1, 5000, 5001)),
        "seeds": replace(scaling.AXES["seeds"], values=(3,)),
    }
    seen: list[tuple[int, int]] = []
    made = scaling.measure(path, axes, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 4) for i in range(1, 5)]
    pd.testing.assert_frame_equal(pd.read_csv(path), made, check_dtype=False)
    return made


@pytest.mark.slow
def test_a_point_has_times_and_memory_or_the_reason(table: pd.DataFrame) -> None:
    good = table[table["error"].isna()]
    assert list(good["axis"]) == ["attributes", "seeds"] and list(good["seeds"]) == [10, 3]
    assert list(good["responses"]) == [2, 16] and list(good["features"]) == [3, 12]
    times = [c for c in table.columns if c.endswith("seconds")]
    assert len(times) == 10 and (good[times] > 0).all(axis=None) and (good["peak_mb"] > 10).all()
    errors = list(table["error"].dropna())
    assert "BadInput" in errors[0] and errors[1] == "not tried, because attributes = 5000 failed"
    assert set(table["device"]) == {machine.device()}


@pytest.mark.slow
def test_scaling_as_text_and_json_names_the_device_and_the_failure(table: pd.DataFrame) -> None:
    text, found = scaling.readable(table), scaling.as_json(table)
    assert machine.device() in text and "attributes = 5000: BadInput" in text and "peak MB" in text
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["points"][1]["sup_seconds"] is None and found["points"][0]["sup_seconds"] > 0


@pytest.mark.slow
def test_the_figure_draws_the_stored_table(table: pd.DataFrame, tmp_path: Path) -> None:
    csv = tmp_path / "scaling.csv"
    table.to_csv(csv, index=False)
    drawn = [pictures.save_all(pd.read_csv(csv), tmp_path / name) for name in ("a", "b")]
    assert drawn[0] == drawn[1] and machine.device() in drawn[0][0]["caption"]
    assert (tmp_path / "a" / "scaling.svg").read_bytes() == (tmp_path / "b" / "scaling.svg").read_bytes()
    svg = (tmp_path / "a" / "scaling.svg").read_text()
    assert "fit pref" in svg and "not finished" in svg and "peak memory" in svg


def test_the_published_figure_is_that_of_the_published_table(tmp_path: Path) -> None:
    published = Path(__file__).parents[1] / "docs" / "performance" / "scaling.csv"
    found = pd.read_csv(published)
    assert found["error"].isna().all() and found.loc[found["axis"] == "attributes", "value"].max() == 20
    pictures.save_all(found, tmp_path)
    svg = (tmp_path / "scaling.svg").read_text()
    assert ">counts<" in svg and ">records<" in svg and "not finished" not in svg


@pytest.mark.parametrize("arguments", [(), ("--scaling",)])
def test_a_folder_that_holds_something_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = subprocess.run([MEDLEY, "bench", *arguments, "--out", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1 and "not empty" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def typed(*arguments: str) -> None:
    medley.app(["bench", *arguments], standalone_mode=False)


@pytest.fixture
def measured(values: dict, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "measure", lambda: values)
    monkeypatch.setattr(scaling, "measure", lambda path, progress: table.to_csv(path, index=False) or table)
    monkeypatch.setattr("sim.compiled.cache_compiled_code", lambda: None)


@pytest.mark.slow
def test_the_command_prints_text_or_one_object_and_stores_it(
    measured: None, values: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed()
    assert capsys.readouterr().out == speed.readable(values) + "\n"
    typed("--json", "--out", str(tmp_path / "new" / "folder"))
    printed = capsys.readouterr().out
    assert json.loads(printed) == values and printed.count("\n") == 1
    assert (tmp_path / "new" / "folder" / "bench.json").read_text() == printed


@pytest.mark.slow
def test_the_command_stores_the_table_and_the_figure(
    measured: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    typed("--scaling")
    (folder,) = (tmp_path / "runs").iterdir()
    assert {p.name for p in folder.iterdir()} == {"scaling.csv", "scaling.svg", "scaling.png"}
    assert "Results: runs/bench-" in capsys.readouterr().out
    typed("--scaling", "--json", "--out", "mine")
    assert len(json.loads(capsys.readouterr().out)["points"]) == 4
