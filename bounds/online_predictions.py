"""What theory predicts for learning without a log, in every setting of a regime (docs/theory.md 6.2)."""

import json
from typing import Any

import numpy as np
import pandas as pd

from bounds.regret import (
    critical_growth,
    online_preference_slope,
    self_training_exponent,
    self_training_slope,
    speaks_of,
)
from sim import regimes, sweep
from sim.online.perceptron import informativeness, optimal_utility
from sim.online.self_training import GROWTH, PREFERENCE_GROWTH
from sim.online.settings import cells_in_words, users_in_words
from sim.online.tables import WITHOUT_LOG, label, methods
from sim.online.test_users import points as test_users
from sim.regimes import Regime
from sim.world import World

COLUMNS = ["predicted_exponent", "predicted_shape", "predicted_slope", "informativeness"]


def predicted(regime: Regime) -> pd.DataFrame:
    """The predictions for the methods without a log: rows by setting, test user and method.

    `predicted_exponent` of T, `predicted_shape` in words and `predicted_slope` in log T are empty where the test
    user's world breaks balance or pi* is not in the class; `informativeness` is that of the edits, exactly.
    """
    cells, users = regimes.cells(regime), test_users(regime.test_user)
    settings = [sweep.setting_of(cell) for cell in cells]
    names, _ = cells_in_words(dict.fromkeys(setting.cell for setting in settings))
    people, _ = users_in_words([json.dumps(phases) for phases in users])
    without_log = [(name, chosen) for name, chosen in methods(regime.online) if name in WITHOUT_LOG]
    rows = [
        {
            "setting": names.loc[setting.cell, "setting"],
            "test_user": people.loc[json.dumps(phases), "test_user"],
            "method": label(name, chosen),
            **_predicted(name, chosen, setting.test_worlds(phases)[0]),
        }
        for setting in settings
        for phases in users
        for name, chosen in without_log
    ]
    return pd.DataFrame(rows, columns=["setting", "test_user", "method", *COLUMNS])


def _predicted(name: str, settings: dict[str, Any], world: World) -> dict[str, Any]:
    if name == "perceptron":
        utility = np.asarray(world.policy_features.table) @ optimal_utility(world)
        return {"informativeness": informativeness(world, utility)}
    if not speaks_of(world):
        return {}
    if name == "self-training":
        return _self_training(world, settings.get("growth", GROWTH))
    if settings.get("reference", "own") == "kept":
        return {"predicted_exponent": 1.0, "predicted_shape": "T"}
    slope = online_preference_slope(world, settings.get("refit_growth", PREFERENCE_GROWTH))
    return {"predicted_exponent": 0.0, "predicted_shape": "log T", "predicted_slope": slope}


def _self_training(world: World, growth: float) -> dict[str, Any]:
    exponent = self_training_exponent(world, growth)
    shape = (
        "log^2 T" if np.isclose(growth, critical_growth(world)) else "log T" if exponent == 0 else f"T^{exponent:.2f}"
    )
    slope = np.nan if shape == "log^2 T" else self_training_slope(world, growth)
    return {"predicted_exponent": exponent, "predicted_shape": shape, "predicted_slope": slope}
