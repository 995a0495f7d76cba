"""Direct labels right of curves, spread so that none hides another."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes


class End(NamedTuple):
    """Where a curve ends, and what is written there."""

    value: float
    n: float
    label: str
    colour: str


def label_ends(ax: Axes, ends: list[End], lines: int = 17) -> None:
    """Label every curve at its last point; the axis has room for `lines` labels.  Its limits must be final."""
    if not ends:
        return
    ends = sorted(ends)
    low, high = ax.transScale.transform(ax.viewLim.get_points())
    points = (ax.transScale.transform([(end.n, end.value) for end in ends]) - low) / (high - low)
    places = spread([float(height) for height in points[:, 1]], 1 / lines, 0.0)
    for end, point, place in zip(ends, points, places, strict=True):
        # A line to the label: an arrow costs ten times its time.
        look = {"color": end.colour, "lw": 0.4, "alpha": 0.6, "clip_on": False}
        ax.plot([point[0], 1.045], [point[1], place], transform=ax.transAxes, **look)
        ax.text(1.055, place, end.label, transform=ax.transAxes, color=end.colour, va="center", fontsize=7)


def spread(wanted: list[float], step: float, bottom: float) -> list[float]:
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
