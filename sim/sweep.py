"""Sweeps: cells x seeds -> rows, in this process or on a cluster.

A task is one cell and one block of seeds, a whole number of compiled batches.  Every batch of a world has the same
number of lanes and a seed's lane is the seed modulo that number, so that a row is the same to the last bit whatever
else is run beside it.
"""

import functools
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Array

from sim import families, learners, logs, plugins, policies, record_logs, regimes
from sim.errors import BadInput
from sim.learners import Status
from sim.online.phase import Plan, PolicyLists, Setting, online_rows
from sim.online.test_users import points as test_users
from sim.policies import PolicyClass
from sim.record_logs import RecordLogs
from sim.regimes import Cell, Regime
from sim.store import MEASURED
from sim.summary import with_labels
from sim.world import World

LANES, ONLINE_LANES = 200, 100
"""Logs of one compiled batch, without and with an online phase; fewer where their counts would exceed `MEMORY`.

Below `while_each.MANY`, so that no seed's numbers depend on the other seeds.
"""

MEMORY = 2**25
"""Counts, or other numbers, that a batch may hold."""

BATCHES, WORK = 10, 2**18
"""Batches of one task: at most the first number, and fewer where a log has many counts, so that no task is long."""


PATIENCE = 5.0
"""Seconds without any outcome after which a cluster is asked whether it is still there."""


@dataclass(frozen=True)
class Task:
    """What one worker does in one go: the rows of some learners for one cell and the seeds of one block."""

    cell: Cell
    seeds: tuple[int, ...]
    learners: tuple[tuple[str, dict[str, Any]], ...]
    root_seed: int
    plugins: dict[str, str]
    online: Plan | None = None


@dataclass(frozen=True)
class Result:
    """What a task found: a row per learner and seed, and the rows of the online phase where there is one."""

    rows: pa.Table
    online: pd.DataFrame | None


@dataclass(frozen=True)
class Outcome:
    """What became of a task: its result, or the message of its failure."""

    task: Task
    result: Result | None
    error: str | None


