"""One visual style: a colour, a marker and a dash per learner, the same everywhere."""

from typing import NamedTuple

import matplotlib as mpl


class Look(NamedTuple):
    """How one learner is drawn; colours are Okabe and Ito's, safe for colour-blind readers."""

    colour: str
    marker: str
    dash: str


_LOOKS = {
    "reference": Look("#7f7f7f", "", ":"),
    "edited": Look("#7f7f7f", "", "--"),
    "sup": Look("#0072B2", "o", "-"),
    "pref": Look("#D55E00", "s", "-"),
    "cost": Look("#009E73", "^", "-"),
    "early": Look("#CC79A7", "D", "-"),
    "edit-model": Look("#56B4E9", "P", "-"),
}
_OTHER = Look("#000000", "v", "-")

FLOOR = Look("#333333", "", "-.")
"""The efficiency floor, on every figure of suboptimality against n."""


def look(label: str) -> Look:
    """The look of a learner's label; variants keep the learner's colour with another dash and marker."""
    learner, _, variant = label.partition(" (")
    base = _LOOKS.get(learner, _OTHER)
    if any(word in variant for word in ("paper", "radius", "pessimistic", "held-out")):
        return Look(base.colour, {"s": "x", "^": "+", "D": "d"}.get(base.marker, base.marker), "--")
    return base


def apply() -> None:
    """Set the style for all following figures: legible at column width, no embedded dates."""
    mpl.use("Agg")
    mpl.rcParams.update(
        {
            "figure.dpi": 100,
            "savefig.dpi": 160,
            "font.size": 9,
            "axes.titlesize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#dddddd",
            "grid.linewidth": 0.6,
            "lines.linewidth": 1.4,
            "lines.markersize": 4.5,
            "svg.hashsalt": "medley",
            "svg.fonttype": "none",
        }
    )
