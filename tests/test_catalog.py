"""The catalog of figures: what each needs, that drawing repeats itself, and the numbers of the quick setting."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import figures
import sim
from bounds import joined
from figures import regenerate, sources
from figures.catalog import CATALOG, as_csv, read_csv
from figures.sources import Run, Stored, Truths
from sim import regimes, store
from sim.errors import BadInput

REFERENCE = Path(__file__).parent / "quick_figures"
SMALL = ["n=[30, 300]", "seeds=7", "world.strength=[1.0, 0.3]", "world.attributes=2", 'learners=["sup", "pref"]']
RUNS = list(dict.fromkeys(entry.source for entry in CATALOG.values() if isinstance(entry.source, Run)))


@pytest.fixture(scope="module")
def stored_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small run of `tradeoffs`, as `medley run` leaves it."""
    folder = tmp_path_factory.mktemp("run") / "out"
    regime = regimes.load("tradeoffs", SMALL)
    sim.run(regime, folder, finish=lambda table: store.write_table(folder, joined(table, regime)))
    return folder


def medley(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "medley", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=cwd)


@pytest.mark.parametrize("entry", CATALOG.values(), ids=list(CATALOG))
def test_entries_say_what_they_claim(entry: figures.catalog.Entry) -> None:
    assert CATALOG[entry.id] is entry
    assert entry.claim[0].isupper() and entry.claim.endswith(".") and not entry.title.endswith(".")


@pytest.mark.parametrize("source", RUNS, ids=lambda source: source.name)
def test_sources_are_shipped_regimes_with_small_quick_settings(source: Run) -> None:
    full, quick = regimes.load(source.regime), regimes.load(source.regime, list(source.quick))
    assert bool(full.online) == source.online
    sizes = [len(regimes.cells(one)) * one.seeds for one in (full, quick)]
    assert 0 < sizes[1] < sizes[0]


def test_a_regime_has_one_quick_setting() -> None:
    assert len({source.name for source in RUNS}) == len(RUNS)


def test_redrawing_a_run_draws_what_it_feeds_and_repeats_itself(stored_run: Path, tmp_path: Path) -> None:
    told = [list(regenerate.redraw([], stored_run, tmp_path / name)) for name in ("a", "b")]
    assert [one["id"] for one in told[0]] == [e.id for e in CATALOG.values() if e.source.name == "tradeoffs"]
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) == 4 * len(told[0])
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_provenance_names_regime_and_versions_and_no_time(stored_run: Path, tmp_path: Path) -> None:
    (told,) = regenerate.redraw(["suboptimality"], stored_run, tmp_path)
    assert json.loads((tmp_path / "suboptimality.json").read_text()) == told
    assert told["regime"]["seeds"] == 7 and told["regime"]["n"] == [30, 300]
    assert told["made_with"]["packages"]["jax"] and told["drawn_with"]["matplotlib"]
    assert not {"finished", "wall_seconds"} & set(told["made_with"])


def test_what_is_drawn_is_what_the_csv_holds(stored_run: Path, tmp_path: Path) -> None:
    list(regenerate.redraw(["suboptimality"], stored_run, tmp_path))
    numbers, table = pd.read_csv(tmp_path / "suboptimality.csv"), sim.load(stored_run)
    row = numbers[(numbers["label"] == "sup") & (numbers["n"] == 300) & (numbers["strength"] == 0.3)].iloc[0]
    rows = table[(table["learner"] == "sup") & (table["n"] == 300) & (table["strength"] == 0.3)]
    assert row["mean"] == pytest.approx(rows["suboptimality"].mean(), rel=1e-12)


def test_draw_gives_the_figure_that_is_written(stored_run: Path, tmp_path: Path) -> None:
    list(regenerate.redraw(["tightness"], stored_run, tmp_path))
    figure = figures.draw("tightness", sim.load(stored_run), regimes.load(str(stored_run / "regime.toml")))
    figure.savefig(tmp_path / "again.svg", metadata={"Date": None})
    assert (tmp_path / "again.svg").read_bytes() == (tmp_path / "tightness.svg").read_bytes()


def test_csv_keeps_every_bit() -> None:
    values = np.random.default_rng(0).normal(size=50) * 10.0 ** np.arange(-25, 25)
    numbers = pd.DataFrame({"word": ["a, b", "c"] * 25, "value": values, "gap": [np.nan, np.inf] * 25, "n": range(50)})
    pd.testing.assert_frame_equal(read_csv(as_csv(numbers)), numbers)


