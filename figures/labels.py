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
    low, high = ax.transScale.transform([(1, value) for value in ax.get_ylim()])[:, 1]
    heights = ax.transScale.transform([(1, end.value) for end in ends]).reshape(-1, 2)[:, 1]
    wanted = [float(height) for height in (heights - low) / (high - low)]
    for (value, n, label, colour), place in zip(ends, spread(wanted, 1 / lines, 0.0), strict=True):
        ax.annotate(
            label, xy=(n, value), xytext=(1.03, place), textcoords="axes fraction",
            color=colour, va="center", fontsize=8, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.4, "alpha": 0.6, "relpos": (0, 0.5)},
        )  # fmt: skip


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
