"""`medley llm` from the outside: refusals in one line, a log of another task, Ctrl-C."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from llm_runs import WORDS, called, log_of, reaches, started

from sim.llm import logs


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
    done = called(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith("medley: ")
    assert told in done.stderr and done.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["full", "mine.txt", "notes.txt"]


def test_a_log_of_another_task_is_read_and_predicted(tmp_path: Path) -> None:
    logs.write(tmp_path / "log.parquet", log_of("strong", 120).assign(task="letters", group="all"))
    done = called("--log", "log.parquet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, _, rest = done.stdout.partition("\n\n")
    assert first == "Tasks letters: none of the text world's, so nothing is trained."
    assert sum(line.startswith("letters, edits of all: ") for line in rest.splitlines()) == 1
    assert "predicted at n = 120" in rest
    assert [path.name for path in tmp_path.iterdir()] == ["log.parquet"]
    kept = called("--log", "log.parquet", "--out", "theory", cwd=tmp_path)
    assert kept.returncode == 0 and kept.stdout == f"{done.stdout}\nResults: theory/summary.txt, theory.json\n"
    assert (tmp_path / "theory" / "summary.txt").read_text() == done.stdout
    (predicted,) = json.loads((tmp_path / "theory" / "theory.json").read_text())
    assert predicted["task"] == "letters"
    again = called("--log", "log.parquet", "--out", "theory", cwd=tmp_path)
    assert again.returncode == 2 and "the folder is not empty" in again.stderr


def test_a_log_that_is_too_short_is_refused(tmp_path: Path) -> None:
    logs.write(tmp_path / "log.parquet", log_of("strong", 20))
    done = called("--log", "log.parquet", "--preset", "micro", cwd=tmp_path)
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


def test_ctrl_c_in_a_pipe_whose_reader_it_ends_too() -> None:
    program = STOPPED.format(then="stop()")
    running = subprocess.Popen([sys.executable, "-c", program, "llm"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None and running.stderr is not None
    running.stdout.close()
    running.stderr.close()
    assert running.wait(40) == 130


@pytest.mark.slow
def test_ctrl_c_is_one_line_that_says_how_to_go_on(tmp_path: Path) -> None:
    with started(*WORDS, "--out", "run", cwd=tmp_path) as running:
        reaches(running, tmp_path / "run", "models/email/vocabulary.json")
        time.sleep(1.0)
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=120)
    assert running.returncode == 130
    assert told.splitlines()[-1] == (
        "medley: interrupted; what is finished is stored, and the same command with --resume --out DIR goes on"
    )
