"""SubOpt against the size of the log, a figure per point of the grid: the main result."""

import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from figures import style
from sim.summary import axes, mean_and_interval, where, with_labels

SIDE_BY_SIDE = 6
"""Up to this many grid points are also drawn in one figure."""

FLOOR = 1e-9
"""Means below this are exact zeros or their rounding, and are not drawn on a logarithmic axis."""

THEORY = ("predicted", "efficiency_floor")
"""Columns that are the same for all seeds; a table without theory has none of them."""


def curves(table: pd.DataFrame) -> pd.DataFrame:
    """The numbers of all figures: a row per grid point, learner and n, with mean, interval, prediction, efficiency
    floor and fits not ok.
    """
    grid = axes(table)
    labelled = with_labels(table)
    rows = []
    for key, group in labelled.groupby([*grid, "label", "n"], dropna=False, sort=False):
        mean, low, high = mean_and_interval(group["suboptimality"].to_numpy())
        row = dict(zip([*grid, "label", "n"], key, strict=True))
        row |= {"mean": mean, "low": low, "high": high, "logs": len(group)}
        row |= {name: float(group[name].iloc[0]) if name in group else np.nan for name in THEORY}
        rows.append(row | {"not_ok": int((group["status"] != "ok").sum())})
    return pd.DataFrame(rows).sort_values([*grid, "label", "n"], ignore_index=True)


def draw(numbers: pd.DataFrame, ax: Axes, title: str) -> Axes:
    """One panel: mean SubOpt against n, log-log, with the 95% interval for the mean over logs.

    Markers are measured.  Lines are predicted, and join the markers where there is no prediction.
    """
    ends = _draw_floor(numbers, ax)
    for label in _ordered(numbers):
        drawable = (numbers["mean"] > FLOOR) & np.isfinite(numbers["mean"])
        shown = numbers[(numbers["label"] == label) & drawable].sort_values("n")
        if shown.empty:
            continue
        kind = style.look(label)
        line = "predicted" if _is_predicted(shown) else "mean"
        ax.plot(shown["n"], shown[line], color=kind.colour, linestyle=kind.dash, label=line)
        ax.plot(shown["n"], shown["mean"], color=kind.colour, marker=kind.marker or None, linestyle="")
        ax.fill_between(shown["n"], shown["low"].clip(lower=FLOOR), shown["high"], color=kind.colour, alpha=0.15, lw=0)
        ends.append((float(shown["mean"].iloc[-1]), float(shown["n"].iloc[-1]), label, kind.colour))
    ax.set(xlabel="n, logged edits", ylabel="suboptimality (edit cost)")
    ax.set_title(title, loc="left")
    _label_ends(ax, ends)
    return ax


def _is_predicted(shown: pd.DataFrame) -> bool:
    """Whether every size has a prediction; a baseline is exact, and its line is its own."""
    varies = (shown["high"] > shown["low"] * (1 + 1e-9)).any()
    return bool(varies and (shown["predicted"] > FLOOR).all())


def _draw_floor(numbers: pd.DataFrame, ax: Axes) -> list[tuple[float, float, str, str]]:
    """The efficiency floor, and where its label goes; nothing in worlds that have none."""
    floor = numbers[numbers["efficiency_floor"] > FLOOR].drop_duplicates("n").sort_values("n")
    if floor.empty:
        return []
    kind = style.FLOOR
    ax.plot(floor["n"], floor["efficiency_floor"], color=kind.colour, linestyle=kind.dash, lw=1.0, label="floor")
    return [(float(floor["efficiency_floor"].iloc[-1]), float(floor["n"].iloc[-1]), "efficiency floor", kind.colour)]


def save_all(table: pd.DataFrame, folder: Path) -> list[dict[str, Any]]:
    """Write a figure per grid point and one of all side by side, and the plotted numbers as CSV.

    Returns:
        What was written, in reading order: name (of the .svg and .png file) and caption.
    """
    style.apply()
    folder.mkdir(parents=True, exist_ok=True)
    numbers = curves(table)
    numbers.to_csv(folder / "suboptimality.csv", index=False)
    grid = axes(table)
    points = numbers[grid].drop_duplicates().to_dict("records") if grid else [{}]
    panels = [(point, _at(numbers, point)) for point in points]
    limits = _limits(numbers)
    written = [_save(folder, "suboptimality", panels, limits)] if 1 < len(panels) <= SIDE_BY_SIDE else []
    for number, (point, panel) in enumerate(panels):
        written.append(_save(folder, _name(point, number), [(point, panel)], limits))
    return written


