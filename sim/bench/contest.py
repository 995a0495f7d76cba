"""Fits per second of ours and of other packages, on the same logs.

All get counts that are aggregated before the clock starts.  Ours fits a batch of logs in one compiled call and
returns parameters, convergence and the certificate of a finite fit; the others fit one log at a time, with the
loosest tolerance with which they agree with ours on every log compared.  All are timed in turn, several times; the
best time of each counts, and the best setting of each package.  Ours has a ridge of `RIDGE`, the others none: the
exact test of separation needs one, and its pull on an estimate is below 1e-7.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sim import learners, logs
from sim.bench import rivals
from sim.bench.rivals import Block, Rival
from sim.learners import Learner, PolicyLearner, Preference, Status, Supervision
from sim.log_linear import log_linear
from sim.log_linear_parts import Gathered
from sim.logs import Logs
from sim.objectives import Choices
from sim.world import World

AGREEMENT = 1e-6
"""The largest difference of a parameter with which a comparison counts."""

RIDGE = 1e-7
TOLERANCES = tuple(factor * 10.0**-k for k in range(5, 12) for factor in (1.0, 0.3))
OURS: dict[str, PolicyLearner] = {"preference": Preference(ridge=RIDGE), "supervision": Supervision(ridge=RIDGE)}
PACKAGES = {"preference": {"sklearn": "scikit-learn", "scipy": "SciPy"}, "supervision": {"scipy": "SciPy"}}
"""What each learner is compared with, by the name in keys."""

Others = dict[str, Callable[[World], list[Rival]]]
RIVALS: Others = {"preference": rivals.preference, "supervision": rivals.supervision}
ALL_SEPARATE = "no log is left to compare: all of them separate or hold no edit"


@dataclass(frozen=True)
class Effort:
    """How much is measured: `batches` of `batch` logs of n triples, `compared` of them by the others too."""

    n: int = 1000
    batch: int = 2500
    batches: int = 8
    compared: int = 100
    rounds: int = 5


@dataclass(frozen=True)
class Entry:
    """A rival with its logs, its tolerance (None: it disagrees), its largest difference from ours, and its rate."""

    rival: Rival
    blocks: list[list[Block]]
    tolerance: float | None
    disagreement: float
    per_second: float = 0.0

    @property
    def setting(self) -> str:
        """The setting in words."""
        return f"{self.rival.method}, {self.rival.layout}, tolerance {self.tolerance:.0e}"

    def fit_all(self) -> None:
        """Fit every log compared."""
        assert self.tolerance is not None
        for blocks in self.blocks:
            self.rival.estimate(blocks, self.tolerance)


def hold(world: World, effort: Effort, others: Others = RIVALS) -> dict[str, Any]:
    """Fits per second, ratios to the others, and how the comparison was made; None where the `reasons` say why."""
    drawn = logs.sample(world, effort.n, effort.batch * effort.batches)
    assert isinstance(drawn, Logs)
    status = np.stack([_statuses(ours, drawn, world, effort.batch) for ours in OURS.values()])
    separated = np.any(status == Status.separated, axis=0)
    uninformed = np.any(status == Status.no_information, axis=0) & ~separated
    kept = np.flatnonzero(~separated & ~uninformed)
    # Whole batches, so that every one has the shape that is compiled.
    used = _part(drawn, kept[: max(len(kept) // effort.batch * effort.batch, min(len(kept), effort.batch))])
    values = {
        "n": effort.n,
        "logs": len(separated),
        "separated_logs": int(separated.sum()),
        "uninformative_logs": int(uninformed.sum()),
        "compared_logs": min(effort.compared, len(kept)),
        "ridge": RIDGE,
        "agreement": AGREEMENT,
    }
    if not len(kept):
        return values | _verdicts(dict.fromkeys(OURS), {name: [] for name in OURS}, ALL_SEPARATE)
    entries = {name: list(_entries(OURS[name], used, world, others[name], effort.compared)) for name in OURS}
    return values | _verdicts(*_timed(used, world, entries, effort))


def best_seconds(jobs: list[Callable[[], Any]], rounds: int) -> list[float]:
    """The least seconds of each job; every round runs all of them."""
    best = [np.inf] * len(jobs)
    for _ in range(rounds):
        for i, job in enumerate(jobs):
            started = time.perf_counter()
            job()
            best[i] = min(best[i], time.perf_counter() - started)
    return best


def calibrated(rival: Rival, logs_: list[list[Block]], expected: np.ndarray) -> tuple[float | None, float]:
    """The loosest tolerance with which a rival agrees on all logs, and the largest difference of a parameter.

    Where none agrees: None, and the first difference that is too large with the strictest tolerance.
    """
    worst = np.inf
    for tolerance in TOLERANCES:
        worst = _worst(rival, logs_, expected, tolerance)
        if worst <= AGREEMENT:
            return tolerance, worst
    return None, worst


def _worst(rival: Rival, logs_: list[list[Block]], expected: np.ndarray, tolerance: float) -> float:
    """The largest difference of a parameter, or the first that is too large; a number that is not finite is one."""
    worst = 0.0
    for blocks, theta in zip(logs_, expected, strict=True):
        gap = float(np.abs(rival.estimate(blocks, tolerance) - theta).max(initial=0.0))
        if not gap <= AGREEMENT:
            return gap if np.isfinite(gap) else np.inf
        worst = max(worst, gap)
    return worst


def _statuses(ours: Learner, drawn: Logs, world: World, batch: int) -> np.ndarray:
    return np.concatenate([learners.fit(ours, part, world).status for part in _batches(drawn, batch)])


def _batches(drawn: Logs, batch: int) -> list[Logs]:
    places = np.arange(len(drawn.counts))
    return [_part(drawn, places[start : start + batch]) for start in range(0, len(places), batch)]


def _part(drawn: Logs, places: np.ndarray) -> Logs:
    return Logs(drawn.counts[places], drawn.held_out[places], drawn.n)


def _entries(
    ours: Learner, used: Logs, world: World, others: Callable[[World], list[Rival]], compared: int
) -> Iterator[Entry]:
    shown = _part(used, np.arange(min(compared, len(used.counts))))
    expected = learners.fit(ours, shown, world).parameters
    with rivals.at_their_best():
        for rival in others(world):
            blocks = [rival.blocks(counts) for counts in shown.counts]
            yield Entry(rival, blocks, *calibrated(rival, blocks, expected))


def _timed(
    used: Logs, world: World, entries: dict[str, list[Entry]], effort: Effort
) -> tuple[dict[str, float | None], dict[str, list[Entry]]]:
    """Fits per second of ours, and the entries with theirs where they agree."""
    ours = [_ours(learner, _batches(used, effort.batch), world) for learner in OURS.values()]
    for job in ours:
        job()
    agreeing = [entry for found in entries.values() for entry in found if entry.tolerance is not None]
    with rivals.at_their_best():
        seconds = best_seconds(ours + [entry.fit_all for entry in agreeing], effort.rounds)
    rates: dict[str, float | None] = {name: len(used.counts) / s for name, s in zip(OURS, seconds, strict=False)}
    spent = {id(entry): s for entry, s in zip(agreeing, seconds[len(OURS) :], strict=True)}
    timed = {
        name: [replace(e, per_second=len(e.blocks) / spent[id(e)]) if id(e) in spent else e for e in found]
        for name, found in entries.items()
    }
    return rates, timed


def _ours(learner: PolicyLearner, batches: list[Logs], world: World) -> Callable[[], Any]:
    """Our fits of all batches, from what the class gathers of each log."""
    policies = log_linear(world)

    def gather(counts: Array) -> tuple[Array | None, ...]:
        choices, wins, losses = policies.gather(learner.choices(counts / jnp.sum(counts), world))  # type: ignore[arg-type]
        return choices.compared, choices.shown, wins, losses

    def fit(compared: Any, shown: Any, wins: Any, losses: Any, n: Array) -> tuple[Array, ...]:
        choices = Choices(compared, shown, world.reference, jnp.ones(()))
        found = policies.minimise_gathered(Gathered(choices, wins, losses), RIDGE / n)
        return found.parameters, found.minimum.converged, found.certificate

    compiled = jax.jit(jax.vmap(fit))
    gathered = [
        (*jax.jit(jax.vmap(gather))(batch.as_floats[0]), jnp.full(len(batch.counts), float(batch.n)))
        for batch in batches
    ]
    return lambda: [np.asarray(part) for batch in gathered for part in compiled(*batch)]


def _verdicts(ours: dict[str, Any], entries: dict[str, list[Entry]], reason: str = "") -> dict[str, Any]:
    """The keys of every comparison, and the reasons of those that are None."""
    values = {f"{name}_fits_per_second": ours[name] for name in OURS}
    reasons = dict.fromkeys(values, reason) if reason else {}
    for name, packages in PACKAGES.items():
        for key, package in packages.items():
            found = [entry for entry in entries[name] if entry.rival.package == package]
            verdict, why = _verdict(found, package, ours[name])
            values |= {f"{name}_{what}_{key}": value for what, value in verdict.items()}
            reasons |= {f"{name}_{what}_{key}": reason or why for what, value in verdict.items() if value is None}
    return values | {"reasons": reasons}


def _verdict(found: list[Entry], package: str, ours: float | None) -> tuple[dict[str, Any], str]:
    """Ratio, fits per second, setting and disagreement of a package's best entry; the reason where there is none."""
    agreeing = [entry for entry in found if entry.tolerance is not None]
    if ours is not None and agreeing:
        best = max(agreeing, key=lambda entry: entry.per_second)
        ratio = ours / best.per_second
        named = {"ratio": ratio, "fits_per_second": best.per_second, "setting": best.setting}
        return named | {"disagreement": best.disagreement}, ""
    apart = min((entry.disagreement for entry in found), default=np.inf)
    nothing = {"ratio": None, "fits_per_second": None, "setting": None}
    why = f"no setting of {package} agrees: a parameter differs by {apart:.1e}, more than {AGREEMENT:.0e}"
    if not found:
        why = rivals.NEEDS_SKLEARN if package == "scikit-learn" else f"nothing of {package} was compared"
    return nothing | {"disagreement": apart if np.isfinite(apart) else None}, why
