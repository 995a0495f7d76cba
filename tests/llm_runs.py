"""The study that the tests of the language model share, as small as one that learns can be; `medley llm` in-process."""

import fcntl
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pandas as pd

import medley
from sim.llm import presets, study
from sim.llm.documents import draw
from sim.llm.presets import Study
from sim.llm.responses import demonstrate
from sim.llm.seeds import generator
from sim.llm.users import make

# Every study of the tests has this size, so that all use the same compiled code.
TASK, SEEDS, SIZE = "email", 1, ("pretraining_steps=100", "steps=20", "domains=1")
WORDS = ["--preset", "micro", "--task", TASK, "--seeds", str(SEEDS)]
WORDS += [word for setting in SIZE for word in ("--set", setting)]


def small() -> Study:
    """The study."""
    return presets.study("micro", [TASK], SEEDS, list(SIZE))


def finished(folder: Path) -> None:
    """Run it here, to its end."""
    counts: list[tuple[int, int]] = []
    study.run(small(), folder, progress=lambda done, total: counts.append((done, total)))
    assert counts[-1] == (study.work(small()),) * 2 and sorted(counts) == counts


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder, which the first of several processes makes while the others wait."""
    part = folder.with_suffix(".part")
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            # What an attempt that failed left would hide its cause.
            shutil.rmtree(part, ignore_errors=True)
            make(part)
            part.rename(folder)
    return folder


def called(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`medley llm` in this process, which has its libraries loaded and their code compiled."""
    out, err, handler, hook = StringIO(), StringIO(), signal.getsignal(signal.SIGINT), sys.unraisablehook
    try:
        with (
            chdir(cwd),
            redirect_stdout(out),
            redirect_stderr(err),
            patch.object(sys, "argv", ["medley", "llm", *words]),
        ):
            # Ctrl-C is meant for the tests.
            with patch.object(medley, "_end_at_once", side_effect=KeyboardInterrupt):
                medley.main()
    except SystemExit as left:
        return subprocess.CompletedProcess(words, int(left.code or 0), out.getvalue(), err.getvalue())
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, handler)
    raise AssertionError(f"medley llm {' '.join(words)} did not exit")


@contextmanager
def started(*words: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """`medley llm` in a process of its own, which ends with the block."""
    command = [sys.executable, "-m", "medley", "llm", *words]
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def reaches(process: subprocess.Popen[str], folder: Path, pattern: str) -> None:
    """Wait until a file of the folder has that pattern, while the process works on it."""
    deadline = time.monotonic() + 300
    while not any(folder.glob(pattern)):
        assert process.poll() is None, f"ended with status {process.returncode} before {pattern} was there"
        assert time.monotonic() < deadline, f"{pattern}: not there after five minutes"
        time.sleep(0.1)


def log_of(user: str, count: int, task: str = "email") -> pd.DataFrame:
    """The edits of a simulated user."""
    rng = generator(user, task)
    documents = draw(task, count, rng)
    responses = [demonstrate(document, rng) for document in documents]
    edits = [make(user).answer(*pair, rng).text for pair in zip(documents, responses, strict=True)]
    return pd.DataFrame(
        {"task": task, "context": [one.text for one in documents], "response": responses, "edit": edits,
         "group": [one.domain for one in documents]}
    )  # fmt: skip
