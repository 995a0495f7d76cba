"""Regret against rounds, beside its bound, its predicted growth and the largest gap's."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bounds.online import GROUP
from figures import panels, style
from figures.labels import End, label_ends
from figures.online_parts import INTERVAL, counts_of, distinct, looks, mark_changes, not_ok, title, users

_PREDICTED = ["predicted_slope", "predicted_exponent"]


def numbers(regret: pd.DataFrame, verdicts: pd.DataFrame, online: pd.DataFrame) -> pd.DataFrame:
    """The rows of `bounds.online.regret` of methods that learn online, with their predicted slope or exponent.

    Args:
        regret, verdicts: from `bounds.online`.
        online: the rows that they are of.
    """
    learning = regret[~regret["alone"]]
    found = learning.merge(verdicts[[*GROUP, "method", *_PREDICTED]], on=[*GROUP, "method"], how="left")
    return found.assign(logs=online["seed"].nunique(), **counts_of(online))


def figure(numbers: pd.DataFrame) -> Figure:
    """A panel per setting of one test user, log-log."""
    settings = distinct(numbers["setting"])
    drawn, places = panels.side_by_side(len(settings), 2.6 if len(settings) > 1 else 3.2)
    for ax, setting in zip(places, settings, strict=True):
        ax.set(xscale="log", yscale="log", xlabel="rounds, T", ylabel="regret (edit cost)")
        ax.set_title(title(setting) or "regret against rounds", loc="left")
        _draw(numbers[numbers["setting"] == setting], ax)
    panels.label_outer(places)
    for ax, setting in zip(places, settings, strict=True):
        # After the limits of the axes that all panels share are known.
        label_ends(ax, _ends(numbers[numbers["setting"] == setting]))
    return drawn


def _draw(shown: pd.DataFrame, ax: Axes) -> None:
    for method, look in looks(distinct(shown["method"])).items():
        own = shown[(shown["method"] == method) & (shown["regret"] > 0)]
        if not own.empty:
            _draw_method(own, ax, look)
    trivial = _trivial(shown)
    ax.plot(trivial["round"], trivial["trivial"], color="#999999", lw=0.9)
    mark_changes(ax, str(shown["test_user"].iloc[0]))


def _draw_method(own: pd.DataFrame, ax: Axes, look: style.Look) -> None:
    ax.plot(own["round"], own["regret"], color=look.colour, ls=look.dash, lw=1.4)
    low = own["low"].clip(lower=panels.FLOOR)
    ax.fill_between(own["round"], low, own["high"], color=look.colour, alpha=0.15, lw=0)
    ax.plot(own["round"], own["bound"].replace(np.inf, np.nan), color=look.colour, ls=":", lw=1.2)
    _draw_predicted(own, ax, look)


def _draw_predicted(own: pd.DataFrame, ax: Axes, look: style.Look) -> None:
    """The predicted slope in log T, or else the predicted power of T, through the measured regret at T / 10."""
    slope, exponent = own[_PREDICTED].iloc[0]
    if not np.isfinite(exponent):
        return
    late = own[own["round"] >= own["round"].max() / 100]
    rounds, middle = late["round"].to_numpy(float), late.iloc[len(late) // 2]
    if np.isfinite(slope):
        line = middle["regret"] + slope * np.log(rounds / middle["round"])
    elif exponent > 1e-6:
        line = middle["regret"] * (rounds / middle["round"]) ** exponent
    else:
        return
    ax.plot(rounds, line, color=look.colour, ls=(0, (6, 3)), lw=0.8)


def _trivial(shown: pd.DataFrame) -> pd.DataFrame:
    """T times the largest gap, where every round has one; else no rows."""
    found = shown.dropna(subset="trivial").drop_duplicates("round")
    return found if (found["trivial"] > 0).all() else found.iloc[:0]


def _ends(shown: pd.DataFrame) -> list[End]:
    ends = []
    for method, look in looks(distinct(shown["method"])).items():
        own = shown[(shown["method"] == method) & (shown["regret"] > 0)].tail(1)
        ends += [End(float(r), float(t), method, look.colour) for r, t in zip(own["regret"], own["round"], strict=True)]
    last = _trivial(shown).tail(1)
    lines = zip(last["trivial"], last["round"], strict=True)
    return ends + [End(float(value), float(at), "T × largest gap", "#777777") for value, at in lines]


_PARTS = {
    "bound": "thin dotted lines of the same colour are bounds on the mean",
    "trivial": "grey: T times the largest gap, which no rule can exceed",
    "predicted_exponent": "thin dashed lines: the predicted growth, through the middle of the last two decades",
}


def caption(numbers: pd.DataFrame) -> str:
    """What the figure shows, of how many logs."""
    shown = "".join(f"; {words}" for part, words in _PARTS.items() if numbers[part].notna().any())
    alone = "" if numbers["trivial"].notna().any() else "  It is the sum of their SubOpt; of a perceptron, of utility."
    return (
        f"{users(numbers)}  Regret against rounds, mean over {numbers['logs'].max()} logs with {INTERVAL} intervals"
        f"{shown}.{alone}{not_ok(numbers)}"
    )
