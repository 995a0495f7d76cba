"""Coverage against the strength of the user: what the log tells apart, and the rates that follow from it.

The table is one of `bounds.ladders.coverage_over`.
"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import panels, style
from figures.contraction import _across
from figures.labels import End, label_ends
from figures.ticks import set_log_ticks

_COVERAGE = {"preference_coverage": ("pref", "C_PREF"), "policy_concentrability": ("cost", "C*")}
_RATES = {"rate_sup": ("sup", "sup"), "rate_pref": ("pref", "pref"), "rate_cost": ("cost", "cost (plug-in)")}
_RATES |= {"rate_floor": ("floor", "efficiency floor")}
_WORLDS = ["strength", "attributes", "contexts"]


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """A row per world and quantity.

    Columns: `strength`, `attributes`, `contexts`, `name`, `kind` (coverage or rate), `value`.
    """
    kinds = dict.fromkeys(_COVERAGE, "coverage") | dict.fromkeys(_RATES, "rate")
    table = table.sort_values(_WORLDS, kind="stable")
    parts = [table[_WORLDS].assign(name=name, kind=kind, value=table[name]) for name, kind in kinds.items()]
    return pd.concat(parts, ignore_index=True)


def figure(numbers: pd.DataFrame) -> Figure:
    """Left the coverage coefficients of the bounds, right the predicted coefficients of 1/n."""
    whole, (left, right) = panels.grid(2, (3.5, 3.0))
    for ax, kind in ((left, "coverage"), (right, "rate")):
        here = numbers[numbers["kind"] == kind]
        ax.set(yscale="log", ylim=panels.log_limits(here["value"]))
        _across(ax, "strength", here["strength"])
        _draw(here, ax)
    left.set_ylabel("coverage coefficient")
    right.set_ylabel("coefficient of 1/n (edit cost)")
    left.set_title("in the bounds", loc="left", fontsize=9)
    right.set_title("in SubOpt, predicted", loc="left", fontsize=9)
    set_log_ticks(whole)
    return whole


def _draw(here: pd.DataFrame, ax: Axes) -> None:
    ends = []
    for name, group in here.groupby("name", sort=False):
        learner, label = (_COVERAGE | _RATES)[str(name)]
        kind = style.FLOOR if learner == "floor" else style.look(learner)
        shown = group[panels.can_be_drawn(group["value"])].sort_values("strength", ascending=False)
        over: dict[str, Any] = {"zorder": 2.5} if learner == "floor" else {"marker": kind.marker, "ms": 3.5}
        ax.plot(shown["strength"], shown["value"], color=kind.colour, ls=kind.dash, lw=1.2, **over)
        if len(shown):
            ends.append(End(float(shown["value"].iloc[-1]), float(shown["strength"].iloc[-1]), label, kind.colour))
    label_ends(ax, ends, lines=16)


def caption(numbers: pd.DataFrame) -> str:
    """What is shown, and of which worlds."""
    first = numbers.iloc[0]
    return (
        f"Exact truths of {numbers['strength'].nunique()} attribute worlds ({first['attributes']} attributes, "
        f"{first['contexts']} contexts), against the strength of the user.  Left: C_PREF of the bound on preference "
        "learning, and C* of that on cost learning, which the log's drafts alone decide.  Right: the predicted "
        "coefficients of 1/n in suboptimality, and the least of any regular estimator from edits (supervision's limit "
        "is not zero below strength 1).  No log is drawn and nothing is fitted."
    )
