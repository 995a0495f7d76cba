"""What a regime will cost, measured: one task of it is run twice, and the rest is counted."""

import resource
import time
from dataclasses import dataclass

from sim import sweep
from sim.regimes import Regime


@dataclass(frozen=True)
class Estimate:
    """Minutes of one process, and the peak memory of it in MB."""

    minutes: float
    memory_mb: float


def estimate(regime: Regime) -> Estimate:
    """Time one task of every shape cold and warm; a task's time hardly depends on n, but where logs are records.

    Tasks of one world family and policy class count as one shape.
    """
    shapes: dict[str, list[sweep.Task]] = {}
    for task in sweep.plan(regime, set()):
        sizes = {k: v for k, v in task.cell.world.items() if isinstance(v, int) and not k.endswith("seed")}
        shapes.setdefault(f"{task.cell.family} {sizes} {task.cell.policy} {_size(task)}", []).append(task)
    seconds = 0.0
    for tasks in shapes.values():
        cold, warm = _timed(tasks[0]), _timed(tasks[len(tasks) // 2])
        seconds += max(cold - warm, 0.0) + warm * len(tasks)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Estimate(seconds / 60, peak)


def _size(task: sweep.Task) -> int | None:
    """n, where the time depends on it."""
    return task.cell.n if sweep.by_records(task.cell) else None


def _timed(task: sweep.Task) -> float:
    started = time.monotonic()
    sweep.run_task(task)
    return time.monotonic() - started
