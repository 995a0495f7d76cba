"""The part of the report that sets theory beside measurement: bounds, predictions and winners as tables."""

import html
from typing import Any

import numpy as np
import pandas as pd

from bounds.compare import Comparison, accuracy_by_size, agreement, bounds_in_brief
from sim.summary import where


def section(found: Comparison, delta: float) -> str:
    """The tables as HTML; a table that has no rows is left out."""
    parts = [_bounds(found.verdicts, delta), _predictions(found.accuracy), _winners(found.winners)]
    return "".join(parts) or "<p>No theory speaks of these learners in these worlds.</p>"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table that scrolls inside itself on a narrow screen; cells are HTML, `<td>` with its class included."""
    top = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def cell(text: Any, kind: str = "") -> str:
    """One cell of a table, escaped, with its class."""
    return f"<td{f' class={kind!r}' if kind else ''}>{html.escape(str(text))}</td>"


def _bounds(found: pd.DataFrame, delta: float) -> str:
    rows = [_bound_row(row) for row in bounds_in_brief(found).to_dict("records")]
    head = ["bound", "learner", "verdict", "violations", "95% interval", "bound / measured", "cells"]
    note = (
        f"<h3>Bounds</h3><p>Each holds with probability {1 - delta:g}.  Over the cells in which its assumptions hold: "
        "logs in which it is violated (without fits that left the ball of their class), the exact interval for their "
        "rate in the worst cell, and the least and the largest ratio of the bound to the measured "
        f"{100 * (1 - delta):g}% quantile.</p>"
    )
    return note + table(head, rows) if rows else ""


def _bound_row(row: dict[str, Any]) -> list[str]:
    names = [cell(row["bound"]), cell(row["label"])]
    if not row["cells"]:
        return [*names, f'<td colspan="5">{html.escape(row["verdict"])}</td>']
    return [
        *names,
        cell(row["verdict"], "best" if row["verdict"] == "valid" else "bad"),
        cell(f"{row['violations']:.0f} of {row['logs']:.0f}"),
        cell(f"{row['rate_low']:.3f} to {row['rate_high']:.3f}"),
        cell(f"{row['tightest']:.2g} to {row['loosest']:.2g}"),
        cell(row["cells"] if not row["left_out"] else f"{row['cells']}, without {row['left_out']:.0f} fits"),
    ]


def _predictions(found: pd.DataFrame) -> str:
    means = accuracy_by_size(found)
    rows = [[cell(label), *(cell(_per_cent(v)) for v in row)] for label, row in means.iterrows()]
    note = "<h3>Predictions</h3><p>Measured mean over predicted, less one, in per cent: mean over cells.</p>"
    return note + table(["learner", *(f"n = {n:,}" for n in means.columns)], rows) if rows else ""


def _per_cent(value: float) -> str:
    return f"{value:+.3g}" if np.isfinite(value) else ""


def _winners(found: pd.DataFrame) -> str:
    if found.empty or found["competing"].max() < 2:
        return ""
    grid = list(found.columns)[: list(found.columns).index("n")]
    words = pd.Series([where(point) for point in found[grid].to_dict("records")], index=found.index, dtype=object)
    sizes = sorted(found["n"].unique())
    rows = [
        [cell(point), *(_winner(here[here["n"] == n].to_dict("records")) for n in sizes)]
        for point, here in found.groupby(words, sort=False)
    ]
    note = (
        f"<h3>Winners, predicted and measured</h3><p>{html.escape(agreement(found))}  Among the learners with a "
        "prediction.  Green: a clear lead, as predicted; red: a clear lead, predicted otherwise; plain: no clear lead. "
        "Where the two differ both are named.</p>"
    )
    return note + table(["", *(f"n = {n:,}" for n in sizes)], rows)


def _winner(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return cell("")
    row = rows[0]
    measured, predicted = row["measured_winner"], row["predicted_winner"]
    text = measured if row["agree"] else f"{measured}, predicted {predicted}"
    return cell(text, ("best" if row["agree"] else "bad") if row["clear"] else "")
