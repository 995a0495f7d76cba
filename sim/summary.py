"""Numbers from rows: means, intervals, and who wins, with paired standard errors."""

import functools
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sim.learners import LEARNERS
from sim.store import MEASURED

LEVEL = 0.95
RESAMPLES = 1000
BLOCKS = 60
"""The summary prints up to this many points of the grid."""


def key_columns(table: pd.DataFrame) -> list[str]:
    """The columns that identify a row: settings, world, policy class, n, seed."""
    columns = list(table.columns)
    return columns[: columns.index(MEASURED[0])]


def setting_columns(table: pd.DataFrame) -> list[str]:
    """The columns of the learner's settings: those between `learner` and `family`."""
    columns = list(table.columns)
    return columns[1 : columns.index("family")]


def axes(table: pd.DataFrame) -> list[str]:
    """The world, user and policy columns in which the table varies within a family, and the family if there are
    several: the axes of its grid.
    """
    fixed = {"learner", *setting_columns(table), "n", "seed", "family"}
    return varying(table, [c for c in key_columns(table) if c not in fixed])


def varying(table: pd.DataFrame, columns: list[str]) -> list[str]:
    """Those of the columns in which the table varies within a family, after the family if there are several."""
    groups = [group for _, group in table.groupby("family")]
    found = [c for c in columns if any(group[c].nunique(dropna=False) > 1 for group in groups)]
    return (["family"] if len(groups) > 1 else []) + found


def where(point: dict[str, Any]) -> str:
    """A grid point in words, "strength = 0.5, harmful = 0.1"; axes that its family does not have are left out."""
    shown = {axis: value for axis, value in point.items() if not pd.isna(value)}
    return ", ".join(f"{axis} = {in_digits(value)}" for axis, value in shown.items())


def in_digits(value: Any) -> str:
    """A value as short as it can be told apart: 0.5, not 0.50000, but all digits of 0.50000001."""
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def with_labels(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `label`: the learner with the settings that tell it from its siblings."""
    settings = setting_columns(table)
    kinds = table[["learner", *settings]].drop_duplicates()
    siblings = kinds.groupby("learner", sort=False)
    varying = {str(name): [c for c in settings if group[c].nunique(dropna=False) > 1] for name, group in siblings}
    labels = [_label(row, varying[row["learner"]]) for row in kinds.to_dict("records")]
    return table.merge(kinds.assign(label=labels), on=["learner", *settings], how="left")


def _label(row: dict[str, Any], varying: list[str]) -> str:
    """A learner's label, as in "pref (paper link)", "early (lam held-out)", "cost (plug-in)"."""
    held_out = not pd.isna(row.get("held_out"))
    named = {
        "link": "paper link" if row["link"] == "paper" else "",
        "lam": "lam held-out" if held_out else "" if pd.isna(row["lam"]) else f"lam {row['lam']:g}",
        "radius": {0.0: "plug-in", 1.0: "pessimistic"}.get(row["radius"], f"radius {row['radius']:g}"),
    }
    if pd.isna(row["radius"]):
        named["radius"] = ""
    others = [f"{c} {row[c]}" for c in varying if c not in {*named, "held_out"} and not pd.isna(row[c])]
    others += [f"of {row['held_out']:g}"] if held_out and not row["held_out"] == 200 else []
    notes = [note for note in [*named.values(), *others] if note]
    return row["learner"] + (f" ({', '.join(notes)})" if notes else "")


def mean_and_interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float, float]:
    """Mean of one number per seed, and a percentile-bootstrap interval for the mean over seeds.

    The resampling is fixed, so that the same numbers give the same interval.
    """
    mean, low, high = means_and_intervals(np.asarray(values, dtype=float)[:, None], level)[0]
    return float(mean), float(low), float(high)


def means_and_intervals(table: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """`mean_and_interval` of every column of a table with a row per seed: mean, low and high, (columns, 3)."""
    means = table.mean(axis=0)
    found = np.column_stack([means, means, means])
    varies = np.asarray(np.isfinite(table).all(axis=0))
    varies[varies] = np.ptp(table[:, varies], axis=0) > 0
    if varies.any():
        again = resampling(len(table)) @ table[:, varies]
        found[varies, 1:] = np.quantile(again, [(1 - level) / 2, (1 + level) / 2], axis=0).T
    return found


@functools.lru_cache(maxsize=4)
def resampling(seeds: int) -> np.ndarray:
    """The weights of every seed in each resample, (RESAMPLES, seeds); always the same."""
    counts = np.random.default_rng(0).multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES)
    return counts / seeds


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
    logs: int

    @property
    def clear(self) -> bool:
        """Whether the winner's lead exceeds two standard errors."""
        finite = bool(np.isfinite(self.means[self.winner]))
        return finite and (self.runner_up is None or bool(self.gap > 2 * self.gap_error))


def contests(table: pd.DataFrame) -> list[Contest]:
    """One contest per cell and n, by mean SubOpt over the same seeds; baselines that need no log do not compete."""
    grid = axes(table)
    labelled = with_labels(table).sort_values("seed", kind="stable")
    narrow = labelled[[*grid, "n", "label", "learner", "seed", "suboptimality", "status"]]
    found = []
    for key, group in narrow.groupby([*grid, "n"], dropna=False, sort=True):
        *point, n = key if isinstance(key, tuple) else (key,)
        found.append(_contest(dict(zip(grid, point, strict=True)), n, group))
    return found


