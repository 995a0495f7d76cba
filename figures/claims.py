"""What a figure shows, in a sentence worked out from the numbers that it draws."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bounds.online import GROUP, exceeded
from figures import panels
from sim.summary import in_digits, is_baseline, where

FEW = 4
"""More points of a grid than this are counted, not listed."""


def of_curves(numbers: pd.DataFrame) -> str:
    """Who has the least mean SubOpt at the largest n, from the numbers of `suboptimality.curves`."""
    grid = panels.axes_of(numbers)
    competing = numbers[[not is_baseline(str(label).partition(" (")[0]) for label in numbers["label"]]]
    last = competing[np.isfinite(competing["mean"]) & (competing["n"] == numbers["n"].max())]
    if last.empty:
        return "Suboptimality against the size of the log"
    best = last.loc[last.groupby(grid, dropna=False)["mean"].idxmin()] if grid else last.nsmallest(1, "mean")
    winners: dict[str, list[dict[str, Any]]] = {}
    for point in best[[*grid, "label"]].to_dict("records"):
        winners.setdefault(str(point.pop("label")), []).append(point)
    size = f"t n = {int(numbers['n'].max()):,}"
    if len(winners) > 1:
        told = ", of ".join(f"{label} ({places(points, len(best))})" for label, points in winners.items())
        return f"A{size} the least mean suboptimality is that of {told}"
    only = where(best[grid].iloc[0].to_dict()) if len(best) == 1 else ""
    return f"{f'{only}: a' if only else 'A'}{size} {next(iter(winners))} has the least mean suboptimality{_all(best)}"


def _all(best: pd.DataFrame) -> str:
    return f" in all {len(best)} panels" if len(best) > 1 else ""


def of_bounds(here: pd.DataFrame, point: dict[str, Any]) -> str:
    """Whether the bounds stay above the measured quantile, and how near they come, from `tightness.numbers`."""
    opening = f"{where(point)}: " if point else ""
    drawn = here[here["drawn"] & np.isfinite(here["tightness"])]
    if drawn.empty:
        return f"{opening}bounds against the size of the log"
    nearest = drawn.loc[drawn["tightness"].idxmin()]
    ratio = float(nearest["tightness"])
    if ratio < 1:
        below = ", ".join(dict.fromkeys(drawn.loc[drawn["tightness"] < 1, "name"]))
        return f"{opening}below the measured quantile somewhere: {below}"
    return (
        f"{opening}no bound is below the measured quantile; the closest, {nearest['name']}, is {ratio:.3g} times it at "
        f"n = {int(nearest['n']):,}"
    )


def of_ratios(found: pd.DataFrame) -> str:
    """How far each learner's bounds are above the measured quantile, from `tightness.numbers`."""
    drawn = found[found["drawn"] & np.isfinite(found["tightness"])]
    spans = drawn.groupby("label", sort=False)["tightness"].agg(["min", "max"])
    told = "; ".join(f"{label} {low:,.2g} to {high:,.2g}" for label, (low, high) in spans.iterrows())
    return f"Bound over measured quantile: {told}" if told else "Bound over measured quantile"


def of_winners(found: pd.DataFrame) -> str:
    """How often the predicted winner is the measured one, from `bounds.winners`."""
    clear = found[found["clear"]]
    if clear.empty:
        return "No cell has a clear winner"
    return f"The predicted winner is the measured one in {int(clear['agree'].sum())} of {len(clear)} clear cells"


def of_gaps(gaps: pd.DataFrame) -> str:
    """Which method has the smallest largest gap, from `sim.online.gaps.max_gaps`."""
    grid = panels.axes_of(gaps, "method")
    best = gaps.loc[gaps.groupby(grid, dropna=False, observed=True)["max_gap"].idxmin()]
    names = list(dict.fromkeys(best["method"].astype(str)))
    if len(names) == 1:
        size = f": {best['max_gap'].iloc[0]:.3g}" if len(best) == 1 else f" in all {len(best)} panels"
        return f"{names[0]} has the smallest largest gap{size}"
    told = ", ".join(f"{name} {(best['method'] == name).sum()}" for name in names[:FEW])
    return f"The smallest largest gap, by panels: {told}{', ...' if len(names) > FEW else ''}"


def of_ranks(found: pd.DataFrame) -> str:
    """Who is best most often, and who is never worst, from `sim.online.gaps.ranks`."""
    best, draws = found.loc[found["best"].idxmax()], int(found["groups"].max())
    least = found.loc[found["gap_50"].idxmin(), "method"]
    safe = ", ".join(found.loc[found["worst"] == 0, "method"].astype(str)[:FEW]) or "no method"
    return (
        f"{best['method']} is best most often ({best['best']} of {draws} draws), {least} has the least median gap; "
        f"never the worst: {safe}"
    )


def of_gaps_by_round(gaps: pd.DataFrame) -> str:
    """What the axes are."""
    return f"The largest gap against the number of rounds, up to {int(gaps['round'].max()):,}"


def of_running(numbers: pd.DataFrame) -> str:
    """Which method ends with the least mean cost, by settings, from `online_costs.numbers`."""
    last = numbers[numbers["round"] == numbers["round"].max()]
    best = last.loc[last.groupby("setting", sort=False)["mean"].idxmin(), "method"].value_counts(sort=False)
    told = ", ".join(f"{method} in {number}" for method, number in best.items())
    rounds, settings = int(numbers["round"].max()), numbers["setting"].nunique()
    return f"Cheapest over {rounds:,} rounds, of {settings} {'setting' if settings == 1 else 'settings'}: {told}"


def of_shares(numbers: pd.DataFrame) -> str:
    """That the figure shows which policy a rule plays; for whom."""
    return f"Which policy each rule plays as the rounds go by, test user: {numbers['test_user'].iloc[0]}"


def of_regret(numbers: pd.DataFrame) -> str:
    """Whether mean regret stays below its bounds, from `online_regret.numbers`."""
    bounded = numbers[numbers["least"].notna()]
    if bounded.empty:
        return "Regret against the number of rounds"
    held = [not exceeded(rows).any() for _, rows in bounded.groupby([*GROUP, "method"], observed=True)]
    return f"Mean regret is below its bound at every round in {sum(held)} of {len(held)} cases"


def places(points: Sequence[dict[str, Any]], of: int) -> str:
    """Some points of a grid in words, out of `of`: "strength = 0.1, 0.2", or how many they are."""
    if len(points) == of:
        return "everywhere"
    axes = [axis for axis, value in points[0].items() if not pd.isna(value)]
    if len(axes) == 1 and all([a for a, v in p.items() if not pd.isna(v)] == axes for p in points) and len(points) < 9:
        return f"{axes[0]} = {', '.join(in_digits(point[axes[0]]) for point in points)}"
    return "; ".join(map(where, points)) if len(points) <= FEW // 2 else f"{len(points)} of {of} points of the grid"
