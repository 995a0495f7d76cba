"""The parts of a language-model report about training, failures, speed and memory."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from figures import style
from figures.markup import Section, cell, count, pairs, row_head, table, text, tile, words
from figures.report_fits import share
from figures.report_parts import duration
from sim.llm.tables import settings_of

DISTANCE = "distance from held-out edits"
EDIT_MODEL = "edit-model"
_FIXED = {
    "task",
    "training_user",
    "method",
    "seed",
    "held_out",
    "held_out_loss",
    "strength",
    "cut",
    "cost_ridge",
    "cost_rmse",
    "cost_spread",
    "cost_covered",
    "seconds",
    "status",
    "chosen",
}
"""Columns of trained.parquet that are no hyperparameters."""


def training_section(trained: pd.DataFrame, candidates: pd.DataFrame, episodes: pd.DataFrame) -> Section:
    """Distances from held-out edits, the chosen hyperparameters, times, and what did not end well.

    Args:
        trained: a row per trained policy.
        candidates: a row per hyperparameter setting that was tried.
        episodes: a row per round, whose `status` says why there is no edit.
    """
    trained, candidates = _in_order(trained), _in_order(candidates)
    body = _trained(trained) + _candidates(candidates) + _failed(trained, candidates) + _without_edit(episodes)
    return Section("training", "Training", body, _tiles(trained, episodes))


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Settings in the order of the tables, methods in that of every figure, logs one after the other."""
    if rows.empty:
        return rows
    settings, methods = settings_of(rows), style.ordered(rows["method"].astype(str).unique())
    where = zip(rows["task"].astype(str), rows["training_user"].astype(str), rows["method"].astype(str), strict=True)
    places = [(settings.index((task, user)), methods.index(method)) for task, user, method in where]
    return rows.iloc[sorted(range(len(rows)), key=places.__getitem__)].reset_index(drop=True)


def _tiles(trained: pd.DataFrame, episodes: pd.DataFrame) -> str:
    shown = ""
    if len(trained):
        ok = int((trained["status"] == "ok").sum())
        note = f"{count(len(trained), 'policy', 'policies')}, {duration(float(trained['seconds'].sum()))} in all"
        shown += tile("trainings that ended ok", share(ok, len(trained)), note, "" if ok == len(trained) else "warn")
    missing = int((episodes["status"] != "ok").sum()) if len(episodes) else 0
    if missing:
        shown += tile("rounds without an edit", f"{missing:,}", f"of {len(episodes):,}", "warn")
    return shown


def _trained(trained: pd.DataFrame) -> str:
    if trained.empty:
        return "<p>No policy was trained.</p>"
    settings, measured = _hyperparameters(trained), _measured(trained)
    groups: dict[str, list[list[str]]] = {}
    for (task, user, method), own in _by(trained, ["task", "training_user", "method"]):
        line = [row_head(method), cell(_spread(own["held_out"])), *(cell(show(own)) for show in measured.values())]
        line += [*(words(_values(own[name])) for name in settings), cell(duration(float(own["seconds"].mean())))]
        line.append(words(_statuses(own)))
        groups.setdefault(_title(task, user), []).append(line)
    note = (
        "<p>Of the chosen run of every policy: the mean cost of turning its responses into users' edits of the "
        "reference's, on held-out documents, which chooses hyperparameters for every method alike (mean over logs with "
        "the least and the largest; weak users' edits lack most of what they want, so that it is not small there); "
        f"{''.join(_MEASURED[name][1] for name in measured)}hyperparameters with the number of logs that use them; "
        "seconds per log.</p>"
    )
    head = [
        "method",
        DISTANCE,
        *(_MEASURED[name][0] for name in measured),
        *(name.replace("_", " ") for name in settings),
        "time",
        "status",
    ]
    return note + table("Trained policies", head, groups)


_MEASURED = {
    "strength": ("share re-drawn", "the share of its words that an edit re-draws, as the edit model fits it; "),
    "cut": ("edits cut", "the share of edits that did not fit the response window and were cut; "),
    "cost_rmse": (
        "error of the cost model",
        "the cost model's root mean squared error on held-out edits, the standard deviation of these costs, and the "
        "share of them that the pessimistic cost covers; ",
    ),
}
"""Numbers of a training beside the distance: the head of the column, and what it is."""


def _measured(trained: pd.DataFrame) -> dict[str, Callable[[pd.DataFrame], str]]:
    """How the rows of a method show each number of `_MEASURED` that some row has."""
    shown: dict[str, Callable[[pd.DataFrame], str]] = {}
    if "strength" in trained and (trained["method"] == EDIT_MODEL).any():
        # Others carry the number that the fit began with.
        shown["strength"] = lambda own: _spread(own["strength"]) if own["method"].iloc[0] == EDIT_MODEL else "-"
    if "cut" in trained and trained["cut"].notna().any():
        shown["cut"] = lambda own: "-" if own["cut"].isna().all() else f"{own['cut'].mean():.1%}"
    if "cost_rmse" in trained and trained["cost_rmse"].notna().any():
        shown["cost_rmse"] = _accuracy
    return shown


