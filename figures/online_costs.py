"""The expected edit cost per round so far, of every method in every setting, against the round."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import panels
from figures.labels import End, label_ends
from figures.online_parts import INTERVAL, LONG, counts_of, distinct, looks, mark_changes, not_ok, title, users
from sim.online.gaps import in_order, kinds_of
from sim.summary import means_and_intervals

Intervals = Callable[[np.ndarray], np.ndarray]
Limits = Callable[[pd.DataFrame], tuple[float, float]]


def numbers(online: pd.DataFrame, intervals: Intervals = means_and_intervals) -> pd.DataFrame:
    """A row per test user, setting, method and recorded round: the running mean of J over logs with its interval.

    Args:
        online: from `sim.load(folder, "online.parquet")`; methods without a cost are left out.
        intervals: mean, low and high of every column of a table with a row per log.
    """
    costly = online[online["expected_cost"].notna()]
    methods, alone = in_order(costly), kinds_of(costly).alone
    frames = []
    for (user, setting), here in costly.groupby(["test_user", "setting"], sort=False, observed=True):
        for method in (method for method in methods if (here["method"] == method).any()):
            left = {"test_user": str(user), "setting": str(setting), "method": method, "alone": method in alone}
            running = _running(here[here["method"] == method], intervals)
            frames.append(running.assign(**left)[[*left, *_MEANS, "logs"]])
    return pd.concat(frames, ignore_index=True).assign(**counts_of(online))


_MEANS = ["round", "mean", "low", "high"]


def _running(own: pd.DataFrame, intervals: Intervals) -> pd.DataFrame:
    table = own.pivot(index="seed", columns="round", values="expected_cost")
    table = table / table.columns.to_numpy()
    found = pd.DataFrame(intervals(table.to_numpy()), columns=_MEANS[1:])
    return found.assign(round=table.columns.to_numpy(), logs=len(table))


def figure(numbers: pd.DataFrame, limits: Limits | None = None) -> Figure:
    """A panel per setting of one test user.

    Args:
        numbers: from `numbers`.
        limits: of the vertical axis, from the numbers of a panel; default: around all that is drawn.
    """
    settings = distinct(numbers["setting"])
    drawn, places = panels.side_by_side(len(settings), 2.3, share=False)
    for ax, setting in zip(places, settings, strict=True):
        # Of a single round there is a point, and no width.
        ax.set_xlim(1, max(numbers["round"].max(), 2))
        if numbers["round"].max() >= LONG:
            ax.set_xscale("log")
        here = numbers[numbers["setting"] == setting]
        if limits:
            ax.set_ylim(limits(here))
        draw(here, ax)
        ax.set_title(title(setting), loc="left")
    panels.label_outer(places)
    return drawn


def draw(here: pd.DataFrame, ax: Axes) -> Axes:
    """One panel: policies played alone are thin, rules that pick among them thick with a band."""
    for method, look in looks(distinct(here["method"])).items():
        own = here[here["method"] == method]
        thin = bool(own["alone"].iloc[0])
        ax.plot(own["round"], own["mean"], color=look.colour, ls=look.dash, lw=0.8 if thin else 1.6)
        if not thin:
            ax.fill_between(own["round"], own["low"], own["high"], color=look.colour, alpha=0.15, lw=0)
    mark_changes(ax, str(here["test_user"].iloc[0]))
    ax.set(xlabel="round", ylabel="mean edit cost so far")
    label_ends(ax, _ends(here))
    return ax


def _ends(here: pd.DataFrame) -> list[End]:
    kinds, last = looks(distinct(here["method"])), here.groupby("method", sort=False).tail(1)
    rows = zip(last["mean"], last["round"], last["method"], strict=True)
    return [End(float(mean), float(at), str(method), kinds[method].colour) for mean, at, method in rows]


def caption(numbers: pd.DataFrame) -> str:
    """What the figure shows, of how many logs."""
    return (
        f"{users(numbers)}  Expected edit cost per round, averaged from the first round to the one shown, over "
        f"{numbers['logs'].max()} logs: policies played alone (thin), rules that pick among them (thick, with "
        f"{INTERVAL} intervals).{not_ok(numbers)}"
    )
