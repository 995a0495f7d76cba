"""Early ensembling against its weight, from preference learning at lambda = 0 to supervision at infinity."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bounds.between import predictions_between
from figures import panels, style
from figures.suboptimality import curves
from figures.ticks import set_log_ticks
from sim.summary import axes, where, with_labels

_PER_DECADE = 10
_ENDS = {"pref": 0.0, "sup": np.inf}
_ROOM = 10**0.9
"""How far from the weights of the run their two ends stand on the logarithmic axis."""


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Measured means at the weights of the run, and predictions also between them.

    Columns: the axes, `n`, `label` (early, and its ends pref and sup), `lam` (0 for pref, infinite for sup), `mean`,
    `low`, `high`, `logs` and `not_ok` (empty, and 0, between the weights of the run), `predicted`, and `best`: whether
    of its n the point is the best `predicted`, `measured` or `both`.
    """
    table = table[_kept(table)]
    grid = axes(table)
    means = curves(table, ("predicted",)).merge(_weights(table), "left", "label")
    means["label"] = means["label"].str.partition(" (")[0]
    weights = table[(table["learner"] == "early")]
    lines = [row for point in panels.points(weights, grid) for row in _line(panels.at(weights, point), point)]
    keys = [*grid, "n", "label", "lam"]
    found = pd.concat([means, pd.DataFrame(lines)], ignore_index=True)
    found = found.drop_duplicates(keys, ignore_index=True).fillna({"logs": 0, "not_ok": 0})
    found = found[[*keys, "mean", "low", "high", "logs", "not_ok", "predicted"]].sort_values(keys, ignore_index=True)
    return found.astype({"logs": int, "not_ok": int}).assign(best=_best(found, [*grid, "n"]))


def _kept(table: pd.DataFrame) -> pd.Series:
    """Early ensembling with given weights, and preference and supervision with the settings that it shares."""
    chosen = table["held_out"].notna() if "held_out" in table else pd.Series(False, index=table.index)
    return table["learner"].isin(["early", *_ENDS]) & ~chosen & (table["link"] != "paper")


def _weights(table: pd.DataFrame) -> pd.DataFrame:
    labelled = with_labels(table).drop_duplicates("label")
    return labelled.assign(lam=labelled["learner"].map(_ENDS).fillna(labelled["lam"]))[["label", "lam"]]


def _line(group: pd.DataFrame, point: dict[str, Any]) -> list[dict[str, Any]]:
    known = np.sort(group["lam"].unique())
    low, high = np.log10(known[[0, -1]])
    exponents = np.arange(np.ceil(low * _PER_DECADE), np.floor(high * _PER_DECADE) + 1) / _PER_DECADE
    values = (10**exponents).round(8)
    found = predictions_between(group, "lam", values)
    return [
        point | {"n": int(n), "label": "early", "lam": float(value), "predicted": one.at(int(n))}
        for n in group["n"].unique()
        for value, one in zip(values, found, strict=True)
    ]


def _best(found: pd.DataFrame, each: list[str]) -> list[str]:
    """The best of each n among early ensembling's weights."""
    early = found[found["label"] == "early"]
    where_best = {}
    for name, column in (("measured", "mean"), ("predicted", "predicted")):
        finite = early[np.isfinite(early[column])]
        where_best[name] = set(finite.groupby(each, dropna=False)[column].idxmin()) if len(finite) else set()
    both = {i: [name for name, rows in where_best.items() if i in rows] for i in found.index}
    return ["both" if len(names) == 2 else names[0] if names else "" for names in both.values()]


def figure(numbers: pd.DataFrame) -> Figure:
    """A panel per point of the grid, a line per n; the best weights marked, and the two ends at their own places."""
    points = panels.points(numbers, panels.axes_of(numbers, "n"))
    whole, places = panels.grid(len(points), (2.4, 3.1) if len(points) > 1 else (4.6, 3.4), columns=3, sharey=True)
    weights = numbers.loc[numbers["label"] == "early", "lam"]
    ends = {"pref": weights.min() / _ROOM, "sup": weights.max() * _ROOM}
    limits = panels.log_limits(numbers["mean"], numbers["predicted"], room=2.2)
    for ax, point in zip(places, points, strict=True):
        ax.set(xscale="log", yscale="log", ylim=limits, xlim=(ends["pref"] / 1.8, ends["sup"] * 1.8))
        _ticks(ax, weights, ends)
        for n in sorted(numbers["n"].unique()):
            _draw(panels.at(numbers, point | {"n": n}), ax, ends)
        ax.set(xlabel="weight of supervision, λ", ylabel="" if ax is not places[0] else "suboptimality (edit cost)")
        ax.set_title(where(point), loc="left", fontsize=9)
    whole.legend(
        handles=_legend(), loc="outside lower center", ncols=4 if len(points) > 1 else 2, frameon=False, fontsize=8
    )
    set_log_ticks(whole)
    return whole


