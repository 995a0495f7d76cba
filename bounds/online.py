"""Theory beside the rows of an online phase: the regret bound of late ensembling, and exponents without a log."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bounds.online_predictions import predicted
from bounds.regret import (
    informative_from,
    ucb_regret,
)
from sim.online.gaps import in_order, kinds_of
from sim.online.settings import DRIFT
from sim.online.tables import LATE, THEORY
from sim.regimes import Regime
from sim.summary import means_and_intervals

COVERED = (LATE, f"{LATE} (alpha {THEORY})")
"""The methods that docs/theory.md 6.1 speaks of: a smaller alpha or a warm start has no such bound."""

LONG = 1000
"""Slopes of shorter runs would say nothing of their growth."""

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
        `trivial`, T times the largest gap, which no policy of the list exceeds; `least`, the mean over logs of the
        smaller of the two where there is a bound.  Users who drift have none: their gaps are not constant.
    """
    return pd.concat([_regret_of(key, rows) for key, rows in _groups(online)], ignore_index=True)


def verdicts(measured: pd.DataFrame, regime: Regime) -> pd.DataFrame:
    """One row per setting, test user and method that learns online, from the rows of `regret`.

    `violations` counts the recorded rounds at which the measured mean exceeds `least`, of `rounds`;
    `informative_from` is the least T at which the bound is below T times the largest gap (median over logs);
    `log_slope`, `log_r2`, `exponent` and `shape` are its `growth`; the columns of `predicted` are empty where
    docs/theory.md 6.2 does not speak.
    """
    expected, rows = predicted(regime), []
    learning = measured[~measured["alone"]]
    for key, one in learning.groupby([*GROUP, "method"], observed=True, sort=False):
        found = growth(one["round"].to_numpy(), one["regret"].to_numpy())
        rows.append(
            dict(zip([*GROUP, "method"], key, strict=True))
            | {
                "bounded": bool(one["bound"].notna().any()),
                "violations": int(exceeded(one).sum()),
                "rounds": len(one),
                "last_regret": one["regret"].iloc[-1],
                "last_bound": one["bound"].iloc[-1],
                "last_trivial": one["trivial"].iloc[-1],
                "informative_from": one["informative_from"].iloc[0],
                "log_slope": found.slope,
                "log_r2": found.log_r2,
                "exponent": found.exponent,
                "shape": found.shape,
            }
        )
    return pd.DataFrame(rows).merge(expected, on=[*GROUP, "method"], how="left")


def exceeded(rows: pd.DataFrame) -> pd.Series:
    """Where the measured mean is above the smaller of its bounds, for rows of `regret`."""
    return rows["regret"] > rows["least"] * ROUNDING


class Growth(NamedTuple):
    """How regret grows over the last two decades of rounds.

    `slope` and `log_r2` of the fit a + slope log T; `exponent`, the slope of log regret in log T; `shape`, which of
    log T, log^2 T and T^exponent fits best (least squares in regret itself).
    """

    slope: float
    log_r2: float
    exponent: float
    shape: str


def growth(rounds: np.ndarray, regret: np.ndarray) -> Growth:
    """The growth of a regret; empty where fewer than four positive values are there, less than a decade, or less than
    a thousand rounds.
    """
    late = (rounds >= rounds.max() / 10**DECADES) & (regret > 0)
    if late.sum() < 4 or rounds.max() < LONG or rounds[late].max() < 10 * rounds[late].min():
        return Growth(np.nan, np.nan, np.nan, "")
    logs, values = np.log(rounds[late]), regret[late]
    exponent = float(np.polyfit(logs, np.log(values), 1)[0])
    shapes = {"log T": logs, "log^2 T": logs**2, f"T^{exponent:.2f}": rounds[late] ** exponent}
    fits = {shape: _r2(curve, values) for shape, curve in shapes.items()}
    slope = float(np.polyfit(logs, values, 1)[0])
    return Growth(slope, fits["log T"], exponent, max(fits, key=lambda shape: fits[shape]))


