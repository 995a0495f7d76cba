"""One visual style: a colour, a marker and a dash per learner, the same everywhere."""

import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import matplotlib as mpl


class Look(NamedTuple):
    """How one learner is drawn; colours are Okabe and Ito's, safe for colour-blind readers."""

    colour: str
    marker: str
    dash: Any


_LOOKS = {
    "reference": Look("#7f7f7f", "", ":"),
    "edited": Look("#7f7f7f", "", "--"),
    "sup": Look("#0072B2", "o", "-"),
    "pref": Look("#D55E00", "s", "-"),
    "cost": Look("#009E73", "^", "-"),
    "early": Look("#CC79A7", "D", "-"),
    "edit-model": Look("#56B4E9", "P", "-"),
    "uniform": Look("#8C510A", "x", "-."),
    "thompson": Look("#E7298A", "", "--"),
    "kl-ucb": Look("#1B7837", "", "-."),
    "exp3": Look("#5D3A9B", "", (0, (5, 1, 1, 1))),
}
RULES = ("thompson", "kl-ucb", "exp3")
LEARNER_NAMES = ("reference", "edited", "sup", "pref", "cost", "early", "edit-model")
_OTHERS = [Look(colour, marker, "-") for marker in "vX<>" for colour in ("#000000", "#8C510A", "#5D3A9B")]

FLOOR = Look("#333333", "", "-.")
"""The efficiency floor, on every figure of suboptimality against n."""


BOUNDS = {
    "sharp": ("-", 3.6, 0.3),
    "": ("-", 1.0, 1.0),
    "paper": (":", 1.4, 1.0),
    "set": ("--", 1.2, 1.0),
    "population": ("--", 3.6, 0.3),
    "gap": ((0, (1, 4)), 1.6, 1.0),
}
"""Dash, width and opacity of each kind of bound; broad and pale are those that others may equal, and then lie on."""


def look(label: str) -> Look:
    """The look of a learner's label; variants keep the learner's colour with another dash and marker."""
    learner, _, variant = label.partition(" (")
    # By its name alone, so that a plug-in's learner looks the same in every run.
    base = _LOOKS.get(learner) or _OTHERS[zlib.crc32(learner.encode()) % len(_OTHERS)]
    if any(word in variant for word in ("paper", "radius", "pessimistic", "held-out")):
        dash = ":" if "paper" in variant and "pessimistic" in variant else "--"
        return Look(base.colour, {"s": "x", "^": "+", "D": "d"}.get(base.marker, base.marker), dash)
    return base


def ordered(labels: Iterable[str]) -> list[str]:
    """Labels in the order of every figure: the baselines, the paper's learners, then others by name."""
    order = list(_LOOKS)
    place = {name: order.index(name.partition(" (")[0]) if name.partition(" (")[0] in order else 99 for name in labels}
    return sorted(place, key=lambda name: (place[name], name))


DPI = 200
"""Of the .png files."""

PAGE = 7.2
"""The width in inches of a figure of several panels: the text of a printed page, at which its letters are legible."""

COLUMN = 4.2
"""The width of a figure of one panel with labels beside it."""


def apply() -> None:
    """Set the style for figures that are written to files, and draw without a screen."""
    mpl.use("Agg")
    set_look()


def set_look() -> None:
    """Set the style for all following figures, shown wherever they are drawn (a notebook): legible in print, no
    embedded dates.
    """
    mpl.rcParams.update(
        {
            "figure.dpi": 100,
            "savefig.dpi": DPI,
            "font.size": 8,
            "axes.titlesize": 8.5,
            "axes.labelpad": 3,
            "legend.fontsize": 7,
            "xtick.labelsize": 7,
            "ytick.labelsize": 7,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#dddddd",
            "grid.linewidth": 0.5,
            "lines.linewidth": 1.2,
            "lines.markersize": 3.5,
            "svg.hashsalt": "medley",
            "svg.fonttype": "none",
        }
    )