def test_a_damaged_source_of_one_figure_is_named(stored_run: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nothing there feeds winners; expected the results of who-wins"):
        list(regenerate.redraw(["suboptimality", "winners"], stored_run, tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["scaling", "speed"])
def test_timings_are_drawn_from_the_committed_tables(name: str, tmp_path: Path) -> None:
    (told,) = regenerate.make(regenerate.chosen([name]), tmp_path, True, _no_bar)
    assert told["made_with"]["device"] in told["caption"]
    assert len(pd.read_csv(tmp_path / f"{name}.csv")) > 4
    again = list(regenerate.redraw([name], tmp_path, tmp_path / "again"))
    assert again == [told]
    assert (tmp_path / "again" / f"{name}.svg").read_bytes() == (tmp_path / f"{name}.svg").read_bytes()


class _no_bar:
    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


@pytest.mark.parametrize(
    "words, told",
    [
        (["suboptimalty"], "suboptimality"),
        (["--from", "nowhere"], "expected a folder of stored runs, got none"),
        (["--from", "empty"], "nothing finished there feeds a figure"),
        (["speed", "--quick", "--out", "file/inside"], "cannot be written"),
        (["--from", "empty", "--quick"], "leave one of them out"),
        (["speed", "--out", "file"], "expected a folder, got a file"),
    ],
)
def test_bad_input_is_one_line(words: list[str], told: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("mine")
    done = medley("figures", *words, cwd=tmp_path)
    assert done.returncode == 2 and told in done.stderr and len(done.stderr.splitlines()) == 1
    assert (tmp_path / "file").read_text() == "mine" and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", CATALOG)
def test_a_table_of_another_kind_is_refused_in_one_line(name: str) -> None:
    for table in (pd.DataFrame(), pd.DataFrame({"learner": ["sup"], "seed": [0]})):
        with pytest.raises(BadInput, match=rf"figure '{name}': [^\n]+; expected [^\n]+$"):
            figures.draw(name, table)


def test_what_is_not_finished_feeds_nothing_and_what_is_damaged_is_named(stored_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(stored_run, copy)
    (copy / "provenance.json").write_text("{nope")
    with pytest.raises(BadInput, match=r"provenance\.json: cannot be read"):
        list(regenerate.redraw([], copy, tmp_path / "out"))
    (copy / "provenance.json").unlink()
    table = sim.load(copy)
    store.write_table(copy, table[table["seed"] < 3])
    with pytest.raises(BadInput, match="differ in seeds or n"):
        list(regenerate.redraw([], copy, tmp_path / "out"))
    for unfinished in (table.drop(columns="predicted"), None):
        (copy / "table.parquet").unlink()
        if unfinished is not None:
            store.write_table(copy, unfinished)
        assert Run("tradeoffs", ()).read(copy) is None


@pytest.mark.parametrize("content", ["", "[1]", "{nope", "{}"])
def test_damaged_timings_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text(content)
    with pytest.raises(BadInput, match=r"bench\.json|figure 'speed'"):
        list(regenerate.redraw(["speed"], tmp_path, tmp_path / "out"))


def test_truths_of_other_versions_are_made_again(tmp_path: Path) -> None:
    made: list[int] = []

    def compute() -> pd.DataFrame:
        made.append(1)
        return pd.DataFrame({"strength": [0.5]})

    source = Truths("some", compute)
    source.make(tmp_path, True)
    source.make(tmp_path, True)
    assert len(made) == 1
    (tmp_path / "some.json").write_text('{"version": "0.0.1"}')
    source.make(tmp_path, True)
    assert len(made) == 2 and len(source.read(tmp_path).table) == 1


def test_the_regime_of_another_run_feeds_nothing(stored_run: Path) -> None:
    assert Run("who-wins", ()).read(stored_run) is None
    found = Run("tradeoffs", ()).read(stored_run)
    assert isinstance(found, Stored) and found.regime is not None and found.regime.seeds == 7


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("quick")
    done = medley("figures", "--quick", "--out", str(folder))
    assert done.returncode == 0, done.stderr
    yield folder


@pytest.mark.slow
def test_quick_figures_have_the_committed_numbers(quick: Path) -> None:
    assert {path.stem for path in REFERENCE.glob("*.csv")} == set(CATALOG)
    for name in CATALOG:
        found, expected = (pd.read_csv(folder / f"{name}.csv") for folder in (quick, REFERENCE))
        pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=1e-9, atol=1e-12, obj=name)


@pytest.mark.slow
def test_redrawing_quick_figures_gives_the_same_bytes(quick: Path, tmp_path: Path) -> None:
    done = medley("figures", "--from", str(quick), "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    for name in (f"{name}.{suffix}" for name in CATALOG for suffix in ("svg", "png", "csv", "json")):
        assert (tmp_path / name).read_bytes() == (quick / name).read_bytes(), name


def test_timings_missing_from_an_installation_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "TIMINGS", tmp_path / "none")
    with pytest.raises(BadInput, match="expected the stored timings"):
        list(regenerate.make(regenerate.chosen(["speed"]), tmp_path, True, _no_bar))
