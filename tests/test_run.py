"""Runs: rows, result folder, resume, extension, refusal, failure, and kill -9."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import run_cases

import sim
from sim import BadInput, regimes, runs, store, sweep
from sim.files import write_sealed

SMALL = run_cases.SMALL.format(n=[40, 200], seeds=5)
SETTINGS = ["learner", "link", "lam", "ridge", "radius"]
TASK = sweep.BATCHES * sweep.LANES
"""Seeds of one task of a small world."""
MEDLEY = str(Path(sys.executable).parent / "medley")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("regime") / "small.toml"
    path.write_text(SMALL)
    return str(path)


@pytest.fixture(scope="module")
def whole(small: str) -> pd.DataFrame:
    return sim.run(small)


def test_rows_are_complete_and_unique(whole: pd.DataFrame) -> None:
    assert len(whole) == 2 * 2 * 5 * 5
    keys = [*SETTINGS, "strength", "n", "seed"]
    assert not whole.duplicated(subset=keys).any()
    assert list(whole.columns[:5]) == SETTINGS
    assert {"attributes", "temperature", "cost_scale", "suboptimality", "expected_cost", "status"} <= set(whole.columns)
    assert whole["suboptimality"].ge(0).all()


def test_a_row_is_the_fit_of_its_own_log(whole: pd.DataFrame) -> None:
    world = sim.world("attributes", attributes=2, contexts=2, strength=0.4)
    fits = sim.fit("sup", sim.sample(world, 200, [3]), world)
    row = whole[(whole.learner == "sup") & (whole.strength == 0.4) & (whole.n == 200) & (whole.seed == 3)]
    np.testing.assert_allclose(row["suboptimality"], fits.suboptimality, rtol=1e-9)
    np.testing.assert_allclose(row["expected_cost"], fits.expected_cost, rtol=1e-12)


def test_the_reference_row_is_exact(whole: pd.DataFrame) -> None:
    world = sim.world("attributes", attributes=2, contexts=2, strength=0.4)
    rows = whole[(whole.learner == "reference") & (whole.strength == 0.4)]
    np.testing.assert_allclose(rows["suboptimality"], float(world.suboptimality(world.reference)), rtol=1e-12)


def test_rows_do_not_depend_on_what_runs_beside_them(small: str, whole: pd.DataFrame) -> None:
    alone = sim.run(small, overrides=["n=[200]", "learners=['sup', 'pref']", "seeds=2", "world.strength=0.4"])
    alone = alone[alone.learner == "sup"]
    same = whole[(whole.learner == "sup") & (whole.strength == 0.4) & (whole.n == 200) & (whole.seed < 2)]
    assert alone["suboptimality"].tolist() == same["suboptimality"].tolist()


def test_a_folder_holds_everything_and_reads_back(small: str, whole: pd.DataFrame, tmp_path: Path) -> None:
    sim.run(small, tmp_path / "out")
    pd.testing.assert_frame_equal(sim.load(tmp_path / "out"), whole)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"regime.toml", "table.parquet", "chunks", "provenance.json"} <= names
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert provenance["root_seed"] == 0 and provenance["packages"]["jax"]


def test_resume_does_only_what_is_missing(small: str, whole: pd.DataFrame, tmp_path: Path) -> None:
    sim.run(small, tmp_path)
    lost = sorted((tmp_path / "chunks").iterdir())[0]
    lost.unlink()
    (tmp_path / "table.parquet").unlink()
    done: list[tuple[int, int]] = []
    again = sim.run(small, tmp_path, resume=True, progress=lambda *counts: done.append(counts))
    assert done == [(1, 1)]
    pd.testing.assert_frame_equal(again, whole)


def test_extension_equals_the_run_that_had_it_all(small: str, whole: pd.DataFrame, tmp_path: Path) -> None:
    less = ["n=[40]", "seeds=2", "learners=['reference', 'sup']", "world.strength=[1.0]"]
    text = SMALL.replace('[pref]\nlink = ["balance", "paper"]\n', "")
    file = tmp_path / "small.toml"
    file.write_text(text)
    sim.run(str(file), tmp_path / "out", overrides=less)
    extended = sim.run(small, tmp_path / "out", resume=True)
    pd.testing.assert_frame_equal(extended, whole)


def test_a_damaged_chunk_is_done_again(small: str, whole: pd.DataFrame, tmp_path: Path) -> None:
    sim.run(small, tmp_path)
    chunk = sorted((tmp_path / "chunks").iterdir())[0]
    chunk.write_bytes(chunk.read_bytes()[:100])
    pd.testing.assert_frame_equal(sim.run(small, tmp_path, resume=True), whole)


def test_a_folder_in_use_or_taken_is_refused(small: str, tmp_path: Path) -> None:
    regime = regimes.load(small)
    held = store.open_folder(tmp_path / "held", regime, resume=False)
    with pytest.raises(BadInput, match="another run is writing"):
        store.open_folder(tmp_path / "held", regime, resume=True)
    held.close()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("precious")
    for resume in (False, True):
        with pytest.raises(BadInput, match="not empty" if not resume else "not the folder of a run"):
            store.open_folder(tmp_path / "other", regime, resume=resume)
    assert [p.name for p in (tmp_path / "other").iterdir()] == ["thesis.tex"]
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="expected a folder"):
        store.open_folder(tmp_path / "file", regime, resume=False)


def test_another_regime_is_refused_by_saying_what_differs(small: str, tmp_path: Path) -> None:
    sim.run(small, tmp_path, overrides=["seeds=1", "n=[40]"])
    with pytest.raises(BadInput, match=r"world.temperature: the folder has 0.5, the regime has 1.0"):
        sim.run(small, tmp_path, overrides=["world.temperature=1.0"], resume=True)


def test_loading_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no finished run"):
        sim.load(tmp_path)
    (tmp_path / "table.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(BadInput, match="cannot be read"):
        sim.load(tmp_path)


PLUGIN = '''
"""A learner that fails while a file exists, and a user and a world of one's own."""
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
import jax
import sim
from sim import kernels
from sim.learners import Learner, Reference
from sim.pytrees import pytree

