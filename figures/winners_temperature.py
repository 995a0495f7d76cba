"""Who wins over two axes of worlds, temperature up and attributes across: a pair of maps per size of the log."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bounds.compare import winners as winners_of
from figures import panels, style, winners
from sim.summary import where

_UP, _ACROSS = "temperature", "attributes"
_CELL = 0.36


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The predicted and the measured winner of every cell: `bounds.winners`, other axes first, in a fixed order."""
    found = winners_of(table)
    known = {axis: table[axis].iloc[0] for axis in (_UP, _ACROSS) if axis not in found}
    found = found.assign(**known)
    grid = [axis for axis in panels.axes_of(found, "n") if axis not in (_UP, _ACROSS)]
    first = [*grid, _UP, _ACROSS, "n"]
    found = found[[*first, *[column for column in found if column not in first]]]
    return found.sort_values([*grid, "n", _UP, _ACROSS], ignore_index=True)


def figure(numbers: pd.DataFrame) -> Figure:
    """Predicted left and measured right, a row per n; a letter for each learner in its colour."""
    others = [axis for axis in panels.axes_of(numbers, "measured_winner") if axis not in (_UP, _ACROSS)]
    points = panels.points(numbers, others)
    columns = sorted(numbers[_ACROSS].unique())
    rows = numbers[_UP].nunique()
    size = (max(_CELL * len(columns), 1.6) + 1.1, max(_CELL * rows, 1.0) + 0.75)
    whole, places = panels.grid(2 * len(points), size)
    marks = winners.letters(style.ordered([*numbers["predicted_winner"], *numbers["measured_winner"]]))
    for i, ax in enumerate(places):
        kind, point = ("predicted", "measured")[i % 2], points[i // 2]
        winners.draw(panels.at(numbers, point), ax, kind, [_UP], columns, marks, _ACROSS)
        _name(ax, kind, point, last=i // 2 == len(points) - 1)
    whole.legend(handles=winners.legend(numbers, marks), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return whole


def _name(ax: Axes, kind: str, point: dict[str, Any], last: bool) -> None:
    rest = where({axis: value for axis, value in point.items() if axis != "n"})
    words = [kind, f"n = {point['n']:,}", rest]
    ax.set_title(", ".join(word for word in words if word), loc="left", fontsize=9)
    ax.set_ylabel("temperature, β" if kind == "predicted" else "")
    ax.set_xlabel(_ACROSS if last else "")
    ax.tick_params(labelsize=8, labelleft=kind == "predicted", labelbottom=last)


def caption(numbers: pd.DataFrame) -> str:
    """What is shown, of how many logs, and how many fits were not ok."""
    return winners.caption(numbers)
