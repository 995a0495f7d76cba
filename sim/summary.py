"""Numbers from rows: means, intervals, and who wins, with paired standard errors."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sim.learners import LEARNERS
from sim.store import MEASURED, SETTINGS

LEVEL = 0.95
RESAMPLES = 1000


def key_columns(table: pd.DataFrame) -> list[str]:
    """The columns that identify a row: settings, world, policy class, n, seed."""
    return list(table.columns[: table.columns.get_loc(MEASURED[0])])


def axes(table: pd.DataFrame) -> list[str]:
    """The columns beside the learner's settings, n and seed in which the table varies: the axes of its grid."""
    settings = {*SETTINGS, "cost_class", "n", "seed"}
    return [c for c in key_columns(table) if c not in settings and table[c].nunique(dropna=False) > 1]


def label(row: Any) -> str:
    """A learner with the settings that tell it from its siblings: "pref (paper link)", "early (lam held-out)"."""
    name, notes = row["learner"], []
    if row.get("link") == "paper":
        notes.append("paper link")
    if name == "early":
        lam = row["lam"]
        notes.append("lam held-out" if pd.isna(lam) else f"lam {lam:g}")
    if name == "cost":
        if row.get("cost_class") == "list":
            notes.append("list")
        notes.append("plug-in" if row["radius"] == 0 else f"radius {row['radius']:g}")
    return name + (f" ({', '.join(notes)})" if notes else "")


def with_labels(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `label`: the learner's label, with further settings where they vary."""
    settings = [c for c in [*SETTINGS[1:], "cost_class"] if c in table.columns]
    kinds = table[["learner", *settings]].drop_duplicates()
    labels = kinds.apply(label, axis=1)
    for column in ("link", "ridge"):
        # Named only where it is needed: the same label would otherwise stand for two learners.
        clash = labels.duplicated(keep=False)
        extra = kinds[column].map(lambda value, column=column: f" {column}={value}")
        labels = labels.where(~clash, labels + extra)
    return table.merge(kinds.assign(label=labels), on=["learner", *settings], how="left")


def mean_and_interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float, float]:
    """Mean of one number per seed, and a percentile-bootstrap interval for the mean over seeds.

    The resampling is fixed, so that the same numbers give the same interval.
    """
    values = np.asarray(values, dtype=float)
    mean = float(values.mean())
    if len(values) < 2 or not np.all(np.isfinite(values)) or np.ptp(values) == 0:
        return mean, mean, mean
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), size=RESAMPLES)
    low, high = np.quantile(weights @ values / len(values), [(1 - level) / 2, (1 + level) / 2])
    return mean, float(low), float(high)


@dataclass(frozen=True)
class Contest:
    """Who wins in one cell: the best label, the next, the paired gap of their means with its standard error."""

    cell: dict[str, Any]
    n: int
    means: dict[str, float]
    winner: str
    runner_up: str | None
    gap: float
    gap_error: float
    not_ok: int


def contests(table: pd.DataFrame) -> list[Contest]:
    """One contest per cell and n, by mean SubOpt over the same seeds; baselines that need no log do not compete."""
    grid = axes(table)
    labelled = with_labels(table)
    groups = labelled.groupby([*grid, "n"], dropna=False, sort=True)
    return [_contest(dict(zip(grid, key[:-1], strict=True)), int(key[-1]), group) for key, group in groups]


def _contest(cell: dict[str, Any], n: int, rows: pd.DataFrame) -> Contest:
    order = rows["label"].drop_duplicates()
    by_seed = rows.pivot(index="seed", columns="label", values="suboptimality")[order.tolist()]
    means = by_seed.mean()
    names = rows.drop_duplicates("label").set_index("label")["learner"]
    competing = [name for name in means.index if not LEARNERS[names[name]].baseline] or list(means.index)
    ranked = means[competing].sort_values(kind="stable").index
    gap, error = 0.0, 0.0
    if len(ranked) > 1:
        apart = (by_seed[ranked[1]] - by_seed[ranked[0]]).to_numpy()
        gap = float(apart.mean())
        error = float(apart.std(ddof=1) / np.sqrt(len(apart))) if len(apart) > 1 else float("nan")
    not_ok = int((rows["status"] != "ok").sum())
    second = str(ranked[1]) if len(ranked) > 1 else None
    return Contest(cell, n, means.to_dict(), str(ranked[0]), second, gap, error, not_ok)


def text_table(table: pd.DataFrame) -> str:
    """The summary that `medley run` prints: mean SubOpt per learner, the winner starred, the gap to the next."""
    found = contests(table)
    grid = list(found[0].cell)
    names = list(dict.fromkeys(name for contest in found for name in contest.means))
    head = [*grid, "n", *names, "winner's lead ± se, over", "not ok"]
    rows = [_line(contest, grid, names) for contest in found]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in [head, *rows]]
    fits = len(table)
    bad = table["status"].value_counts().drop("ok", errors="ignore")
    counted = ", ".join(f"{count} {status}" for status, count in bad.items()) or "none"
    seeds = table["seed"].nunique()
    return "\n".join(
        [
            f"Mean SubOpt over {seeds} logs; * marks the best learner of a row; baselines do not compete.",
            *lines,
            f"{fits} fits, not ok: {counted}.  They are included in the means.",
        ]
    )


def _line(contest: Contest, grid: list[str], names: list[str]) -> list[str]:
    cells = [
        _short(contest.means[name]) + ("*" if name == contest.winner else " ") if name in contest.means else ""
        for name in names
    ]
    lead = f"{contest.gap:.1e} ± {contest.gap_error:.0e}, {contest.runner_up}" if contest.runner_up else ""
    return [*(str(contest.cell[a]) for a in grid), str(contest.n), *cells, lead, str(contest.not_ok)]


def _short(value: float) -> str:
    return "0" if value < 1e-15 else f"{value:.2g}" if value >= 1e-3 else f"{value:.1e}"
