"""SubOpt against the size of the log, a figure per point of the grid: the main result."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from figures import style
from sim.summary import axes, mean_and_interval, with_labels

FLOOR = 1e-9
"""Means below this are exact zeros or their rounding, and are not drawn on a logarithmic axis."""


def curves(table: pd.DataFrame) -> pd.DataFrame:
    """The numbers of all figures: a row per grid point, learner and n, with mean, interval and fits not ok."""
    grid = axes(table)
    labelled = with_labels(table)
    rows = []
    for key, group in labelled.groupby([*grid, "label", "n"], dropna=False, sort=False):
        mean, low, high = mean_and_interval(group["suboptimality"].to_numpy())
        row = dict(zip([*grid, "label", "n"], key, strict=True))
        rows.append(row | {"mean": mean, "low": low, "high": high, "logs": len(group),
                           "not_ok": int((group["status"] != "ok").sum())})  # fmt: skip
    return pd.DataFrame(rows).sort_values([*grid, "label", "n"], ignore_index=True)


def draw(numbers: pd.DataFrame, ax: Axes, title: str) -> Axes:
    """One panel: mean SubOpt against n, log-log, with the 95% interval for the mean over logs."""
    ends = []
    for label in _ordered(numbers):
        shown = numbers[(numbers["label"] == label) & (numbers["mean"] > FLOOR)].sort_values("n")
        if shown.empty:
            continue
        kind = style.look(label)
        ax.plot(shown["n"], shown["mean"], color=kind.colour, marker=kind.marker or None, linestyle=kind.dash)
        ax.fill_between(shown["n"], shown["low"].clip(lower=FLOOR), shown["high"], color=kind.colour, alpha=0.15, lw=0)
        ends.append((float(shown["mean"].iloc[-1]), float(shown["n"].iloc[-1]), label, kind.colour))
    ax.set(xscale="log", yscale="log", xlabel="n, logged edits", ylabel="suboptimality (units of edit cost)")
    ax.set_title(title, loc="left")
    _label_ends(ax, ends)
    return ax


def save_all(table: pd.DataFrame, folder: Path) -> list[dict[str, Any]]:
    """Write a figure per grid point as SVG and PNG, and the plotted numbers as CSV; what was written, with captions."""
    style.apply()
    folder.mkdir(parents=True, exist_ok=True)
    numbers = curves(table)
    numbers.to_csv(folder / "suboptimality.csv", index=False)
    grid = axes(table)
    points = numbers[grid].drop_duplicates().to_dict("records") if grid else [{}]
    bottom, top = _limits(numbers)
    written = []
    for point in points:
        panel = numbers[np.all([_equal(numbers[a], v) for a, v in point.items()], axis=0)] if point else numbers
        name = "-".join(["suboptimality", *(f"{a}-{v}" for a, v in point.items())]).replace("/", "_")
        figure, ax = plt.subplots(figsize=(7.0, 4.2), layout="constrained")
        draw(panel, ax, ", ".join(f"{a} = {v}" for a, v in point.items()) or "SubOpt against n")
        ax.set_ylim(bottom, top)
        for kind in ("svg", "png"):
            figure.savefig(folder / f"{name}.{kind}", metadata={"Date": None} if kind == "svg" else None)
        plt.close(figure)
        written.append({"name": name, "caption": _caption(panel, point)})
    return written


def _caption(panel: pd.DataFrame, point: dict[str, Any]) -> str:
    where = ", ".join(f"{a} = {v}" for a, v in point.items())
    return (
        f"{where + ': ' if where else ''}mean suboptimality over {panel['logs'].max()} logs, "
        f"bands are 95% bootstrap intervals for the mean; {panel['not_ok'].sum()} of {panel['logs'].sum()} fits "
        "were not ok and are included."
    )


def _limits(numbers: pd.DataFrame) -> tuple[float, float]:
    shown = numbers.loc[numbers["mean"] > FLOOR, "mean"]
    if shown.empty:
        return FLOOR, 1.0
    return float(shown.min()) / 2, float(shown[np.isfinite(shown)].max()) * 2


def _equal(column: pd.Series, value: Any) -> np.ndarray:
    return (column.isna() if pd.isna(value) else column == value).to_numpy()


def _ordered(numbers: pd.DataFrame) -> list[str]:
    order = ["reference", "edited", "sup", "pref", "cost", "early"]
    labels = numbers["label"].drop_duplicates().tolist()
    return sorted(labels, key=lambda s: (order.index(s.split(" (")[0]) if s.split(" (")[0] in order else 99, s))


def _label_ends(ax: Axes, ends: list[tuple[float, float, str, str]]) -> None:
    """Direct labels right of the curves, pushed apart so that none hides another."""
    if not ends:
        return
    ends = sorted(ends)
    low, high = np.log10(min(e[0] for e in ends)), np.log10(max(e[0] for e in ends))
    step = max((np.log10(ax.get_ylim()[1]) - np.log10(ax.get_ylim()[0])) / 18, 1e-3)
    places: list[float] = []
    for value, *_ in ends:
        places.append(max(np.log10(value), places[-1] + step if places else -np.inf))
    # Centre the pushed labels on the curves, so that the topmost one does not leave the panel.
    shift = max(0.0, places[-1] - max(high, low + step * len(ends))) if places else 0.0
    for (value, n, label, colour), place in zip(ends, places, strict=True):
        ax.annotate(
            label, xy=(n, value), xytext=(1.02, 10 ** (place - shift)), textcoords=("axes fraction", "data"),
            color=colour, va="center", fontsize=8, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.4, "alpha": 0.6},
        )  # fmt: skip
