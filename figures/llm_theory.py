"""The part of a language-model report about theory: what the logs say of their user, who should win, and who did."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bounds import from_logs
from figures.llm_predictions import NOTE
from figures.markup import Section, cell, key, row_head, table, text, tile, words
from sim.llm.tables import Table, number, outcome
from sim.summary import LEVEL

Predictions = list[dict[str, Any]]

_ESTIMATES = {
    "rows": "triples", "edit_rate": "edit rate", "mean_cost": "mean cost", "traits": "edited traits",
    "strength": "strength", "contraction": "contraction", "coverage": "coverage", "temperature": "temperature",
}  # fmt: skip
"""Numbers of a prediction, with the heads of their columns."""


def section(predictions: Predictions, found: Table, names: Mapping[str, str] | None = None) -> Section:
    """Estimates from the logs alone, predicted beside measured, and whether the predicted learner won.

    Args:
        predictions: from `bounds.from_logs.prediction`, of every log.
        found: Table 1, with the measured costs.
        names: what learners are called beside their predictions; default: as they are labelled.
    """
    if not predictions:
        return Section("theory", "Theory from the logs", "")
    measured = outcome(found)
    compared = from_logs.compare(predictions, measured)
    body = (
        _note() + _estimates(predictions) + _winners(compared, found) + _predicted(predictions, measured, names or {})
    )
    return Section(
        "theory", "Theory from the logs", body + _reasons(predictions) + _groups(predictions), _tile(compared)
    )


def _note() -> str:
    return (
        "<p>From each log alone, before anything is trained: how much of what the user may edit he re-draws (the "
        "strength), how an edit contracts, how well the reference covers what he wants, and from these the "
        "suboptimality of every learner. It counts the distance from the reference too, while the measured number is "
        f"the edit cost: where costs are close the order may differ.</p><p>{text(NOTE)}</p>"
    )


def _setting(one: dict[str, Any]) -> str:
    return f"{one['task']}, {one['training_user']} logs"


def _estimates(predictions: Predictions) -> str:
    names = [name for name in _ESTIMATES if any(name in one for one in predictions)]
    rows = [[row_head(_setting(one)), *(cell(_estimate(one, name)) for name in names)] for one in predictions]
    return table("What the logs say", ["log", *(_ESTIMATES[name] for name in names)], rows)


def _estimate(one: dict[str, Any], name: str) -> str:
    """A number with its interval where there is one."""
    value, ends = one.get(name), one.get(f"{name}_interval") or [None, None]
    if value is None:
        return "-"
    told = f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
    return told if None in ends else f"{told} ({ends[0]:.3g} to {ends[1]:.3g})"


def _winners(compared: pd.DataFrame, found: Table) -> str:
    if compared.empty:
        return "<p>No log has both a prediction and measured costs.</p>"
    lines = compared.to_dict("records")
    remarks = [_remark(row, found) for row in lines]
    head = ["log", "predicted to win", "won", "place of the predicted", "rank correlation"]
    rows = [[row_head(_setting(row)), *_winner(row, found)] for row in lines]
    if any(remarks):
        head.append("remark")
        rows = [[*row, words(remark, "long")] for row, remark in zip(rows, remarks, strict=True)]
    note = (
        f"<p>{key('Green', 'best')}: the predicted learner won; {key('yellow', 'tied')}: another did, but the "
        f"{100 * LEVEL:g}% intervals do not tell them apart; {key('red', 'bad')}: another did, clearly.</p>"
    )
    return "<h3>Predicted and measured winners</h3>" + note + table("Predicted and measured winners", head, rows)


def _winner(row: dict[str, Any], found: Table) -> list[str]:
    if row["predicted_winner"] is None:
        return [words("-"), words("-"), cell("-"), cell("-")]
    kind = "best" if row["agrees"] else "tied" if row["tied"] or len(found.seeds) < 2 else "bad"
    return [
        words(row["predicted_winner"]),
        words(row["measured_winner"], kind),
        cell(f"{row['rank']} of {len(row['methods'])}"),
        cell(number(row["rank_correlation"], digits=2)),
    ]


def _remark(row: dict[str, Any], found: Table) -> str:
    return row["reason"] or ("one log: no interval" if len(found.seeds) < 2 else "")


def _predicted(predictions: Predictions, measured: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Learners down; for every log the predicted number and the measured one."""
    learners = list(dict.fromkeys(name for one in predictions for name in one.get("predicted") or {}))
    costs = [_costs_of(one, measured) for one in predictions]
    rows = [[row_head(names.get(name, name))] for name in learners]
    for one, own in zip(predictions, costs, strict=True):
        for row, name in zip(rows, learners, strict=True):
            value = (one.get("predicted") or {}).get(name)
            row += [cell("-" if value is None else f"{value:.3g}"), cell(_measured(own, name))]
    head = ["learner"]
    for one in predictions:
        head += [f"{_setting(one)}: predicted", "measured"]
    return table("Predicted suboptimality and measured cost", head, rows) if rows else ""


def _costs_of(one: dict[str, Any], measured: pd.DataFrame) -> pd.DataFrame:
    here = (measured["task"] == one["task"]) & (measured["training_user"] == one["training_user"])
    return measured[here].set_index("method")


def _measured(rows: pd.DataFrame, name: str) -> str:
    if name not in rows.index:
        return "-"
    row = rows.loc[name]
    return number(float(row["mean_cost"]), float(row["high"] - row["mean_cost"]))


def _reasons(predictions: Predictions) -> str:
    told = [f"{_setting(one)}, {name}: {why}" for one in predictions for name, why in one.get("reasons", {}).items()]
    return "<p>Without a number: " + text("; ".join(told)) + ".</p>" if told else ""


def _groups(predictions: Predictions) -> str:
    """The estimates of the groups inside the logs, to unfold."""
    names = ["rows", "edit_rate", "mean_cost", "strength", "contraction", "coverage"]
    found = {
        _setting(one): [
            [row_head(group["group"]), *(cell(_estimate(group, name)) for name in names),
             words(", ".join(group.get("traits", [])) or "none", "long"), words(group.get("winner") or "-")]
            for group in one.get("groups", [])
        ]
        for one in predictions
    }  # fmt: skip
    found = {name: lines for name, lines in found.items() if lines}
    head = ["group", *(_ESTIMATES[name] for name in names), "edited traits", "predicted to win"]
    if not found:
        return ""
    shown = table("Groups inside the logs", head, found)
    return f"<details><summary>Groups inside the logs, which the agent does not see</summary>{shown}</details>"


def _tile(compared: pd.DataFrame) -> str:
    """How often the predicted learner won."""
    known = compared[compared["predicted_winner"].notna()] if len(compared) else compared
    if known.empty:
        return tile("predicted winner = measured", "-", "no log has a prediction and measured costs")
    agree = known["agrees"].astype(bool)
    tied = int((~agree & known["tied"].astype(bool)).sum())
    if len(known) == 1 or known[["predicted_winner", "measured_winner"]].drop_duplicates().shape[0] == 1:
        note = f"predicted {known['predicted_winner'].iloc[0]}, won {known['measured_winner'].iloc[0]}"
    else:
        pairs = zip(known["predicted_winner"], known["measured_winner"], np.asarray(agree), strict=True)
        note = "; ".join(dict.fromkeys(f"{p}" if same else f"{p}, won {m}" for p, m, same in pairs))
    note += f"; {tied} tied" if tied else ""
    return tile("predicted winner = measured", f"{int(agree.sum())} of {len(known)}", note)
