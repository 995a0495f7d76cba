"""The largest gap of every method, with its interval, beside the paper's."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures import online_gaps, panels
from figures.online_parts import INTERVAL, distinct
from sim.llm import paper
from sim.llm.tables import Table

_PAPER = {"of means": "|", "printed": "x"}
"""The markers of the paper's two numbers."""


def numbers(tables: list[Table]) -> pd.DataFrame:
    """The gaps of every table, with the paper's: of its printed means (`paper`), and as printed (`paper_printed`).

    Args:
        tables: from `sim.llm.tables.tables`.
    """
    frames = [_numbers(table) for table in tables if len(table.gaps)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _numbers(table: Table) -> pd.DataFrame:
    of_means = {name: paper.gap(name, table.settings) if table.number == 1 else None for name in table.whole}
    as_printed = {name: paper.printed(table.number, name, table.settings) for name in table.whole}
    return table.gaps.assign(
        paper=table.gaps["method"].map(of_means).astype(float),
        paper_printed=table.gaps["method"].map(as_printed).astype(float),
        settings=len(table.settings),
        rounds=table.rounds,
        logs=int(table.common.sum()),
    )


def figure(numbers: pd.DataFrame) -> Figure:
    """A panel per test user: a line per method."""
    users, methods = distinct(numbers["test_user"]), distinct(numbers["method"])
    drawn, places = panels.side_by_side(len(users), 0.19 * len(methods) + 0.7)
    ends = numbers[["max_gap", "high", "max_gap_by_seed", "paper", "paper_printed"]]
    for ax, user in zip(places, users, strict=True):
        draw(numbers[numbers["test_user"] == user], ax, methods)
        ax.set_title(f"test user: {user}", loc="left")
        ax.set_xlim(-0.01 * np.nanmax(ends), 1.05 * np.nanmax(ends) or 1.0)
    panels.label_outer(places)
    drawn.legend(handles=_keys(numbers), loc="outside lower center", ncols=4, frameon=False)
    return drawn


def draw(gaps: pd.DataFrame, ax: Axes, methods: list[str]) -> Axes:
    """One panel: dots with their intervals, and the paper's numbers in grey."""
    here = [method for method in methods if method in set(gaps["method"])]
    online_gaps.draw(gaps, ax, here)
    for y, method in enumerate(here):
        row = gaps[gaps["method"] == method].iloc[0]
        for name, kind in (("paper", "of means"), ("paper_printed", "printed")):
            ax.plot(row[name], y, _PAPER[kind], color="#555555", ms=5.5, mew=1.1, zorder=3)
    ax.set_xlabel("largest gap in edit cost per round")
    return ax


def _keys(numbers: pd.DataFrame) -> list[Line2D]:
    look = {"color": "#555555", "ls": "", "ms": 4.5}
    keys = [
        Line2D([], [], marker="o", label="here, of the means", **look),
        Line2D([], [], marker="D", mfc="white", label="here, mean by log", **look),
    ]
    for name, kind in (("paper", "of means"), ("paper_printed", "printed")):
        if numbers[name].notna().any():
            words = {"of means": "the paper, of its means", "printed": "the paper, as printed"}[kind]
            keys.append(Line2D([], [], marker=_PAPER[kind], mew=1.1, label=words, **look))
    return keys


def caption(numbers: pd.DataFrame) -> str:
    """What the figure shows, over how many settings, rounds and logs."""
    settings, rounds, logs = numbers[["settings", "rounds", "logs"]].iloc[0]
    over = f"{settings} setting{'' if settings == 1 else 's'}, {rounds:,} rounds, {logs} log{'' if logs == 1 else 's'}"
    bars = f", with {INTERVAL} bootstrap intervals over logs" if logs > 1 else ""
    return (
        f"The largest excess in edit cost per round over the best method of a setting, over {over}: dots of the means "
        f"over logs{bars}, hollow diamonds the mean of the largest gaps within each log; in grey the paper's (Misra et "
        "al. 2025, Tables 1 and 2), of five methods.  The dotted line is the least gap."
    )
