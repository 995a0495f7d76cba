"""Bounds beside what they bound: the measured quantile of SubOpt and its bounds against n, and their ratio."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from bounds.compare import PREFIX, bound_names
from figures import claims, panels, style
from figures.labels import End, label_ends
from figures.panels import FLOOR
from sim.summary import axes, where, with_labels


def numbers(table: pd.DataFrame, delta: float) -> pd.DataFrame:
    """A row per grid point, learner, bound and n: the numbers of all figures.

    Columns: `bound`, the median over logs; `quantile`, the measured 1 - delta quantile of SubOpt; `tightness`, their
    ratio; `holds`, whether the bound's assumptions hold (for some fit); `drawn`; `logs` and `not_ok`.
    """
    grid, names, labelled = axes(table), bound_names(table), with_labels(table)
    # A bound that says nothing of a learner is empty in its rows.
    said = labelled.groupby("label")[[PREFIX + name for name in names]].count() > 0
    rows = []
    for key, group in labelled.groupby([*grid, "label", "n"], dropna=False, sort=False):
        point = dict(zip([*grid, "label", "n"], key, strict=True))
        measured = {"quantile": _quantile(group["suboptimality"].to_numpy(), 1 - delta), "logs": len(group)}
        measured["not_ok"] = int((group["status"] != "ok").sum())
        for name in (name for name in names if said.loc[point["label"], PREFIX + name]):
            rows.append(point | {"name": name} | measured | _bound(group, name, measured["quantile"]))
    if not rows:
        return pd.DataFrame()
    found = pd.DataFrame(rows).dropna(subset="bound")
    return found.sort_values([*grid, "label", "name", "n"], ignore_index=True)


def _quantile(values: np.ndarray, level: float) -> float:
    # Between two infinite values NumPy finds none.
    with np.errstate(invalid="ignore"):
        found = float(np.quantile(values, level))
    return np.inf if np.isnan(found) and not np.isnan(values).any() else found


def _bound(group: pd.DataFrame, name: str, quantile: float) -> dict[str, Any]:
    # Of fits that left the ball of their class it does not speak (docs/theory.md 4.6); of the others it does.
    value, holds = float(group[PREFIX + name].median()), bool(group[f"{PREFIX}{name}_holds"].eq(True).any())
    ratio = value / quantile if quantile > FLOOR else np.nan
    return {"bound": value, "tightness": ratio, "holds": holds, "drawn": holds and FLOOR < value < np.inf}


def save_all(table: pd.DataFrame, folder: Path, delta: float) -> list[dict[str, Any]]:
    """Write a figure per grid point in which a bound holds, and the numbers of all as bounds.csv.

    Returns:
        What was written, in reading order: name (of the .svg and .png file) and caption; nothing without bounds.
    """
    found = numbers(table, delta)
    if found.empty:
        return []
    style.apply()
    folder.mkdir(parents=True, exist_ok=True)
    found.to_csv(folder / "bounds.csv", index=False)
    limits, written = _limits(found), []
    for number, point in enumerate(panels.drawable(panels.points(found, axes(table)))):
        here = panels.at(found, point)
        if here["drawn"].any():
            name = panels.file_name("bounds", point, number)
            panels.save(_figure(here, delta, limits), folder, name)
            written.append(
                {"name": name, "claim": claims.of_bounds(here, point), "caption": _caption(here, point, delta)}
            )
    return written


def _figure(here: pd.DataFrame, delta: float, limits: list[tuple[float, float]]) -> Figure:
    """A row per learner: its bounds, and right of them their tightness."""
    labels = style.ordered(here.loc[here["drawn"], "label"])
    figure, places = plt.subplots(
        len(labels), 2, figsize=(style.PAGE, 1.9 * len(labels) + 0.4), layout="constrained", squeeze=False,
        sharex=True, sharey="col", width_ratios=[1.4, 1],
    )  # fmt: skip
    for pair, label in zip(places, labels, strict=True):
        shown = here[here["label"] == label]
        for ax, ylim in zip(pair, limits, strict=True):
            panels.size_axis(ax, here["n"])
            ax.set(yscale="log", ylim=ylim)
        draw(shown, pair[0], f"measured {100 * (1 - delta):g}% quantile", str(label))
        draw_tightness(shown, pair[1])
    for ax in places[-1]:
        ax.set_xlabel("n, logged edits")
    return figure


def draw(shown: pd.DataFrame, ax: Axes, measured: str, title: str) -> Axes:
    """One learner: the measured quantile of its SubOpt with markers, and its bounds as lines, against n."""
    kind = style.look(title)
    ends = []
    quantile = shown[(shown["quantile"] > FLOOR) & np.isfinite(shown["quantile"])].drop_duplicates("n")
    if len(quantile):
        quantile = quantile.sort_values("n")
        ax.plot(quantile["n"], quantile["quantile"], color=kind.colour, marker=kind.marker or "o")
        ends.append(End(float(quantile["quantile"].iloc[-1]), float(quantile["n"].iloc[-1]), measured, kind.colour))
    ends += bound_lines(shown[shown["drawn"]], ax, "bound", kind)
    ax.set(ylabel="suboptimality (edit cost)")
    ax.set_title(title, loc="left")
    label_ends(ax, ends, lines=13)
    return ax


def draw_tightness(shown: pd.DataFrame, ax: Axes) -> Axes:
    """One learner: each bound over the measured quantile; at 1 the bound is the quantile, below it is violated."""
    ax.axhline(1.0, color=style.FLOOR.colour, lw=0.8)
    bound_lines(shown[shown["drawn"] & (shown["tightness"] > 0)], ax, "tightness", style.look(shown["label"].iloc[0]))
    ax.yaxis.set_major_locator(LogLocator(numticks=6))
    ax.set(ylabel="bound / quantile")
    return ax


def bound_lines(shown: pd.DataFrame, ax: Axes, column: str, kind: style.Look) -> list[End]:
    """A line per bound of one learner, of the values in a column; returns where they end."""
    ends = []
    for name, group in shown.groupby("name", sort=True):
        group = group.sort_values("n")
        learner = str(group["label"].iloc[0]).partition(" (")[0]
        dash, width, alpha = style.BOUNDS.get(str(name).removeprefix(learner).lstrip("_"), ("-", 1.0, 0.6))
        look = {"color": kind.colour, "linestyle": dash, "lw": width, "alpha": alpha, "zorder": 2 if width < 3 else 1.5}
        panels.thin_line(ax, group["n"], group[column], **look)
        ends.append(End(float(group[column].iloc[-1]), float(group["n"].iloc[-1]), str(name), kind.colour))
    return ends


def _limits(found: pd.DataFrame) -> list[tuple[float, float]]:
    """The same vertical limits for every figure of a run: of suboptimality, and of tightness."""
    drawn = found[found["drawn"]]
    values = pd.concat([drawn["bound"], drawn["quantile"]])
    return [_around(values), _around(pd.concat([drawn["tightness"], pd.Series([1.0])]))]


def _around(values: pd.Series) -> tuple[float, float]:
    values = values[(values > FLOOR) & np.isfinite(values)]
    return (float(values.min()) / 2, float(values.max()) * 2) if len(values) else (FLOOR, 1.0)


def _caption(here: pd.DataFrame, point: dict[str, Any], delta: float) -> str:
    opening = f"{where(point)}: t" if point else "T"
    runs = here.drop_duplicates(["label", "n"])
    return (
        f"{opening}he measured {100 * (1 - delta):g}% quantile of suboptimality over {runs['logs'].max()} logs "
        f"(markers) and the bounds that hold with probability {1 - delta:g} (lines), against the size of the log; "
        f"below, bound over quantile, where 1 is tight.{_left_out(here)}  {runs['not_ok'].sum()} of "
        f"{runs['logs'].sum()} fits were not ok and are included."
    )


def _left_out(here: pd.DataFrame) -> str:
    """What is not drawn, and why."""
    finite = np.isfinite(here["bound"])
    reasons = {
        "because their assumptions fail here": ~here["holds"] & finite,
        "because they have no value here": ~here["holds"] & ~finite,
        "infinite": here["holds"] & ~finite,
        "zero": here["holds"] & finite & (here["bound"] <= FLOOR),
    }
    named = {reason: _named(here, rows) for reason, rows in reasons.items()}
    notes = [f"  Not drawn, {reason}: {names}." for reason, names in named.items() if names]
    unseen = here["drawn"] & (here["quantile"] <= FLOOR)
    return "".join(notes) + ("  A quantile of zero is not drawn." if unseen.any() else "")


def _named(here: pd.DataFrame, which: pd.Series) -> str:
    """The bounds of some rows by name, with their n where it is not every n."""
    words = []
    for name, sizes in here[which].groupby("name")["n"].unique().items():
        every = set(here.loc[here["name"] == name, "n"]) == set(sizes)
        words.append(str(name) + ("" if every else f" (n = {', '.join(str(n) for n in sorted(sizes))})"))
    return ", ".join(words)
