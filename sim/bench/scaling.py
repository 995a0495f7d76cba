"""How time and memory grow with the size of a world and the number of logs: one process per point."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from sim import families, learners, logs, machine
from sim.bench.child import Steps, in_child
from sim.files import atomic_file

N = 1000
LOGS = 100
LEARNERS = ("sup", "pref", "cost")
STEPS = ("build", "draw", *LEARNERS)
"""What is timed, once with compilation (`STEP_first_seconds`) and then without (`STEP_seconds`)."""

REPEATS, REPEAT_S = 10, 0.3
"""Short steps are repeated, at most so often and so long; the least time counts."""

SECONDS = 45.0
SHARE = 0.5
"""Of the memory that is free when a point begins: what its process may allocate."""


@dataclass(frozen=True)
class Axis:
    """One size that grows: a family, the parameter that is the size (None: the number of logs), and its values; and
    the logs of a point where they are not what grows.
    """

    family: str
    parameter: str | None
    values: tuple[int, ...]
    fixed: dict[str, int] = field(default_factory=dict)
    logs: int = LOGS


AXES = {
    "attributes": Axis("attributes", "attributes", (*range(1, 11), 12, 14, 16, 18, 20), logs=10),
    "contexts": Axis("attributes", "contexts", (1, 3, 10, 30, 100)),
    "features": Axis("tabular", "policy_dimension", (1, 4, 16, 64), {"responses": 32}),
    "seeds": Axis("attributes", None, (1, 100, 1000, 10_000)),
}


def measure(
    path: Path | None = None,
    axes: dict[str, Axis] | None = None,
    seconds: float = SECONDS,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Measure every point, one process each; a point that fails is a row with its message in `error`.

    Beyond a point that failed, larger ones of its axis are not tried, which their rows say.

    Args:
        path: of a CSV file, written anew after every point; None for none.
        axes: what grows; default: `AXES`.
        seconds: after which a point is stopped.
        progress: called with (points done, points in all).
    """
    axes = AXES if axes is None else axes
    total, rows = sum(len(axis.values) for axis in axes.values()), []
    for row in _rows(axes, seconds):
        rows.append(row)
        if path is not None:
            with atomic_file(path) as file:
                _table(rows).to_csv(file, index=False)
        if progress is not None:
            progress(len(rows), total)
    return _table(rows)


def point(family: str, parameters: dict[str, Any], count: int) -> Steps:
    """Build a world, draw logs and fit them, each first with compilation and then without."""
    yield from _cold_and_warm("build", lambda: families.world(family, **parameters))
    world = families.world(family, **parameters)
    yield "contexts", world.contexts
    yield "responses", world.responses
    yield "features", world.policy_features.dimension
    yield from _cold_and_warm("draw", lambda: logs.sample(world, N, count))
    drawn = logs.sample(world, N, count)
    for name in LEARNERS:
        yield from _cold_and_warm(name, lambda name=name: learners.fit(name, drawn, world))


def readable(table: pd.DataFrame) -> str:
    """The table as text: warm times, peak memory, and what failed."""
    shown = table[["axis", "value", *(f"{step}_seconds" for step in STEPS), "peak_mb"]].copy()
    shown.columns = ["axis", "value", *(f"{step} s" for step in STEPS), "peak MB"]
    text = shown.to_string(index=False, na_rep="", float_format=lambda value: f"{value:.3g}")
    failed = table[table["error"].notna()]
    reasons = [f"{row.axis} = {row.value}: {row.error}" for row in failed.itertuples()]
    return "\n".join([f"Device: {table['device'].iloc[0]}", "", text, *([""] if reasons else []), *reasons])


def as_json(table: pd.DataFrame) -> dict[str, Any]:
    """The table as `device` and `points`; what a point lacks is None, and its `error` says why."""
    points = [
        {key: None if pd.isna(value) else value for key, value in row.items()}
        for row in table.drop(columns="device").astype(object).to_dict("records")
    ]
    return {"device": table["device"].iloc[0], "points": points}


def _rows(axes: dict[str, Axis], seconds: float) -> Iterator[dict[str, Any]]:
    device = machine.device()
    for name, axis in axes.items():
        failed = None
        for value in axis.values:
            row: dict[str, Any] = {"axis": name, "value": value, "family": axis.family, "n": N, "device": device}
            row["seeds"] = value if axis.parameter is None else axis.logs
            if failed is not None:
                yield row | {"error": f"not tried, because {name} = {failed} failed"}
                continue
            parameters = axis.fixed | ({} if axis.parameter is None else {axis.parameter: value})
            free = machine.free_memory_mb()
            row["memory_limit_mb"] = None if free is None else SHARE * free
            job = (axis.family, parameters, row["seeds"])
            row |= in_child(point, *job, seconds=seconds, memory_mb=row["memory_limit_mb"])
            failed = value if row["error"] is not None else None
            yield row


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Always the same columns, whatever failed."""
    times = [f"{step}_{kind}" for step in STEPS for kind in ("first_seconds", "seconds")]
    sizes = ["axis", "value", "family", "contexts", "responses", "features", "seeds", "n"]
    columns = [*sizes, *times, "peak_mb", "memory_limit_mb", "error", "device"]
    numbers = ["contexts", "responses", "features"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, "Int64"))


def _cold_and_warm(name: str, job: Callable[[], Any]) -> Steps:
    """The seconds of the first call, and the least of further ones: one that is long, or several short ones."""
    yield f"{name}_first_seconds", _seconds(job)
    spent = [_seconds(job)]
    while sum(spent) < REPEAT_S and len(spent) < REPEATS:
        spent.append(_seconds(job))
    yield f"{name}_seconds", min(spent)


def _seconds(job: Callable[[], Any]) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started
