"""From a log of text edits to theory: which learner should win, and whether it did (docs/from-logs.md)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bounds import log_costs
from bounds.asymptotics import Prediction
from bounds.log_worlds import LogWorld, temperature, world_of
from bounds.of_learner import predicted
from bounds.who_wins import COMPETITORS
from sim import checks
from sim.errors import BadInput
from sim.learners import Cost, Learner, Reference
from sim.llm.estimates import Estimates, GroupEstimate, TraitEstimate, by_setting, estimate
from sim.llm.transitions import Measured

NO_TRAIT = "no edit changes a trait more often than by accident, so that theory sees no user here"
LEARNERS: dict[str, Learner] = {"reference": Reference(), **COMPETITORS}
"""What is predicted unless other learners are given: those of `bounds.who_wins`, and learning nothing."""


def prediction(
    log: pd.DataFrame,
    traits: Mapping[str, Any],
    n: float | None = None,
    learners: Mapping[str, Learner] | None = None,
    level: float = 0.95,
) -> list[dict[str, Any]]:
    """What theory predicts from a log alone, for every (task, user) in it; nothing is trained.

    In each group the world nearest to the log (`bounds.log_worlds.world_of`) gives E SubOpt = limit + coefficient /
    n_g, n_g = n times the group's share (docs/theory.md 5); over groups it is averaged by their shares.

    Args:
        log: as `sim.llm.logs.read` gives it.
        traits: by name, a function text -> bool, or an object with such a method `has`.
        n: triples that the learners get; default: the rows of the log.
        learners: by label; default: `LEARNERS`.
        level: of the intervals, in (0, 1).

    Returns:
        A dictionary per task and user, ready for JSON: what cannot be had is None with the reason under `reasons`, an
        interval is under the name and "_interval".

    Raises:
        BadInput: as `sim.llm.estimates.estimate`; n below 1.
    """
    parts = by_setting(log)
    if not parts:
        raise BadInput("log: no rows; read it with sim.llm.logs.read")
    return [
        {"task": task, "training_user": user} | of_estimates(estimate(rows, traits, level), n, learners)
        for (task, user), rows in parts.items()
    ]


def of_estimates(
    estimates: Estimates, n: float | None = None, learners: Mapping[str, Learner] | None = None
) -> dict[str, Any]:
    """The prediction from the `estimates` of one task and user; `n` and `learners` as for `prediction`."""
    size = float(estimates.rows) if n is None else checks.in_range("n", n, 1, 1e15)
    learners = LEARNERS if learners is None else learners
    beta = temperature(estimates)
    groups = [_of_group(group, beta.value, size, learners) for group in estimates.groups]
    whole, reasons = _overall(groups, learners)
    return {
        "rows": estimates.rows,
        "n": size,
        "level": estimates.level,
        **_shown("edit_rate", estimates.edit_rate),
        **_shown("mean_cost", estimates.mean_cost),
        **_summary(estimates),
        "temperature": beta.value,
        "temperature_fit": beta.fit,
        "temperature_source": beta.source,
        **whole,
        "groups": groups,
        "reasons": reasons,
    }


def _summary(estimates: Estimates) -> dict[str, Any]:
    """Means over the groups with a relevant trait, by their rows, and the worst contraction."""
    groups = [group for group in estimates.groups if group.relevant]
    total = sum(group.weight for group in groups)
    if not groups:
        return {"traits": 0.0, "strength": None, "contraction": None, "coverage": None, "predicted_share": 0.0}

    def mean(values: list[float | None]) -> float:
        return sum(group.weight * (v or 0.0) for group, v in zip(groups, values, strict=True)) / total

    return {
        "traits": mean([float(len(group.relevant)) for group in groups]),
        "strength": mean([group.strength.value for group in groups]),
        "contraction": max(group.contraction.value or 0.0 for group in groups),
        "coverage": mean([group.coverage.value for group in groups]),
        "predicted_share": min(total, 1.0),
    }


def _of_group(group: GroupEstimate, beta: float, n: float, learners: Mapping[str, Learner]) -> dict[str, Any]:
    known = {
        "group": group.name,
        "rows": group.rows,
        "weight": group.weight,
        "n": n * group.weight,
        **_shown("edit_rate", group.edit_rate),
        **_shown("mean_cost", group.mean_cost),
        "traits": [trait.name for trait in group.relevant],
        **_shown("strength", group.strength),
        **_shown("contraction", group.contraction),
        **_shown("coverage", group.coverage),
        **_shown("gamma_min", group.gamma_min),
        "correlation": group.dependence.correlation,
        "correlation_p_value": group.dependence.p_value,
        "edited_traits": group.dependence.edited,
        "dispersion": group.dependence.dispersion,
        "estimates": [_of_trait(trait) for trait in group.traits],
    }
    if not group.relevant:
        return known | _without_world(learners)
    built = world_of(group, beta)
    found = {label: _prediction(learner, built, group) for label, learner in learners.items()}
    values = {label: one.at(n * group.weight) for label, one in found.items()}
    return (
        known
        | _of_world(built)
        | {
            "predicted": values,
            "limit": {label: one.limit for label, one in found.items()},
            "coefficient": {label: one.coefficient for label, one in found.items()},
            **contest(values),
            "reasons": {label: _reason(one) for label, one in found.items() if values[label] is None}
            | _unknown(group, values),
        }
    )


def _prediction(learner: Learner, built: LogWorld, group: GroupEstimate) -> Prediction:
    plain = isinstance(learner, Cost) and learner.cost_class == "linear" and float(learner.radius) == 0
    return log_costs.predicted(built, group) if plain else predicted(learner, built.world, None)


def _unknown(group: GroupEstimate, values: Mapping[str, float | None]) -> dict[str, str]:
    """Why a number of a group is missing."""
    reasons = {}
    if group.dependence.correlation is None:
        reasons["correlation"] = "no two traits are open in the same rows and left so in some"
    if contest(values)["lead"] is None:
        reasons["lead"] = "fewer than two learners have a prediction"
    return reasons


def _reason(found: Prediction) -> str:
    return found.reason or "no prediction"


def _without_world(learners: Mapping[str, Learner]) -> dict[str, Any]:
    nothing = dict.fromkeys(learners)
    names = ("form", "form_size", "shares", "weights", "left_out", "moved")
    return {
        **dict.fromkeys(names),
        "predicted": nothing,
        "limit": nothing,
        "coefficient": nothing,
        **contest({}),
        "reasons": {"predicted": NO_TRAIT},
    }


def _of_world(built: LogWorld) -> dict[str, Any]:
    return {
        "form": built.form.name,
        "form_size": built.form.size,
        "form_strengths": built.form.strengths.tolist(),
        "form_scores": {_form_name(form.name, form.size): form.score for form in built.forms},
        "shares": built.shares.tolist(),
        "weights": built.weights.tolist(),
        "left_out": list(built.left_out),
        "moved": built.moved,
    }


def _form_name(name: str, size: int | None) -> str:
    return f"subset of {size}" if name == "subset" else name


def _of_trait(trait: TraitEstimate) -> dict[str, Any]:
    names = ("share", "off", "on", "strength", "optimum", "contraction", "concentrability")
    shown = {"trait": trait.name, "counts": trait.table.tolist()}
    for name in names:
        shown |= _shown(name, getattr(trait, name))
    return shown | {"relevant": trait.relevant, "alternates": trait.alternates, "follows": trait.follows}


def _shown(name: str, measured: Measured) -> dict[str, Any]:
    return {name: measured.value, f"{name}_interval": [measured.low, measured.high]}


def _overall(groups: list[dict[str, Any]], learners: Mapping[str, Learner]) -> tuple[dict[str, Any], dict[str, str]]:
    """The mean over groups; groups in which no trait is edited add nothing to any learner."""
    active = [group for group in groups if group["traits"]]
    values: dict[str, float | None] = {}
    reasons: dict[str, str] = {} if active else {"predicted": NO_TRAIT}
    for label in learners:
        parts = [(group["weight"], group["predicted"][label]) for group in active]
        failed = next((group for group in active if group["predicted"][label] is None), None)
        values[label] = None if failed or not active else sum(weight * value for weight, value in parts)
        if failed:
            reasons[label] = f"group {failed['group']}: {failed['reasons'][label]}"
    return {"predicted": values, **contest(values)}, reasons


def contest(values: Mapping[str, float | None]) -> dict[str, Any]:
    """Winner, runner-up and lead (the runner-up's predicted SubOpt less the winner's) of `values` by learner."""
    ranked = sorted((value, label) for label, value in values.items() if value is not None)
    return {
        "winner": ranked[0][1] if ranked else None,
        "runner_up": ranked[1][1] if len(ranked) > 1 else None,
        "lead": ranked[1][0] - ranked[0][0] if len(ranked) > 1 else None,
    }


def table(predictions: list[dict[str, Any]]) -> pd.DataFrame:
    """`predictions`, as from `prediction`, a row per task and user: estimates, predicted SubOpt by learner, winner."""
    names = ("task", "training_user", "rows", "n", "edit_rate", "mean_cost", "strength", "contraction", "coverage")
    rows = [
        {name: one[name] for name in (*names, "traits", "temperature")}
        | one["predicted"]
        | {name: one[name] for name in ("winner", "runner_up", "lead")}
        for one in predictions
    ]
    return pd.DataFrame(rows)


def compare(predictions: list[dict[str, Any]], outcome: pd.DataFrame) -> pd.DataFrame:
    """Whether the learner that theory predicts to win is the one that won.

    Theory predicts SubOpt, which counts the distance from the reference too (Eq. 1), and the outcome is a cost: the
    order of learners may differ where the costs are close.

    Args:
        predictions: as from `prediction`.
        outcome: columns `task`, `training_user`, `method` (labels of learners), `mean_cost`, and `low` and `high`, the
            ends of its interval.

    Returns:
        A row per task and user of both: the learners compared, `predicted_winner`, `measured_winner`, `agrees`, `rank`
        of the predicted winner by measured cost (1 the best), `tied` (its interval reaches the best learner's mean or
        the other way round), Spearman's `rank_correlation` of predicted SubOpt and measured cost, and `reason` where
        a number is None.

    Raises:
        BadInput: missing columns, two costs of one method, a cost that is not finite.
    """
    wanted = ("task", "training_user", "method", "mean_cost", "low", "high")
    missing = [name for name in wanted if name not in outcome]
    if missing:
        raise BadInput(f"outcome: missing column {', '.join(missing)}; expected {', '.join(wanted)}")
    if outcome.duplicated(["task", "training_user", "method"]).any():
        raise BadInput("outcome: expected one row per task, training_user and method; average over seeds first")
    if not np.isfinite(outcome["mean_cost"].to_numpy(float)).all():
        raise BadInput("outcome: expected finite values of mean_cost; leave methods without one out")
    rows = [_compared(one, _measured(one, outcome)) for one in predictions]
    return pd.DataFrame([row for row in rows if row is not None], columns=list(_COLUMNS)).astype(object)


_COLUMNS = (
    "task", "training_user", "methods", "predicted_winner", "measured_winner", "agrees", "rank", "tied",
    "rank_correlation", "reason",
)  # fmt: skip


def _measured(one: dict[str, Any], outcome: pd.DataFrame) -> pd.DataFrame:
    here = (outcome["task"] == one["task"]) & (outcome["training_user"] == one["training_user"])
    return outcome[here].set_index("method")


def _compared(one: dict[str, Any], measured: pd.DataFrame) -> dict[str, Any] | None:
    if measured.empty:
        return None
    values = {
        label: value for label, value in one["predicted"].items() if value is not None and label in measured.index
    }
    row = {name: None for name in _COLUMNS} | {name: one[name] for name in ("task", "training_user")}
    row["methods"] = list(values)
    if len(values) < 2:
        return row | {"reason": "fewer than two learners are both predicted and measured"}
    costs, winner = measured.loc[list(values), "mean_cost"].astype(float), contest(values)["winner"]
    # Of several that cost the least, the predicted one is what theory is held against.
    best = winner if costs[winner] <= costs.min() else str(costs.idxmin())
    row |= {"predicted_winner": winner, "measured_winner": best, "agrees": bool(costs[winner] <= costs[best])}
    row |= {"rank": int((costs < costs[winner]).sum()) + 1, "tied": _tied(measured, winner, best)}
    if len(set(values.values())) < 2 or costs.nunique() < 2:
        return row | {"reason": "rank correlation: all predicted or all measured values are the same"}
    return row | {"rank_correlation": float(stats.spearmanr(list(values.values()), costs).statistic)}


def _tied(measured: pd.DataFrame, winner: str, best: str) -> bool:
    means = measured["mean_cost"].astype(float)
    return bool(float(measured.at[winner, "low"]) <= means[best] or means[winner] <= float(measured.at[best, "high"]))
