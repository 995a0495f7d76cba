"""One run: the cells of a regime, simulated into a table, in memory or in a result folder."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from sim import machine, plugins, regimes, store, sweep
from sim.errors import BadInput
from sim.online.settings import in_words
from sim.regimes import Regime

Progress = Callable[[int, int], None]


class TasksFailed(RuntimeError):
    """Some tasks of a run failed; the message holds the first failure's."""


def run(
    regime: str | Regime = regimes.DEFAULT,
    out: str | Path | None = None,
    *,
    overrides: list[str] | None = None,
    resume: bool = False,
    dask: str | None = None,
    progress: Progress | None = None,
    finish: Callable[[pd.DataFrame], None] | None = None,
) -> pd.DataFrame:
    """Simulate a regime and return its table: one row per learner with its settings, cell and seed.

    Args:
        regime: a shipped name, the path of a TOML file, or a `Regime`.
        out: the result folder; None keeps everything in memory.
        overrides: "dotted.key=value" settings over the file's.
        resume: continue what `out` holds.
        dask: address of a Dask scheduler; None for threads of this process.
        progress: called with (tasks done, tasks in all).
        finish: called with the table at the end, while the folder is still closed to other runs.

    Returns:
        The rows: learner, its settings, the world's parameters, n and seed, which are together unique, then
        suboptimality, expected_cost, status and what a learner notes.  `bounds.joined` adds the theory's columns.

    Raises:
        BadInput: a regime or folder that cannot be used.
        TasksFailed: tasks failed; what succeeded is stored, and `resume` tries the rest again.
    """
    regime = regime if isinstance(regime, Regime) else regimes.load(regime, overrides)
    sweep.check(regime)
    with ExitStack() as stack:
        # The cluster first, so that a wrong address leaves no folder behind.
        workers = stack.enter_context(ExitStack())
        pool = workers.enter_context(executor(dask))
        if out is None:
            table = _in_memory(regime, pool, progress)[0]
        else:
            folder = store.open_folder(Path(out), regime, resume)
            stack.callback(folder.close)
            table = _in_folder(regime, folder, pool, progress)
        workers.close()
        if finish is not None:
            finish(table)
    return table


def run_online(
    regime: str | Regime, *, overrides: list[str] | None = None, progress: Progress | None = None
) -> pd.DataFrame:
    """Simulate a regime in memory and return the rows of its online phase, as `online.parquet` holds them.

    Args:
        regime, overrides, progress: as for `run`.

    Raises:
        BadInput: a regime that cannot be used, or one without an online phase.
        TasksFailed: tasks failed.
    """
    regime = regime if isinstance(regime, Regime) else regimes.load(regime, overrides)
    if not regime.online:
        raise BadInput(f"regime '{regime.name}': expected one with a table [online], it has none")
    sweep.check(regime)
    with executor(None) as pool:
        return in_words(store.online_merged(_in_memory(regime, pool, progress)[1]))


class Pool(NamedTuple):
    """An executor, and whether it can still answer."""

    executor: Executor
    alive: Callable[[], bool] = lambda: True


@contextmanager
def executor(dask: str | None) -> Iterator[Pool]:
    """Where tasks run: one thread of this process, or a Dask cluster.

    One thread only: compiled calls use all cores themselves, and two of them at once can wait for each other for
    ever when the machine has two.
    """
    if dask is None:
        pool = ThreadPoolExecutor(max_workers=1)
        try:
            yield Pool(pool)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return
    try:
        from distributed import Client
    except ImportError:
        raise BadInput("--dask: needs the package 'distributed'; pip install 'medley[cluster]'") from None
    try:
        client = Client(dask, timeout=20)
    except (OSError, ValueError, TimeoutError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"--dask {dask}: no scheduler answers there ({reason})") from None
    with client:
        yield Pool(client.get_executor(), lambda: client.status not in ("closing", "closed", "failed"))


def _in_memory(regime: Regime, pool: Pool, progress: Progress | None) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    tables, online = [], []
    for outcome in _outcomes(sweep.plan(regime, set()), pool, progress):
        if outcome.result is None:
            raise TasksFailed(outcome.error)
        tables.append(outcome.result.rows)
        if outcome.result.online is not None:
            online.append(outcome.result.online)
    return store.merged(tables), online


def _in_folder(regime: Regime, folder: store.RunFolder, pool: Pool, progress: Progress | None) -> pd.DataFrame:
    started = time.monotonic()
    folder.write_regime(regime)
    failures, done = [], folder.done()
    for outcome in _outcomes(sweep.plan(regime, done), pool, progress):
        if outcome.result is None:
            failures.append({"cell": vars(outcome.task.cell), "seeds": outcome.task.seeds[:1], "error": outcome.error})
        else:
            fresh = sweep.without(outcome.result, outcome.task, done)
            folder.write_chunk(sweep.keys_of(outcome.task) - done, fresh.rows, fresh.online)
    folder.write_json("failures.json", failures)
    folder.write_json("provenance.json", provenance(regime, time.monotonic() - started))
    if failures:
        raise TasksFailed(f"{len(failures)} tasks failed, the first with: {failures[0]['error']}; see failures.json")
    table = folder.rows()
    if regime.online:
        store.write_table(folder.path, in_words(folder.online_rows()), "online.parquet")
    store.write_table(folder.path, table)
    return table


def _outcomes(tasks: list[sweep.Task], pool: Pool, progress: Progress | None) -> Iterator[sweep.Outcome]:
    for done, outcome in enumerate(sweep.run_tasks(tasks, *pool), start=1):
        yield outcome
        if progress:
            progress(done, len(tasks))


def provenance(regime: Regime, wall_seconds: float) -> dict[str, Any]:
    """What made a table: versions, device, seeds, plugins, time."""
    return machine.made_with() | {
        "root_seed": regime.root_seed,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_seconds": round(wall_seconds, 3),
        "plugins": {name: plugins.digest(source) for name, source in regime.plugins.items()},
    }
