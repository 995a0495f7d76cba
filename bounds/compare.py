"""Bound, prediction and measured error side by side: theory joined to the rows of a run, and the verdicts."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bounds import finite_class, pessimism
from bounds.bound import Bound
from bounds.class_size import chosen_ball
from bounds.efficiency import efficiency_floor
from bounds.of_learner import bounds_of, is_pessimistic, predicted
from sim import learners, regimes, summary, sweep
from sim.learners import Cost, Learner
from sim.policies import LogLinear
from sim.regimes import Regime
from sim.world import World

PREFIX, BALL = "bound_", "ball"


def joined(table: pd.DataFrame, regime: Regime) -> pd.DataFrame:
    """The table with columns `predicted`, `limit`, `efficiency_floor`, and `bound_NAME`, `bound_NAME_holds` for every
    bound.

    The floor is that of the row's world at the row's n, its coefficient over n (docs/theory.md 5.6).

    A bound's columns are empty in the rows of other learners.  `bound_NAME_holds` says whether its assumptions hold
    in the row's world.
    """
    identities = [c for c in summary.key_columns(table) if c != "seed"]
    group = table.groupby(identities, dropna=False, sort=False).ngroup().to_numpy()
    firsts = table[identities].drop_duplicates()
    theory = {_key(identity): columns for identity, columns in _of_regime(regime)}
    found = pd.DataFrame([theory.get(_key(row), {}) for row in firsts.to_dict("records")])
    columns = found.iloc[group].reset_index(drop=True)
    columns = _within_ball(_with_realised(columns, table), table)
    for name in columns.columns:
        columns[name] = columns[name].astype("boolean" if name.endswith("_holds") else float)
    first = [name for name in ("predicted", "limit", "efficiency_floor") if name in columns]
    order = [*first, *sorted(name for name in columns if name not in first)]
    return pd.concat([table.drop(columns=order, errors="ignore"), columns[order]], axis=1)


def _key(identity: dict[str, Any]) -> frozenset[tuple[str, Any]]:
    return frozenset((name, value) for name, value in identity.items() if not pd.isna(value))


def _of_regime(regime: Regime) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The identity of every group of rows that differ in their seed only, and its theory."""
    made = [(name, learners.make(name, **settings)) for name, settings in regimes.learner_grid(regime)]
    groups: dict[str, list[Any]] = {}
    for cell in regimes.cells(regime):
        groups.setdefault(sweep.describe(cell), []).append(cell)
    for description, cells in groups.items():
        world, policies = sweep.build(description)
        floor, _ = efficiency_floor(world)
        for name, learner in made:
            prediction = predicted(learner, world, policies)
            realised = _realised_columns(learner, world)
            if finite_class.bounds_for(learner.name, getattr(learner, "link", "balance")):
                realised |= {BALL: chosen_ball(world, policies, None)} if isinstance(policies, LogLinear) else {}
            bounds = bounds_of(learner, world, policies, [cell.n for cell in cells], regime.delta)
            for i, cell in enumerate(cells):
                columns = {"predicted": prediction.at(cell.n), "limit": prediction.limit}
                columns["efficiency_floor"] = None if floor is None else floor / cell.n
                columns |= _columns({bound: values[i] for bound, values in bounds.items()}) | realised
                yield sweep.identity(name, learner.settings(), cell), columns


def _columns(bounds: dict[str, Bound]) -> dict[str, Any]:
    values = {f"{PREFIX}{name}": bound.value for name, bound in bounds.items()}
    return values | {f"{PREFIX}{name}_holds": bound.holds for name, bound in bounds.items()}


def _realised_columns(learner: Learner, world: World) -> dict[str, bool]:
    """Whether the pessimism bounds of a row hold in its world (4.4); their values are the row's own."""
    if not is_pessimistic(learner, "linear", "list"):
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
    left = (table["parameter_norm"] > columns[BALL]).to_numpy()
    names = [c for c in columns if c.startswith((f"{PREFIX}sup", f"{PREFIX}pref")) and c.endswith("_holds")]
    inside = {name: columns[name].where(columns[name].isna() | ~left, False) for name in names}
    return columns.assign(**inside).drop(columns=BALL)


def bound_names(table: pd.DataFrame) -> list[str]:
    """The bounds whose columns a table has."""
    held = [c for c in table.columns if c.startswith(PREFIX) and c.endswith("_holds")]
    return sorted(c[len(PREFIX) : -len("_holds")] for c in held)


