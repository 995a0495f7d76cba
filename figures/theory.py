"""The part of the report that sets theory beside measurement: bounds, predictions and winners as tables."""

from typing import Any

import numpy as np
import pandas as pd

from bounds.compare import TYPICAL, Comparison, accuracy_by_size, agreement, bounds_in_brief
from figures.markup import Section, cell, key, row_head, size, table, text, tile, words
from sim.summary import where


def section(found: Comparison, delta: float) -> Section:
    """The tables, and their verdicts in tiles; a table that has no rows is left out."""
    parts = [_bounds(found.verdicts, delta), _predictions(found.accuracy), _winners(found.winners)]
    body = "".join(parts) or "<p>No theory speaks of these learners in these worlds.</p>"
    tiles = _bounds_tile(found.verdicts) + _predictions_tile(found.winners, found.accuracy)
    return Section("theory", "Theory beside measurement", body, tiles)


def _bounds_tile(found: pd.DataFrame) -> str:
    brief = bounds_in_brief(found)
    if brief.empty:
        return tile("bounds", "none", "no bound speaks of these learners in these worlds")
    brief = brief[~brief["bound"].str.endswith(TYPICAL)]
    held = brief[brief["cells"] > 0]
    if held.empty:
        return tile("bounds", "none hold", f"the assumptions of all {len(brief)} fail in every cell")
    valid, idle = int((held["verdict"] == "valid").sum()), len(brief) - len(held)
    violated = ", ".join(dict.fromkeys(held.loc[held["verdict"] == "VIOLATED", "bound"]))
    if not violated and valid < len(held):
        return tile("bounds valid", f"{valid} of {len(held)}", "of the others too few logs to tell", "warn")
    note = f"violated: {violated}" if violated else f"closest: {held['tightest'].min():.3g} times the measured quantile"
    note += f"; of {idle} more the assumptions fail in every cell" if idle else ""
    return tile("bounds valid", f"{valid} of {len(held)}", note, "warn" if violated else "good")


def _predictions_tile(winners: pd.DataFrame, accuracy: pd.DataFrame) -> str:
    """How often the predicted winner is the measured one, and how far the means are from the predicted ones."""
    spread = _spread(accuracy)
    if winners.empty or winners["competing"].max() < 2:
        return tile("measured over predicted, less one", spread[0], spread[1]) if spread else ""
    clear = winners[winners["clear"]]
    note = "cells with a lead of more than 3 standard errors"
    note += f"; means {spread[0]} off, {spread[1]}" if spread else ""
    return tile("predicted winner = measured", f"{int(clear['agree'].sum())} of {len(clear)}", note)


def _spread(accuracy: pd.DataFrame) -> tuple[str, str] | None:
    """The least and the largest difference in per cent of a learner's means at the largest n, and what they are."""
    means = accuracy_by_size(accuracy)
    last = means.iloc[:, -1].dropna() if len(means.columns) else pd.Series(dtype=float)
    if last.empty:
        return None
    ends = dict.fromkeys(f"{value:+.2g}%" for value in (last.min(), last.max()))
    return " to ".join(ends), f"by learner, at {size(last.name)}"


def _bounds(found: pd.DataFrame, delta: float) -> str:
    rows = [_bound_row(row) for row in bounds_in_brief(found).to_dict("records")]
    head = ["bound", "learner", "verdict", "violations", "95% interval", "bound / measured", "cells", "fits left out"]
    note = (
        f"<h3>Bounds</h3><p>Each holds with probability {1 - delta:g}, but for those called typical. "
        "Over the cells in which its assumptions hold: "
        "logs in which it is violated (without the fits left out: they left the ball of their class), the exact "
        "interval for their rate in the worst cell, and the least and the largest ratio of the bound to the measured "
        f"{100 * (1 - delta):g}% quantile.</p>"
    )
    return note + table("Verdict per bound", head, rows) if rows else ""


def _bound_row(row: dict[str, Any]) -> list[str]:
    names = [row_head(row["bound"]), words(row["label"])]
    if not row["cells"]:
        return [*names, f'<td class="words" colspan="6">{text(row["verdict"])}</td>']
    return [
        *names,
        words(row["verdict"], {"valid": "best", "VIOLATED": "bad"}.get(row["verdict"], "tied")),
        cell(f"{row['violations']:,.0f} of {row['logs']:,.0f}"),
        cell(f"{row['rate_low']:.3f} to {row['rate_high']:.3f}"),
        cell(" to ".join(dict.fromkeys(f"{row[end]:.2g}" for end in ("tightest", "loosest")))),
        cell(row["cells"]),
        cell(f"{row['left_out']:,.0f}"),
    ]


def _predictions(found: pd.DataFrame) -> str:
    means = accuracy_by_size(found)
    rows = [[row_head(label), *(cell(_per_cent(v)) for v in row)] for label, row in means.iterrows()]
    note = "<h3>Predictions</h3><p>Measured mean over predicted, less one, in per cent: mean over cells.</p>"
    head = ["learner", *(size(n) for n in means.columns)]
    return note + table("Measured over predicted, less one, in per cent", head, rows) if rows else ""


def _per_cent(value: float) -> str:
    return f"{value:+.3g}" if np.isfinite(value) else ""


def _winners(found: pd.DataFrame) -> str:
    if found.empty or found["competing"].max() < 2:
        return ""
    grid = list(found.columns)[: list(found.columns).index("n")]
    points = [where(point) or "all" for point in found[grid].to_dict("records")]
    sizes = sorted(found["n"].unique())
    rows = [
        [row_head(point), *(_winner(here[here["n"] == n].to_dict("records")) for n in sizes)]
        for point, here in found.groupby(pd.Series(points, index=found.index, dtype=object), sort=False)
    ]
    note = (
        f"<h3>Winners, predicted and measured</h3><p>{text(agreement(found))} Among the learners with a prediction. "
        f"{key('Green, bold', 'best')}: a clear lead, as predicted; {key('red, bold', 'bad')}: a clear lead, predicted "
        "otherwise; plain: no clear lead. Where the two differ both are named.</p>"
    )
    return note + table("Measured winners by cell", ["cell", *(size(n) for n in sizes)], rows)


def _winner(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return cell("")
    row = rows[0]
    measured, predicted = row["measured_winner"], row["predicted_winner"]
    told = measured if row["agree"] else f"{measured}, predicted {predicted}"
    return words(told, ("best" if row["agree"] else "bad") if row["clear"] else "")
