"""What breaks when balance breaks: SubOpt against n, a panel per way of breaking it, with the predicted limits."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import panels, style
from figures.labels import End, label_ends
from figures.suboptimality import curves
from figures.ticks import set_log_ticks
from sim.summary import axes, is_baseline

_DIALS = {
    "other_optimum": "another optimum",
    "cyclic": "cyclic edits",
    "harmful": "harmful edits",
    "tempered": "tempered balance",
}


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Means, predictions and limits where at most one dial is turned: each way of breaking balance by itself.

    Columns: the axes, `broken` (the dial, or "nothing") and `size` (its value), `label`, `n`, `mean`, `low`, `high`,
    `logs`, `not_ok`, `predicted` and `limit`.
    """
    dials = [dial for dial in _DIALS if dial in table]
    table = table[(table[dials] != 0).sum(axis=1) <= 1]
    grid = axes(table)
    point = table[dials].ne(0)
    table = table.assign(broken=np.where(point.any(axis=1), point.idxmax(axis=1), "nothing"))
    keys = table[["broken", *dials, *[axis for axis in grid if axis not in dials]]].drop_duplicates()
    found = curves(table.drop(columns="broken"), ("predicted", "limit"))
    found = found.merge(keys, "left", grid) if grid else found.merge(keys, "cross")
    found["size"] = found[dials].max(axis=1)
    order = ["broken", "size", *[axis for axis in grid if axis not in dials]]
    measured = ["label", "n", "mean", "low", "high", "logs", "not_ok", "predicted", "limit"]
    found["place"] = found["broken"].map({name: i for i, name in enumerate(["nothing", *_DIALS])})
    return found.sort_values(["place", *order[1:], "label", "n"], ignore_index=True)[[*order, *measured]]


def figure(numbers: pd.DataFrame) -> Figure:
    """A panel per way of breaking balance: markers measured, thin lines predicted, limits broad and pale."""
    numbers = numbers[~numbers["label"].map(is_baseline)]
    points = panels.points(numbers, panels.axes_of(numbers))
    whole, places = panels.grid(len(points), (3.5, 2.5) if len(points) > 1 else (5.0, 3.2), sharey=True)
    limits = panels.log_limits(numbers["mean"], numbers["predicted"])
    for ax, point in zip(places, points, strict=True):
        here = panels.at(numbers, point)
        panels.size_axis(ax, here["n"])
        ax.set(yscale="log", ylim=limits)
        _draw(here, ax)
        ax.set_title(_title(point), loc="left", fontsize=9)
        ax.set(xlabel="n, logged edits", ylabel="SubOpt (edit cost)" if ax in places[::2] else "")
    set_log_ticks(whole)
    return whole


def _title(point: dict[str, Any]) -> str:
    others = [f"{axis} {value:g}" for axis, value in point.items() if axis not in ("broken", "size")]
    name = "balance holds" if point["broken"] == "nothing" else f"{_DIALS[point['broken']]}, dial at {point['size']:g}"
    return ", ".join([name, *others])


def _draw(here: pd.DataFrame, ax: Axes) -> None:
    ends = []
    for label in style.ordered(here["label"]):
        own, kind = here[here["label"] == label].sort_values("n"), style.look(label)
        limit = own["limit"].where(own["limit"] > panels.FLOOR)
        ax.plot(own["n"], limit, color=kind.colour, lw=5, alpha=0.22, solid_capstyle="butt")
        panels.thin_line(ax, own["n"], own["predicted"], color=kind.colour, linestyle=kind.dash, lw=0.9)
        panels.measured(ax, "n", own, kind)
        shown = own[panels.can_be_drawn(own["mean"])]
        if len(shown):
            ends.append(End(float(shown["mean"].iloc[-1]), float(shown["n"].iloc[-1]), label, kind.colour))
    label_ends(ax, ends, lines=13)


def caption(numbers: pd.DataFrame) -> str:
    """What is shown, of how many logs, and how many fits were not ok."""
    numbers = numbers[~numbers["label"].map(is_baseline)]
    return (
        f"Mean suboptimality over {panels.over_logs(numbers)}, against the size of the log, where the balance of the "
        "user's edits holds and where it is broken in one way at a time: markers are measured, with 95% bootstrap "
        "intervals for the mean; thin lines are predicted; a limit above zero, which no number of edits gets below, "
        f"is broad and pale.  {panels.counts(numbers)}"
    )
