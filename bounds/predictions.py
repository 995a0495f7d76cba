"""Limit, coefficient, prediction and bounds of one learner in one world, as one flat table."""

import math
from typing import Any

from bounds import asymptotics, efficiency, of_learner
from bounds.asymptotics import Prediction
from bounds.who_wins import best_weight
from sim import checks, record_logs
from sim.learners import Early, Learner
from sim.policies import PolicyClass, log_linear
from sim.world import World


def predictions(
    learner: Learner,
    world: World,
    n: int | None = None,
    delta: float = 0.05,
    policies: PolicyClass | None = None,
) -> dict[str, Any]:
    """What `medley predict --json` prints.  A value that cannot be had is None, with the reason under `reasons`.

    Args:
        learner: with its settings; its ridge is left out (predictions are for ridge 0).
        world: the world of the log.
        n: the number of logged triples; None for limit and coefficient only.
        delta: the bounds hold with probability at least 1 - delta.
        policies: the class; default: log-linear in the world's policy features.

    Raises:
        BadInput: n below 1, delta outside (0, 1).
    """
    policies = log_linear(world) if policies is None else policies
    delta = checks.chance("delta", delta)
    found = asymptotics.predict(learner, world, policies)
    floor, no_floor = efficiency.efficiency_floor(world)
    values: dict[str, Any] = {
        "learner": learner.name,
        "limit": found.limit,
        "coefficient": found.coefficient,
        "status": found.status,
        "efficiency_floor": floor,
    }
    reasons = {name: found.reason for name in ("limit", "coefficient") if values[name] is None}
    reasons |= {"status": found.reason} if found.status != "ok" else {}
    reasons |= {"efficiency_floor": no_floor} if floor is None else {}
    if n is not None:
        values |= _at(found, learner, world, policies, int(checks.whole("n", n, 1)), delta)
        reasons |= {
            name: found.reason or "no normal limit, or a level too near 0 or 1"
            for name in ("predicted", "quantile", "best_lam", "best_lam_predicted")
            if name in values and values[name] is None
        }
    return values | {"reasons": reasons}


def _at(
    found: Prediction, learner: Learner, world: World, policies: PolicyClass, n: int, delta: float
) -> dict[str, Any]:
    bounds = of_learner.bounds_of(learner, world, policies, [n], delta)
    values: dict[str, Any] = {
        "n": n,
        "delta": delta,
        "predicted": found.at(n),
        "quantile": found.quantile(n, 1 - delta),
    }
    if isinstance(learner, Early):
        # Without a prediction at one weight there is none at another.
        nothing = found.limit is None and record_logs.needed(world)
        lam, predicted = (None, None) if nothing else best_weight(world, n, learner.link, policies)
        values |= {"best_lam": lam, "best_lam_predicted": predicted}
    return values | {"bounds": {name: _shown(found[0]) for name, found in bounds.items()}}


def _shown(bound: Any) -> dict[str, Any]:
    """A bound whose assumptions fail has no value here, but its terms and the reason."""
    reason = bound.why_not()
    return {
        "value": bound.value if reason is None else None,
        "terms": {name: _finite(term) for name, term in bound.terms.items()},
        "violations": {name: _finite(violation) for name, violation in bound.violations.items()},
        "reason": reason,
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def readable(values: dict[str, Any]) -> str:
    """The predictions as text: one line each, then the bounds with their terms."""
    reasons = values["reasons"]
    plain = [name for name in values if name not in ("bounds", "reasons")]
    lines = [f"{name:20s} {_text(values[name])}" + _because(reasons.get(name)) for name in plain]
    for name, bound in values.get("bounds", {}).items():
        terms = ", ".join(f"{term} {_text(value)}" for term, value in bound["terms"].items())
        lines.append(f"bound {name:14s} {_text(bound['value'])}" + _because(bound["reason"]) + f"  ({terms})")
    return "\n".join(lines)


def _because(reason: str | None) -> str:
    return f"  [{reason}]" if reason else ""


def _text(value: Any) -> str:
    return "none" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
