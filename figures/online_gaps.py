"""Who does well everywhere: the largest gap of every method as a dot with its interval, and against the rounds."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import panels
from figures.labels import End, label_ends
from figures.online_parts import INTERVAL, LONG, counts_of, distinct, looks, not_ok
from sim.online.gaps import gaps_by_round, max_gaps
from sim.summary import where

_COUNTED = ["settings", "rounds", "logs"]


def numbers(online: pd.DataFrame, over: list[str] | None = None) -> pd.DataFrame:
    """The rows of `sim.online.gaps.max_gaps`, with the number of settings, rounds and logs.

    Args:
        online: from `sim.load(folder, "online.parquet")`.
        over: the axes over whose points the largest gap is taken; default: all.
    """
    return _counted(max_gaps(online, over), online)


def numbers_by_round(online: pd.DataFrame, over: list[str] | None = None) -> pd.DataFrame:
    """The same after every recorded round: had the online phase ended there."""
    return _counted(gaps_by_round(online, over), online)


def _counted(gaps: pd.DataFrame, online: pd.DataFrame) -> pd.DataFrame:
    counts = (online["setting"].nunique(), int(online["round"].max()), online["seed"].nunique())
    return gaps.assign(**dict(zip(_COUNTED, counts, strict=True)), **counts_of(online))


def figure(numbers: pd.DataFrame) -> Figure:
    """A panel per test user and group of settings: a line per method, the least gap of all marked."""
    methods = distinct(numbers["method"])
    points = panels.points(numbers, panels.axes_of(numbers, "method"))
    drawn, places = panels.side_by_side(len(points), 0.17 * len(methods) + 0.5)
    for ax, point in zip(places, points, strict=True):
        draw(panels.at(numbers, point), ax, methods)
        ax.set_title(_title(point), loc="left", fontsize=7)
        ax.set_xlim(0, numbers["high"].max() * 1.05 or 1.0)
    panels.label_outer(places)
    return drawn


def _title(point: dict[str, Any]) -> str:
    """The group of settings, then the test user, a line per parameter."""
    group = where({axis: value for axis, value in point.items() if axis != "test_user"})
    return "\n".join([*group.split(", "), *f"test user: {point['test_user']}".split(", ")]).strip()


def draw(gaps: pd.DataFrame, ax: Axes, methods: list[str]) -> Axes:
    """One panel: a line per method, the least gap of all marked by a vertical line."""
    kinds = looks(methods)
    for y, method in enumerate(methods):
        row = gaps[gaps["method"] == method].iloc[0]
        colour = kinds[method].colour
        ax.plot([row["low"], row["high"]], [y, y], color=colour, lw=1.6)
        ax.plot(row["max_gap"], y, "o", color=colour, ms=4)
        ax.plot(row["max_gap_by_seed"], y, "D", mfc="white", color=colour, ms=3.2, zorder=1.5)
    ax.axvline(gaps["max_gap"].min(), color="#999999", lw=0.8, ls=":")
    ax.set_yticks(range(len(methods)), methods)
    ax.set(ylim=(len(methods) - 0.5, -0.5), xlabel="largest gap in J (edit cost per round)")
    ax.grid(axis="y", visible=False)
    return ax


def caption(numbers: pd.DataFrame) -> str:
    """What the figure shows, over how many settings, rounds and logs."""
    settings, rounds, logs = numbers[_COUNTED].iloc[0]
    return (
        f"The largest gap in expected edit cost per round to the best method, over {settings} settings, {rounds:,} "
        f"rounds, {logs} logs: dots are gaps of the means over logs with {INTERVAL} intervals, hollow diamonds the "
        "means of the gaps within each log; the dotted line is the least gap."
        f"{not_ok(numbers)}"
    )


def figure_by_round(numbers: pd.DataFrame) -> Figure:
    """A panel per test user: the largest gap against the number of rounds."""
    users, methods = distinct(numbers["test_user"]), distinct(numbers["method"])
    drawn, places = panels.side_by_side(len(users), 2.8)
    for ax, user in zip(places, users, strict=True):
        here, ends = numbers[numbers["test_user"] == user], []
        ax.set(xscale="log" if here["round"].max() >= LONG else "linear", xlim=(1, here["round"].max()))
        ax.set(xlabel="rounds, T", ylabel="largest gap in J", ylim=(0, numbers["max_gap"].max() * 1.05 or 1.0))
        for method, look in looks(methods).items():
            own = here[here["method"] == method]
            ax.plot(own["round"], own["max_gap"], color=look.colour, ls=look.dash)
            ends.append(End(float(own["max_gap"].iloc[-1]), float(own["round"].iloc[-1]), method, look.colour))
        ax.set_title(f"test user: {user}", loc="left")
        label_ends(ax, ends)
    panels.label_outer(places)
    return drawn


def caption_by_round(numbers: pd.DataFrame) -> str:
    """What the figure shows, of how many logs."""
    return (
        "The largest gap in mean edit cost to the best method over the settings, had the online phase ended after T "
        f"rounds; {numbers['logs'].max()} logs."
    )
