"""The paper's Eq. 4 against the consistent link: SubOpt of preference learning at the largest n, over temperature."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bounds.between import predictions_between
from figures import panels, style
from figures.labels import End, label_ends
from figures.suboptimality import curves
from figures.ticks import set_log_ticks
from sim.summary import axes, where, with_labels

_AXIS = "temperature"
_BETWEEN = 33
_NEAR_ONE = (0.9, 0.95, 0.98, 0.99, 0.995, 1.0, 1.005, 1.01, 1.02, 1.05, 1.1)
"""Where the limit of Eq. 4 as printed falls to zero."""

_NAMES = {"pref": "link of scale 1", "pref (paper link)": "Eq. 4 as printed", "reference": "reference"}


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Measured means at the largest n, and prediction and limit also at temperatures between those of the run.

    Columns: the other axes, `label`, `temperature`, `n`, `mean`, `low`, `high`, `logs` and `not_ok` (empty, and 0,
    between the temperatures of the run), `predicted` and `limit`.
    """
    table = with_labels(table[table["n"] == table["n"].max()])
    others = [axis for axis in axes(table) if axis != _AXIS]
    lines = []
    for key, group in table.groupby([*others, "label"], dropna=False, sort=False):
        point = dict(zip([*others, "label"], key if isinstance(key, tuple) else (key,), strict=True))
        lines += [point | line for line in _line(group)]
    means = curves(table.drop(columns="label"), ()).assign(**_only(table))
    keys = [*others, "label", _AXIS, "n"]
    found = pd.DataFrame(lines).merge(means, "left", keys).fillna({"logs": 0, "not_ok": 0})
    found = found[[*keys, "mean", "low", "high", "logs", "not_ok", "predicted", "limit"]]
    return found.astype({"logs": int, "not_ok": int}).sort_values(keys, ignore_index=True)


def _only(table: pd.DataFrame) -> dict[str, float]:
    """The temperature of a run with one alone, which is no axis of its grid."""
    return {_AXIS: table[_AXIS].iloc[0]} if table[_AXIS].nunique() == 1 else {}


def _line(group: pd.DataFrame) -> list[dict[str, float]]:
    known, n = np.sort(group[_AXIS].unique()), int(group["n"].iloc[0])
    between = np.concatenate([np.geomspace(known[0], known[-1], _BETWEEN).round(6), _NEAR_ONE])
    values = np.union1d(known, between[(known[0] <= between) & (between <= known[-1])])
    found = predictions_between(group, _AXIS, values)
    return [
        {_AXIS: float(value), "n": n, "predicted": _number(one.at(n)), "limit": _number(one.limit)}
        for value, one in zip(values, found, strict=True)
    ]


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def figure(numbers: pd.DataFrame) -> Figure:
    """A panel per point of the other axes: markers measured, thin lines predicted, the limit broad and pale."""
    points = panels.points(numbers, panels.axes_of(numbers))
    whole, places = panels.grid(len(points), (5.6, 3.4) if len(points) == 1 else (3.5, 2.8))
    limits = panels.log_limits(numbers["mean"], numbers["predicted"])
    for ax, point in zip(places, points, strict=True):
        ax.set(xscale="log", yscale="log", ylim=limits)
        _draw(panels.at(numbers, point), ax)
        ax.set_title(where(point), loc="left")
    set_log_ticks(whole)
    return whole


def _draw(here: pd.DataFrame, ax: Axes) -> None:
    ends = []
    for label in style.ordered(here["label"]):
        own, kind = here[here["label"] == label], style.look(label)
        panels.thin_line(ax, own[_AXIS], own["predicted"], color=kind.colour, linestyle=kind.dash, lw=0.9)
        if not label.startswith("reference"):
            ax.plot(own[_AXIS], own["limit"].where(own["limit"] > panels.FLOOR), color=kind.colour, lw=4, alpha=0.25)
            panels.measured(ax, _AXIS, own, kind)
        shown = own.loc[panels.can_be_drawn(own["predicted"])]
        if len(shown):
            last = shown.iloc[-1]
            ends.append(End(float(last["predicted"]), float(last[_AXIS]), _NAMES.get(label, label), kind.colour))
    if here[_AXIS].min() < 1 < here[_AXIS].max():
        ax.axvline(1.0, color=style.FLOOR.colour, lw=0.7, ls=":", zorder=1)
    n = int(here["n"].iloc[0])
    ax.set(xlabel="temperature, β", ylabel=f"suboptimality (edit cost) at n = {n:,}")
    label_ends(ax, ends, lines=18)


def caption(numbers: pd.DataFrame) -> str:
    """What is shown, of how many logs, and how many fits were not ok."""
    return (
        f"Mean suboptimality of preference learning at n = {numbers['n'].max():,} over {panels.over_logs(numbers)}, "
        "against the temperature, with the link of scale 1 that balance implies and with that of Eq. 4 as printed, "
        "whose scale is β: markers are measured, with 95% bootstrap intervals for the mean; thin lines are predicted "
        "(limit and 1/n term); the broad line is the exact limit, zero for the link of scale 1 everywhere and for "
        f"Eq. 4 as printed at β = 1 (dotted) only.  {panels.counts(numbers[numbers['label'] != 'reference'])}"
    )
