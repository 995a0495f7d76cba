"""Small tables of a language-model run, written by hand."""

from typing import Any

import pandas as pd

from sim.llm.stored import Stored

T = 10
# Per method: the cost per round in each setting (email strong, email weak), a number per log.
COSTS: dict[str, list[list[float]]] = {
    "reference": [[0.9, 0.7], [0.8, 0.8]],
    "sup": [[0.2, 0.4], [0.7, 0.9]],
    "pref": [[0.5, 0.5], [0.2, 0.6]],
    "late": [[0.3, 0.3], [0.5, 0.3]],
}
SETTINGS = [("email", "strong"), ("email", "weak")]


def episodes(
    costs: dict[str, list[list[float]]] = COSTS, settings: list[tuple[str, str]] = SETTINGS, user: str = "strong"
) -> pd.DataFrame:
    """Ten rounds of every method, setting and log, whose first costs 0.1 less than the mean and whose last 0.1 more.

    Late ensembling plays pref in the first and sup in the other rounds.
    """
    rows = []
    for method, of_setting in costs.items():
        for (task, training_user), of_seed in zip(settings, of_setting, strict=True):
            for seed, cost in enumerate(of_seed):
                for at in range(1, T + 1):
                    arm = method if method != "late" else "pref" if at == 1 else "sup"
                    off = {1: -0.1, T: 0.1}.get(at, 0.0)
                    rows.append((task, training_user, user, method, seed, at, arm, cost + off, cost + off, "ok"))
    names = ["task", "training_user", "test_user", "method", "seed", "round", "arm", "cost", "raw_cost", "status"]
    return pd.DataFrame(rows, columns=names)


def online(played: pd.DataFrame, at: tuple[int, ...] = (1, 5, T)) -> pd.DataFrame:
    """The rows of online.parquet for these episodes."""
    keys = ["test_user", "task", "training_user", "method", "seed"]
    found = played.sort_values([*keys, "round"], kind="stable").copy()
    found["cost"] = found.groupby(keys)["cost"].cumsum()
    found = found[found["round"].isin(at)]
    found = found.assign(
        setting="task = " + found["task"] + ", training_user = " + found["training_user"],
        expected_cost=found["cost"],
        regret=0.0,
    )
    names = ["setting", *keys, "round", "arm", "cost", "expected_cost", "regret"]
    return found[names].reset_index(drop=True)


EVIL = "<script>alert('&')</script>"


def stored(played: pd.DataFrame | None = None, **changes: Any) -> Stored:
    """A run of these episodes with two trainings, one of them failed, and three samples."""
    played = episodes() if played is None else played
    names = ["task", "training_user", "method", "seed", "learning_rate", "steps", "held_out", "seconds", "status"]
    trained = pd.DataFrame(
        [("email", "strong", "sup", 0, 1e-3, 400, 1.5, 30.0, "ok"),
         ("email", "strong", "sup", 1, 3e-4, 400, 2.5, 32.0, "ok"),
         ("email", "strong", "pref", 0, 1e-3, 400, float("nan"), 31.0, "not_finite")],
        columns=names,
    )  # fmt: skip
    samples = pd.DataFrame(
        [("email", "strong", "strong", "sup", 0, "A paper.", "Dear Ann,\nbye", "Hello Ann,\nbye <b>now</b>", 0.75),
         ("email", "strong", "strong", "reference", 0, "A paper.", EVIL, None, float("nan")),
         ("email", "strong", "other", "sup", 0, "Not shown.", "x", "y", 1.0)],
        columns=["task", "training_user", "test_user", "method", "seed", "context", "response", "edit", "cost"],
    )  # fmt: skip
    parts: dict[str, Any] = {
        "settings": {"preset": "micro", "parameters": 1234},
        "episodes": played,
        "online": online(played),
        "samples": samples,
        "trained": trained,
        "candidates": trained.assign(chosen=[True, False, True]),
        "speed": {"tokens_per_second_training": 1234.5, "model_flop_utilisation": None, "parameters": 1234,
                  "steps_per_second": 19.409, "training_gflops": 37.779, "device": "a processor",
                  "reasons": {"model_flop_utilisation": "no peak is known of <this> processor"}},
        "provenance": {"version": "0.1.0", "device": "cpu", "wall_seconds": 125.2, "packages": {"jax": "0.10"}},
        "settings_text": 'preset = "micro"\n',
    }  # fmt: skip
    return Stored(**(parts | changes))


def prediction(training_user: str, **predicted: float | None) -> dict[str, Any]:
    """A prediction for the email task as `bounds.from_logs.prediction` gives it."""
    return {
        "task": "email", "training_user": training_user, "rows": 300, "edit_rate": 0.8123, "mean_cost": 0.5,
        "edit_rate_interval": [0.78, 0.84], "mean_cost_interval": [None, None], "traits": 2.0, "strength": None,
        "contraction": 0.25, "coverage": 5.0, "temperature": 0.4, "predicted": predicted,
        "groups": [], "reasons": {"strength": "too <few> edits"},
    }  # fmt: skip
