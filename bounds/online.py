"""Theory beside the rows of an online phase: the regret bound of late ensembling, and exponents without a log."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bounds.regret import (
    informative_from,
    online_preference_slope,
    self_training_exponent,
    self_training_slope,
    ucb_regret,
)
from sim import regimes, sweep
from sim.online.gaps import in_order, kinds_of
from sim.online.self_training import GROWTH, PREFERENCE_GROWTH
from sim.online.settings import DRIFT, cells_in_words, users_in_words
from sim.online.tables import LATE, THEORY, WITHOUT_LOG, label, methods, test_users
from sim.regimes import Regime
from sim.summary import means_and_intervals
from sim.world import World

COVERED = (LATE, f"{LATE} (alpha {THEORY})")
"""The methods that docs/theory.md 6.1 speaks of: a smaller alpha or a warm start has no such bound."""

ROUNDING = 1 + 1e-9
"""A first round that plays the worst policy equals the largest gap, up to rounding."""

DECADES = 2.0
"""Slopes are fitted over this many decades of rounds, up to T."""

GROUP = ["setting", "test_user"]


def regret(online: pd.DataFrame) -> pd.DataFrame:
    """The mean regret of every method at every recorded round, beside its bound.

    Args:
        online: from `sim.load(folder, "online.parquet")` or `sim.run_online`.

    Returns:
        Rows by setting, test user, method and round: `alone`, for a policy of the list; `regret`, `low`, `high` (95%
        over logs); `bound`, where there is one, of the mean regret (docs/theory.md 6.1; the perceptron's own);
        `trivial`, T times the largest gap, which no policy of the list exceeds.  Users who drift have neither: their
        gaps are not constant.
    """
    return pd.concat([_regret_of(key, rows) for key, rows in _groups(online)], ignore_index=True)


def verdicts(measured: pd.DataFrame, regime: Regime) -> pd.DataFrame:
    """One row per setting, test user and method that learns online, from the rows of `regret`.

    `violations` counts the recorded rounds at which the measured mean exceeds min(bound, trivial), of `rounds`;
    `informative_from` is the least T at which the bound is below T times the largest gap (median over logs);
    `log_slope` and `log_r2` fit regret = a + slope log T, and `exponent` the slope of log regret in log T, over the
    last two decades; `predicted_exponent` and `predicted_slope` are those of docs/theory.md 6.2 where it speaks.
    """
    expected, rows = predicted(regime), []
    learning = measured[~measured["alone"]]
    for key, one in learning.groupby([*GROUP, "method"], observed=True, sort=False):
        slope, fit, exponent = growth(one["round"].to_numpy(), one["regret"].to_numpy())
        rows.append(
            dict(zip([*GROUP, "method"], key, strict=True))
            | {
                "bounded": bool(one["bound"].notna().any()),
                "violations": int((one["regret"] > np.fmin(one["bound"], one["trivial"]) * ROUNDING).sum()),
                "rounds": len(one),
                "last_regret": one["regret"].iloc[-1],
                "last_bound": one["bound"].iloc[-1],
                "last_trivial": one["trivial"].iloc[-1],
                "informative_from": one["informative_from"].iloc[0],
                "log_slope": slope,
                "log_r2": fit,
                "exponent": exponent,
            }
        )
    return pd.DataFrame(rows).merge(expected, on=[*GROUP, "method"], how="left")


def predicted(regime: Regime) -> pd.DataFrame:
    """The predictions for the methods without a log: rows by setting, test user and method."""
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
    return pd.DataFrame(rows, columns=[*GROUP, "method", "predicted_exponent", "predicted_slope"])


def _predicted(name: str, settings: dict[str, Any], world: World) -> dict[str, float]:
    if name == "self-training":
        growth = settings.get("growth", GROWTH)
        return {
            "predicted_exponent": self_training_exponent(world, growth),
            "predicted_slope": self_training_slope(world, growth),
        }
    if name == "online-preference" and settings.get("reference", "own") == "own":
        slope = online_preference_slope(world, settings.get("refit_growth", PREFERENCE_GROWTH))
        return {"predicted_exponent": 0.0, "predicted_slope": slope}
    # With pi_ref kept regret is linear; the perceptron's bound grows as the root, where edits improve for sure.
    return {"predicted_exponent": 1.0 if name == "online-preference" else np.nan}


def growth(rounds: np.ndarray, regret: np.ndarray) -> tuple[float, float, float]:
    """Slope and R^2 of regret in log T, and the slope of log regret in log T, over the last two decades.

    NaN where fewer than four positive values are there, or less than a decade.
    """
    late = (rounds >= rounds.max() / 10**DECADES) & (regret > 0)
    if late.sum() < 4 or rounds[late].max() < 10 * rounds[late].min():
        return float("nan"), float("nan"), float("nan")
    logs, values = np.log(rounds[late]), regret[late]
    slope, intercept = np.polyfit(logs, values, 1)
    left = ((values - intercept - slope * logs) ** 2).sum()
    total = ((values - values.mean()) ** 2).sum()
    return (
        float(slope),
        float(1 - left / total) if total > 0 else float("nan"),
        float(np.polyfit(logs, np.log(values), 1)[0]),
    )


def _groups(online: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    for key, rows in online.groupby(GROUP, observed=True, sort=False):
        yield dict(zip(GROUP, key if isinstance(key, tuple) else (key,), strict=True)), rows


def _regret_of(key: dict[str, Any], rows: pd.DataFrame) -> pd.DataFrame:
    kinds = kinds_of(rows)
    # Users who drift have no constant gaps.
    gaps = None if DRIFT in str(key["test_user"]) else _gaps(rows, kinds.listed)
    most = float(rows["c_max"].iloc[0])
    frames = []
    for method in in_order(rows):
        own = rows[rows["method"] == method]
        at = own["round"].unique()
        table = own.pivot(index="seed", columns="round", values="regret").to_numpy()
        means = means_and_intervals(table)
        bound, trivial, starts = np.full(len(at), np.nan), np.full(len(at), np.nan), np.nan
        if gaps is not None and method in kinds.rules:
            trivial = at * gaps.max(axis=1).mean()
        if gaps is not None and method in COVERED:
            bound = np.array([np.mean([_bound(row, int(t), most) for row in gaps]) for t in at])
            starts = _first(gaps, most)
        if own["bound"].notna().any():
            bound = own.groupby("round")["bound"].mean().to_numpy()
        frames.append(
            pd.DataFrame(
                key
                | {
                    "method": method,
                    "alone": method in kinds.alone,
                    "round": at,
                    "regret": means[:, 0],
                    "low": means[:, 1],
                    "high": means[:, 2],
                }
                | {"bound": bound, "trivial": trivial, "informative_from": starts}
            )
        )
    return pd.concat(frames, ignore_index=True)


def _bound(gaps: np.ndarray, rounds: int, c_max: float) -> float:
    # Before every policy was played once there is no bound but the trivial one.
    return ucb_regret(gaps, rounds, c_max) if rounds >= len(gaps) else float("inf")


def _first(gaps: np.ndarray, c_max: float) -> float:
    """The median over logs of the least T at which the bound says anything; infinite where it never does."""
    found = [informative_from(row, c_max) for row in gaps]
    return float(np.median([np.inf if one is None else one for one in found]))


def _gaps(rows: pd.DataFrame, listed: list[str]) -> np.ndarray | None:
    """The gaps in J of the list's policies, (seeds, K), from the first recorded round of each policy played alone."""
    if not listed:
        return None
    first = rows[(rows["round"] == rows["round"].min()) & rows["method"].isin(listed)]
    cost = first.pivot(index="seed", columns="method", values="expected_cost").to_numpy() / first["round"].iloc[0]
    return cost - cost.min(axis=1, keepdims=True)


def readable(found: pd.DataFrame, rounds: int) -> str:
    """The verdicts in words: bounds first, then how regret grows.

    Args:
        found: from `verdicts`.
        rounds: T.
    """
    lines = [_bound_in_words(method, rows, rounds) for method, rows in found[found["bounded"]].groupby("method")]
    # Where the user drifts, the best policy is another one later: one slope says nothing.
    grown = found[found["exponent"].notna() & ~found["test_user"].astype(str).str.contains(DRIFT)]
    if len(grown) <= MOST_LINES:
        lines += [_growth_in_words(row) for row in grown.to_dict("records")]
    return "\n".join(lines)


MOST_LINES = 24


def _bound_in_words(method: Any, rows: pd.DataFrame, rounds: int) -> str:
    held = int((rows["violations"] == 0).sum())
    worst = rows.loc[rows["last_bound"].idxmin()]
    start = rows["informative_from"].min()
    words = f"says nothing yet at T = {rounds:,}" if start > rounds else f"says something from T = {start:,.0f}"
    return (
        f"{method}: mean regret below its bound at every round in {held} of {len(rows)} settings; at T = {rounds:,} "
        f"the least bound is {worst['last_bound']:.4g} against {worst['last_regret']:.4g} measured"
        + (f", and it {words}" if np.isfinite(start) else "")
        + "."
    )


def _growth_in_words(row: dict[str, Any]) -> str:
    told = f"{row['method']} ({row['setting']}; {row['test_user']}): regret grows as T^{row['exponent']:.2f}"
    if np.isfinite(row["predicted_exponent"]):
        told += f", predicted {row['predicted_exponent']:.2f}"
    if row["log_r2"] > LOGARITHMIC:
        told += f"; {row['log_slope']:.3g} log T (R^2 {row['log_r2']:.4f})"
        told += f", predicted {row['predicted_slope']:.3g}" if np.isfinite(row["predicted_slope"]) else ""
    return told + "."


LOGARITHMIC = 0.98
"""From this R^2 on, a fit of a + slope log T is worth naming."""