def _contest(cell: dict[str, Any], n: Any, rows: pd.DataFrame) -> Contest:
    kinds = rows.drop_duplicates("label").sort_values("learner", key=_place, kind="stable")
    measured = rows.groupby("label", observed=True, sort=False)["suboptimality"]
    by_seed = {str(label): measured.get_group(label).to_numpy() for label in kinds["label"]}
    means = {label: float(values.mean()) for label, values in by_seed.items()}
    baselines = {str(k) for k, name in zip(kinds["label"], kinds["learner"], strict=True) if is_baseline(name)}
    competing = [label for label in means if label not in baselines] or list(means)
    ranked = sorted(competing, key=lambda label: (not np.isfinite(means[label]), means[label]))
    second = ranked[1] if len(ranked) > 1 else None
    gap, error = paired_gap(by_seed[ranked[0]], by_seed[second]) if second else (0.0, 0.0)
    not_ok, logs = int((rows["status"] != "ok").sum()), rows["seed"].nunique()
    return Contest(cell, int(n), means, ranked[0], second, gap, error, not_ok, logs)


def paired_gap(best: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Mean of other - best over the same logs, and its standard error (nan for one log)."""
    if not np.all(np.isfinite(best)):
        return float("nan"), float("nan")
    apart = other - best
    return float(apart.mean()), float(apart.std(ddof=1) / np.sqrt(len(apart))) if len(apart) > 1 else float("nan")


def _place(learners: pd.Series) -> pd.Series:
    order = list(LEARNERS)
    return learners.map(lambda name: order.index(name) if name in order else len(order))


def is_baseline(learner: str) -> bool:
    """Whether a learner needs no log."""
    # A table may name a plug-in's learner that is not loaded where the table is read.
    return learner in LEARNERS and LEARNERS[learner].baseline


def any_learner(table: pd.DataFrame) -> bool:
    """Whether anything but baselines was fitted."""
    return not all(is_baseline(str(name)) for name in table["learner"].unique())


def text_table(table: pd.DataFrame) -> str:
    """The summary that `medley run` prints: a block per grid point, learners down, n across, mean SubOpt inside.

    The best learner of a column has a star, or a tilde if its lead is within two standard errors.
    """
    found = contests(table)
    points: dict[str, list[Contest]] = {}
    for contest in found:
        points.setdefault(where(contest.cell), []).append(contest)
    bad = table["status"].value_counts().drop("ok", errors="ignore")
    counted = ", ".join(f"{count} {status}" for status, count in bad.items()) or "none"
    return "\n".join(
        [
            f"Mean SubOpt over {table['seed'].nunique()} logs.  * best of its column, ~ best but within 2 standard",
            "errors of the next (paired over logs); reference and edited are baselines and do not compete.",
            *(line for point, column in list(points.items())[:BLOCKS] for line in _block(point, column)),
            *_rest(found, len(points)),
            "",
            f"{len(table)} fits, not ok: {counted}.  They are included in the means.",
            *_held_out_note(table),
        ]
    )


def _rest(found: list[Contest], points: int) -> list[str]:
    if points <= BLOCKS:
        return []
    wins = Counter(contest.winner for contest in found)
    told = ", ".join(f"{name} {count}" for name, count in wins.most_common())
    return ["", f"... and {points - BLOCKS} more points of the grid, all in table.parquet.  Best in: {told}."]


def _held_out_note(table: pd.DataFrame) -> list[str]:
    if "held_out" not in table.columns:
        return []
    sizes = ", ".join(f"{size:g}" for size in sorted(table["held_out"].dropna().unique()))
    return [f"Learners marked held-out chose their setting on {sizes} edits beside the n of the log."]


def _block(point: str, found: list[Contest]) -> list[str]:
    names = list(dict.fromkeys(name for contest in found for name in contest.means))
    width = max(len(name) for name in [*names, point, "lead over the next"]) + 1
    rows = [[point, *(f"n={contest.n} " for contest in found)]]
    rows += [[f" {name}", *(_marked(contest, name) for contest in found)] for name in names]
    rows += [[" lead over the next", *(f"{contest.gap:.1e} " for contest in found)]]
    rows += [["   standard error", *(_short_error(contest.gap_error) for contest in found)]]
    rows += [["   fits not ok", *(f"{contest.not_ok} " for contest in found)]]
    return ["", *(row[0].ljust(width) + "".join(cell.rjust(10) for cell in row[1:]) for row in rows)]


def _marked(contest: Contest, name: str) -> str:
    mark = ("*" if contest.clear else "~") if name == contest.winner else " "
    return _short(contest.means[name]) + mark if name in contest.means else ""


def _short_error(value: float) -> str:
    """A standard error; one log has none."""
    return "- " if np.isnan(value) else f"{value:.1e} "


def _short(value: float) -> str:
    return "0" if value < 1e-15 else f"{value:.2g}" if value >= 1e-3 else f"{value:.1e}"
