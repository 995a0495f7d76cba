"""`medley llm` from the outside: refusals in one line, a run that is killed and resumed, a log of one's own."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from sim.llm import logs
from sim.llm.documents import draw
from sim.llm.responses import demonstrate
from sim.llm.seeds import generator
from sim.llm.users import make

MEDLEY = [sys.executable, "-m", "medley", "llm"]
# Of the same shapes as every other study of the tests, so that all use the same compiled code.
QUICK = ["--preset", "micro", "--task", "email", "--seeds", "1", "--set", "pretraining_steps=40", "--set", "steps=10"]
QUICK += ["--set", "domains=1"]


def medley(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MEDLEY, *words], cwd=cwd, capture_output=True, text=True, timeout=600)


def log_of(user: str, count: int, task: str = "email") -> pd.DataFrame:
    rng = generator(user, task)
    documents = draw(task, count, rng)
    responses = [demonstrate(document, rng) for document in documents]
    edits = [make(user).answer(*pair, rng).text for pair in zip(documents, responses, strict=True)]
    return pd.DataFrame(
        {"task": task, "context": [one.text for one in documents], "response": responses, "edit": edits,
         "group": [one.domain for one in documents]}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--preset", "huge"], "unknown preset 'huge'"),
        (["--task", "mail"], "unknown task 'mail'; did you mean 'email'?"),
        (["--seeds", "0"], "seeds: Input should be greater than or equal to 1, got 0"),
        (["--set", "colour=red"], "unknown setting of medley llm 'colour'"),
        (["--resume"], "--resume: which folder? add --out DIR"),
        (["--log", "absent.parquet"], "absent.parquet: no such log file"),
        (["--log", "notes.txt"], "notes.txt: not a readable Parquet file"),
        (["--out", "full"], "--out full: the folder is not empty"),
        (["--out", "full", "--resume"], "expected the folder of a medley llm run"),
        (["--set", "batch=65536", "--set", "width=4096"], "MB of memory, the device has"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(words: list[str], told: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no table")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("kept")
    done = medley(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith("medley: ")
    assert told in done.stderr and done.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["full", "mine.txt", "notes.txt"]


def test_a_log_of_another_task_is_read_and_predicted(tmp_path: Path) -> None:
    logs.write(tmp_path / "log.parquet", log_of("strong", 120).assign(task="letters", group="all"))
    done = medley("--log", "log.parquet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, _, rest = done.stdout.partition("\n\n")
    assert first == "Tasks letters: none of the text world's, so nothing is trained."
    assert sum(line.startswith("letters, edits of all: ") for line in rest.splitlines()) == 1
    assert "predicted at n = 120" in rest
    assert [path.name for path in tmp_path.iterdir()] == ["log.parquet"]
    kept = medley("--log", "log.parquet", "--out", "theory", cwd=tmp_path)
    assert kept.returncode == 0 and kept.stdout == f"{done.stdout}\nResults: theory/summary.txt, theory.json\n"
    assert (tmp_path / "theory" / "summary.txt").read_text() == done.stdout
    (predicted,) = json.loads((tmp_path / "theory" / "theory.json").read_text())
    assert predicted["task"] == "letters"
    again = medley("--log", "log.parquet", "--out", "theory", cwd=tmp_path)
    assert again.returncode == 2 and "the folder is not empty" in again.stderr


def test_a_log_that_is_too_short_is_refused(tmp_path: Path) -> None:
    logs.write(tmp_path / "log.parquet", log_of("strong", 20))
    done = medley("--log", "log.parquet", "--preset", "micro", cwd=tmp_path)
    assert done.returncode == 2 and "expected at least 33 examples of task 'email'" in done.stderr


STOPPED = """
import atexit, os, signal, sys, time, medley

def stop():
    os.kill(os.getpid(), signal.SIGINT)

class Cleared:
    def __del__(self):
        stop()

def app(**_):
    Cleared()
    {then}

atexit.register(stop)
medley.app = app
medley.main()
"""


@pytest.mark.parametrize(
    "then",
    [
        pytest.param("stop()", id="again-and-again"),
        # Python tells nobody of what is raised while an object is cleared away.
        pytest.param("time.sleep(50)", id="while-an-object-is-cleared-away"),
    ],
)
def test_ctrl_c_is_one_line_whenever_it_comes(then: str) -> None:
    program = STOPPED.format(then=then)
    done = subprocess.run([sys.executable, "-c", program, "llm"], capture_output=True, text=True, timeout=40)
    assert (done.returncode, done.stdout) == (130, "") and done.stderr.count("\n") == 1
    assert done.stderr.startswith("medley: interrupted; ")


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    names = ("episodes", "online", "samples", "trained", "candidates")
    found = {name: pd.read_parquet(folder / f"{name}.parquet") for name in names}
    return {name: rows.drop(columns="seconds", errors="ignore") for name, rows in found.items()}


@pytest.mark.slow
def test_a_run_that_is_killed_at_any_moment_goes_on_to_the_same_tables(tmp_path: Path) -> None:
    whole = medley(*QUICK, "--out", "whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    assert "Table 1" in whole.stdout and "Theory from the logs alone" in whole.stdout
    for part in ("report.html", "summary.txt", "theory.json", "speed.json", "figures/llm-gaps.svg"):
        assert (tmp_path / "whole" / part).stat().st_size > 100
    for wait in (7.0, 12.0):
        running = subprocess.Popen(
            [*MEDLEY, *QUICK, "--out", "killed", "--resume"], cwd=tmp_path, stderr=subprocess.DEVNULL
        )
        time.sleep(wait)
        running.send_signal(signal.SIGKILL)
        running.wait()
    # Without its settings: they are those that the folder holds.
    done = medley("--resume", "--out", "killed", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name, rows in tables(tmp_path / "whole").items():
        pd.testing.assert_frame_equal(tables(tmp_path / "killed")[name], rows)
    other = medley("--resume", "--out", "killed", "--preset", "tiny", cwd=tmp_path)
    assert other.returncode == 2 and "the run there has" in other.stderr
    model = next((tmp_path / "killed" / "models" / "email").glob("*/sup.safetensors"))
    save_file({"x": np.zeros(2)}, model)
    (tmp_path / "killed" / "episodes" / "email-strong-0.parquet").unlink()
    damaged = medley("--resume", "--out", "killed", cwd=tmp_path)
    assert damaged.returncode == 2 and "expected a checkpoint of this model" in damaged.stderr


@pytest.mark.slow
def test_an_own_log_of_a_known_task_is_learned_from(tmp_path: Path) -> None:
    logs.write(tmp_path / "log.parquet", log_of("strong", 96))
    done = medley(*QUICK, "--log", "log.parquet", "--out", "mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = pd.read_parquet(tmp_path / "mine" / "episodes.parquet")
    assert set(rows["training_user"]) == {"log"} and set(rows["test_user"]) == {"strong", "other"}
    again = medley("--resume", "--out", "mine", cwd=tmp_path)
    told = "medley: --resume mine: the run there learns from a log of your own; add --log FILE\n"
    assert (again.returncode, again.stderr) == (2, told)


@pytest.mark.slow
def test_ctrl_c_is_one_line_that_says_how_to_go_on(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [*MEDLEY, *QUICK, "--out", "run"], cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    while not (tmp_path / "run" / "models" / "email" / "vocabulary.json").exists():
        time.sleep(0.2)
    time.sleep(1.0)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=120)
    assert running.returncode == 130
    assert told.splitlines()[-1] == (
        "medley: interrupted; what is finished is stored, and the same command with --resume --out DIR goes on"
    )
