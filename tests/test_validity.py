"""Every bound in every shipped regime that meets its assumptions: violated no more often than delta."""

import numpy as np
import pytest

import sim
from bounds.compare import joined, verdicts
from sim import regimes

LOGS = 1000
FEWER = {"late-ensemble-random": ["world.world_seed=[0, 1, 2]"]}
"""Regimes with more worlds than one test can run, and which of them it does."""

SPOKEN_OF = {"sup": [], "pref": ['pref.link="balance"'], "cost": ["cost.radius=1.0"]}
"""The learners that bounds speak of, with the settings of which they do."""


def shipped_with_bounds() -> list[str]:
    tables = regimes.shipped()
    # No bound speaks of a mixture, of the paper's printed forms, or of plug-in cost.
    without = {"mixture", "double-reference", "unsquared-set"}
    return [name for name in tables if set(tables[name]["learners"]) & set(SPOKEN_OF) and name not in without]


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_with_bounds())
def test_bounds_hold_wherever_their_assumptions_do(name: str) -> None:
    table = regimes.shipped()[name]
    learners = [learner for learner in table["learners"] if learner in SPOKEN_OF]
    settings = [line for learner in learners for line in SPOKEN_OF[learner]]
    sizes = sorted({table["n"][0], min(table["n"], key=lambda n: abs(np.log(n / 1000)))})
    regime = regimes.load(
        name, [f"n={sizes}", f"seeds={LOGS}", f"learners={learners}", *settings, *FEWER.get(name, [])]
    )
    # The bounds speak of the fits; rounds after them would take the time.
    regime = regime.model_copy(update={"online": {}})
    found = verdicts(joined(sim.run(regime), regime), regime.delta)
    held = found[found["holds"]]
    assert len(held) and (held["logs"] == LOGS).all()
    # The one-sided binomial test of each cell; and, because these bounds are loose, not even the rate itself.
    assert held["valid"].all(), held[~held["valid"]]
    assert (held["violations"] <= held["logs"] * regime.delta).all()
