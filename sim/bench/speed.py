"""The numbers of `medley bench`: fits against other packages, rows per second, drawing, memory."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sim import families, logs, machine, regimes, sweep
from sim.bench import contest
from sim.bench.child import Steps, in_child
from sim.bench.contest import Effort, Others
from sim.world import World

LEARNERS = ("sup", "pref", "cost", "early")
N_SMALL, N_LARGE = 10**3, 10**9


@dataclass(frozen=True)
class Size:
    """How much is measured: fits, logs drawn of each size, and the logs of the sweep whose memory is measured.

    `tasks` of the sweep are timed, in `rounds`; the process of the sweep is stopped after `limit_s`.
    """

    effort: Effort = field(default_factory=Effort)
    drawn: int = 1000
    swept: int = 100_000
    tasks: int = 20
    rounds: int = 3
    limit_s: float = 1800.0


def measure(size: Size | None = None, world: World | None = None, others: Others | None = None) -> dict[str, Any]:
    """Every number of `medley bench`, by name; one that cannot be had is None, with the reason under `reasons`.

    Args:
        size: how much is measured; default: what `medley bench` measures.
        world: in which fits and drawing are timed; default: the default attribute world.
        others: the other packages' fits by learner; default: `contest.RIVALS`.
    """
    size = Size() if size is None else size
    world = families.world("attributes") if world is None else world
    values = contest.hold(world, size.effort, contest.RIVALS if others is None else others)
    swept = in_child(swept_rows, size.swept, size.effort.n, size.tasks, size.rounds, seconds=size.limit_s)
    whole = swept["error"] is None
    found = {
        "rows_per_second": swept.get("rows_per_second"),
        "sampling_ratio_n": sampling_ratio(world, size.drawn, size.rounds),
        "peak_memory_mb": swept["peak_mb"] if whole else None,
        "sweep_logs": size.swept,
        "sweep_rows": swept.get("sweep_rows"),
        "sweep_seconds": swept.get("sweep_seconds"),
    }
    lost = {key: f"the sweep failed: {swept['error']}" for key, value in found.items() if value is None}
    place = {"device": machine.device(), "cores": machine.cores(), "versions": machine.versions()}
    return values | found | place | {"reasons": values["reasons"] | lost}


def sampling_ratio(world: World, drawn: int, rounds: int) -> float:
    """The time to draw logs of 1e9 triples over the time to draw as many of 1e3."""
    jobs = [lambda n=n: logs.sample(world, n, drawn) for n in (N_SMALL, N_LARGE)]
    small, large = contest.best_seconds(jobs, rounds)
    return large / small


def swept_rows(swept: int, n: int, most_tasks: int, rounds: int) -> Steps:
    """From key to evaluated row, sampling included: the rate of warm tasks, then a whole sweep in memory."""
    from sim.runs import run

    raw = {"n": [n], "seeds": swept, "learners": list(LEARNERS), "early": {"lam": 1.0}}
    regime = regimes.resolve("bench", raw, Path.cwd())
    tasks = sweep.plan(regime, set())[:most_tasks]
    rows = sum(len(task.seeds) * len(task.learners) for task in tasks)
    sweep.run_task(tasks[0])
    yield "rows_per_second", rows / contest.best_seconds([lambda: [sweep.run_task(t) for t in tasks]], rounds)[0]
    started = time.perf_counter()
    table = run(regime)
    yield "sweep_seconds", time.perf_counter() - started
    yield "sweep_rows", len(table)


def readable(values: dict[str, Any]) -> str:
    """The numbers as text: a table of fits, then the rest, then the reasons of what is missing."""
    packages = ", ".join(f"{name} {version}" for name, version in values["versions"].items() if version)
    lines = [
        f"Device: {values['device']}",
        f"Packages: {packages}",
        f"Attribute world, n = {values['n']:,}: {values['logs']:,} logs, {values['separated_logs']:,} separated and"
        f" left out; {values['compared_logs']:,} fitted by all.",
        "",
        f"{'fits per second':28s} {'':>12s} {'ours is':>9s} {'differs by':>11s}  best setting",
        *_fits_lines(values),
        "",
        f"{'rows per second':28s} {_number(values['rows_per_second'])}  from key to evaluated row, 4 learners, warm",
        f"{'peak memory, MB':28s} {_number(values['peak_memory_mb'])}"
        f"  a sweep of {values['sweep_logs']:,} logs x 4 learners in {_number(values['sweep_seconds']).strip()} s",
        f"{'drawing, n = 1e9 over 1e3':28s} {_number(values['sampling_ratio_n'])}  ratio of times",
    ]
    return "\n".join(lines + [f"{key}: {reason}" for key, reason in values["reasons"].items()])


def _fits_lines(values: dict[str, Any]) -> list[str]:
    lines = []
    for name, packages in contest.PACKAGES.items():
        rate = _number(values[f"{name}_fits_per_second"])
        lines.append(f"{name:28s} {rate} {'':>9s} {'':>11s}  ridge {values['ridge']:.0e}, in batches")
        for key, package in packages.items():
            rate, ratio, apart, setting = (
                values[f"{name}_{what}_{key}"] for what in ("fits_per_second", "ratio", "disagreement", "setting")
            )
            times = "none" if ratio is None else f"{ratio:.3g} x"
            gap = "none" if apart is None else f"{apart:.1e}"
            lines.append(f"  {package:26s} {_number(rate)} {times:>9s} {gap:>11s}  {setting or 'none'}")
    return lines


def _number(value: float | None) -> str:
    return f"{'none':>12s}" if value is None else f"{value:12,.0f}" if value >= 100 else f"{value:12.3g}"
