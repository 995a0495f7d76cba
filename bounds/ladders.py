"""Exact truths over grids of attribute worlds, a row per world: how editing contracts, and what the log covers.

Nothing is drawn and no learner is run.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bounds import contraction, coverage, divergences
from bounds.efficiency import efficiency_floor
from bounds.intervals import Interval
from bounds.of_learner import predicted
from sim import families, product_worlds
from sim.learners import Cost, Learner, Preference, Supervision
from sim.policies import log_linear
from sim.settings import Setting
from sim.world import World

STRENGTHS = (0.05, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
ATTRIBUTES = (1, 2, 3, 4, 6, 8, 10, 13)
"""Up to where every coefficient is known exactly (docs/theory.md 3.3)."""

RUNGS = ("gamma_min", "doeblin", "dobrushin", "dobrushin_kl", "tensorised", "second_eigenvalue")
RATES: dict[str, Learner] = {"sup": Supervision(), "pref": Preference(), "cost": Cost()}


def contraction_over(
    strengths: Sequence[float] = (0.5,), attributes: Sequence[int] = (4,), contexts: int = 3, world_seed: int = 0
) -> pd.DataFrame:
    """The contraction ladder of every strength and number of attributes (docs/theory.md 3), worst over contexts.

    With one context each world is the smaller one with attributes added.  The worlds are those of family `attributes`,
    by the factors of their kernels.

    Returns:
        A row per world: `strength`, `attributes`, `contexts`; the least `gamma_min` and `doeblin` and the greatest
        `dobrushin`, `kl_coefficient` and `second_eigenvalue` over contexts, empty where one is only known to lie
        between two ends; per rung of `RUNGS` its bound on SubOpt(q∘pi_ref) (`bound_NAME`); and `subopt_edited`, which
        the bounds are on, with `subopt_reference`.
    """
    grid = itertools.product(attributes, strengths)
    rows = [_contraction_row(_world(s, k, contexts, world_seed), s, k) for k, s in grid]
    return pd.DataFrame(rows)


def over_strength(strengths: Sequence[float] = STRENGTHS) -> pd.DataFrame:
    """`contraction_over` the strength of the user of the default world."""
    return contraction_over(strengths)


def over_attributes(attributes: Sequence[int] = ATTRIBUTES) -> pd.DataFrame:
    """`contraction_over` the number of attributes, of one context."""
    return contraction_over(attributes=attributes, contexts=1)


def coverage_over(
    strengths: Sequence[float] = STRENGTHS, attributes: int = 4, contexts: int = 3, world_seed: int = 0
) -> pd.DataFrame:
    """What the log covers, and the rates that follow, at every strength of the user of an attribute world.

    Returns:
        A row per world: `strength`, `attributes`, `contexts`; `policy_concentrability`, C* of the bound on cost
        learning (docs/theory.md 4.4), and `preference_coverage`, C_PREF of the bound on preference learning (4.3);
        `rate_LEARNER`, the predicted coefficient of 1/n in SubOpt (5.1 to 5.3), and `rate_floor`, the least of any
        regular estimator (5.6).
    """
    given: dict[str, Any] = {"attributes": attributes, "contexts": contexts, "world_seed": world_seed}
    return pd.DataFrame([_coverage_row(families.world("attributes", strength=s, **given), s) for s in strengths])


def _world(strength: float, attributes: int, contexts: int, world_seed: int) -> World:
    defaults = families.resolve("attributes", {})
    logits = np.random.default_rng(world_seed).normal(size=(contexts, attributes)) * defaults["preference_scale"]
    setting = Setting(strength, defaults["cost_scale"], defaults["temperature"], defaults["calibration"])
    return product_worlds.attribute_world(logits, setting, families.make_user({"editor": "redraw"}))


def _contraction_row(world: World, strength: float, attributes: int) -> dict[str, float]:
    known = contraction.coefficients(world)
    known["kl_coefficient"] = Interval(*contraction.kl_coefficient_interval(world, known["dobrushin"].upper))
    row: dict[str, float] = {"strength": strength, "attributes": attributes, "contexts": world.contexts}
    row |= {name: _worst(known[name], least) for name, least in _LEAST.items()}
    rungs = contraction.ladder(world, known)
    row |= {f"bound_{rung.name}": _number(rung.subopt_bound) for rung in rungs}
    return row | {"subopt_edited": _subopt(world, world.edited), "subopt_reference": _subopt(world, np.asarray)}


_LEAST = {
    "gamma_min": True,
    "doeblin": True,
    "dobrushin": False,
    "kl_coefficient": False,
    "second_eigenvalue": False,
}


def _worst(ends: Interval, least: bool) -> float:
    if not ends.exact:
        return np.nan
    return float(ends.lower.min() if least else ends.upper.max())


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _subopt(world: World, edited: Callable) -> float:
    # beta E_x KL, by NumPy: `World.suboptimality` would be compiled anew for every number of responses.
    apart = divergences.kl(np.asarray(edited(world.reference)), np.asarray(world.log_optimal))
    return float(world.temperature) * float(np.asarray(world.context_probs) @ apart)


def _coverage_row(world: World, strength: float) -> dict[str, float]:
    row: dict[str, float] = {"strength": strength, "attributes": world.responses.bit_length() - 1}
    row |= {"contexts": world.contexts, "policy_concentrability": coverage.policy_concentrability(world)}
    row["preference_coverage"] = coverage.preference_coverage(world, log_linear(world))
    row |= {f"rate_{name}": _number(predicted(learner, world, None).coefficient) for name, learner in RATES.items()}
    return row | {"rate_floor": _number(efficiency_floor(world)[0])}
