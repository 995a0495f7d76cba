"""The study that the tests of the language model share, as small as one that learns can be; `medley llm` in-process."""

import fcntl
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

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
            make(part)
            part.rename(folder)
    return folder


def called(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`medley llm` in this process, which has its libraries loaded and their code compiled."""
    out, err = StringIO(), StringIO()
    kept, handler, hook = sys.argv, signal.getsignal(signal.SIGINT), sys.unraisablehook
    sys.argv = ["medley", "llm", *words]
    try:
        with chdir(cwd), redirect_stdout(out), redirect_stderr(err):
            medley.main()
    except SystemExit as left:
        return subprocess.CompletedProcess(words, int(left.code or 0), out.getvalue(), err.getvalue())
    finally:
        sys.argv, sys.unraisablehook = kept, hook
        signal.signal(signal.SIGINT, handler)
    raise AssertionError(f"medley llm {' '.join(words)} did not exit")


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
