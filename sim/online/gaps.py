"""Who does well everywhere: mean costs per setting, and the largest gap to the best method over the settings."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sim.errors import BadInput, choose
from sim.learners import LEARNERS
from sim.online.settings import axes_of
from sim.online.tables import LATE
from sim.summary import LEVEL, is_baseline, resampling, where

WIDE = 6
"""A table over more settings than this shows the gaps only."""


@dataclass(frozen=True)
class Costs:
    """Means over rounds at the last round, one per method, setting and seed: shape (M, S, N)."""

    group: dict[str, Any]
    test_user: str
    methods: list[str]
    alone: list[str]
    settings: list[str]
    cost: np.ndarray
    regularised_cost: np.ndarray

    @property
    def title(self) -> str:
        """The group and the test user in words."""
        return ", ".join(part for part in (where(self.group), f"test user: {self.test_user}") if part)

    @property
    def letters(self) -> dict[str, str]:
        """The settings by the letters that stand for them in tables; none where they are more than `WIDE`."""
        names = [chr(ord("A") + s) for s in range(len(self.settings))]
        return dict(zip(names, self.settings, strict=True)) if len(names) <= WIDE else {}

    @property
    def max_gap(self) -> np.ndarray:
        """max over settings of the mean over seeds less that of the best method, (M,)."""
        return _max_gap(self.cost.mean(axis=2))

    @property
    def max_gap_by_seed(self) -> np.ndarray:
        """The other way of averaging: for each seed the max over settings of the gap within the seed, (M, N)."""
        return _max_gap(self.cost)

    def resampled(self) -> np.ndarray:
        """`max_gap` with the seeds drawn anew, all settings and methods together, (M, RESAMPLES)."""
        return _max_gap(self.cost @ resampling(self.cost.shape[2]).T)


def _max_gap(cost: np.ndarray) -> np.ndarray:
    return (cost - cost.min(axis=0, keepdims=True)).max(axis=1)


def costs(online: pd.DataFrame, over: list[str] | None = None, at: int | None = None) -> Iterator[Costs]:
    """The costs of every method up to a round, a table per test user and per point of the other axes.

    Args:
        online: from `sim.load(folder, "online.parquet")` or `sim.run_online`; methods without a cost are left out.
        over: the axes over whose points the largest gap is taken; default: all axes of the settings.
        at: a recorded round; default: the last.
    """
    axes, test_axes = axes_of(online)
    for axis in over or []:
        choose("axis of the settings", axis, axes)
    outer = [axis for axis in axes if axis not in (over or axes)]
    if online["expected_cost"].notna().sum() == 0:
        raise BadInput("online table: expected rows of methods that have a cost, got none")
    at = online["round"].max() if at is None else at
    if at not in set(online["round"]):
        raise BadInput(f"at: expected a recorded round, got {at}")
    last = online[(online["round"] == at) & online["expected_cost"].notna()]
    for key, rows in last.groupby([*outer, *test_axes, "test_user"], dropna=False, observed=True, sort=False):
        yield _costs(dict(zip(outer, key, strict=False)), str(key[-1]), rows)


def _costs(group: dict[str, Any], test_user: str, rows: pd.DataFrame) -> Costs:
    methods = in_order(rows)
    settings = list(dict.fromkeys(rows["setting"].astype(str)))
    seeds = rows["seed"].nunique()
    rows = rows.assign(
        method=pd.Categorical(rows["method"].astype(str), methods),
        setting=pd.Categorical(rows["setting"].astype(str), settings),
    ).sort_values(["method", "setting", "seed"])
    shape, rounds = (len(methods), len(settings), seeds), rows["round"].to_numpy()
    if len(rows) != np.prod(shape):
        raise BadInput(
            f"online table: expected every method in every setting with the same seeds, {np.prod(shape)} rows for "
            f"{len(methods)} x {len(settings)} x {seeds}, got {len(rows)}"
        )
    values = ((rows[name].to_numpy() / rounds).reshape(shape) for name in ("expected_cost", "regularised_cost"))
    return Costs(group, test_user, methods, kinds_of(rows).alone, settings, *values)


class Kinds(NamedTuple):
    """The methods of a table by kind: policies played alone, those of them that rules choose from, and the rules."""

    alone: list[str]
    listed: list[str]
    rules: list[str]


def kinds_of(rows: pd.DataFrame) -> Kinds:
    """A policy played alone is its own arm; baselines are on no rule's list; learners without a log have no arm."""
    played = rows[["method", "arm"]].drop_duplicates().dropna().astype(str)
    alone = sorted(set(played["arm"]))
    listed = [name for name in alone if not is_baseline(name.partition(" (")[0])]
    return Kinds(alone, listed, sorted(set(played["method"]) - set(alone)))


def in_order(rows: pd.DataFrame) -> list[str]:
    """The methods: single policies, baselines first, then Algorithm 1, then the others by name, uniform play last."""
    alone = set(kinds_of(rows).alone)
    names = list(LEARNERS)

    def place(method: str) -> tuple[int, int, str]:
        name = method.partition(" (")[0]
        kind = 0 if method in alone else {LATE: 1, "uniform": 3}.get(name, 2)
        return kind, names.index(name) if name in names else len(names), method

    return sorted(map(str, rows["method"].unique()), key=place)


def max_gaps(online: pd.DataFrame, over: list[str] | None = None) -> pd.DataFrame:
    """The largest gap of every method, with its interval, in both ways of averaging.

    Returns:
        Rows by group, test user and method: `max_gap` (of the means over seeds) with `low` and `high` (percentile
        bootstrap over seeds), `smallest` (the share of resamples in which it is the smallest), `below_alone` (in which
        it is below that of every policy played alone), `max_gap_by_seed` (the mean of the per-seed maxima) with its
        standard error, and `rank` (1 for the smallest `max_gap`).

    Source: the paper's Table 1, column "max SubOpt", which is a gap in J; the two ways of averaging differ, and the
    paper does not say which is printed.
    """
    frames = [gaps_of(found) for found in costs(online, over)]
    return pd.concat(frames, ignore_index=True)


