"""How loose each bound is: its ratio to the measured quantile, a row per learner and a column per point of the grid."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from figures import panels, style, tightness
from figures.labels import label_ends
from sim.summary import where

COLUMNS = 4
"""More points of the grid than this are not drawn."""


def numbers(table: pd.DataFrame, delta: float) -> pd.DataFrame:
    """The rows of `figures.tightness.numbers` that have a ratio, and the level `delta` of the bounds.

    Args:
        table: of a run, with the columns of its bounds.
        delta: bounds hold with probability 1 - delta.
    """
    found = tightness.numbers(table, delta)
    shown = found[found["drawn"] & (found["tightness"] > 0)].drop(columns=["holds", "drawn"])
    return shown.assign(delta=delta).reset_index(drop=True)


def figure(numbers: pd.DataFrame) -> Figure:
    """Panels on the same axes; at 1 the bound is the quantile, below it is violated."""
    labels = style.ordered(numbers["label"])
    points = panels.points(numbers, panels.axes_of(numbers))[:COLUMNS]
    drawn, places = plt.subplots(
        len(labels), len(points), figsize=(style.PAGE, 1.5 * len(labels) + 0.5), layout="constrained", squeeze=False,
        sharex=True, sharey=True,
    )  # fmt: skip
    for row, label in zip(places, labels, strict=True):
        for ax, point in zip(row, points, strict=True):
            here = panels.at(numbers, point)
            panels.size_axis(ax, numbers["n"])
            ax.set(yscale="log", ylim=(min(numbers["tightness"].min() / 4, 0.3), numbers["tightness"].max() * 4))
            draw(here[here["label"] == label], ax, last=point == points[-1])
        row[0].set_ylabel(f"{label}\nbound / quantile".replace(" (", "\n("))
    for ax, point in zip(places[0], points, strict=True):
        ax.set_title(where(point), loc="left")
    for ax in places[-1]:
        ax.set_xlabel("n, logged edits")
        ax.xaxis.set_major_locator(LogLocator(base=100))
    return drawn


def draw(shown: pd.DataFrame, ax: Axes, last: bool = True) -> Axes:
    """One panel: a line per bound of one learner; labels only where it is the `last` of its row."""
    ax.axhline(1.0, color=style.FLOOR.colour, lw=0.8)
    if shown.empty:
        return ax
    ends = tightness.bound_lines(shown, ax, "tightness", style.look(str(shown["label"].iloc[0])))
    label_ends(ax, ends if last else [], lines=10)
    return ax


def caption(numbers: pd.DataFrame) -> str:
    """What the figure shows, of how many logs, and how many fits were not ok."""
    runs = numbers.drop_duplicates([*panels.axes_of(numbers), "label", "n"])
    level = 1 - numbers["delta"].iloc[0]
    return (
        f"Each bound that holds with probability {level:g} over the measured {100 * level:g}% quantile of "
        f"suboptimality of {runs['logs'].max()} logs, against the size of the log: at the black line the bound is "
        "the quantile, below it the bound would be violated.  Bounds whose assumptions fail are left out.  "
        f"{runs['not_ok'].sum()} of {runs['logs'].sum()} fits were not ok and are included."
    )
