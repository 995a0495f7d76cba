"""Bounds beside what they bound: the measured quantile of SubOpt, the bounds of one learner, and their ratio."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bounds.compare import PREFIX, bound_names
from figures import panels, style
from figures.labels import End
from figures.panels import FLOOR
from sim.summary import axes, with_labels

MOST = 0.5
"""A bound that speaks of fewer of the fits than this is not drawn beside the quantile of all."""


def numbers(table: pd.DataFrame, delta: float) -> pd.DataFrame:
    """A row per grid point, learner, bound and n: the numbers of all figures.

    Columns: `bound`, the median over logs; `quantile`, the measured 1 - delta quantile of SubOpt; `tightness`, the
    bound over this quantile of the fits of which it speaks; `holds`, whether its assumptions hold (for some fit);
    `share`, for which share of the fits; `drawn`, whether it holds for `MOST` and is finite; `logs`, `not_ok`, `delta`.
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
            rows.append(point | {"name": name} | measured | _bound(group, name, delta))
    if not rows:
        return pd.DataFrame()
    found = pd.DataFrame(rows).dropna(subset="bound")
    return found.sort_values([*grid, "label", "name", "n"], ignore_index=True).assign(delta=delta)


def _quantile(values: np.ndarray, level: float) -> float:
    # Between two infinite values NumPy finds none.
    with np.errstate(invalid="ignore"):
        found = float(np.quantile(values, level))
    return np.inf if np.isnan(found) and not np.isnan(values).any() else found


def _bound(group: pd.DataFrame, name: str, delta: float) -> dict[str, Any]:
    # Of fits that left the ball of their class it does not speak (docs/theory.md 4.6); of the others it does.
    value, held = float(group[PREFIX + name].median()), group[f"{PREFIX}{name}_holds"].eq(True).to_numpy(bool)
    share, measured = float(held.mean()), group["suboptimality"].to_numpy()
    quantile = _quantile(measured[held] if held.any() else measured, 1 - delta)
    ratio = value / quantile if quantile > FLOOR else np.nan
    drawn = share >= MOST and FLOOR < value < np.inf
    return {"bound": value, "tightness": ratio, "holds": bool(held.any()), "share": share, "drawn": drawn}


def draw(shown: pd.DataFrame, ax: Axes) -> list[End]:
    """One learner: the measured quantile of its SubOpt with markers, and its bounds as lines, against n.

    Returns:
        Where the curves end, for `label_ends`.
    """
    if shown.empty:
        return []
    kind, ends = style.look(str(shown["label"].iloc[0])), []
    quantile = shown[(shown["quantile"] > FLOOR) & np.isfinite(shown["quantile"])].drop_duplicates("n")
    if len(quantile):
        quantile = quantile.sort_values("n")
        ax.plot(quantile["n"], quantile["quantile"], color=kind.colour, marker=kind.marker or "o")
        words = f"measured {100 * (1 - shown['delta'].iloc[0]):g}% quantile"
        ends.append(End(float(quantile["quantile"].iloc[-1]), float(quantile["n"].iloc[-1]), words, kind.colour))
    ax.set(ylabel="suboptimality (edit cost)")
    return ends + bound_lines(shown[shown["drawn"]], ax, "bound", kind)


def draw_ratios(shown: pd.DataFrame, ax: Axes) -> list[End]:
    """One learner: each bound over the measured quantile; at 1 the bound is the quantile, below it is violated.

    Returns:
        Where the curves end, for `label_ends`.
    """
    ax.axhline(1.0, color=style.FLOOR.colour, lw=0.8)
    ax.set(ylabel="bound / quantile")
    if shown.empty:
        return []
    drawable = shown[shown["drawn"] & (shown["tightness"] > 0)]
    return bound_lines(drawable, ax, "tightness", style.look(str(shown["label"].iloc[0])))


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
