"""What a regime will cost, measured: one task of it is run twice, and the rest is counted."""

import time
from dataclasses import dataclass
from pathlib import Path

from sim import sweep
from sim.machine import peak_mb
from sim.regimes import Regime, cells, learner_grid, to_toml

COPIES = 4
"""How often the table of all rows is held at once while it is put together and sorted.

Fitted to one measurement: 100,000 logs x 4 learners peaked at 1,221 MB (docs/performance/bench.json), of which this
makes 1,165.
"""


@dataclass(frozen=True)
class Estimate:
    """Minutes of one process, and the peak memory of it in MB."""

    minutes: float
    memory_mb: float


def in_words(regime: Regime) -> str:
    """The resolved regime, its cells and their cost; paths in it are as seen from the working folder."""
    size = f"{len(cells(regime))} cells x {regime.seeds} seeds x {len(learner_grid(regime))} learners"
    cost = estimate(regime)
    return (
        f"{to_toml(regime, Path.cwd())}\n# {size} with their settings\n"
        f"# about {cost.minutes:.1f} minutes, {cost.memory_mb:.0f} MB at the peak; measured on some of its tasks"
    )


def estimate(regime: Regime) -> Estimate:
    """Time one task of every shape cold and warm; a task's time hardly depends on n, but where logs are records.

    Tasks of one world family and policy class count as one shape.
    """
    shapes: dict[str, list[sweep.Task]] = {}
    for task in sweep.plan(regime, set()):
        sizes = {k: v for k, v in task.cell.world.items() if isinstance(v, int) and not k.endswith("seed")}
        shapes.setdefault(f"{task.cell.family} {sizes} {task.cell.policy} {_size(task)}", []).append(task)
    seconds = table = 0.0
    for tasks in shapes.values():
        (cold, size), (warm, _) = _timed(tasks[0]), _timed(tasks[len(tasks) // 2])
        seconds += max(cold - warm, 0.0) + warm * len(tasks)
        table += size * len(tasks) / 2**20
    return Estimate(seconds / 60, peak_mb() + COPIES * table)


def _size(task: sweep.Task) -> int | None:
    """n, where the time depends on it."""
    return task.cell.n if sweep.by_records(task.cell) else None


def _timed(task: sweep.Task) -> tuple[float, int]:
    """The seconds of a task, and the bytes of its rows."""
    started = time.monotonic()
    found = sweep.run_task(task)
    return time.monotonic() - started, int(found.rows.nbytes)
