"""The contraction ladder over worlds: what one edit is sure to remove, and what that says of the edited policy.

The table is one of `bounds.ladders.contraction_over`; the axis is its strength or its number of attributes.
"""

from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import panels, style
from figures.labels import End, label_ends
from figures.ticks import set_log_ticks


class _Look(NamedTuple):
    label: str
    colour: str
    dash: Any
    marker: str


# No learner's colours: the brightness falls from the paper's coefficient to the sharpest, and markers differ.
_RUNGS = {
    "gamma_min": _Look("γₘᵢₙ", "#B8860B", ":", "v"),
    "doeblin": _Look("Doeblin", "#8C510A", "-.", "s"),
    "dobrushin": _Look("Dobrushin", "#5D3A9B", "--", "D"),
    "dobrushin_kl": _Look("Dobrushin, KL", "#5D3A9B", "-", "d"),
    "second_eigenvalue": _Look("λ₂², χ²", "#1B7837", "-", "^"),
    "tensorised": _Look("η, KL", "#000000", "-", "o"),
}
_COEFFICIENTS = {"gamma_min": "γₘᵢₙ", "doeblin": "Doeblin", "dobrushin": "1 − Dobrushin"}
_COEFFICIENTS |= {"tensorised": "1 − η", "second_eigenvalue": "1 − λ₂²"}
_EXACT = {"edited": "exact", "reference": "of the reference"}


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """A row per world and rung of the ladder, in the order of the ladder.

    Columns: `strength`, `attributes`, `contexts`, `name`; `removed`, the share of its divergence from the optimum that
    an edit is sure to remove, in the worst context (empty where its coefficient is not exactly known); `bound` on
    SubOpt(q∘pi_ref), and under the names "edited" and "reference" that SubOpt itself, and that of pi_ref.
    """
    worlds = ["strength", "attributes", "contexts"]
    table = table.sort_values(["attributes", "strength", "contexts"], kind="stable")
    removed = {
        "gamma_min": table["gamma_min"],
        "doeblin": table["doeblin"],
        "dobrushin": 1 - table["dobrushin"],
        "second_eigenvalue": 1 - table["second_eigenvalue"] ** 2,
        "tensorised": 1 - table["kl_coefficient"],
    }
    parts = [
        table[worlds].assign(name=name, removed=removed.get(name), bound=table[f"bound_{name}"]) for name in _RUNGS
    ]
    parts += [table[worlds].assign(name=name, removed=None, bound=table[f"subopt_{name}"]) for name in _EXACT]
    return pd.concat(parts, ignore_index=True).astype({"removed": float})


def figure(numbers: pd.DataFrame) -> Figure:
    """Left what an edit is sure to remove, right the bounds on the edited policy's SubOpt beside its value."""
    axis = _axis(numbers)
    whole, (left, right) = panels.grid(2, (3.5, 3.1))
    for ax in (left, right):
        ax.set_yscale("log")
        _across(ax, axis, numbers[axis])
    left.set(ylabel="share removed by an edit, at least", ylim=panels.log_limits(numbers["removed"]))
    right.set(ylabel="SubOpt of the edited policy (edit cost)", ylim=_limits(numbers["bound"]))
    _draw(numbers.dropna(subset="removed"), left, axis, "removed", _COEFFICIENTS)
    _draw(numbers, right, axis, "bound", {name: look.label for name, look in _RUNGS.items()})
    left.set_title("coefficients, worst context", loc="left", fontsize=9)
    right.set_title("the bounds that follow", loc="left", fontsize=9)
    set_log_ticks(whole)
    return whole


def _limits(values: pd.Series) -> tuple[float, float]:
    """With room above for the labels of curves that end together."""
    low, high = panels.log_limits(values)
    return low, high * 2


def _axis(numbers: pd.DataFrame) -> str:
    return "attributes" if numbers["attributes"].nunique() > 1 else "strength"


def _across(ax: Axes, axis: str, values: pd.Series) -> None:
    """The axis of the worlds; the weakest user stands right, where the lines are apart."""
    if axis == "attributes":
        ax.set(xlabel="attributes that a user may edit", xlim=(values.min() - 0.3, values.max() + 0.2))
        ax.set_xticks(sorted(values.unique()))
    else:
        one = values.nunique() == 1
        ax.set(xscale="log", xlabel="strength of the user (weaker →)")
        ax.set_xlim(values.max() * (2 if one else 1.08), values.min() / (2 if one else 1.04))


def _draw(numbers: pd.DataFrame, ax: Axes, axis: str, column: str, labels: dict[str, str]) -> None:
    ends = []
    for name, group in numbers.groupby("name", sort=False):
        shown = group[panels.can_be_drawn(group[column])].sort_values(axis, ascending=axis == "attributes")
        if name in _EXACT:
            kind, label = style.look(str(name)), _EXACT[str(name)]
            colour = kind.colour
            ax.plot(shown[axis], shown[column], color=colour, ls=kind.dash, lw=2.0, zorder=3)
        else:
            look = _RUNGS[str(name)]
            ax.plot(shown[axis], shown[column], color=look.colour, ls=look.dash, marker=look.marker, ms=3, lw=1.2)
            label, colour = labels[str(name)], look.colour
        if len(shown):
            ends.append(End(float(shown[column].iloc[-1]), float(shown[axis].iloc[-1]), label, colour))
    label_ends(ax, ends, lines=16)


def caption(numbers: pd.DataFrame) -> str:
    """What is shown, and of which worlds."""
    axis = _axis(numbers)
    other = "strength" if axis == "attributes" else "attributes"
    nested = "  Each world is the smaller one with attributes added." if numbers["contexts"].max() == 1 else ""
    return (
        f"Exact truths of {numbers[axis].nunique()} attribute worlds ({other} {numbers[other].iloc[0]:g}, "
        f"{numbers['contexts'].iloc[0]} context{'s' if numbers['contexts'].iloc[0] > 1 else ''}), against the "
        f"{'number of attributes' if axis == 'attributes' else 'strength of the user'}.  Left: the share of the "
        "distance to the optimum that one edit is sure to remove: of total variation by γₘᵢₙ (the paper), Doeblin "
        "and Dobrushin, of KL by η, of χ² by λ₂².  Right: the bounds on the suboptimality of the edited policy, which "
        "supervision imitates, beside its exact value (dashes); one above the reference policy's own (dots) says "
        f"nothing.{nested}  No log is drawn and nothing is fitted."
    )
