"""What theory says of a log, in words for a terminal."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

HEAD = (
    "Theory from the logs alone (docs/from-logs.md): how often texts are edited, how strongly a trait is re-drawn, how"
    "\nmuch of the distance to the optimum an edit leaves, coverage C*, and the predicted SubOpt of each learner."
)


def readable(
    predictions: list[dict[str, Any]], compared: pd.DataFrame | None = None, names: Mapping[str, str] | None = None
) -> str:
    """Estimates and predictions, a block per task and user; beside them what was measured, where it is known.

    Args:
        predictions: from `bounds.from_logs.prediction`.
        compared: from `bounds.from_logs.compare`.
        names: what learners are called beside their predictions; default: as they are labelled.
    """
    return "\n".join([HEAD, *(line for one in predictions for line in _block(one, compared, names or {}))])


def _block(one: dict[str, Any], compared: pd.DataFrame | None, names: Mapping[str, str]) -> list[str]:
    estimates = (
        f"edited {_number(one['edit_rate'], '.0%')}, cost {_number(one['mean_cost'])}, strength"
        f" {_number(one['strength'])}, left {_number(one['contraction'])}, C* {_number(one['coverage'], '.3g')},"
        f" traits {one['traits']:.1f} ({one['rows']:,} examples)"
    )
    known = {name: value for name, value in one["predicted"].items() if value is not None}
    ranked = ", ".join(
        f"{names.get(name, name)} {value:.3g}" for name, value in sorted(known.items(), key=lambda pair: pair[1])
    )
    lines = ["", f"{one['task']}, edits of {one['training_user']}: {estimates}"]
    lines.append(f"  predicted at n = {one['n']:,.0f}: {ranked or _reasons(one)}")
    return lines + _measured(one, compared)


def _reasons(one: dict[str, Any]) -> str:
    return "nothing; " + "; ".join(dict.fromkeys(one["reasons"].values()))


def _measured(one: dict[str, Any], compared: pd.DataFrame | None) -> list[str]:
    if compared is None:
        return []
    here = compared[(compared["task"] == one["task"]) & (compared["training_user"] == one["training_user"])]
    return [f"  {verdict(row)}" for row in here.to_dict("records")]


def verdict(row: dict[str, Any]) -> str:
    """Whether the predicted winner won, from a row of `bounds.from_logs.compare`."""
    if row["agrees"] is None:
        return f"not compared: {row['reason']}"
    told = f"theory says {row['predicted_winner']}, measured {row['measured_winner']}"
    if row["agrees"]:
        told = f"as theory says, {row['measured_winner']} has the least cost"
    elif row["tied"]:
        told += ", whose intervals overlap"
    order = row["rank_correlation"]
    rank = f"; the predicted winner's rank is {row['rank']} of {len(row['methods'])}"
    return told + rank + (f", rank correlation {order:.2f}" if order is not None else "")


def _number(value: float | None, form: str = ".2f") -> str:
    return "-" if value is None else format(value, form)
