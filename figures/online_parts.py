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


def looks(methods: list[str]) -> dict[str, style.Look]:
    """A look per method: that of the learner or of uniform play; other methods share out shades and dashes."""
    own = [method for method in methods if method.partition(" (")[0] in (*style.LEARNER_NAMES, "uniform")]
    others = [method for method in methods if method not in own]
    shades = mpl.colormaps["inferno"](np.linspace(0.0, 0.78, max(len(others), 1)))
    shared = {
        method: style.Look(to_hex(shade), "", ("-", "--", "-.", (0, (1, 1)))[i % 4])
        for i, (method, shade) in enumerate(zip(others, shades, strict=False))
    }
    return {method: shared.get(method) or style.look(method) for method in methods}


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