def run_task(task: Task) -> Result:
    """Draw the logs of one task, fit its learners, and play the online phase."""
    plugins.load(task.plugins)
    world, policy_class = build(describe(task.cell))
    made = [learners.make(name, **settings) for name, settings in task.learners]
    width = width_of(task.cell, bool(task.online))
    blocks = [np.array(list(block)) for _, block in itertools.groupby(task.seeds, lambda seed: seed // width)]
    drawing = _drawn_ahead(lambda seeds: _drawn(task, seeds, width, world, made), blocks)
    batches = [
        _run_batch(_places(seeds, width, world), taken, world, policy_class, made, bool(task.online))
        for seeds, taken in zip(blocks, drawing, strict=True)
    ]
    tables = [
        _rows(name, learner.settings(), [batch.measured[i] for batch in batches], task)
        for i, ((name, _), learner) in enumerate(zip(task.learners, made, strict=True))
    ]
    rows = _keys_first(tables)
    if task.online is None:
        return Result(rows, None)
    (batch,) = batches
    assert batch.policies is not None and isinstance(batch.logs, logs.Logs)
    labels = tuple(with_labels(rows.to_pandas())["label"].drop_duplicates())
    lists = PolicyLists(labels, tuple(learner.baseline for learner in made), batch.policies, batch.logs)
    return Result(rows, online_rows(setting_of(task.cell, task.seeds, task.root_seed), lists, task.online))


class _Batch(NamedTuple):
    """What each learner's fits measured at the seeds asked for; for the online phase also the policies (S, K, X, A)
    and logs of all lanes.
    """

    measured: list[dict[str, np.ndarray]]
    policies: Array | None
    logs: logs.Logs | RecordLogs | None


Drawn = dict[int, logs.Logs | RecordLogs]
"""The logs of one batch, by the size of their held-out part."""


def _places(seeds: np.ndarray, width: int, world: World) -> np.ndarray:
    """Where the seeds stand in their batch."""
    return np.arange(len(seeds)) if record_logs.needed(world) else seeds % width


def _drawn_ahead(draw: Callable[[np.ndarray], Drawn], blocks: list[np.ndarray]) -> Iterator[Drawn]:
    """The logs of each batch in order; those of the next, and no more, are drawn while the learners fit this one."""
    with ThreadPoolExecutor(1) as ahead:
        drawing = ahead.submit(draw, blocks[0])
        for following in blocks[1:]:
            drawn, drawing = drawing.result(), ahead.submit(draw, following)
            yield drawn
            del drawn
        yield drawing.result()


def _drawn(task: Task, seeds: np.ndarray, width: int, world: World, made: list[learners.Learner]) -> Drawn:
    """Each learner's held-out log has that learner's size, whoever else runs beside it."""
    sizes = dict.fromkeys(getattr(learner, "held_out", 0) for learner in made)
    found = {size: logs.sample(world, task.cell.n, seeds.tolist(), task.root_seed, size) for size in sizes}
    # Records are fitted log by log, and need no lanes.
    return {
        size: one if isinstance(one, RecordLogs) else _in_lanes(one, seeds % width, width)
        for size, one in found.items()
    }


def _run_batch(
    lanes: np.ndarray,
    drawn: Drawn,
    world: World,
    policy_class: PolicyClass,
    made: list[learners.Learner],
    keep_policies: bool,
) -> _Batch:
    """Fit every learner to the logs of one batch."""
    fitted = [learners.fit(one, drawn[getattr(one, "held_out", 0)], world, policy_class) for one in made]
    measured = [_measured(fits, lanes) for fits in fitted]
    if not keep_policies:
        return _Batch(measured, None, None)
    policies = jnp.exp(jnp.stack([fits.log_policy for fits in fitted], axis=1))
    return _Batch(measured, policies, next(iter(drawn.values())))


def width_of(cell: Cell, online: bool) -> int:
    """The lanes of a batch: a function of the world's shape and n, so that no machine or chunk changes a number."""
    return max(1, min(ONLINE_LANES if online else LANES, MEMORY // _numbers(cell)))


def _numbers(cell: Cell) -> int:
    """How many numbers a log of this cell has: counts, or where it is records those and the table of its policy."""
    contexts, responses, by_records = _shape(describe(cell))
    return max(contexts * responses, cell.n) if by_records else contexts * responses**2


def by_records(cell: Cell) -> bool:
    """Whether the logs of this cell are records."""
    return _shape(describe(cell))[2]


@functools.cache
def _shape(description: str) -> tuple[int, int, bool]:
    """Contexts and responses of a world, and whether its logs are records."""
    world, _ = build(description)
    return world.contexts, world.responses, record_logs.needed(world)


def setting_of(cell: Cell, seeds: tuple[int, ...] = (0,), root_seed: int = 0) -> Setting:
    """Where the online phase of a cell plays, for the seeds of one block."""
    parameters = {key: value for key, value in cell.world.items() if key != "content"}
    words, (world, _) = json.dumps(asdict(cell), sort_keys=True), build(describe(cell))
    width = width_of(cell, online=True)
    lanes = np.array(seeds) % width
    return Setting(words, cell.family, parameters, cell.user, world, seeds[0] // width, width, lanes, root_seed)


def check(regime: Regime) -> None:
    """Build every world and policy class of a regime once, so that what is wrong with one is said before it runs."""
    made = [learners.make(name, **settings) for name, settings in regimes.learner_grid(regime)]
    for description in dict.fromkeys(describe(cell) for cell in regimes.cells(regime)):
        built = build(description)
        for learner in made:
            learner.check(*built)
        if record_logs.needed(built[0]):
            _check_records(regime, *built, made)
    _check_test_users(regime)


def _check_records(regime: Regime, world: World, policies: PolicyClass, made: list[learners.Learner]) -> None:
    """Refuse what needs a table of counts, or of a policy per log."""
    record_logs.require_size(max(regime.n))
    for learner in made:
        learners.check_records(learner, world, policies)
    if regime.online:
        raise BadInput(
            f"[online]: expected worlds of at most {record_logs.LARGEST_COUNTED} responses, got {world.responses};"
            " lower attributes, or remove [online]"
        )


def _check_test_users(regime: Regime) -> None:
    """Build every test user's world in every cell once."""
    for cell in regimes.cells(regime) if regime.online else []:
        for phases in test_users(regime.test_user):
            setting_of(cell).check(phases, regime.online)


def describe(cell: Cell) -> str:
    """A cell's world and policy class as JSON, for `build`."""
    return json.dumps([cell.family, cell.world, cell.user, cell.policy])


def _keys_first(tables: list[pa.Table]) -> pa.Table:
    """The tables below each other, every column that identifies a row left of what was measured."""
    rows = pa.concat_tables(tables, promote_options="permissive")
    keys = {name for table in tables for name in table.column_names[: table.column_names.index(MEASURED[0])]}
    place = {name: i for i, name in enumerate(rows.column_names)}
    world = place["family"]
    late = [name for name in rows.column_names if name in keys and place[name] > place[MEASURED[0]]]
    left = [name for name in rows.column_names if name in keys and name not in late]
    ordered = left[:world] + late + left[world:]
    return rows.select(ordered + [name for name in rows.column_names if name not in keys])


@functools.lru_cache(maxsize=8)
def build(description: str) -> tuple[World, PolicyClass]:
    """The world and policy class of a cell, from its description as JSON; the last few are kept."""
    family, world, user, policy = json.loads(description)
    settings = {key: value for key, value in world.items() if key != "content"}
    built = families.world(family, user=user or None, **settings)
    return built, policies.build(policy["class"], built, policy.get("size"), policy.get("seed", 0))


def _in_lanes(drawn: logs.Logs, lanes: np.ndarray, width: int) -> logs.Logs:
    """The logs at their lanes of a full batch; empty lanes repeat the first log."""
    source = np.zeros(width, dtype=int)
    source[lanes] = np.arange(len(lanes))
    return logs.Logs(drawn.counts[source], drawn.held_out[source], drawn.n)


def _measured(fits: learners.Fits, lanes: np.ndarray) -> dict[str, np.ndarray]:
    columns = {
        "suboptimality": fits.suboptimality,
        "expected_cost": fits.expected_cost,
        "status": fits.status,
        "iterations": fits.iterations,
        **fits.notes,
    }
    return {name: values[lanes] for name, values in columns.items()}


_STATUS_NAMES = np.array([status.name for status in Status], dtype=object)


def _rows(name: str, settings: dict[str, Any], parts: list[dict[str, np.ndarray]], task: Task) -> pa.Table:
    """A learner's rows.  Arrow's columns, because a table of data frames costs more than the fits of a short log."""
    known = {key: _constant(value, len(task.seeds)) for key, value in identity(name, settings, task.cell).items()}
    measured = {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}
    measured["status"] = _STATUS_NAMES[measured["status"]]
    values = {column: pa.array(found, from_pandas=True) for column, found in measured.items()}
    return pa.table(known | {"seed": pa.array(task.seeds, pa.int64())} | values)


def _constant(value: Any, length: int) -> pa.Array:
    """A column that says the same in every row; what is not a number is empty."""
    if isinstance(value, float) and np.isnan(value):
        return pa.nulls(length, pa.float64())
    return pa.repeat(value, length)


def identity(name: str, settings: dict[str, Any], cell: Cell) -> dict[str, Any]:
    """What identifies a row but its seed: learner, settings, the world's, user's and policy class's parameters, n."""
    constants = {"family": cell.family, **cell.world, **cell.user}
    constants |= {f"policy_{key}": value for key, value in cell.policy.items()}
    given = {key: value for key, value in settings.items() if value is not None}
    clash = sorted(given.keys() & constants.keys())
    if clash:
        raise BadInput(f"'{clash[0]}' is a setting of learner '{name}' and a parameter of the world: rename one")
    empty = {"learner": name, "link": None, "lam": np.nan, "ridge": np.nan, "radius": np.nan}
    return empty | given | constants | {"n": cell.n}


def plan(regime: Regime, done: set[str]) -> list[Task]:
    """The tasks of a regime, less what is `done` (keys from `keys_of`); cells in order, seeds by blocks."""
    wanted, online, tasks = regimes.learner_grid(regime), online_plan(regime), []
    for cell in regimes.cells(regime):
        step = _seeds_of_a_task(cell, online)
        for start in range(0, regime.seeds, step):
            seeds = tuple(range(start, min(start + step, regime.seeds)))
            whole = Task(cell, seeds, tuple(wanted), regime.root_seed, regime.plugins, online)
            missing = tuple(w for w in wanted if not done.issuperset(keys_of(replace(whole, learners=(w,)))))
            if missing:
                # The online phase needs all policies of a log together.
                tasks.append(whole if online else replace(whole, learners=missing))
    return tasks


def _seeds_of_a_task(cell: Cell, online: Plan | None) -> int:
    # The online phase draws by batch.
    batches = 1 if online else max(1, min(BATCHES, WORK // _numbers(cell)))
    return batches * width_of(cell, bool(online))


def online_plan(regime: Regime) -> Plan | None:
    """The online phase of a regime, if it has one."""
    return Plan(regime.online, tuple(test_users(regime.test_user))) if regime.online else None


def keys_of(task: Task) -> set[str]:
    """One key per row that the task makes: a digest of all that makes it but the seed, and the seed."""
    return {f"{digest} {seed}" for digest in _digests(task) for seed in task.seeds}


def without(found: Result, task: Task, done: set[str]) -> Result:
    """The result less the rows that are `done`: a block is done again as a whole, perhaps by a machine whose last
    bits differ.
    """
    keys = [[f"{digest} {seed}" for seed in task.seeds] for digest in _digests(task)]
    new = np.array([[key not in done for key in row] for row in keys])
    # Rows are in the order of learners, then seeds; the online phase of a seed plays all learners' policies.
    rows = found.rows.filter(pa.array(new.ravel()))
    if found.online is None:
        return Result(rows, None)
    seeds = np.array(task.seeds)[new.any(axis=0)]
    return Result(rows, found.online[found.online["seed"].isin(seeds)].reset_index(drop=True))


def _digests(task: Task) -> list[str]:
    sources = {name: plugins.digest(source) for name, source in task.plugins.items()}
    shared = json.dumps([asdict(task.cell), task.root_seed, sources], sort_keys=True)
    words = [f"{shared} {json.dumps(learner, sort_keys=True)}" for learner in task.learners]
    # Short, because a chunk stores a key per row.
    return [hashlib.blake2b(text.encode(), digest_size=12).hexdigest() for text in words]


def run_tasks(
    tasks: list[Task], executor: Executor, alive: Callable[[], bool] = lambda: True, patience: float = PATIENCE
) -> Iterator[Outcome]:
    """The outcomes of all tasks, as they come; a failed task is an outcome too.

    Args:
        tasks: what is done.
        executor: where.
        alive: whether the executor can still answer; if not, what is pending for `patience` seconds has failed.
        patience: seconds between two questions.
    """
    futures: dict[Future[Result], Task] = {executor.submit(run_task, task): task for task in tasks}
    for future in _as_completed(set(futures), alive, patience):
        # Let go of, so that a result that is stored is not kept.
        task = futures.pop(future)
        error = _error_of(future)
        yield Outcome(task, future.result() if error is None else None, error)


def _as_completed(pending: set[Future[Result]], alive: Callable[[], bool], patience: float) -> Iterator[Future[Result]]:
    while pending:
        done, pending = wait(pending, patience, FIRST_COMPLETED)
        if not done and not alive():
            # A result that was on its way when the scheduler went would be waited for without end.
            done, pending = pending, set()
            for future in done:
                future.cancel()
        yield from done


def _error_of(future: Future[Result]) -> str | None:
    try:
        error = future.exception()
    except CancelledError:
        return "cancelled: the cluster's scheduler went away"
    return None if error is None else f"{type(error).__name__}: {error}".replace("\n", " ")
