"""Bound, prediction and measured error side by side: theory joined to the rows of a run, and the verdicts."""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from bounds import finite_class, pessimism
from bounds.beside import Theory
from bounds.bound import Bound
from bounds.class_size import chosen_ball
from bounds.efficiency import efficiency_floor
from bounds.of_learner import bounds_of, is_pessimistic, predicted
from sim import learners, regimes, summary, sweep
from sim.learners import Cost, Learner
from sim.policies import LogLinear, PolicyClass
from sim.regimes import Regime
from sim.world import World

PREFIX, BALL = "bound_", "ball"


def joined(table: pd.DataFrame, regime: Regime, theory: Theory | None = None) -> pd.DataFrame:
    """The table with columns `predicted`, `limit`, `efficiency_floor`, and `bound_NAME`, `bound_NAME_holds` for every
    bound.

    The floor is that of the row's world at the row's n, its coefficient over n (docs/theory.md 5.6); empty where the
    world has none, or the policies are not the log-linear class of which it speaks.

    A bound's columns are empty in the rows of other learners.  `bound_NAME_holds` says whether its assumptions hold
    in the row's world.

    Args:
        table: from `sim.run`.
        regime: that made it; bounds are at its delta.
        theory: of the regime, from `of_regime`, where it is known already.
    """
    identities = [c for c in summary.key_columns(table) if c != "seed"]
    group = table.groupby(identities, dropna=False, sort=False).ngroup().to_numpy()
    firsts = table[identities].drop_duplicates()
    known = {_key(identity): columns for identity, columns in (of_regime(regime) if theory is None else theory)}
    found = pd.DataFrame([known.get(_key(row), {}) for row in firsts.to_dict("records")])
    columns = found.iloc[group].reset_index(drop=True)
    columns = _within_ball(_with_realised(columns, table), table)
    for name in columns.columns:
        columns[name] = columns[name].astype("boolean" if name.endswith("_holds") else float)
    first = [name for name in ("predicted", "limit", "efficiency_floor") if name in columns]
    order = [*first, *sorted(name for name in columns if name not in first)]
    return pd.concat([table.drop(columns=order, errors="ignore"), columns[order]], axis=1)


def _key(identity: dict[str, Any]) -> frozenset[tuple[str, Any]]:
    return frozenset((name, value) for name, value in identity.items() if not pd.isna(value))


def of_regime(regime: Regime) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The identity of every group of rows that differ in their seed only, and its theory."""
    made = [(name, learners.make(name, **settings)) for name, settings in regimes.learner_grid(regime)]
    groups: dict[str, list[Any]] = {}
    for cell in regimes.cells(regime):
        groups.setdefault(sweep.describe(cell), []).append(cell)
    for description, cells in groups.items():
        world, policies = sweep.build(description)
        floor = _floor(world, policies)
        for name, learner in made:
            prediction = predicted(learner, world, policies)
            realised = _realised_columns(learner, world, policies)
            if finite_class.bounds_for(learner.name, getattr(learner, "link", "balance")):
                realised |= {BALL: chosen_ball(world, policies, None)} if isinstance(policies, LogLinear) else {}
            bounds = bounds_of(learner, world, policies, [cell.n for cell in cells], regime.delta)
            for i, cell in enumerate(cells):
                columns = {"predicted": prediction.at(cell.n), "limit": prediction.limit}
                columns["efficiency_floor"] = None if floor is None else floor / cell.n
                columns |= _columns({bound: values[i] for bound, values in bounds.items()}) | realised
                yield sweep.identity(name, learner.settings(), cell), columns


def _floor(world: World, policies: PolicyClass) -> float | None:
    """The coefficient of the efficiency floor; a list, or a mixture, knows more than the log-linear class does."""
    return efficiency_floor(world)[0] if isinstance(policies, LogLinear) else None


def _columns(bounds: dict[str, Bound]) -> dict[str, Any]:
    values = {f"{PREFIX}{name}": bound.value for name, bound in bounds.items()}
    return values | {f"{PREFIX}{name}_holds": bound.holds for name, bound in bounds.items()}


def _realised_columns(learner: Learner, world: World, policies: PolicyClass) -> dict[str, bool]:
    """Whether the pessimism bounds of a row hold in its world (4.4); their values are the row's own."""
    if not is_pessimistic(learner, policies, "linear", "list"):
        return {}
    assert isinstance(learner, Cost)
    holds = pessimism.gap(world, 0.0, learner).holds
    both = {f"{PREFIX}cost_gap_holds": holds}
    return both | {f"{PREFIX}cost_holds": holds} if learner.cost_class == "linear" else both


