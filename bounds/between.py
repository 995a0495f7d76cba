"""Predictions between the points of a stored table: the same world and learner, one of its numbers changed."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from bounds.asymptotics import Prediction
from bounds.of_learner import predicted
from sim import learners, sweep
from sim.regimes import Cell
from sim.summary import key_columns, setting_columns
from sim.users import User


def predictions_between(table: pd.DataFrame, column: str, values: Iterable[float]) -> list[Prediction]:
    """The prediction for the learner and the world of a table's first row, with `column` at each of `values`.

    Args:
        table: rows of a run, as from `sim.load`.
        column: a setting of the learner, or a parameter of the world or of its user.
        values: what takes the place of the row's own.
    """
    settings, keys = setting_columns(table), key_columns(table)
    row = {name: _plain(table[name].iloc[0]) for name in keys}
    return [_prediction(row | {column: float(value)}, settings, keys) for value in values]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _prediction(row: dict[str, Any], settings: list[str], keys: list[str]) -> Prediction:
    given = {name: row[name] for name in settings if not pd.isna(row[name])}
    learner = learners.make(
        row["learner"], **{k: v for k, v in given.items() if k in learners.defaults(row["learner"])}
    )
    return predicted(learner, *sweep.build(sweep.describe(_cell(row, keys))))


def _cell(row: dict[str, Any], keys: list[str]) -> Cell:
    """The cell of a row: what stands between `family` and `n` are the world's, the user's and the policies' numbers."""
    between = keys[keys.index("family") + 1 : keys.index("n")]
    given = {name: row[name] for name in between if not pd.isna(row[name])}
    policy = {name: value for name, value in given.items() if name.startswith("policy_")}
    policy = {name: policy.pop(name) for name in list(policy) if name in ("policy_class", "policy_size", "policy_seed")}
    user = {name: value for name, value in given.items() if name in User.model_fields}
    world = {name: value for name, value in given.items() if name not in {*policy, *user}}
    return Cell(row["family"], world, user, {k.removeprefix("policy_"): v for k, v in policy.items()}, row["n"])
