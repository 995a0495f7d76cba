"""What the figures of an online phase share: a look per method, words for titles and captions."""

import re

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from figures import style
from sim.online.settings import DRIFT
from sim.summary import LEVEL

LONG = 1000
"""Runs of at least this many rounds have a logarithmic axis of rounds."""

INTERVAL = f"{100 * LEVEL:g}%"


_LATE = {
    "late": style.Look("#000000", "", "-"),
    "late (all)": style.Look("#000000", "", (0, (3, 1))),
    "late (alpha theory)": style.Look("#555555", "", "--"),
    "late (alpha theory, warm start)": style.Look("#999999", "", "--"),
    "late (alpha 0.1)": style.Look("#000000", "", "-"),
    "late (alpha 0.1, warm start)": style.Look("#000000", "", (0, (3, 1))),
}


def looks(methods: list[str]) -> dict[str, style.Look]:
    """A look per method, the same in every figure for those that ship: a learner's, a rule's own, or black and grey for
    Algorithm 1; further settings of a rule share out shades and dashes.
    """
    known = {method: _look_of(method) for method in methods}
    others = [method for method, look in known.items() if look is None]
    shades = mpl.colormaps["inferno"](np.linspace(0.15, 0.78, max(len(others), 1)))
    shared = {
        method: style.Look(to_hex(shade), "", ("-", "--", "-.", (0, (6, 1, 1, 1, 1, 1)))[i % 4])
        for i, (method, shade) in enumerate(zip(others, shades, strict=False))
    }
    return {method: look or shared[method] for method, look in known.items()}


def _look_of(method: str) -> style.Look | None:
    name = method.partition(" (")[0]
    if name in style.LEARNER_NAMES or name == "uniform":
        return style.look(method)
    if method == "thompson (warm start)":
        return style.Look(style.look(name).colour, "", (0, (3, 1)))
    return _LATE.get(method) or (style.look(name) if method in style.RULES else None)


def distinct(values: pd.Series) -> list[str]:
    """The words of a column, each once, in their order."""
    return [str(value) for value in values.drop_duplicates()]


def title(setting: str) -> str:
    """A setting as the title of a panel, a line per two parameters."""
    parts = setting.split(", ")
    lines = [", ".join(parts[i : i + 2]) for i in range(0, len(parts), 2)]
    return "" if setting == "all" else "\n".join(lines)


def users(numbers: pd.DataFrame) -> str:
    """The test users in words."""
    return f"Test user: {'; '.join(distinct(numbers['test_user']))}."


def mark_changes(ax: Axes, test_user: str) -> None:
    """A vertical line where the test user changes."""
    for begin in re.findall(rf"{DRIFT} (\d+)", test_user):
        ax.axvline(int(begin), color="#555555", lw=0.9, ls=":")


def counts_of(online: pd.DataFrame) -> dict[str, int]:
    """How many fits there were, and how many were not ok, if the rows tell."""
    return {name: int(online[name].iloc[0]) for name in ("fits", "not_ok") if name in online}


def not_ok(numbers: pd.DataFrame) -> str:
    """The last words of a caption: how many fits were not ok, if the numbers tell."""
    if "not_ok" not in numbers or numbers["fits"].iloc[0] == 0:
        return ""
    return f"  {numbers['not_ok'].iloc[0]} of {numbers['fits'].iloc[0]} fits were not ok and are included."
