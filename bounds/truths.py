"""All that is exactly known of one world, as one flat table."""

import math
from typing import Any

import numpy as np

from bounds import contraction, coverage, realizability
from sim.world import World

OFF_SUPPORT = "infinite: the policy gives responses that the optimum never gives"
NOT_COVERED = "infinite: the optimum gives responses that the reference never gives"


def truths(world: World) -> dict[str, Any]:
    """The exact numbers of a world: what `medley world --json` prints.

    A value that cannot be had is None, with the reason under `reasons`.  Lists are in context order.
    """
    edited = world.edited(world.reference)
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
        "max_edit_cost": float(np.max(np.asarray(world.distance))),
        "balance_violation": contraction.balance_violation(world),
        "stationarity_violation": contraction.stationarity_violation(world),
        "optimum_outside_class": realizability.log_linear_residual(world, np.asarray(world.optimal)),
        "edited_outside_class": realizability.log_linear_residual(world, np.asarray(edited)),
        "cost_outside_class": realizability.linear_cost_residual(world),
        "policy_concentrability": coverage.policy_concentrability(world),
        "gamma_min": contraction.gamma_min(world).tolist(),
        "doeblin": contraction.doeblin(world).tolist(),
        "dobrushin": contraction.dobrushin(world).tolist(),
        "second_eigenvalue": contraction.second_eigenvalue(world).tolist(),
    }
    infinite = [name for name, value in values.items() if isinstance(value, float) and not math.isfinite(value)]
    reasons = {name: NOT_COVERED if name == "policy_concentrability" else OFF_SUPPORT for name in infinite}
    return values | dict.fromkeys(infinite) | {"reasons": reasons}


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
    lines = [f"{name:26s} {_shown(value)}" for name, value in values.items() if name not in {*_ASSUMPTIONS, "reasons"}]
    lines += ["", "assumptions"]
    for name, meaning in _ASSUMPTIONS.items():
        verdict = "holds" if values[name] <= _EXACT else "fails"
        lines.append(f"  {verdict}  {values[name]:9.2e}  {meaning}")
    lines += [f"{name}: {reason}" for name, reason in values["reasons"].items()]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "  ".join(_shown(v) for v in value) if not value or not isinstance(value[0], list) else str(value)
    if value is None:
        return "infinite"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
