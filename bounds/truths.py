"""All that is exactly known of one world, as one flat table."""

import math
from typing import Any

import numpy as np

from bounds import contraction, coverage, realizability
from bounds.intervals import Interval
from sim.distances import largest
from sim.policies import log_linear
from sim.world import World

OFF_SUPPORT = "infinite: the policy gives responses that the optimum never gives"
NOT_COVERED = "infinite: the optimum gives responses that the reference never gives"
NOT_COMPARED = "infinite: policies of the log-linear class differ that no pair of response and edit tells apart"
SEARCHED = "no formula for this kernel: the interval's lower end was found by a search, its upper end is proved"
BETWEEN = "the table of the edit kernel is too large; the interval's two ends are exact"
NO_PRODUCT = "the table of the edit kernel is too large, and the optimum is no product of attributes"
_INFINITE = {"policy_concentrability": NOT_COVERED, "preference_coverage": NOT_COMPARED}


def truths(world: World) -> dict[str, Any]:
    """The exact numbers of a world: what `medley world --json` prints.

    A value that cannot be had is None, with the reason under `reasons`; where two ends enclose it, both exact, they
    are under its name and "_interval".  Lists are in context order.

    Args:
        world: any.

    Returns:
        SubOpt (Eq. 2), TV distance to pi* and J (Eq. 1) of pi_ref, SubOpt and TV distance of q∘pi_ref; by how much
        each assumption is violated (zero where it holds); C*, the bound on C_PREF and the contraction coefficients.

    Source: docs/theory.md 3, 4.4 and 4.6.
    """
    edited = world.edited(world.reference)
    known = contraction.coefficients(world)
    rungs = contraction.ladder(world, known)
    lower, upper = contraction.kl_coefficient_interval(world, known["dobrushin"].upper)
    edited_by, edited_bound = contraction.smallest_of(rungs)
    values: dict[str, Any] = {
        "contexts": world.contexts,
        "responses": world.responses,
        "temperature": float(world.temperature),
        "subopt_reference": float(world.suboptimality(world.reference)),
        "subopt_edited": float(world.suboptimality(edited)),
        "tv_reference": float(world.tv(world.reference, world.optimal)),
        "tv_edited": float(world.tv(edited, world.optimal)),
        "expected_cost_reference": float(world.cost(world.reference)),
        "expected_cost_optimal": float(world.cost(world.optimal)),
        "max_edit_cost": float(largest(world.distance)),
        "balance_violation": None,
        "stationarity_violation": contraction.stationarity_violation(world),
        "optimum_outside_class": realizability.log_linear_residual(world, np.asarray(world.optimal)),
        "edited_outside_class": realizability.log_linear_residual(world, np.asarray(edited)),
        "cost_outside_class": realizability.linear_cost_residual(world),
        "policy_concentrability": coverage.policy_concentrability(world),
        **dict.fromkeys(known),
        "kl_coefficient": upper.tolist() if np.array_equal(lower, upper) else None,
        "kl_coefficient_interval": np.stack([lower, upper], axis=1).tolist(),
        "preference_coverage": coverage.preference_coverage(world, log_linear(world)),
        "edited_bound": edited_bound,
        "edited_bound_by": edited_by,
    }
    infinite = [name for name, value in values.items() if isinstance(value, float) and not math.isfinite(value)]
    reasons = {name: _INFINITE.get(name, OFF_SUPPORT) for name in infinite}
    if edited_bound is None or "edited_bound" in infinite:
        values["edited_bound_by"] = None
        reasons["edited_bound"] = reasons["edited_bound_by"] = rungs[0].reason or OFF_SUPPORT
    if values["kl_coefficient"] is None:
        reasons["kl_coefficient"] = SEARCHED
    known["balance_violation"] = _largest(contraction.interval("balance_violation", world))
    values |= dict.fromkeys(infinite)
    for name, ends in known.items():
        values |= _named(name, ends)
        reasons |= {} if ends.exact else {name: _reason(ends)}
    return values | {"reasons": reasons}


def _largest(ends: Interval) -> Interval:
    """The ends of the largest of the numbers, one per context, as numbers."""
    return Interval(np.asarray(ends.lower.max()), np.asarray(ends.upper.max()))


def _named(name: str, ends: Interval) -> dict[str, Any]:
    if ends.exact:
        return {name: ends.upper.tolist()}
    finite = np.all(np.isfinite(ends.upper))
    return {name: None} | ({f"{name}_interval": np.stack(ends, axis=-1).tolist()} if finite else {})


def _reason(ends: Interval) -> str:
    return BETWEEN if np.all(np.isfinite(ends.upper)) else NO_PRODUCT


_ASSUMPTIONS = {
    "balance_violation": "balance, max |pi* q - (pi* q)^T|",
    "stationarity_violation": "stationarity, max |pi* q - pi*|",
    "optimum_outside_class": "log-linear class contains pi*, max log residual",
    "edited_outside_class": "log-linear class contains q∘pi_ref, max log residual",
    "cost_outside_class": "cost linear in its features, max residual",
}
_EXACT = 1e-9


def readable(values: dict[str, Any]) -> str:
    """The truths as text: numbers first, then each assumption with how far it is from holding."""
    reasons = values["reasons"]
    shown = {name: _shown(value, reasons.get(name, OFF_SUPPORT)) for name, value in values.items()}
    lines = [f"{name:26s} {text}" for name, text in shown.items() if name not in {*_ASSUMPTIONS, "reasons"}]
    lines += ["", "assumptions"]
    lines += [f"  {_verdict(name, values)}  {meaning}" for name, meaning in _ASSUMPTIONS.items()]
    lines += [f"{name}: {reason}" for name, reason in reasons.items()]
    return "\n".join(lines)


def _verdict(name: str, values: dict[str, Any]) -> str:
    """Whether an assumption holds, and its violation: of an interval, the end that tells, else the upper end."""
    lower, upper = values.get(f"{name}_interval") or [values[name]] * 2
    if upper is None:
        return f"unknown{'':8s}"
    verdict = "holds" if upper <= _EXACT else "fails" if lower > _EXACT else "open "
    return f"{verdict}  {lower if verdict == 'fails' else upper:9.2e}"


def _shown(value: Any, reason: str = "") -> str:
    if isinstance(value, list):
        return "  ".join(_nested(v) for v in value)
    if value is None:
        return "infinite" if reason.startswith("infinite") else "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _nested(value: Any) -> str:
    return f"[{', '.join(_nested(v) for v in value)}]" if isinstance(value, list) else _shown(value)