def _r2(curve: np.ndarray, values: np.ndarray) -> float:
    """R^2 of values = a + b curve."""
    total = ((values - values.mean()) ** 2).sum()
    if total == 0 or np.ptp(curve) == 0:
        return float("nan")
    return float(np.corrcoef(curve, values)[0, 1] ** 2)


def _groups(online: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    for key, rows in online.groupby(GROUP, observed=True, sort=False):
        yield dict(zip(GROUP, key if isinstance(key, tuple) else (key,), strict=True)), rows


def _regret_of(key: dict[str, Any], rows: pd.DataFrame) -> pd.DataFrame:
    """`regret` of one setting and test user."""
    kinds, frames = kinds_of(rows), []
    # Users who drift have no constant gaps.
    gaps = None if DRIFT in str(key["test_user"]) else _gaps(rows, kinds.listed)
    for method in in_order(rows):
        own = rows[rows["method"] == method]
        table = own.pivot(index="seed", columns="round", values="regret")
        mean, low, high = means_and_intervals(table.to_numpy()).T
        measured = {"round": table.columns.to_numpy(), "regret": mean, "low": low, "high": high}
        bounds = _bounds_of(own, gaps if method in kinds.rules else None)
        frames.append(pd.DataFrame(key | {"method": method, "alone": method in kinds.alone} | measured | bounds))
    return pd.concat(frames, ignore_index=True)


def _bounds_of(own: pd.DataFrame, gaps: np.ndarray | None) -> dict[str, Any]:
    """The bound of a method at each recorded round, T times the largest gap, the lesser, and where it begins."""
    at, most = own["round"].unique(), float(own["c_max"].iloc[0])
    found: dict[str, Any] = dict.fromkeys(("bound", "trivial", "least", "informative_from"), np.nan)
    if gaps is not None:
        found["trivial"] = at * gaps.max(axis=1).mean()
    if gaps is not None and own["method"].iloc[0] in COVERED:
        bounds = np.array([[_bound(row, int(t), most) for t in at] for row in gaps])
        least = np.minimum(bounds, at * gaps.max(axis=1, keepdims=True))
        found |= {"bound": bounds.mean(axis=0), "least": least.mean(axis=0), "informative_from": _first(gaps, most)}
    if own["bound"].notna().any():
        # The perceptron's, from its own slacks.
        found["bound"] = found["least"] = own.groupby("round")["bound"].mean().to_numpy()
    return found


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
    lines += [_growth_in_words(row) for row in grown.head(MOST_LINES).to_dict("records")]
    left = len(grown) - MOST_LINES
    return "\n".join([*lines, f"... and {left} more in online-verdicts.csv."] if left > 0 else lines)


MOST_LINES = 24


def _bound_in_words(method: Any, rows: pd.DataFrame, rounds: int) -> str:
    held = int((rows["violations"] == 0).sum())
    tightest = rows.loc[rows["last_bound"].idxmin()]
    starts = rows["informative_from"].dropna()
    ends = (
        [f"{end:,.0f}" if np.isfinite(end) else "never" for end in (starts.min(), starts.max())] if len(starts) else []
    )
    words = f"; it says something from T = {' to '.join(dict.fromkeys(ends))}, by setting" if ends else ""
    return (
        f"{method}: mean regret below its bound at every round in {held} of {len(rows)} settings; at T = {rounds:,} "
        f"the least bound is {tightest['last_bound']:.4g} against {tightest['last_regret']:.4g} measured{words}."
    )


def _growth_in_words(row: dict[str, Any]) -> str:
    told = f"{row['method']} ({row['setting']}; {row['test_user']}): regret grows as T^{row['exponent']:.2f}"
    if row["shape"].startswith("log"):
        told += f", best fitted by {row['shape']}"
        told += f": {row['log_slope']:.3g} log T (R^2 {row['log_r2']:.4f})" if row["shape"] == "log T" else ""
    expected = [row["predicted_shape"]] if isinstance(row["predicted_shape"], str) else []
    expected += [f"slope {row['predicted_slope']:.3g}"] if np.isfinite(row["predicted_slope"]) else []
    told += f"; predicted {', '.join(expected)}" if expected else ""
    if np.isfinite(row["informativeness"]):
        told += f"; informativeness of the edits {row['informativeness']:.3g}"
    return told + "."
