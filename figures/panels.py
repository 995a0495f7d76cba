"""What all figures share: the points of the grid, names of files, and how a figure is saved."""

import re
from pathlib import Path
from typing import Any, TypeVar

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style
from figures.ticks import set_log_ticks
from sim.files import atomic_file
from sim.summary import where

FLOOR = 1e-9
"""Numbers below this are exact zeros or their rounding, and are not drawn on a logarithmic axis."""


MOST = 60
"""More points of a grid than this have no figures of their own: their numbers are in the CSV."""

T = TypeVar("T")


def drawable(found: list[T]) -> list[T]:
    """The points that get a figure of their own: all, or none where they are too many to look at."""
    return found if len(found) <= MOST else []


def points(numbers: pd.DataFrame, grid: list[str]) -> list[dict[str, Any]]:
    """The points of the grid that have numbers, in their order; one empty point where nothing varies."""
    return numbers[grid].drop_duplicates().to_dict("records") if grid else [{}]


def at(numbers: pd.DataFrame, point: dict[str, Any]) -> pd.DataFrame:
    """The numbers of one point of the grid; an axis that its family does not have is empty there."""
    for axis, value in point.items():
        numbers = numbers[numbers[axis].isna() if pd.isna(value) else numbers[axis] == value]
    return numbers


def file_name(stem: str, point: dict[str, Any], number: int) -> str:
    """A file name that says the grid point, or numbers it where that would be too long."""
    words = re.sub(r"[^\w.]+", "-", where(point)).strip("-")
    return stem + (f"-{words}" if 0 < len(words) <= 80 else f"-{number:03d}" if words else "")


def side_by_side(count: int, height: float, columns: int = 2, share: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels, at most `columns` of them side by side, each `height` high.

    They share the horizontal axis, and with `share` the vertical one.
    """
    columns, rows = min(count, columns), -(-count // columns)
    size = (style.PAGE if columns > 1 else style.COLUMN, height * rows + 0.3)
    figure, places = plt.subplots(
        rows, columns, figsize=size, layout="constrained", squeeze=False, sharex=True, sharey=share
    )
    flat = list(places.ravel())
    for ax in flat[count:]:
        ax.remove()
    # The panels above the ones that are missing are at the bottom of their columns.
    for ax in flat[max(count - columns, 0) : count]:
        ax.tick_params(labelbottom=True)
    return figure, flat[:count]


def label_outer(places: list[Axes]) -> None:
    """Keep what is written at the axes of panels from `side_by_side` at the left and at the bottom only."""
    grid = places[0].get_gridspec()
    assert grid is not None
    columns = grid.ncols
    for i, ax in enumerate(places):
        if i % columns:
            ax.set_ylabel("")
        if i + columns < len(places):
            ax.set_xlabel("")


def finish(figure: Figure) -> Figure:
    """Set the ticks of a figure whose limits are final, and lay it out."""
    set_log_ticks(figure)
    # Laying out is half of the time of drawing: once is enough.
    if engine := figure.get_layout_engine():
        engine.execute(figure)
    figure.set_layout_engine("none")
    return figure


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write the figure as .svg (the same bytes each time) and .png."""
    finish(figure)
    for suffix, metadata in (("svg", {"Date": None}), ("png", {})):
        with atomic_file(folder / f"{name}.{suffix}") as file:
            figure.savefig(file, format=suffix, metadata=metadata)
    plt.close(figure)


def size_axis(ax: Axes, sizes: pd.Series) -> None:
    """The axis of n, logarithmic; one size alone has room at both sides."""
    ax.set_xscale("log")
    if sizes.nunique() == 1:
        ax.set_xlim(sizes.iloc[0] / 2, sizes.iloc[0] * 2)


def thin_line(ax: Axes, n: pd.Series, values: pd.Series, **look: Any) -> None:
    """A line without markers; a single point, of which no line can be seen, is a dash."""
    ax.plot(n, values, marker="_" if len(n) == 1 else None, markersize=14, **look)


def grid(count: int, size: tuple[float, float], columns: int = 2, **shared: Any) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels of `size` in inches, at most `columns` side by side."""
    across, down = min(count, columns), -(-count // columns)
    whole = (size[0] * across, size[1] * down)
    figure, places = plt.subplots(down, across, figsize=whole, layout="constrained", squeeze=False, **shared)
    for ax in places.ravel()[count:]:
        ax.axis("off")
    return figure, list(places.ravel()[:count])


def axes_of(numbers: pd.DataFrame, upto: str = "label") -> list[str]:
    """The axes of the grid: the columns left of one."""
    return list(numbers.columns[: list(numbers.columns).index(upto)])


def can_be_drawn(values: pd.Series) -> pd.Series:
    """Which values have a place on a logarithmic axis."""
    return (values > FLOOR) & np.isfinite(values)


def measured(ax: Axes, x: str, shown: pd.DataFrame, kind: style.Look, **other: Any) -> None:
    """Markers at the means, with their intervals; what has no place on the logarithmic axis is left out."""
    shown = shown[can_be_drawn(shown["mean"])]
    # A mean outside its own bootstrap interval is possible in very skewed samples; a bar has no negative length.
    bars = [
        (shown["mean"] - shown["low"].clip(lower=FLOOR)).clip(lower=0),
        (shown["high"] - shown["mean"]).clip(lower=0),
    ]
    look: dict[str, Any] = {"color": kind.colour, "marker": kind.marker, "linestyle": "", "elinewidth": 1}
    ax.errorbar(shown[x], shown["mean"], bars, **(look | other))


def log_limits(*values: pd.Series, room: float = 1.6) -> tuple[float, float]:
    """Limits of a logarithmic axis around all that has a place on it."""
    shown = pd.concat(values)
    shown = shown[can_be_drawn(shown)]
    return (float(shown.min()) / room, float(shown.max()) * room) if len(shown) else (FLOOR, 1.0)


def counts(numbers: pd.DataFrame) -> str:
    """The last words of a caption: how many fits were not ok, and what is infinite."""
    endless = sorted(set(numbers.loc[np.isinf(numbers["mean"]), "label"]))
    notes = f"  Infinite, so not drawn: {', '.join(endless)}." if endless else ""
    return f"{numbers['not_ok'].sum():.0f} of {numbers['logs'].sum():.0f} fits were not ok and are included.{notes}"


def over_logs(numbers: pd.DataFrame) -> str:
    """Of how many logs a mean is, in words."""
    logs = int(numbers["logs"].max())
    return f"{logs} log{'' if logs == 1 else 's'}"