def _save(
    folder: Path, name: str, panels: list[tuple[dict[str, Any], pd.DataFrame]], limits: tuple[float, float]
) -> dict[str, Any]:
    rows, columns = (-(-len(panels) // 2), 2) if len(panels) > 1 else (1, 1)
    size = (6.4 * columns, 3.9 * rows)
    figure, places = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    for ax in places.ravel()[len(panels) :]:
        ax.axis("off")
    for ax, (point, panel) in zip(places.ravel(), panels, strict=False):
        ax.set(xscale="log", yscale="log", ylim=limits)
        draw(panel, ax, where(point) or "SubOpt against n")
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    figure.savefig(folder / f"{name}.png")
    plt.close(figure)
    return {"name": name, "caption": _caption(pd.concat([panel for _, panel in panels]), panels)}


def _at(numbers: pd.DataFrame, point: dict[str, Any]) -> pd.DataFrame:
    for axis, value in point.items():
        numbers = numbers[numbers[axis].isna() if pd.isna(value) else numbers[axis] == value]
    return numbers


def _name(point: dict[str, Any], number: int) -> str:
    """A file name that says the grid point, or numbers it where that would be too long."""
    words = re.sub(r"[^\w.]+", "-", where(point)).strip("-")
    return "suboptimality" + (f"-{words}" if 0 < len(words) <= 80 else f"-{number:03d}" if words else "")


def _caption(numbers: pd.DataFrame, panels: list[Any]) -> str:
    opening = f"{where(panels[0][0])}: m" if len(panels) == 1 and panels[0][0] else "M"
    return (
        f"{opening}ean suboptimality over {numbers['logs'].max()} logs, against the size of the log; bands are 95% "
        f"bootstrap intervals for the mean{_theory(numbers)}; {numbers['not_ok'].sum()} of {numbers['logs'].sum()} "
        f"fits were not ok and are included.{_left_out(numbers)}"
    )


def _theory(numbers: pd.DataFrame) -> str:
    lines = "; lines are predicted, and join the markers where there is no prediction"
    floor = ", the dash-dotted one is the efficiency floor, below which no regular estimator from the edits falls"
    lines = lines if numbers["predicted"].notna().any() else ""
    return lines + (floor if numbers["efficiency_floor"].notna().any() else "")


def _left_out(numbers: pd.DataFrame) -> str:
    endless = sorted(set(numbers.loc[~np.isfinite(numbers["mean"]), "label"]))
    return f"  Infinite, so not drawn: {', '.join(endless)}." if endless else ""


def _limits(numbers: pd.DataFrame) -> tuple[float, float]:
    shown = numbers.loc[(numbers["mean"] > FLOOR) & np.isfinite(numbers["mean"]), "mean"]
    if shown.empty:
        return FLOOR, 1.0
    shown = pd.concat([shown, numbers.loc[numbers["efficiency_floor"] > FLOOR, "efficiency_floor"]])
    return float(shown.min()) / 2, float(shown.max()) * 2


def _ordered(numbers: pd.DataFrame) -> list[str]:
    order = ["reference", "edited", "sup", "pref", "cost", "early", "edit-model"]
    labels = numbers["label"].drop_duplicates().tolist()
    return sorted(labels, key=lambda s: (order.index(s.split(" (")[0]) if s.split(" (")[0] in order else 99, s))


def _label_ends(ax: Axes, ends: list[tuple[float, float, str, str]]) -> None:
    """Direct labels right of the curves, spread so that none hides another."""
    bottom, top = np.log10(ax.get_ylim())
    ends = sorted(ends)
    wanted = [float(np.log10(value)) for value, *_ in ends]
    places = _spread(wanted, (top - bottom) / 17, bottom)
    for (value, n, label, colour), place in zip(ends, places, strict=True):
        ax.annotate(
            label, xy=(n, value), xytext=(1.03, 10**place), textcoords=("axes fraction", "data"),
            color=colour, va="center", fontsize=8, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.4, "alpha": 0.6},
        )  # fmt: skip


def _spread(wanted: list[float], step: float, bottom: float) -> list[float]:
    """Ascending places nearest in least squares to the ascending `wanted`, `step` apart, not below `bottom`.

    Subtracting i * step turns "apart" into "not descending", which pooling adjacent violators solves.
    """
    blocks: list[list[float]] = []
    for i, value in enumerate(wanted):
        blocks.append([value - i * step])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    level = [float(np.mean(block)) for block in blocks for _ in block]
    places: list[float] = []
    for i, value in enumerate(level):
        lowest = places[-1] + step if places else bottom
        places.append(max(value + i * step, lowest))
    return places
