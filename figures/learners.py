"""A panel per learner: measured mean SubOpt, its prediction, its bounds and the efficiency floor, against n."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import panels, style, tightness
from figures.labels import End, label_ends
from figures.suboptimality import curves
from figures.ticks import set_log_ticks
from sim.regimes import DELTA
from sim.summary import axes, where

_SHOWN = ("sup", "pref", "cost", "early")
_MEASURED = "measured"
_WORDS = {"": "bound", "paper": "paper's bound", "sharp": "sharp bound", "set": "localised bound", "gap": "E[f̄ − c]"}
_WORDS |= {"population": "population bound"}


def numbers(table: pd.DataFrame, delta: float = DELTA) -> pd.DataFrame:
    """One setting of each learner: a row per n with the measured mean, and one per n and bound.

    Columns: the axes, `label`, `name` ("measured", or a bound), `n`, `mean`, `low`, `high`, `logs`, `not_ok`,
    `predicted`, `efficiency_floor` (empty, and 0, in the rows of bounds), `bound` (the median over logs), `holds`
    (for some fit) and `delta`.
    """
    table = table[_kept(table)]
    grid = axes(table)
    means = curves(table).assign(name=_MEASURED)
    bounds = tightness.numbers(table, delta)
    found = pd.concat([means, bounds[[*grid, "label", "n", "name", "bound", "holds"]]]) if len(bounds) else means
    found = found.reindex(columns=list(dict.fromkeys([*found.columns, "bound", "holds"])))
    found["holds"] = found["holds"].astype("boolean").fillna(False).astype(bool)
    found = found.fillna({"logs": 0, "not_ok": 0}).astype({"logs": int, "not_ok": int})
    first = [*grid, "label", "name", "n", "mean", "low", "high", "logs", "not_ok", "predicted", "efficiency_floor"]
    found = found[[*first, "bound", "holds"]].sort_values([*grid, "label", "name", "n"], ignore_index=True)
    return found.assign(delta=delta)


def _kept(table: pd.DataFrame) -> pd.Series:
    """The learners of the paper: the consistent link, the pessimistic cost, a given weight."""
    kept = table["learner"].isin(_SHOWN) & (table["link"] != "paper")
    if "held_out" in table:
        kept &= table["held_out"].isna()
    return kept & ((table["learner"] != "cost") | (table["radius"] == table["radius"].max()))


def figure(numbers: pd.DataFrame) -> Figure:
    """Markers measured, a thin line predicted, bounds in the style of their kind, the floor dash-dotted."""
    points = panels.points(numbers, [*panels.axes_of(numbers), "label"])
    order = style.ordered(numbers["label"])
    points.sort(key=lambda point: order.index(point["label"]))
    whole, places = panels.grid(len(points), (3.5, 2.9) if len(points) > 1 else (5.0, 3.2), sharey=True)
    drawn = numbers.loc[numbers["holds"], "bound"]
    limits = panels.log_limits(numbers["mean"], numbers["predicted"], numbers["efficiency_floor"], drawn)
    for ax, point in zip(places, points, strict=True):
        here = panels.at(numbers, point)
        panels.size_axis(ax, here["n"])
        ax.set(yscale="log", ylim=limits)
        _draw(here, ax, str(point["label"]))
        rest = where({axis: value for axis, value in point.items() if axis != "label"})
        ax.set_title(", ".join(part for part in (point["label"], rest) if part), loc="left", fontsize=9)
        ax.set(xlabel="n, logged edits", ylabel="SubOpt (edit cost)" if ax in places[::2] else "")
    set_log_ticks(whole)
    return whole


def _draw(here: pd.DataFrame, ax: Axes, label: str) -> None:
    kind, own = style.look(label), here[here["name"] == _MEASURED]
    panels.thin_line(ax, own["n"], own["predicted"], color=kind.colour, lw=0.9)
    panels.measured(ax, "n", own, kind)
    floor = {"color": style.FLOOR.colour, "linestyle": style.FLOOR.dash, "lw": 1.0, "zorder": 1.5}
    panels.thin_line(ax, own["n"], own["efficiency_floor"], **floor)
    ends = _ends(own, "mean", "measured", kind.colour)
    ends += _ends(own, "efficiency_floor", "floor", style.FLOOR.colour)
    for name, group in here[here["holds"] & panels.can_be_drawn(here["bound"])].groupby("name", sort=True):
        variant = str(name).removeprefix(label.partition(" (")[0]).lstrip("_")
        dash, width, alpha = style.BOUNDS.get(variant, ("-", 1.0, 0.6))
        look: dict[str, Any] = {"color": kind.colour, "linestyle": dash, "lw": width, "alpha": alpha}
        panels.thin_line(ax, group["n"], group["bound"], zorder=2 if width < 3 else 1.5, **look)
        ends += _ends(group, "bound", _WORDS.get(variant, str(name)), kind.colour)
    if not here["holds"].any():
        place = {"transform": ax.transAxes, "ha": "center", "fontsize": 8, "color": style.look("reference").colour}
        ax.text(0.5, 0.6, "no bound for this learner", **place)
    label_ends(ax, ends, lines=14)


def _ends(shown: pd.DataFrame, column: str, label: str, colour: str) -> list[End]:
    shown = shown[panels.can_be_drawn(shown[column])].sort_values("n")
    return [End(float(shown[column].iloc[-1]), float(shown["n"].iloc[-1]), label, colour)] if len(shown) else []


def caption(numbers: pd.DataFrame) -> str:
    """What is shown, of how many logs, and how many fits were not ok."""
    failed = numbers[(numbers["name"] != _MEASURED) & ~numbers["holds"] & np.isfinite(numbers["bound"])]
    names = ", ".join(sorted(set(failed["name"])))
    left_out = f"  Not drawn where their assumptions fail: {names}." if names else ""
    return (
        f"Mean suboptimality of each learner over {panels.over_logs(numbers)}, against the size of the log: markers "
        "are measured, with 95% bootstrap intervals for the mean; the thin line is predicted; the lines above are "
        f"bounds that hold with probability {1 - numbers['delta'].iloc[0]:g}, each where its assumptions do (a "
        "population bound is typical of one, and promises nothing itself); the dash-dotted line "
        "is the efficiency floor, below which no consistent, regular estimator from the edits stays "
        f"as n grows.{left_out}  {panels.counts(numbers)}"
    )