def _accuracy(own: pd.DataFrame) -> str:
    """How good a method's cost model is, where it has one."""
    known = own.dropna(subset=["cost_rmse"])
    if known.empty:
        return "-"
    error, spread, covered = known[["cost_rmse", "cost_spread", "cost_covered"]].mean()
    return f"{error:.3f} of {spread:.3f}, {covered:.0%}"


def _by(rows: pd.DataFrame, keys: list[str]) -> Any:
    return rows.groupby(keys, sort=False, observed=True, dropna=False)


def _hyperparameters(rows: pd.DataFrame) -> list[str]:
    return [name for name in rows.columns if name not in _FIXED and rows[name].notna().any()]


def _title(task: Any, user: Any) -> str:
    return f"{task}, logs of the {user} user"


def _spread(values: pd.Series) -> str:
    known = values.dropna()
    if known.empty:
        return "-"
    mean = f"{known.mean():.3f}"
    return mean if len(known) == 1 else f"{mean} ({known.min():.3f} to {known.max():.3f})"


def _values(column: pd.Series) -> str:
    """The values with how often each was taken; how often is left out where it is always the same."""
    counts = column.dropna().value_counts(sort=False)
    if len(counts) <= 1:
        return "".join(_short(value) for value in counts.index) or "-"
    return ", ".join(f"{_short(value)} ({times})" for value, times in counts.items())


def _short(value: Any) -> str:
    return (
        f"{value:,}"
        if isinstance(value, int | np.integer)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _statuses(own: pd.DataFrame) -> str:
    return ", ".join(f"{status} ({times})" for status, times in own["status"].value_counts().items())


def _candidates(candidates: pd.DataFrame) -> str:
    if candidates.empty:
        return ""
    settings = _hyperparameters(candidates)
    groups: dict[str, list[list[str]]] = {}
    for (task, user, method, *values), own in _by(candidates, ["task", "training_user", "method", *settings]):
        line = [row_head(method), *(cell("-" if pd.isna(value) else _short(value)) for value in values)]
        line += [cell(_spread(own["held_out"])), cell(f"{int(own['chosen'].sum())} of {len(own)}")]
        groups.setdefault(_title(task, user), []).append([*line, words(_statuses(own))])
    head = [
        "method",
        *(name.replace("_", " ") for name in settings),
        "distance from held-out edits",
        "chosen",
        "status",
    ]
    shown = table("Hyperparameters that were tried", head, groups)
    return (
        f"<details><summary>All hyperparameters that were tried ({len(candidates):,} runs)</summary>{shown}</details>"
    )


def _failed(trained: pd.DataFrame, candidates: pd.DataFrame) -> str:
    both = {"chosen run": trained, "candidate": candidates}
    lines = [
        [row_head(row["method"]), words(kind), words(_title(row["task"], row["training_user"])), cell(row["seed"]),
         words(row["status"], "long")]
        for kind, rows in both.items() if len(rows) for row in rows[rows["status"] != "ok"].to_dict("records")
    ]  # fmt: skip
    if not lines:
        return "<p>Every training ended ok.</p>"
    head = ["method", "what", "setting", "log", "status"]
    return "<h3>Trainings that did not end ok</h3>" + table("Trainings that did not end ok", head, lines)


def _without_edit(episodes: pd.DataFrame) -> str:
    bad = episodes[episodes["status"] != "ok"] if len(episodes) else episodes
    if bad.empty:
        return "<p>Every round has its edit.</p>"
    lines = [
        [row_head(method), words(status, "long"), cell(f"{len(own):,}")]
        for (method, status), own in _by(bad, ["method", "status"])
    ]
    return "<h3>Rounds without an edit</h3>" + table("Rounds without an edit", ["method", "why", "rounds"], lines)


_UNITS = {
    "parameters": ("parameters", "{:,}"),
    "steps_per_second": ("steps of training", "{:,.3g} per second"),
    "tokens_per_second_training": ("tokens per second, training", "{:,.0f}"),
    "tokens_per_second_generation": ("tokens per second, generation", "{:,.0f}"),
    "training_gflops": ("arithmetic of training", "{:,.3g} GFLOP per second"),
    "peak_memory_mb": ("peak memory", "{:,.0f} MB"),
    "model_flop_utilisation": ("model FLOP utilisation", "{:.1%}"),
}


def speed_section(speed: Mapping[str, Any]) -> Section:
    """What speed.json says, a missing number with its reason."""
    numbers = {name: value for name, value in speed.items() if name not in ("device", "reasons")}
    reasons = speed.get("reasons") or {}
    shown = {
        _UNITS.get(name, (name.replace("_", " "), ""))[0]: _speed(name, value, reasons.get(name))
        for name, value in numbers.items()
    }
    device = f"<p>Measured on {text(speed['device'])}.</p>" if "device" in speed else ""
    return Section("speed", "Speed and memory", device + pairs(shown) if shown else "")


def _speed(name: str, value: Any, reason: str | None) -> str:
    """A number in its unit, or why there is none."""
    if value is None:
        return f"none: {reason or 'not measured'}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _UNITS.get(name, ("", "{:,}" if isinstance(value, int) else "{:,.4g}"))[1].format(value)
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
