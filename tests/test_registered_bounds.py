"""Bounds of a user's own stand beside those that ship: in `bounds.bounds`, the predictions, and the rows of a run."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import bounds
import sim
from bounds import Bound, registered
from bounds.predictions import predictions
from sim import BadInput, regimes
from sim.learners import Cost, Early, Preference, Reference, Supervision
from sim.policies import log_linear, policy_list

WORLD = sim.world("attributes", attributes=2, contexts=2, strength=0.3)
PLUGIN = """
import bounds

def rate(learner, world, policies, n, delta):
    return bounds.Bound(n**-0.5, {"delta": delta}, {}) if learner.name in ("sup", "early") else None

bounds.register_bound("sup_rate", rate)
"""


def unchecked(*fields: object) -> Bound:
    """What a user's code may make of a bound, who has no type checker."""
    return Bound._make((*fields, None))


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registered, "_BOUNDS", {})
    yield


def rate(learner: sim.learners.Learner, world: sim.World, policies: object, n: int, delta: float) -> Bound | None:
    return None if learner.name == "pref" else Bound(delta / n, {"worlds": float(world.contexts)}, {})


def test_a_registered_bound_stands_beside_ours_for_the_learners_of_which_it_speaks() -> None:
    bounds.register_bound("rate", rate)
    policies = log_linear(WORLD)
    found = bounds.bounds(Supervision(), WORLD, policies, [10, 100], 0.05)
    assert [one.value for one in found["rate"]] == [0.005, 0.0005] and "sup_sharp" in found
    assert found["rate"][0].terms == {"worlds": 2.0} and found["rate"][0].holds
    for other in (Cost(), Early()):
        assert list(bounds.bounds(other, WORLD, policies, [10], 0.05)) == ["rate"]
    assert "rate" not in bounds.bounds(Preference(), WORLD, policies, [10], 0.05)
    assert "rate" not in bounds.bounds(Reference(), WORLD, policies, [10], 0.05)
    assert "rate" in bounds.bounds(Supervision(), WORLD, policy_list(WORLD, 8), [10], 0.05)


def test_predictions_print_it() -> None:
    bounds.register_bound("rate", rate)
    assert predictions(Supervision(), WORLD, 100)["bounds"]["rate"]["value"] == pytest.approx(0.0005)


@pytest.mark.parametrize("answer", [3.0, "raise"])
def test_what_goes_wrong_in_it_is_the_reason_for_no_value(answer: object) -> None:
    def wrong(*_: object) -> object:
        if answer == "raise":
            raise ZeroDivisionError("of mine")
        return answer

    bounds.register_bound("wrong", wrong)  # type: ignore[arg-type]
    found = bounds.bounds(Supervision(), WORLD, log_linear(WORLD), [10], 0.05)["wrong"][0]
    assert found.value == math.inf and not found.holds
    assert found.reason in ("ZeroDivisionError: of mine", "expected a bounds.Bound or None from it, got 3.0")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (unchecked("big", {}, {}), "could not convert"),
        (Bound(-1.0, {}, {}), "expected a value above 0, got -1"),
        (Bound(math.nan, {}, {}), "expected a value above 0, got nan"),
        (unchecked(1.0, {}, None), "AttributeError"),
        (unchecked(1j, {}, {}), "TypeError"),
        (SystemExit(0), "SystemExit"),
    ],
)
def test_what_is_no_number_is_the_reason_for_no_value(answer: object, reason: str) -> None:
    def wrong(*_: object) -> object:
        if isinstance(answer, SystemExit):
            raise answer
        return answer

    bounds.register_bound("wrong", wrong)  # type: ignore[arg-type]
    found = bounds.bounds(Supervision(), WORLD, log_linear(WORLD), [10], 0.05)["wrong"][0]
    assert found.value == math.inf and not found.holds and reason in (found.reason or "")


def test_numbers_of_numpy_are_numbers() -> None:
    bounds.register_bound("mine", lambda *_: unchecked(np.float32(2.0), {"a": np.float32(1.0)}, {}))
    value = predictions(Supervision(), WORLD, 100)["bounds"]["mine"]
    assert json.loads(json.dumps(value))["value"] == 2.0


def test_a_bound_may_be_silent_at_some_sizes() -> None:
    bounds.register_bound("late", lambda learner, world, policies, n, delta: Bound(1.0, {}, {}) if n > 50 else None)
    early, late = bounds.bounds(Supervision(), WORLD, log_linear(WORLD), [10, 100], 0.05)["late"]
    assert not early.holds and late.holds


@pytest.mark.parametrize("name", ["", "two words", "2nd", "mine_holds", "sup", "cost_gap"])
def test_names_that_cannot_be_columns_or_are_taken_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="bound"):
        bounds.register_bound(name, rate)


def test_a_plugin_adds_columns_and_a_verdict(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN)
    raw = {"n": [40, 90], "seeds": 3, "learners": ["sup", "pref"], "world": {"attributes": 2, "contexts": 2}}
    raw["world"]["family"] = "attributes"
    regime = regimes.resolve("mine", raw | {"plugins": ["mine.py"]}, tmp_path)
    table = bounds.joined(sim.run(regime), regime)
    sup = table["learner"] == "sup"
    np.testing.assert_allclose(table.loc[sup, "bound_sup_rate"], table.loc[sup, "n"] ** -0.5)
    # It speaks of every fit, also of those that left the ball of which ours do not.
    assert table.loc[sup, "bound_sup_rate_holds"].all() and table.loc[~sup, "bound_sup_rate"].isna().all()
    assert "sup_rate" in set(bounds.verdicts(table, 0.05)["bound"])
