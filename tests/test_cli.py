"""The command line as a user types it: output, JSON keys, one-line refusals, exit statuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import medley as command
import sim
from sim import worldfile

MEDLEY = str(Path(sys.executable).parent / "medley")
KEYS = {
    "contexts", "responses", "temperature", "subopt_reference", "subopt_edited", "tv_reference", "tv_edited",
    "expected_cost_reference", "expected_cost_optimal", "max_edit_cost", "balance_violation", "policy_concentrability",
    "gamma_min", "doeblin", "dobrushin", "second_eigenvalue",
}  # fmt: skip


def medley(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([MEDLEY, *arguments], capture_output=True, text=True, cwd=cwd, env=os.environ, timeout=300)


def test_help_lists_the_commands() -> None:
    done = medley("--help")
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("run", "regimes", "world"))


def test_help_imports_no_heavy_library() -> None:
    probe = "import sys, medley; print([m for m in ('jax', 'numpy', 'pandas', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_bounds_import_no_tables() -> None:
    probe = "import sys, bounds.predictions; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_world_json_has_the_contract_keys_and_true_values() -> None:
    values = json.loads(medley("world", "attributes", "--set", "strength=0.1", "--json").stdout)
    assert set(values) >= KEYS
    world = sim.world("attributes", strength=0.1)
    assert values["subopt_edited"] == pytest.approx(
        float(world.suboptimality(world.edited(world.reference))), rel=1e-12
    )
    assert values["max_edit_cost"] == 40.0
    assert len(values["gamma_min"]) == 3


def test_world_text_says_which_assumptions_hold() -> None:
    text = medley("world", "attributes", "--set", "user.cyclic=0.3").stdout
    assert "fails" in text.split("balance, max")[0].splitlines()[-1]
    assert "holds" in text.split("stationarity, max")[0].splitlines()[-1]


def test_world_takes_a_file_and_replaces_infinities_by_reasons(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "w.npz",
        context_probs=np.array([0.3, 0.7]),
        reference=np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]),
        edit_kernel=np.full((2, 3, 3), 1 / 3),
        edit_distance=1.0 - np.eye(3),
        temperature=0.7,
        policy_features=np.random.default_rng(0).normal(size=(2, 3, 2)),
    )
    values = json.loads(medley("world", "w.npz", "--json", cwd=tmp_path).stdout)
    assert values["subopt_edited"] is None and "subopt_edited" in values["reasons"]
    assert values["subopt_reference"] > -1e-15


def test_self_consistent_world_reports_all_roots() -> None:
    values = json.loads(medley("world", "self-consistent", "--set", "temperature=0.25", "--json").stdout)
    counts = {len(roots) for context in values["roots"] for roots in context}
    assert counts <= {1, 3} and 3 in counts


def test_regimes_lists_what_ships() -> None:
    names = [line.split()[0] for line in medley("regimes").stdout.splitlines()]
    expected = {"tradeoffs", "link", "cost-wins", "broken-balance", "weak-user-subsets", "mixture"}
    expected |= {
        "tempered-balance",
        "misspecified",
        "who-wins",
        "who-wins-worlds",
        "who-wins-temperature",
        "early-lambda",
        "finite-class",
        "many-attributes",
        "edit-model",
    }
    expected |= {"double-reference", "likelihood-sign", "unsquared-set"}
    expected |= {"late-ensemble", "late-ensemble-random", "price-of-exploring", "exploration", "regret"}
    expected |= {"drifting-user", "pure-online", "coactive"}
    assert names == sorted(expected)


@pytest.mark.slow
def test_run_writes_the_folder_prints_the_table_and_can_be_typed_twice(tmp_path: Path) -> None:
    few = ("--set", "learners=['reference', 'sup', 'pref']")
    arguments = ("run", "--set", "n=[50, 100]", "--set", "world.strength=[1.0, 0.5]", "--seeds", "3", *few)
    first, second = medley(*arguments, cwd=tmp_path), medley(*arguments, cwd=tmp_path)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "strength = 0.5" in first.stdout and "pref (paper link)" in first.stdout and "fits not ok" in first.stdout
    folders = sorted((tmp_path / "runs").iterdir())
    assert len(folders) == 2
    tables = [(folder / "table.parquet").read_bytes() for folder in folders]
    assert tables[0] == tables[1]
    report = (folders[0] / "report.html").read_text()
    assert report.count("data:image/svg+xml;base64,") == 4 and "http" not in report.split("</style>")[1]
    assert (folders[0] / "figures" / "bounds.svg").exists()


ONLINE = """
n = 40
seeds = 2
learners = ["reference", "sup", "pref"]
[world]
family = "attributes"
attributes = 2
strength = [1.0, 0.1]
[test_user]
strength = 1.0
other_optimum = [0.0, 0.3]
[online]
rounds = 30
rules = ["ucb", "uniform", "perceptron"]
alpha = "theory"
warm_start = [false, true]
informativeness = 0.3
"""


@pytest.mark.slow
def test_an_online_regime_prints_its_tables_and_draws_its_figures(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(ONLINE)
    done = medley("run", "mine.toml", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
    assert "max_gap" in done.stdout and "J_beta B" in done.stdout and "late (alpha theory, warm start)" in done.stdout
    assert "mean regret below its bound at every round in 4 of 4 settings" in done.stdout
    figures = tmp_path / "out" / "figures"
    names = {path.stem for path in figures.glob("online-*.svg")}
    assert names == {"online-gaps", "online-costs-1", "online-costs-2", "online-arms-1", "online-arms-2"}
    numbers = {path.stem for path in figures.glob("online-*.csv")}
    assert numbers == {"online-gaps", "online-costs", "online-arms", "online-regret", "online-verdicts"}
    rows = sim.load(tmp_path / "out", "online.parquet")
    assert {"setting", "method", "seed", "round", "arm", "cost", "regret"} <= set(rows.columns)
    report = (tmp_path / "out" / "report.html").read_text()
    assert "<h2>Online phase</h2>" in report and report.index("max_gap") < report.index("<h2>Who wins</h2>")
    refused = medley("run", "mine.toml", "--set", "online.rounds=40", "--out", "out", "--resume", cwd=tmp_path)
    assert refused.returncode == 2 and "online: the folder has" in refused.stderr
    assert rows.equals(sim.load(tmp_path / "out", "online.parquet"))


@pytest.mark.slow
def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = medley("run", "link", "--dry-run", "--seeds", "2", cwd=tmp_path)
    assert done.returncode == 0
    assert "16 cells x 2 seeds x 3 learners" in done.stdout and "minutes" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("world", "atributes"), "did you mean 'attributes'"),
        (("world", "attributes", "--set", "strength=2"), "strength"),
        (("world", "attributes", "--set", "strength=[1.0, 0.5]"), "expected one value here"),
        (("world", "attributes", "--set", "preference_scale=10000"), "positive probability"),
        (("world", "attributes", "--set", "temperature=0"), "temperature"),
        (("world", "gone.npz"), "no such world file"),
        (("run", "tradeofs"), "did you mean 'tradeoffs'"),
        (("run", "--seeds", "0"), "seeds"),
        (("run", "--seeds", "x"), "--seeds"),
        (("run", "--resume"), "add --out"),
        (("run", "--nonsense"), "--nonsense"),
        (("run", "--out", "taken"), "not empty"),
        (("rum",), "rum"),
        (("run", "--set", "user.editor=redrw"), "did you mean 'redraw'"),
        (("run", "--set", "user.editor=subset", "--set", "user.subset_size=9"), "subset_size"),
        (("run", "--set", "world.family=tabular", "--set", "user.editor=redraw"), "needs an attribute world"),
        (("run", "--set", "world.preference_scale=800.0"), "positive probability"),
        (("run", "--set", "early.held_out=10.5"), "early.held_out: expected a whole number"),
        (("run", "--set", "n=[9223372036854775808]"), "at most 1e+15"),
        (("world", "attributes", "--set", "family=tabular"), "the family is the argument"),
        (("world", "self-consistent", "--set", "cost_scale=1e99"), "cost_scale / temperature"),
        (("run", "late-ensemble", "--set", "online.rounds=3"), "online.rounds: expected at least one per policy (4)"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    tmp_path: Path,
    arguments: tuple[str, ...],
    fragment: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    # In this process: starting another takes four seconds.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["medley", *arguments])
    monkeypatch.setattr("sim.compiled.cache_compiled_code", lambda: None)
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.strip().splitlines()) == 1 and fragment in err
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_a_truncated_world_file_is_one_line(tmp_path: Path) -> None:
    worldfile.write(sim.world("tabular"), tmp_path / "w.npz")
    (tmp_path / "w.npz").write_bytes((tmp_path / "w.npz").read_bytes()[:300])
    done = medley("world", "w.npz", cwd=tmp_path)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
