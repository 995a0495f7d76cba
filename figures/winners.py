"""Who wins where: a map over log size and grid, predicted beside measured."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from figures import claims, panels, style
from sim.summary import where

ROWS = 6
"""Up to this many points of the other axes have panels of their own; more are rows of one map."""

_GRID_ENDS_AT = "n"


def save_all(found: pd.DataFrame, folder: Path) -> list[dict[str, Any]]:
    """Write the map and its cells as winners.csv.

    Args:
        found: from `bounds.winners`: a row per cell and n, the axes of the grid left of `n`.
        folder: of the figures.

    Returns:
        Name (of the .svg and .png file) and caption; nothing where fewer than two learners or grid points compete.
    """
    if found.empty or found["competing"].max() < 2 or _rows(found).nunique() < 2:
        return []
    style.apply()
    folder.mkdir(parents=True, exist_ok=True)
    found.to_csv(folder / "winners.csv", index=False)
    panels.save(figure(found), folder, "winners")
    return [{"name": "winners", "claim": claims.of_winners(found), "caption": caption(found)}]


def letters(labels: list[str]) -> dict[str, str]:
    """A letter for each learner, the first of its name that is free, and a number where it has several settings."""
    learners = list(dict.fromkeys(label.partition(" (")[0] for label in labels))
    taken: dict[str, str] = {}
    for learner in learners:
        free = [c for c in learner.upper() if c.isalpha() and c not in taken.values()]
        taken[learner] = free[0] if free else "?"
    siblings = {learner: [s for s in labels if s.partition(" (")[0] == learner] for learner in learners}
    return {
        label: taken[learner] + (str(i + 1) if len(group) > 1 else "")
        for learner, group in siblings.items()
        for i, label in enumerate(group)
    }


def _axes(found: pd.DataFrame) -> list[str]:
    columns = list(found.columns)
    return columns[: columns.index(_GRID_ENDS_AT)]


def _rows(found: pd.DataFrame) -> pd.Series:
    """The grid point of each row, in words."""
    grid = _axes(found)
    points = [where(point) for point in found[grid].to_dict("records")]
    return pd.Series(points, index=found.index, dtype=object)


def _split(found: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The axes whose points are the rows of a map, and those whose points have maps of their own.

    Rows are the axis with the most values; all axes where the others have too many points.
    """
    grid = _axes(found)
    longest = max(grid, key=lambda axis: found[axis].nunique(dropna=False))
    others = [axis for axis in grid if axis != longest]
    return ([longest], others) if len(panels.points(found, others)) <= ROWS else (grid, [])


def figure(found: pd.DataFrame) -> Figure:
    """A row of two maps, predicted beside measured, for each point of the axes that are not rows of a map."""
    down, others = _split(found)
    maps = [(point, panels.at(found, point)) for point in panels.points(found, others)]
    sizes = sorted(found["n"].unique())
    heights = [len(panels.points(here, down)) for _, here in maps]
    size = (style.PAGE, sum(0.2 * h + 0.35 for h in heights) + 0.9)
    drawn, places = plt.subplots(
        len(maps), 2, figsize=size, layout="constrained", squeeze=False, height_ratios=heights,
    )  # fmt: skip
    marks = letters(style.ordered([*found["predicted_winner"], *found["measured_winner"]]))
    for row, (point, here) in zip(places, maps, strict=True):
        for ax, kind in zip(row, ("predicted", "measured"), strict=True):
            draw(here, ax, kind, down, sizes, marks)
            ax.set_title(f"{kind}, {where(point)}" if point else kind, loc="left")
        row[1].set(ylabel="", yticklabels=[])
    for ax in places[:-1].ravel():
        ax.set_xticklabels([])
    for ax in places[-1]:
        ax.set_xlabel("n, logged edits")
    drawn.legend(handles=legend(found, marks), loc="outside lower center", ncols=4, frameon=False, fontsize=7)
    return drawn


def draw(
    here: pd.DataFrame, ax: Axes, kind: str, down: list[str], columns: list[Any], marks: dict[str, str],
    across: str = _GRID_ENDS_AT,
) -> Axes:  # fmt: skip
    """One map: the `kind` ("predicted" or "measured") winner of each cell; its `columns` are values of `across`.

    In the measured map cells without a clear lead are pale and hatched, and those with a clear lead that was
    predicted otherwise have a black frame.
    """
    points = panels.points(here, down)
    for y, point in enumerate(points):
        for cell in panels.at(here, point).to_dict("records"):
            sure = kind == "predicted" or cell["clear"]
            x = columns.index(cell[across])
            _draw_cell(ax, x, y, cell[f"{kind}_winner"], marks, sure)
            if kind == "measured" and cell["clear"] and not cell["agree"]:
                ax.add_patch(Rectangle((x - 0.45, y - 0.45), 0.9, 0.9, fill=False, edgecolor="black", lw=1.8, zorder=4))
    ax.set(xlim=(-0.5, len(columns) - 0.5), ylim=(-0.5, len(points) - 0.5))
    turned = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"} if len(columns) > 5 else {}
    ax.set_xticks(range(len(columns)), [f"{value:,}" for value in columns], fontsize=6.5, **turned)
    one = len(down) == 1
    words = [where(point).partition(" = ")[2] if one else where(point) for point in points]
    ax.set_yticks(range(len(points)), words, fontsize=7 if one else 6.5)
    ax.set_ylabel(down[0] if one else "")
    ax.grid(visible=False)
    return ax


def _draw_cell(ax: Axes, x: int, y: int, winner: str, marks: dict[str, str], sure: bool) -> None:
    colour = style.look(winner).colour
    ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor="white", lw=0.8, alpha=_SURE[sure]))
    if not sure:
        ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor=colour, lw=0, hatch="////", alpha=0.4))
    ink = "white" if sure and np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) < 0.5 else "black"
    ax.text(x, y, marks[winner], ha="center", va="center", fontsize=7, color=ink, zorder=5)


_SURE = {True: 1.0, False: 0.2}


def legend(found: pd.DataFrame, marks: dict[str, str]) -> list[Patch]:
    """What the letters, the hatching and the frames of maps mean."""
    patches = [Patch(facecolor=style.look(label).colour, label=f"{mark}  {label}") for label, mark in marks.items()]
    if not found["clear"].all():
        patches.append(Patch(facecolor="#eeeeee", edgecolor="#999999", hatch="////", label="lead not clear"))
    if (found["clear"] & ~found["agree"]).any():
        patches.append(Patch(fill=False, edgecolor="black", lw=1.8, label="clear, predicted otherwise"))
    return patches


def caption(found: pd.DataFrame) -> str:
    """What the maps show, of how many logs, and how many fits were not ok."""
    clear = found[found["clear"]]
    return (
        "The learner with the least predicted and with the least measured mean suboptimality"
        f" over {found['logs'].max()} logs, by size of the log and point of the grid.  Predicted = measured in "
        f"{int(clear['agree'].sum())} of {len(clear)} clear cells ({int(found['agree'].sum())} of all {len(found)}); "
        "cells whose measured lead is within 3 standard errors are pale and hatched.  "
        f"{found['not_ok'].sum()} of {found['fits'].sum()} fits were not ok and are included."
    )
