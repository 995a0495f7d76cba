"""The second process that works out the theory: the same numbers, and none is left when a run ends, however it does."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import run_cases

from bounds import beside
from bounds.compare import of_regime
from sim import machine, regimes

SMALL = run_cases.SMALL.format(n=[40, 200], seeds=5)
BROKEN = "import sys; sys.stdout.buffer.write(b'\\x80\\x05half'); raise RuntimeError('broken')"
# It is at work, and holds a lock as long as it lives.
ENDLESS = """
import fcntl, sys, time
sys.path[:] = sys.argv[2:]
from bounds import beside
def work(regime):
    file = open({lock!r}, "w")
    fcntl.flock(file, fcntl.LOCK_EX)
    file.write("locked")
    file.flush()
    time.sleep(600)
beside._theory = work
beside.serve(sys.argv[1])
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("regime") / "small.toml"
    path.write_text(SMALL)
    return str(path)


def python(*lines: str) -> list[str]:
    return [sys.executable, "-c", "; ".join(["import sys, time", "from bounds import beside", *lines])]


def medley(*arguments: str, child: str = beside._CHILD) -> list[str]:
    """The command line with another second process, which it starts on any machine."""
    two_cores = "from sim import machine; machine.cores = lambda: 2"
    called = f"import medley; sys.argv[1:] = {list(arguments)}; medley.main()"
    return python(f"beside._CHILD = {child!r}", two_cores, called)


def wait_for(lock: Path) -> None:
    """Until the second process is at work."""
    deadline = time.monotonic() + 120
    while not (lock.exists() and lock.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_for_end(lock: Path) -> None:
    """Until no process holds the lock."""
    deadline = time.monotonic() + 30
    with lock.open("a") as file:
        while True:
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                assert time.monotonic() < deadline, "the second process still runs"
                time.sleep(0.01)


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 2)


@pytest.mark.usefixtures("two_cores")
def test_the_numbers_are_those_of_this_process(small: str) -> None:
    regime = regimes.load(small)
    with beside.theory_beside(regime) as theory:
        # As text: the shortest that tells a number from all others, and nan is nan.
        assert repr(theory()) == repr(list(of_regime(regime)))


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("child", ["", "raise SystemExit(0)", BROKEN], ids=["silent", "ends", "half an answer"])
def test_a_process_that_fails_gives_nothing(small: str, child: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_CHILD", child)
    with beside.theory_beside(regimes.load(small)) as theory:
        assert theory() is None


@pytest.mark.usefixtures("two_cores")
def test_a_process_that_cannot_start_gives_nothing(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with beside.theory_beside(regimes.load(small)) as theory:
        assert theory() is None


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("why", ["one core", "plug-ins", "accelerator"])
def test_no_process_where_it_would_not_help(small: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    regime = regimes.load(small)
    if why == "one core":
        monkeypatch.setattr(machine, "cores", lambda: 1)
    elif why == "accelerator":
        monkeypatch.setattr(beside.jax, "default_backend", lambda: "gpu")
    else:
        regime = regime.model_copy(update={"plugins": {"mine.py": "pass"}})
    monkeypatch.setattr(subprocess, "Popen", None)
    with beside.theory_beside(regime) as theory:
        assert theory() is None


def test_large_worlds_and_warnings_are_left_to_the_run(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert beside._theory(regimes.load(small, ["world.attributes=9"])) is None
    warns = "import warnings; beside._theory = lambda _: [warnings.warn('look')]; beside.serve"
    loud = beside._CHILD.replace("beside.serve", warns)
    assert loud != beside._CHILD
    monkeypatch.setattr(beside, "_CHILD", loud)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    with beside.theory_beside(regimes.load(small)) as theory:
        assert theory() is None


def test_a_run_whose_second_process_fails_is_the_same(small: str, tmp_path: Path) -> None:
    whole, alone, few = tmp_path / "whole", tmp_path / "alone", ["--set", 'learners=["sup"]', "--set", "n=[40]"]
    for folder, child in ((whole, beside._CHILD), (alone, BROKEN)):
        command = medley("run", small, *few, "--out", str(folder), child=child)
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0 and "broken" not in done.stderr, done.stderr
    assert (whole / "table.parquet").read_bytes() == (alone / "table.parquet").read_bytes()
    assert (whole / "summary.txt").read_text() == (alone / "summary.txt").read_text()


def test_a_second_process_ends_with_an_interrupted_run(small: str, tmp_path: Path) -> None:
    lock, out = tmp_path / "lock", tmp_path / "out"
    command = medley("run", small, "--out", str(out), child=ENDLESS.format(lock=str(lock)))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0)
    wait_for(lock)
    # As a terminal does: the whole group.
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("medley: interrupted; ") and "Traceback" not in said
    wait_for_end(lock)


def test_a_second_process_ends_with_a_killed_one(small: str, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    process = subprocess.Popen(
        python(
            f"beside._CHILD = {ENDLESS.format(lock=str(lock))!r}",
            "from sim import regimes",
            f"beside._started(regimes.load({small!r}))",
            "time.sleep(600)",
        )
    )
    wait_for(lock)
    process.kill()
    process.wait()
    wait_for_end(lock)
