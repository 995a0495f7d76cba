"""Rows of the online phase in words: which setting, which test user, and the axes in which they differ."""

import json
from collections.abc import Collection
from typing import Any

import pandas as pd

from sim.summary import varying, where

DRIFT = "from round"
"""In the words of a test user who drifts."""


def in_words(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `setting` and `test_user` in words, and a column per axis in which they vary.

    Args:
        rows: as stored, `cell` and `test_user` in JSON.

    Returns:
        Columns `setting`, `test_user`, the axes of the settings, those of the test user with `test_` before their
        names, and what `sim.online.phase.online_rows` gives.  A table of one setting calls it "all".
    """
    of_cell, axes = cells_in_words(rows["cell"].cat.categories)
    of_user, test_axes = users_in_words(rows["test_user"].cat.categories)
    left = [of_cell.loc[rows["cell"], ["setting"]], of_user.loc[rows["test_user"], ["test_user"]]]
    left += [of_cell.loc[rows["cell"], axes], of_user.loc[rows["test_user"], test_axes]]
    columns = {name: frame[name].to_numpy() for frame in left for name in frame}
    found = pd.DataFrame(columns).astype({"setting": "category", "test_user": "category"})
    found = pd.concat([found, rows.drop(columns=["cell", "test_user"]).reset_index(drop=True)], axis=1)
    keys = [*axes, *test_axes, "method", "seed", "round"]
    return found.sort_values(keys, kind="stable", na_position="first", ignore_index=True)


def axes_of(online: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The axes of the settings, and those of the test user, of a table from `in_words`."""
    columns = list(online.columns)
    between = columns[columns.index("test_user") + 1 : columns.index("method")]
    return [c for c in between if not c.startswith("test_")], [c for c in between if c.startswith("test_")]


def cells_in_words(names: Collection[str]) -> tuple[pd.DataFrame, list[str]]:
    """The parameters and the `setting` of each cell, by its JSON, and the axes in which the cells differ."""
    cells = pd.DataFrame([_cell(json.loads(name)) for name in names], index=list(names))
    axes = varying(cells, [column for column in cells if column != "family"])
    return cells.assign(setting=[where(point) or "all" for point in cells[axes].to_dict("records")]), axes


def users_in_words(names: Collection[str]) -> tuple[pd.DataFrame, list[str]]:
    """The keys and the words of each test user, by her JSON, and the keys in which they differ."""
    users = pd.DataFrame([_phases(json.loads(name)) for name in names], index=list(names))
    axes = [column for column in users if users[column].nunique(dropna=False) > 1]
    return users.assign(test_user=[_who(json.loads(name)) for name in names]), axes


def _cell(cell: dict[str, Any]) -> dict[str, Any]:
    policy = {f"policy_{key}": value for key, value in cell["policy"].items()}
    return {"family": cell["family"], **cell["world"], **cell["user"], **policy, "n": cell["n"]}


def _phases(phases: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        f"test_{key}" + (f"_{i + 1}" if i else ""): value
        for i, phase in enumerate(phases)
        for key, value in phase.items()
    }


def _who(phases: list[dict[str, Any]]) -> str:
    """A test user in words: "strength = 1; from round 101: other_optimum = 0.5"."""
    told = [where({key: value for key, value in phase.items() if key != "from_round"}) for phase in phases]
    later = [f"{DRIFT} {phase['from_round']}: {words}" for phase, words in zip(phases, told, strict=True)]
    return "; ".join([told[0] or "as logged", *later[1:]])