def _with_realised(columns: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The pessimism bounds of each row, from its own notes: (1 + 1 / radius) bonus, and E_{pi*}[f_bar - c] (4.4)."""
    for name in ("cost", "cost_gap"):
        if f"{PREFIX}{name}_holds" in columns:
            ours = columns[f"{PREFIX}{name}_holds"].notna().to_numpy()
            radius = np.where(ours, table["radius"].to_numpy(float), 1.0)
            value = (1 + 1 / radius) * table["bonus"] if name == "cost" else table["pessimism_gap"]
            columns = columns.assign(**{f"{PREFIX}{name}": np.where(ours, value.to_numpy(float), np.nan)})
    return columns


def _within_ball(columns: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The bounds on a log-linear class speak of fits within the ball |theta| <= Theta (4.6): elsewhere they fail."""
    if BALL not in columns:
        return columns
    left = ~(table["parameter_norm"] <= columns[BALL]).to_numpy()
    names = [c for c in columns if c in {f"{PREFIX}{name}_holds" for name in finite_class.BOUNDS}]
    inside = {name: columns[name].where(columns[name].isna() | ~left, False) for name in names}
    return columns.assign(**inside).drop(columns=BALL)


def bound_names(table: pd.DataFrame) -> list[str]:
    """The bounds whose columns a table has."""
    held = [c for c in table.columns if c.startswith(PREFIX) and c.endswith("_holds")]
    return sorted(c[len(PREFIX) : -len("_holds")] for c in held)


def verdicts(table: pd.DataFrame, delta: float) -> pd.DataFrame:
    """One row per bound, cell and n of a `table` from `joined`, bounds at its `delta`: is it valid, how tight.

    Where a bound holds in some rows only (a fit may leave the ball of 4.6), the others are `left_out`.  Columns: the
    cell's axes, `n`, `label`, `bound`, `holds`, `left_out`, `violations` out of `logs` with the exact
    (Clopper-Pearson) 95% interval `rate_low`, `rate_high`, whether the rate is compatible with at most delta
    (`valid`: one-sided exact binomial test at 1e-6; `decidable`: so many logs that it could fail), and
    `tightness`: the median bound over the measured 1 - delta quantile.
    """
    rows = []
    for point, group in _groups(table):
        for name in bound_names(table):
            values = group[PREFIX + name].to_numpy(float)
            if np.isfinite(values).any():
                where = group[f"{PREFIX}{name}_holds"].to_numpy(bool)
                # A bound that holds nowhere is shown against every row.
                shown = where if where.any() else ~where
                found = {"bound": name, "holds": bool(where.any()), "left_out": int((~shown).sum())}
                rows.append(point | found | _verdict(values[shown], group[shown], len(group), delta))
    return pd.DataFrame(rows)


def _verdict(values: np.ndarray, group: pd.DataFrame, logs: int, delta: float) -> dict[str, Any]:
    # Out of all logs: a bound promises that a fit of which it speaks violates it with probability at most delta.
    measured = group["suboptimality"].to_numpy()
    # What is equal but for rounding is no violation.
    violations = int((measured > values + 1e-12).sum())
    low, high, compatible = _rate(violations, logs, delta)
    quantile = float(np.quantile(measured, 1 - delta))
    return {
        "violations": violations,
        "logs": logs,
        "rate_low": low,
        "rate_high": high,
        "valid": compatible,
        "decidable": bool(delta**logs < SURE),
        "tightness": float(np.median(values)) / quantile if quantile > 0 else np.inf,
    }


SURE = 1e-6
"""Level of the test that a bound is violated too often."""


@functools.cache
def _rate(violations: int, logs: int, delta: float) -> tuple[float, float, bool]:
    """The exact (Clopper-Pearson) 95% interval of a rate, and whether it is compatible with at most delta."""
    # From the beta law itself: the package of all laws takes half a second to import.
    low = special.betaincinv(violations, logs - violations + 1, 0.025) if violations else 0.0
    high = special.betaincinv(violations + 1, logs - violations, 0.975) if violations < logs else 1.0
    p_value = special.betainc(violations, logs - violations + 1, delta) if violations else 1.0
    return float(low), float(high), bool(p_value >= SURE)


def accuracy(table: pd.DataFrame) -> pd.DataFrame:
    """One row per cell, n and learner: measured mean SubOpt against the prediction.

    Columns: the cell's axes, `n`, `label`, `measured`, `standard_error`, `predicted`, `per_cent` (measured over
    predicted, less one) and `errors_apart` (in standard errors).
    """
    rows = []
    for point, group in _groups(table):
        value = float(group["predicted"].iloc[0])
        if np.isfinite(value):
            measured = group["suboptimality"].to_numpy()
            mean = float(measured.mean())
            error = float(measured.std(ddof=1) / np.sqrt(len(measured))) if len(measured) > 1 else np.nan
            # A baseline does not vary; what rounding leaves of its spread is no standard error.
            apart = (mean - value) / error if error > 1e-9 * abs(mean) else np.nan
            ratio = 100 * (mean / value - 1) if value > 0 else np.nan
            rows.append(
                point
                | {"measured": mean, "standard_error": error, "predicted": value}
                | {"per_cent": ratio, "errors_apart": apart}
            )
    return pd.DataFrame(rows)


def _groups(table: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """The rows of each cell, n and learner, with what tells them apart."""
    names, theory = [*summary.axes(table), "n", "label"], [c for c in table if c == "predicted" or c.startswith(PREFIX)]
    narrow = summary.with_labels(table)[[*names, "suboptimality", *theory]]
    for key, group in narrow.groupby(names, dropna=False, sort=False):
        yield dict(zip(names, key if isinstance(key, tuple) else (key,), strict=True)), group


def winners(table: pd.DataFrame) -> pd.DataFrame:
    """One row per cell and n of a `table` from `joined`: the measured and the predicted winner.

    Only learners that have a prediction compete.

    Columns: the cell's axes, `n`, `measured_winner`, `predicted_winner`, `clear` (the measured winner's paired lead
    exceeds three standard errors), `agree`, the number of learners `competing` (their settings apart), and `logs`,
    `fits` and `not_ok`.
    """
    if "predicted" not in table:
        return pd.DataFrame()
    baselines = [name for name, learner in learners.LEARNERS.items() if learner.baseline]
    competing = table[table["predicted"].notna() & ~table["learner"].isin(baselines)]
    if competing.empty:
        return pd.DataFrame()
    guesses = _predicted_winners(competing)
    rows = []
    for contest in summary.contests(competing):
        guess = guesses[_key(contest.cell | {"n": contest.n})]
        rows.append(
            contest.cell
            | {"n": contest.n, "measured_winner": contest.winner, "predicted_winner": guess}
            | {"clear": contest.clear and bool(contest.gap > 3 * contest.gap_error), "agree": guess == contest.winner}
            | {"competing": len(contest.means), "logs": contest.logs, "fits": contest.logs * len(contest.means)}
            | {"not_ok": contest.not_ok}
        )
    return pd.DataFrame(rows)


def _predicted_winners(table: pd.DataFrame) -> dict[frozenset[tuple[str, Any]], str]:
    best: dict[frozenset[tuple[str, Any]], tuple[float, str]] = {}
    for point, group in _groups(table):
        key = _key({name: value for name, value in point.items() if name != "label"})
        candidate = (float(group["predicted"].iloc[0]), point["label"])
        best[key] = min(best.get(key, candidate), candidate)
    return {key: label for key, (_, label) in best.items()}


class Comparison(NamedTuple):
    """Theory beside the measurements of one run: what `verdicts`, `accuracy` and `winners` say of its table."""

    verdicts: pd.DataFrame
    accuracy: pd.DataFrame
    winners: pd.DataFrame


def compared(table: pd.DataFrame, delta: float) -> Comparison:
    """The three comparisons of a table with its theory, each worked out once.

    Args:
        table: from `joined`.
        delta: of the bounds, as in the regime.
    """
    return Comparison(verdicts(table, delta), accuracy(table), winners(table))


def bounds_in_brief(found: pd.DataFrame) -> pd.DataFrame:
    """One row per bound and learner, over the cells in which the assumptions hold, from `verdicts`.

    Columns: `bound`, `label`, `verdict` ("valid", "VIOLATED", "too few logs" to tell, "typical, no promise" of a value
    that a bound has typically, or that its assumptions fail in every cell),
    `violations` out of `logs`, `rate_low` and `rate_high` of the worst cell, `tightest` and `loosest` (bound over
    measured quantile), `cells`, `left_out` (fits of which the bound does not speak, 4.6).
    """
    rows = []
    for (bound, label), group in found.groupby(["bound", "label"], sort=False) if len(found) else ():
        held = group[group["holds"]]
        rows.append({"bound": bound, "label": label} | (_brief(held) if len(held) else {"verdict": _FAIL, "cells": 0}))
    return pd.DataFrame(rows)


_FAIL = "its assumptions fail in every cell"
TYPICAL = "_population"
"""The end of the name of a value that a bound typically has, and which itself promises nothing (docs/theory.md 4.4)."""


def _brief(held: pd.DataFrame) -> dict[str, Any]:
    worst = held.sort_values("rate_low").iloc[-1]
    return {
        "verdict": _words(held),
        "violations": int(held["violations"].sum()),
        "logs": int(held["logs"].sum()),
        "rate_low": worst["rate_low"],
        "rate_high": worst["rate_high"],
        "tightest": held["tightness"].min(),
        "loosest": held["tightness"].max(),
        "cells": len(held),
        "left_out": int(held["left_out"].sum()),
    }


def _words(held: pd.DataFrame) -> str:
    if not held["valid"].all():
        return "VIOLATED"
    if held["bound"].iloc[0].endswith(TYPICAL):
        return "typical, no promise"
    return "valid" if held["decidable"].all() else "too few logs"


def accuracy_by_size(found: pd.DataFrame) -> pd.DataFrame:
    """Measured over predicted, less one, in per cent: mean over cells, a row per learner and a column per n."""
    # A baseline is exact: nothing is predicted.
    found = found[found["standard_error"] > 1e-9 * found["measured"]] if len(found) else found
    if found.empty:
        return pd.DataFrame()
    means = found.pivot_table("per_cent", "label", "n", sort=False, dropna=False)
    return means[sorted(means.columns)]


def agreement(found: pd.DataFrame) -> str:
    """How often the predicted winner is the measured one, in a sentence, from `winners`."""
    clear = found[found["clear"]]
    return (
        f"Predicted winner = measured winner in {int(clear['agree'].sum())} of {len(clear)} cells with a lead of more"
        f" than 3 standard errors ({int(found['agree'].sum())} of all {len(found)})."
    )


def readable(found: Comparison) -> str:
    """What `compared` `found`, as text: each bound and each learner over all its cells, and who wins."""
    lines = [*_bound_lines(found.verdicts), "", *_accuracy_lines(found.accuracy)]
    return "\n".join([*lines, *(["", agreement(found.winners)] if len(found.winners) else [])])


def _bound_lines(found: pd.DataFrame) -> list[str]:
    if found.empty:
        return ["No bound speaks of these learners in these worlds."]
    lines = [
        "Bounds, where their assumptions hold: violations out of logs, worst cell's 95% interval, bound / measured"
    ]
    for row in bounds_in_brief(found).to_dict("records"):
        lines.append(f"  {row['bound']:16s} {row['label']:24s} " + (_held(row) if row["cells"] else row["verdict"]))
    return lines


def _held(row: dict[str, Any]) -> str:
    interval = f"[{row['rate_low']:.3f}, {row['rate_high']:.3f}]"
    return (
        f"{row['verdict']}: {row['violations']:.0f} of {row['logs']:.0f}, {interval}, {row['tightest']:.2g} to"
        f" {row['loosest']:.2g}  ({row['cells']} cells{_left_out(row['left_out'])})"
    )


def _left_out(left: float) -> str:
    return f"; {left:.0f} fits left the ball" if left else ""


def _accuracy_lines(found: pd.DataFrame) -> list[str]:
    means = accuracy_by_size(found)
    if means.empty:
        return []
    lines = ["Predictions: measured over predicted, less one, per n (mean over cells, %)"]
    lines.append("  " + "".ljust(24) + "".join(f"n={n}".rjust(12) for n in means.columns))
    lines += [f"  {name:24s}" + "".join(f"{v:+.3g}".rjust(12) for v in row) for name, row in means.iterrows()]
    return lines
