"""SubOpt against the size of the log, a panel per point of the grid: the main result."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import claims, panels, style
from figures.labels import End, label_ends
from figures.panels import FLOOR
from sim.learners import LEARNERS
from sim.summary import axes, mean_and_interval, where, with_labels

SIDE_BY_SIDE = 6
"""Up to this many grid points share one figure."""

THEORY = ("predicted", "efficiency_floor")
"""Columns that are the same for all seeds; a table without theory has none of them."""


def curves(table: pd.DataFrame, theory: tuple[str, ...] = THEORY) -> pd.DataFrame:
    """The numbers of all figures: a row per grid point, learner and n, with mean, interval, the columns of `theory`
    and fits not ok.
    """
    grid = axes(table)
    # The interval weighs its logs by their place.
    labelled = with_labels(table).sort_values("seed", kind="stable")
    rows = []
    for key, group in labelled.groupby([*grid, "label", "n"], dropna=False, sort=False):
        mean, low, high = mean_and_interval(group["suboptimality"].to_numpy())
        row = dict(zip([*grid, "label", "n"], key, strict=True))
        row |= {"mean": mean, "low": low, "high": high, "logs": len(group)}
        row |= {name: float(group[name].iloc[0]) if name in group else np.nan for name in theory}
        rows.append(row | {"not_ok": int((group["status"] != "ok").sum())})
    return pd.DataFrame(rows).sort_values([*grid, "label", "n"], ignore_index=True)


def draw(numbers: pd.DataFrame, ax: Axes, title: str) -> Axes:
    """One panel: mean SubOpt against n, log-log, with the 95% interval for the mean over logs.

    Markers are measured.  Thin lines are predicted; thick ones join the markers where there is no prediction.
    """
    ends = _draw_floor(numbers, ax)
    for label in style.ordered(numbers["label"]):
        drawable = (numbers["mean"] > FLOOR) & np.isfinite(numbers["mean"])
        shown = numbers[(numbers["label"] == label) & drawable].sort_values("n")
        if not shown.empty:
            (_draw_predicted if _is_predicted(shown) else _draw_joined)(shown, ax, style.look(label))
            last = shown.iloc[-1]
            ends.append(End(float(last["mean"]), float(last["n"]), label, style.look(label).colour))
    ax.set(xlabel="n, logged edits", ylabel="suboptimality (edit cost)")
    ax.set_title(title, loc="left")
    label_ends(ax, ends)
    return ax


def _is_predicted(shown: pd.DataFrame) -> bool:
    """Whether every size has a prediction; a baseline is exact, and its line is its own."""
    learner = LEARNERS.get(str(shown["label"].iloc[0]).partition(" (")[0])
    return not (learner and learner.baseline) and bool((shown["predicted"] > FLOOR).all())


def _draw_predicted(shown: pd.DataFrame, ax: Axes, kind: style.Look) -> None:
    low, high = shown["low"].clip(lower=FLOOR), shown["high"]
    panels.thin_line(ax, shown["n"], shown["predicted"], color=kind.colour, linestyle=kind.dash, lw=0.9)
    # A mean below its own bootstrap interval is possible in very skewed samples; a bar has no negative length.
    bars = [(shown["mean"] - low).clip(lower=0), (high - shown["mean"]).clip(lower=0)]
    ax.errorbar(shown["n"], shown["mean"], bars, color=kind.colour, marker=kind.marker, linestyle="", elinewidth=1)


def _draw_joined(shown: pd.DataFrame, ax: Axes, kind: style.Look) -> None:
    ax.plot(shown["n"], shown["mean"], color=kind.colour, linestyle=kind.dash)
    ax.plot(shown["n"], shown["mean"], color=kind.colour, marker=kind.marker or None, linestyle="")
    ax.fill_between(shown["n"], shown["low"].clip(lower=FLOOR), shown["high"], color=kind.colour, alpha=0.15, lw=0)


def _draw_floor(numbers: pd.DataFrame, ax: Axes) -> list[End]:
    """The efficiency floor, and where its label goes; nothing in worlds that have none."""
    floor = numbers[numbers["efficiency_floor"] > FLOOR].drop_duplicates("n").sort_values("n")
    if floor.empty:
        return []
    kind = style.FLOOR
    # Above the line of a learner that attains it.
    look = {"color": kind.colour, "linestyle": kind.dash, "lw": 1.0, "zorder": 2.5}
    panels.thin_line(ax, floor["n"], floor["efficiency_floor"], **look)
    return [End(float(floor["efficiency_floor"].iloc[-1]), float(floor["n"].iloc[-1]), "efficiency floor", kind.colour)]


def figure(numbers: pd.DataFrame, limits: tuple[float, float] | None = None) -> Figure:
    """A panel per point of the grid, all on the same axes; `limits` are those of suboptimality, if not its own."""
    found = panels.points(numbers, panels.axes_of(numbers))
    drawn, places = panels.side_by_side(len(found), 2.5)
    for ax, point in zip(places, found, strict=True):
        panels.size_axis(ax, numbers["n"])
        ax.set(yscale="log", ylim=limits or _limits(numbers))
        draw(panels.at(numbers, point), ax, where(point) or "SubOpt against n")
    panels.label_outer(places)
    return drawn


def caption(numbers: pd.DataFrame) -> str:
    """What the figure shows, of how many logs, and how many fits were not ok."""
    found = panels.points(numbers, panels.axes_of(numbers))
    opening = f"{where(found[0])}: m" if len(found) == 1 and found[0] else "M"
    return (
        f"{opening}ean suboptimality over {numbers['logs'].max()} logs, against the size of the log; bars and bands "
        f"are 95% bootstrap intervals for the mean{_theory(numbers)}; {numbers['not_ok'].sum()} of "
        f"{numbers['logs'].sum()} fits were not ok and are included.{_left_out(numbers)}"
    )


def save_all(table: pd.DataFrame, folder: Path) -> list[dict[str, Any]]:
    """Write one figure of all grid points side by side, or where they are many a figure each, and the numbers as CSV.

    Returns:
        What was written, in reading order: name (of the .svg and .png file) and caption.
    """
    style.apply()
    folder.mkdir(parents=True, exist_ok=True)
    numbers = curves(table)
    numbers.to_csv(folder / "suboptimality.csv", index=False)
    points = panels.points(numbers, panels.axes_of(numbers))
    if len(points) <= SIDE_BY_SIDE:
        return [_save(folder, "suboptimality", numbers, _limits(numbers))]
    return [
        _save(folder, panels.file_name("suboptimality", point, number), panels.at(numbers, point), _limits(numbers))
        for number, point in enumerate(panels.drawable(points))
    ]


def _save(folder: Path, name: str, numbers: pd.DataFrame, limits: tuple[float, float]) -> dict[str, Any]:
    panels.save(figure(numbers, limits), folder, name)
    return {"name": name, "claim": claims.of_curves(numbers), "caption": caption(numbers)}


def _theory(numbers: pd.DataFrame) -> str:
    lines = "; thin lines are predicted, thick ones join the markers where there is no prediction"
    floor = (
        "; the dash-dotted line is the efficiency floor, below which no consistent, regular estimator from the edits "
        "stays as n grows"
    )
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