def gaps_by_round(online: pd.DataFrame, over: list[str] | None = None) -> pd.DataFrame:
    """`max_gap` of every method after every recorded round, with its interval: rows by test user, round and method."""
    frames = [
        gaps_of(found).assign(round=at)
        for at in sorted(online["round"].unique())
        for found in costs(online, over, int(at))
    ]
    return pd.concat(frames, ignore_index=True)


def gaps_of(found: Costs) -> pd.DataFrame:
    """The rows of `max_gaps` for one table."""
    alone = np.isin(found.methods, found.alone)
    again, by_seed = found.resampled(), found.max_gap_by_seed
    low, high = np.quantile(again, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    # Two that are equally good are neither the smallest.
    smallest = again <= again.min(axis=0)
    winners = (smallest & (smallest.sum(axis=0) == 1)).mean(axis=1)
    error = by_seed.std(axis=1, ddof=1) / np.sqrt(by_seed.shape[1]) if by_seed.shape[1] > 1 else np.nan
    return pd.DataFrame(
        found.group
        | {
            "test_user": found.test_user,
            "method": found.methods,
            "max_gap": found.max_gap,
            "low": low,
            "high": high,
            "smallest": winners,
            "below_alone": (again < again[alone].min(axis=0)).mean(axis=1) if alone.any() else np.nan,
            "max_gap_by_seed": by_seed.mean(axis=1),
            "error_by_seed": error,
            "rank": pd.Series(found.max_gap).rank(method="min").astype(int),
        }
    )


def ranks(gaps: pd.DataFrame) -> pd.DataFrame:
    """How often each method is best, second and worst by `max_gap` over the groups, with the spread of its gaps."""
    worst = gaps.groupby(_groups(gaps), sort=False)["rank"].transform("max")
    counted = gaps.assign(best=gaps["rank"] == 1, second=gaps["rank"] == 2, worst=gaps["rank"] == worst)
    by = counted.groupby("method", sort=False)
    spread = by["max_gap"].quantile([0.1, 0.5, 0.9]).unstack()
    spread.columns = ["gap_10", "gap_50", "gap_90"]
    return spread.join(by[["best", "second", "worst"]].sum()).assign(groups=by.size()).reset_index()


def _groups(gaps: pd.DataFrame) -> list[str]:
    return list(gaps.columns)[: list(gaps.columns).index("method")]


MANY = 6
"""More tables than these are summed up by `ranks`."""


def text_tables(online: pd.DataFrame, over: list[str] | None = None) -> str:
    """What `medley run` prints of the online phase: a table per test user in the layout of the paper's Table 1."""
    rounds, seeds = int(online["round"].max()), online["seed"].nunique()
    head = (
        f"Online phase: {rounds} rounds, {seeds} logs.  J is the expected edit cost per round, J_beta adds beta KL to"
        " the\nreference; max_gap is the largest gap in J to the best method over the settings, with its 95% interval."
    )
    tables = list(itertools.islice(costs(online, over), MANY + 1))
    if len(tables) > MANY:
        return f"{head}\n\n{_ranks_text(ranks(max_gaps(online, over)))}"
    return "\n".join([head, *(line for found in tables for line in _table(found))])


def _table(found: Costs) -> list[str]:
    gaps = gaps_of(found)
    width = max(len(name) for name in found.methods) + 2
    letters = found.letters
    names = [f"  {letter}: {setting}" for letter, setting in letters.items()]
    columns = [f"{name} {letter}" for name in ("J", "J_beta") for letter in letters]
    head = " " * width + "".join(c.rjust(10) for c in columns) + "max_gap".rjust(10) + "95% interval".rjust(17)
    lines = ["", found.title, *names, head + "by seed".rjust(9) + "< alone".rjust(9)]
    means = np.concatenate([found.cost.mean(axis=2), found.regularised_cost.mean(axis=2)], axis=1)
    for row, values in zip(gaps.to_dict("records"), means, strict=True):
        mark = "*" if row["smallest"] >= LEVEL else "~" if row["rank"] == 1 else " "
        interval = f"{row['low']:.3f} to {row['high']:.3f}"
        cells = "".join(f"{value:10.3f}" for value in values) if letters else ""
        lines.append(
            f"{row['method']:{width}s}{cells}{row['max_gap']:9.3f}{mark}{interval:>17s}{row['max_gap_by_seed']:9.3f}"
            f"{'' if row['method'] in found.alone else format(row['below_alone'], '.0%'):>9s}"
        )
    note = (
        "* the smallest in 95% of the resamples of the logs, ~ the smallest, but not as clearly; < alone: below every"
    )
    return [*lines, f"{note} policy\nplayed alone, in how many of the resamples"]


def _ranks_text(found: pd.DataFrame) -> str:
    width = max(len(name) for name in found["method"]) + 2
    lines = [
        f"{'max_gap over ' + str(found['groups'].max()) + ' draws':{width}s}    10%    50%    90%   best second worst"
    ]
    for row in found.to_dict("records"):
        spread = "".join(f"{row[name]:7.3f}" for name in ("gap_10", "gap_50", "gap_90"))
        counts = "".join(f"{row[name]:7d}" for name in ("best", "second", "worst"))
        lines.append(f"{row['method']:{width}s}{spread}{counts}")
    return "\n".join(lines)