@pytree
@dataclass(frozen=True)
class Flaky(Learner):
    name: ClassVar[str] = "flaky"
    def settings(self) -> dict[str, Any]:
        return {}
    def fit(self, log, world, policies):
        if Path("BROKEN").exists():
            raise ValueError("the disk is on fire")
        return Reference().fit(log, world, policies)

sim.register_learner("flaky", Flaky)
sim.register_editor("sleepy", lambda optimal, edits: kernels.lazy(optimal, edits.strength / 2))
'''


def test_failures_are_kept_with_their_message_and_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "mine.toml").write_text(
        'plugins = ["mine.py"]\nn = 30\nseeds = 2\nlearners = ["sup", "flaky"]\n'
        '[world]\nattributes = 2\n[user]\neditor = "sleepy"\n'
    )
    (tmp_path / "BROKEN").write_text("")
    with pytest.raises(RuntimeError, match="the disk is on fire"):
        sim.run("mine.toml", "out")
    assert "the disk is on fire" in (tmp_path / "out" / "failures.json").read_text()
    assert not (tmp_path / "out" / "table.parquet").exists()
    (tmp_path / "BROKEN").unlink()
    table = sim.run("mine.toml", "out", resume=True)
    assert sorted(table.learner.unique()) == ["flaky", "sup"]
    assert json.loads((tmp_path / "out" / "failures.json").read_text()) == []
    (tmp_path / "mine.py").write_text(PLUGIN + "\n# changed\n")
    with pytest.raises(BadInput, match="plugins: the folder has"):
        sim.run("mine.toml", "out", resume=True)


def test_a_plugin_that_does_not_run_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "mine.toml").write_text('plugins = ["broken.py"]\nn = 30\nlearners = ["sup"]\n')
    with pytest.raises(BadInput, match=r"plugin broken\.py: ZeroDivisionError"):
        regimes.load(str(tmp_path / "mine.toml"))


def test_a_changed_world_file_is_another_regime(tmp_path: Path) -> None:
    from sim import worldfile

    worldfile.write(sim.world("tabular", responses=3), tmp_path / "mine.npz")
    (tmp_path / "mine.toml").write_text('n = 30\nseeds = 2\nlearners = ["sup"]\n[world]\nfamily = "mine.npz"\n')
    sim.run(str(tmp_path / "mine.toml"), tmp_path / "out")
    worldfile.write(sim.world("tabular", responses=3, world_seed=1), tmp_path / "mine.npz")
    with pytest.raises(BadInput, match="content"):
        sim.run(str(tmp_path / "mine.toml"), tmp_path / "out", resume=True)


def test_every_setting_of_a_learner_is_part_of_its_key(small: str, tmp_path: Path) -> None:
    """Settings beyond the contract's columns, in a table where another learner has none of them."""
    file = tmp_path / "small.toml"
    file.write_text(SMALL + "[cost]\ncost_class = ['linear', 'list']\nc_max = [1, 8]\n")
    overrides = ["learners=['sup', 'cost', 'early']", "n=[40]", "world.strength=1.0", "seeds=2", "early.lam='held-out'"]
    table = sim.run(str(file), overrides=[*overrides, "early.held_out=[20, 200]"])
    assert table["learner"].value_counts().to_dict() == {"sup": 2, "cost": 8, "early": 4}
    keys = list(table.columns[: list(table.columns).index("suboptimality")])
    assert {"cost_class", "c_max", "held_out"} <= set(keys) and not table.duplicated(keys).any()
    alone = sim.run(str(file), overrides=[*overrides, "learners=['early']", "early.held_out=20"])
    beside = table[(table.learner == "early") & (table.held_out == 20)]
    assert alone["suboptimality"].tolist() == beside["suboptimality"].tolist()


def _write_chunk(folder: Path, stem: str, table: pa.Table) -> None:
    content = BytesIO()
    pq.write_table(table, content)
    write_sealed(folder, stem, ".parquet", content.getvalue())


def test_a_chunk_with_a_single_wrong_byte_is_done_again(small: str, whole: pd.DataFrame, tmp_path: Path) -> None:
    sim.run(small, tmp_path / "run")
    chunk = next((tmp_path / "run" / "chunks").glob("*.parquet"))
    good = chunk.read_bytes()
    for place in (105, len(good) // 2, len(good) - 9):
        chunk.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        table = sim.run(small, tmp_path / "run", resume=True)
        pd.testing.assert_frame_equal(table, whole, check_exact=True)
        assert chunk.read_bytes() == good


def test_rows_of_another_root_seed_are_not_taken_for_this_ones(small: str, tmp_path: Path) -> None:
    sim.run(small, tmp_path / "run", overrides=["seeds=2"])
    stored = tmp_path / "run" / "regime.toml"
    stored.write_text(stored.read_text().replace("root_seed = 0", "root_seed = 1"))
    with pytest.raises(BadInput, match="choose a new folder"):
        sim.run(str(stored), tmp_path / "run", resume=True)


@pytest.mark.parametrize("name, kind", [("chunks", "file"), ("figures", "file"), ("table.parquet", "folder")])
def test_what_is_of_the_wrong_kind_in_a_folder_is_refused(small: str, tmp_path: Path, name: str, kind: str) -> None:
    sim.run(small, tmp_path / "run", overrides=["seeds=2"])
    place = tmp_path / "run" / name
    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    place.write_text("mine") if kind == "file" else place.mkdir()
    with pytest.raises(BadInput, match=f"expected '{name}' to be a"):
        sim.run(small, tmp_path / "run", overrides=["seeds=2"], resume=True)


def test_what_is_stored_stays_when_its_block_is_done_again(small: str, tmp_path: Path) -> None:
    first = sim.run(small, tmp_path / "run", overrides=["seeds=3"])
    for chunk in (tmp_path / "run" / "chunks").glob("*.parquet"):
        # As a machine with other last bits would have it.
        table = pq.read_table(chunk)
        place = table.column_names.index("suboptimality")
        moved = pa.array(np.nextafter(table["suboptimality"].to_numpy(), np.inf))
        chunk.unlink()
        _write_chunk(chunk.parent, "moved", table.set_column(place, "suboptimality", moved))
    longer = sim.run(small, tmp_path / "run", overrides=["seeds=5"], resume=True)
    kept = longer[longer["seed"] < 3].reset_index(drop=True)
    np.testing.assert_array_equal(kept["suboptimality"], np.nextafter(first["suboptimality"], np.inf))
    again = sim.run(small, overrides=["seeds=5"])
    pd.testing.assert_frame_equal(
        longer[longer["seed"] >= 3].reset_index(drop=True), again[again["seed"] >= 3].reset_index(drop=True)
    )


def test_chunks_of_different_programs_are_refused_in_one_line(small: str, tmp_path: Path) -> None:
    sim.run(small, tmp_path / "run", overrides=["seeds=2"])
    chunk = next((tmp_path / "run" / "chunks").glob("*.parquet"))
    table = pq.read_table(chunk)
    place = table.column_names.index("suboptimality")
    other = table.set_column(place, "suboptimality", pa.array(table["suboptimality"].to_numpy() + 1))
    _write_chunk(chunk.parent, "other", other)
    with pytest.raises(BadInput, match="choose a new folder"):
        sim.run(small, tmp_path / "run", overrides=["seeds=2"], resume=True)


def test_the_folder_stays_closed_to_others_until_all_is_written(small: str, tmp_path: Path) -> None:
    seen = []

    def finish(table: pd.DataFrame) -> None:
        with pytest.raises(BadInput, match="another run is writing there"):
            sim.run(small, tmp_path / "run", overrides=["seeds=2"], resume=True)
        seen.append(len(table))

    table = runs.run(small, tmp_path / "run", overrides=["seeds=2"], finish=finish)
    assert seen == [len(table)]
    sim.run(small, tmp_path / "run", overrides=["seeds=2"], resume=True)


def test_at_most_one_batch_is_drawn_ahead() -> None:
    drawn: list[int] = []

    def draw(block: np.ndarray) -> dict:
        drawn.append(int(block[0]))
        return {0: block}

    taken = []
    for found in sweep._drawn_ahead(draw, [np.array([i]) for i in range(6)]):
        time.sleep(0.02)
        taken.append(int(found[0][0]))
        assert len(drawn) <= len(taken) + 1
    assert taken == drawn == list(range(6))


def test_worlds_of_several_families_share_a_table(tmp_path: Path) -> None:
    from figures import suboptimality

    (tmp_path / "mine.toml").write_text(
        'n = [30]\nseeds = 2\nlearners = ["sup"]\n[[world]]\nfamily = "tabular"\nresponses = 3\n'
        "[[world]]\nattributes = 2\nstrength = [0.5, 1.0]\n"
    )
    table = sim.run(str(tmp_path / "mine.toml"))
    assert len(table) == 6
    drawn = suboptimality.save_all(table, tmp_path / "figures")
    assert [d["name"] for d in drawn] == ["suboptimality"]
    svg = (tmp_path / "figures" / "suboptimality.svg").read_text()
    for words in (
        "family = attributes, strength = 0.5",
        "family = attributes, strength = 1",
        "family = tabular, strength = 0.5",
    ):
        assert f">{words}<" in svg


def test_infinite_suboptimality_is_a_row_and_not_drawn(tmp_path: Path) -> None:
    from figures import suboptimality
    from sim import worldfile

    optimal, kernel = np.array([[0.6, 0.4, 0.0]]), np.full((1, 3, 3), 1 / 3)
    world = sim.plant(np.ones(1), optimal, kernel, 1 - np.eye(3), 0.5, np.eye(3)[None, :, 1:])
    worldfile.write(world, tmp_path / "w.npz")
    (tmp_path / "mine.toml").write_text(
        'n = [30]\nseeds = 2\nlearners = ["edited", "sup"]\n[world]\nfamily = "w.npz"\n'
    )
    table = sim.run(str(tmp_path / "mine.toml"))
    assert np.isinf(table.loc[table.learner == "edited", "suboptimality"]).all()
    assert set(table.loc[table.learner == "sup", "status"]) == {"outside_class"}
    drawn = suboptimality.save_all(table, tmp_path / "figures")
    assert "Infinite, so not drawn: edited" in drawn[0]["caption"]


def test_every_lane_has_its_seed(small: str) -> None:
    regime = regimes.load(small, [f"seeds={TASK + 3}", "n=[40]", "world.strength=1.0"])
    blocks = [task.seeds for task in sweep.plan(regime, set())]
    assert [len(block) for block in blocks] == [TASK, 3]
    assert sorted(seed for block in blocks for seed in block) == list(range(TASK + 3))


@pytest.mark.slow
def test_kill_9_and_resume_give_the_same_table(small: str, tmp_path: Path) -> None:
    many = ["--set", "n=[40, 60, 80, 100, 120, 140, 160, 200]", "--seeds", "1500"]
    command = [MEDLEY, "run", small, *many]
    subprocess.run([*command, "--out", str(tmp_path / "whole")], check=True, capture_output=True)
    process = subprocess.Popen([*command, "--out", str(tmp_path / "cut")], stderr=subprocess.DEVNULL)
    chunks = tmp_path / "cut" / "chunks"
    deadline = time.monotonic() + 300
    while (not chunks.exists() or len(list(chunks.glob("*.parquet"))) < 3) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "cut" / "table.parquet").exists()
    subprocess.run([MEDLEY, "run", "--out", str(tmp_path / "cut"), "--resume"], check=True, capture_output=True)
    same = (tmp_path / "cut" / "table.parquet").read_bytes() == (tmp_path / "whole" / "table.parquet").read_bytes()
    assert same


@pytest.mark.slow
def test_interruption_says_how_to_go_on(small: str, tmp_path: Path) -> None:
    many = ["--set", "n=[40, 60, 80, 100, 120, 140, 160, 200]", "--seeds", "1500"]
    command = [MEDLEY, "run", small, *many, "--out", str(tmp_path / "cut")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not list((tmp_path / "cut").glob("chunks/*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "--resume" in said.splitlines()[-1] and "Traceback" not in said
    assert not (tmp_path / "cut" / "table.parquet").exists()
