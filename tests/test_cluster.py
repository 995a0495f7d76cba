"""Runs on a real Dask cluster of processes: the same table, whatever happens to a worker."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from run_cases import SMALL

import sim
from sim import BadInput, regimes, sweep
from sim.runs import TasksFailed

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def regime(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("regime") / "small.toml"
    path.write_text(SMALL.format(n=[40, 60, 80, 100, 200], seeds=2 * sweep.LANES + 7))
    return str(path)


@pytest.fixture(scope="module")
def whole(regime: str) -> pd.DataFrame:
    return sim.run(regime)


def test_a_cluster_gives_the_same_table(regime: str, whole: pd.DataFrame) -> None:
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        table = sim.run(regime, dask=cluster.scheduler_address)
    pd.testing.assert_frame_equal(table, whole, check_exact=True)


def test_a_worker_killed_in_the_middle_changes_nothing(regime: str, whole: pd.DataFrame, tmp_path: Path) -> None:
    from distributed import LocalCluster

    chunks, killed = tmp_path / "run" / "chunks", []

    def kill(pids: list[int]) -> None:
        _until(lambda: any(chunks.glob("*.parquet")))
        os.kill(pids[0], signal.SIGKILL)
        killed.append(len(list(chunks.glob("*.parquet"))))

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        thread = threading.Thread(target=kill, args=([nanny.pid for nanny in cluster.workers.values()],), daemon=True)
        thread.start()
        table = sim.run(regime, tmp_path / "run", dask=cluster.scheduler_address)
    # In the middle: some chunks were there, and more were to come.
    assert killed and 0 < killed[0] < len(sweep.plan(regimes.load(regime), set()))
    pd.testing.assert_frame_equal(table, whole, check_exact=True)


def test_no_scheduler_is_bad_input(regime: str) -> None:
    with pytest.raises(BadInput, match="no scheduler answers"):
        sim.run(regime, dask="not-an-address")


def test_a_run_whose_scheduler_is_killed_fails_in_one_line_and_resumes(
    regime: str, whole: pd.DataFrame, tmp_path: Path
) -> None:
    chunks, address = tmp_path / "run" / "chunks", tmp_path / "address.json"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--scheduler-file", str(address)]
    with _process([*dask, "--port", "0", "--no-dashboard"]) as scheduler:
        _until(address.exists)
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(address)]
        with _process([*worker, "--nthreads", "1", "--no-dashboard", "--death-timeout", "5"]):

            def kill() -> None:
                _until(lambda: any(chunks.glob("*.parquet")))
                scheduler.kill()

            threading.Thread(target=kill, daemon=True).start()
            with pytest.raises(TasksFailed, match="scheduler went away"):
                sim.run(regime, tmp_path / "run", dask=json.loads(address.read_text())["address"])
    table = sim.run(regime, tmp_path / "run", resume=True)
    pd.testing.assert_frame_equal(table, whole, check_exact=True)


@contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_never_answers_fails_once_its_scheduler_is_gone(regime: str) -> None:
    class Silent(Executor):
        def submit(self, *_: object, **__: object) -> Future:
            return Future()

    tasks, asked = sweep.plan(regimes.load(regime), set()), []
    outcomes = list(sweep.run_tasks(tasks, Silent(), lambda: bool(asked.append(1)) or len(asked) < 3, 0.05))
    assert len(outcomes) == len(tasks) and len(asked) == 3
    assert all("scheduler went away" in (outcome.error or "") for outcome in outcomes)