def _legend() -> list[Line2D]:
    marks: list[tuple[str, dict[str, Any]]]
    marks = [("preference, λ = 0", {"color": style.look("pref").colour, "marker": style.look("pref").marker})]
    marks += [("supervision, λ → ∞", {"color": style.look("sup").colour, "marker": style.look("sup").marker})]
    marks += [(f"least {name}", _HOLLOW | {"marker": marker, "ms": size}) for name, _, marker, size in _BEST]
    return [Line2D([], [], label=label, linestyle="", **look) for label, look in marks]


_HOLLOW: dict[str, Any] = {"mfc": "none", "mec": "black"}
_BEST = (("predicted", "predicted", "v", 6), ("measured", "mean", "o", 8))


def _ticks(ax: Axes, weights: pd.Series, ends: dict[str, float]) -> None:
    powers = [p for p in (1e-4, 1e-2, 1.0, 100.0) if weights.min() <= p <= weights.max()]
    words = {ends["pref"]: "0", ends["sup"]: "∞"} | {p: f"{p:g}" for p in powers}
    ax.xaxis.set_major_locator(FixedLocator(sorted(words)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.get(value, "")))
    ax.xaxis.set_minor_locator(NullLocator())


def _draw(here: pd.DataFrame, ax: Axes, ends: dict[str, float]) -> None:
    early = here[here["label"] == "early"]
    kind = style.look("early")
    ax.plot(early["lam"], early["predicted"], color=kind.colour, lw=0.9)
    panels.measured(ax, "lam", early[early["logs"] > 0], kind, markersize=3)
    for label, place in ends.items():
        end = here[here["label"] == label].assign(place=place)
        look = style.look(label)
        panels.measured(ax, "place", end, look)
        _level(ax, end, place, look, label == "pref")
    _mark(ax, early)
    # Above the left end of its curve, where curves of different n are far apart.
    left = here[(here["lam"] <= early["lam"].min()) & panels.can_be_drawn(here["mean"])]
    height = left[["mean", "predicted"]].max().max()
    if np.isfinite(height):
        offset = {"xytext": (4, 7), "textcoords": "offset points"}
        ax.annotate(f"n = {here['n'].iloc[0]:,}", (ends["pref"], height), fontsize=8, **offset)


def _level(ax: Axes, end: pd.DataFrame, place: float, look: style.Look, left: bool) -> None:
    """The level of an end, as a dotted reference towards the weights."""
    for level in end.loc[panels.can_be_drawn(end["predicted"]), "predicted"]:
        reach = [place, place * 30] if left else [place / 30, place]
        ax.plot(reach, [level, level], color=look.colour, lw=1.0, ls=":")


def _mark(ax: Axes, early: pd.DataFrame) -> None:
    for name, column, marker, size in _BEST:
        best = early[early["best"].isin([name, "both"]) & panels.can_be_drawn(early[column])]
        ax.plot(best["lam"], best[column], marker=marker, ms=size, linestyle="", zorder=4, **_HOLLOW)


def caption(numbers: pd.DataFrame) -> str:
    """What is shown, of how many logs, and how many fits were not ok."""
    return (
        f"Mean suboptimality of early ensembling over {panels.over_logs(numbers)}, against the weight λ of the "
        "supervision loss: diamonds are measured, with 95% bootstrap intervals for the mean, lines predicted; at the "
        "ends preference learning (square, λ = 0) and supervision (circle, λ → ∞), their predictions dotted.  The "
        f"least of each n has a black mark: a triangle predicted, a circle measured.  {panels.counts(numbers)}"
    )