def verdicts(table: pd.DataFrame, delta: float) -> pd.DataFrame:
    """One row per bound, cell and n: is it valid, how tight.

    Where a bound holds in some rows only (a fit may leave the ball of 4.6), the others are `left_out`.  Columns: the
    cell's axes, `n`, `label`, `bound`, `holds`, `left_out`, `violations` out of `logs` with the exact
    (Clopper-Pearson) 95% interval `rate_low`, `rate_high`, whether the rate is compatible with at most delta
    (`valid`: one-sided exact binomial test at 1e-6), and `tightness`: the median bound over the measured 1 - delta
    quantile.
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
                rows.append(point | found | _verdict(values[shown], group[shown], delta))
    return pd.DataFrame(rows)


def _verdict(values: np.ndarray, group: pd.DataFrame, delta: float) -> dict[str, Any]:
    measured = group["suboptimality"].to_numpy()
    violations, logs = int((measured > values).sum()), len(values)
    interval = stats.binomtest(violations, logs).proportion_ci(0.95, method="exact")
    compatible = stats.binomtest(violations, logs, delta, alternative="greater").pvalue >= 1e-6
    quantile = float(np.quantile(measured, 1 - delta))
    return {
        "violations": violations,
        "logs": logs,
        "rate_low": interval.low,
        "rate_high": interval.high,
        "valid": compatible,
        "tightness": float(np.median(values)) / quantile if quantile > 0 else np.inf,
    }


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
            mean, error = float(measured.mean()), float(stats.sem(measured)) if len(measured) > 1 else np.nan
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
    names = [*summary.axes(table), "n", "label"]
    for key, group in summary.with_labels(table).groupby(names, dropna=False, sort=False):
        yield dict(zip(names, key if isinstance(key, tuple) else (key,), strict=True)), group


def winners(table: pd.DataFrame) -> pd.DataFrame:
    """One row per cell and n: the measured and the predicted winner among the learners that have a prediction.

    Columns: the cell's axes, `n`, `measured_winner`, `predicted_winner`, `clear` (the measured winner's paired lead
    exceeds three standard errors), `agree`.
    """
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
            | {"clear": contest.clear and contest.gap > 3 * contest.gap_error, "agree": guess == contest.winner}
        )
    return pd.DataFrame(rows)


def _predicted_winners(table: pd.DataFrame) -> dict[frozenset[tuple[str, Any]], str]:
    best: dict[frozenset[tuple[str, Any]], tuple[float, str]] = {}
    for point, group in _groups(table):
        key = _key({name: value for name, value in point.items() if name != "label"})
        candidate = (float(group["predicted"].iloc[0]), point["label"])
        best[key] = min(best.get(key, candidate), candidate)
    return {key: label for key, (_, label) in best.items()}


def readable(table: pd.DataFrame, delta: float) -> str:
    """The verdicts as text: each bound and each learner over all its cells, and who wins."""
    return "\n".join(
        [*_bound_lines(verdicts(table, delta)), "", *_accuracy_lines(accuracy(table)), *_winner_lines(table)]
    )


def _bound_lines(found: pd.DataFrame) -> list[str]:
    if found.empty:
        return ["No bound speaks of these learners in these worlds."]
    lines = [
        "Bounds, where their assumptions hold: violations out of logs, worst cell's 95% interval, bound / measured"
    ]
    for (bound, label), group in found.groupby(["bound", "label"], sort=False):
        held = group[group["holds"]]
        lines.append(
            f"  {bound:16s} {label:24s} " + (_held(held) if len(held) else "its assumptions fail in every cell")
        )
    return lines


def _held(group: pd.DataFrame) -> str:
    worst = group.sort_values("rate_low").iloc[-1]
    verdict = "valid" if group["valid"].all() else "VIOLATED"
    tight, loose = group["tightness"].min(), group["tightness"].max()
    interval = f"[{worst['rate_low']:.3f}, {worst['rate_high']:.3f}]"
    return (
        f"{verdict}: {group['violations'].sum()} of {group['logs'].sum()}, {interval}, {tight:.2g} to {loose:.2g}"
        f"  ({len(group)} cells{_left_out(group)})"
    )


def _left_out(group: pd.DataFrame) -> str:
    left = int(group["left_out"].sum())
    return f"; {left} fits left the ball" if left else ""


def _accuracy_lines(found: pd.DataFrame) -> list[str]:
    # A baseline is exact: nothing is predicted.
    found = found[found["standard_error"] > 1e-9 * found["measured"]] if len(found) else found
    if found.empty:
        return []
    lines = ["Predictions: measured over predicted, less one, per n (mean over cells, %)"]
    sizes = sorted(found["n"].unique())
    lines.append("  " + "".ljust(24) + "".join(f"n={n}".rjust(12) for n in sizes))
    for label, group in found.groupby("label", sort=False):
        means = group.groupby("n")["per_cent"].mean()
        lines.append(f"  {label:24s}" + "".join(f"{means.get(n, np.nan):+.3g}".rjust(12) for n in sizes))
    return lines


def _winner_lines(table: pd.DataFrame) -> list[str]:
    found = winners(table)
    if found.empty:
        return []
    clear = found[found["clear"]]
    return [
        "",
        f"Predicted winner = measured winner in {int(clear['agree'].sum())} of {len(clear)} cells with a lead of more"
        f" than 3 standard errors ({int(found['agree'].sum())} of all {len(found)}).",
    ]
