"""Bad input to a world, refused in one line, and good input."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from agreement import EPS, close

from sim import checks
from sim.errors import BadInput
from sim.world import from_reference, plant

KERNEL = np.full((2, 3, 3), 1 / 3)
UNEQUAL = np.ones((3, 3)) - np.eye(3)
GOOD = {
    "context_probs": np.array([0.25, 0.75]),
    "optimal": np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]),
    "kernel": KERNEL,
    "distance": UNEQUAL,
    "temperature": 0.5,
    "policy_features": np.ones((2, 3, 4)),
    "cost_features": np.ones((2, 3, 5)),
}
BAD = [
    ({"context_probs": np.array([0.5, 0.6])}, "context_probs: expected entries that sum to 1, got 1.1"),
    ({"context_probs": np.array([1.5, -0.5])}, "context_probs: expected probabilities, got -0.5 at (1,)"),
    ({"context_probs": np.array([np.nan, 1.0])}, "context_probs: expected finite numbers, got 1"),
    ({"context_probs": np.array([[0.5, 0.5]])}, "context_probs: expected 1 axes, got shape (1, 2)"),
    ({"context_probs": np.ones(0)}, "context_probs: expected at least one entry"),
    ({"optimal": np.full((3, 3), 1 / 3)}, "optimal: expected shape (2, any), got (3, 3)"),
    ({"optimal": np.ones((2, 0))}, "optimal: expected at least one entry per axis, got shape (2, 0)"),
    ({"optimal": np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.2]])}, "in row (1,); normalise it"),
    ({"optimal": np.array([[0.2, 0.3, 0.5], [0.6, 0.5, -0.1]])}, "optimal: expected probabilities, got -0.1 at (1, 2)"),
    ({"optimal": np.array([[0.2, 0.3, 0.5], [0.6, 0.4, np.inf]])}, "optimal: expected finite numbers"),
    ({"kernel": np.full((2, 2, 2), 0.5)}, "edit_kernel: expected shape (2, 3, 3), got (2, 2, 2)"),
    ({"kernel": KERNEL[0]}, "edit_kernel: expected 3 axes, got shape (3, 3)"),
    ({"kernel": 2 * KERNEL}, "edit_kernel: expected entries that sum to 1, got 2 in row (0, 0)"),
    ({"distance": np.ones((3, 3))}, "edit_distance: expected a zero diagonal"),
    ({"distance": UNEQUAL * [1, 1, 0]}, "edit_distance: expected positive distances off the diagonal, got 0"),
    ({"distance": -UNEQUAL}, "edit_distance: expected positive distances off the diagonal, got -1"),
    ({"distance": np.where(UNEQUAL > 0, np.inf, 0)}, "edit_distance: expected finite numbers"),
    ({"distance": np.zeros((2, 2))}, "edit_distance: expected shape (3, 3), got (2, 2)"),
    ({"temperature": 0.0}, "temperature: expected a number above 0, got 0"),
    ({"temperature": -1.0}, "temperature: expected a number above 0, got -1"),
    ({"temperature": math.inf}, "temperature: expected a finite number"),
    ({"temperature": math.nan}, "temperature: expected a finite number"),
    ({"policy_features": np.ones((2, 3))}, "policy_features: expected 3 axes"),
    ({"policy_features": np.ones((3, 2, 4))}, "policy_features: expected shape (2, 3, any), got (3, 2, 4)"),
    ({"policy_features": np.ones((2, 3, 0))}, "policy_features: expected at least one feature"),
    ({"policy_features": np.full((2, 3, 4), np.nan)}, "policy_features: expected finite numbers, got 24"),
    ({"cost_features": np.ones((2, 4, 5))}, "cost_features: expected shape (2, 3, any), got (2, 4, 5)"),
    ({"cost_features": np.ones((2, 3, 0))}, "cost_features: expected at least one feature"),
    ({"tempering": 1.5}, "tempering: expected a number in [0, 1], got 1.5"),
    ({"tempering": -0.1}, "tempering: expected a number in [0, 1], got -0.1"),
    ({"tempering": math.nan}, "tempering: expected a finite number"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[message[:60] for _, message in BAD])
def test_plant_refuses_bad_input_in_one_line(change, message):
    with pytest.raises(BadInput) as caught:
        plant(**(GOOD | change))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


FROM_REFERENCE_BAD = [(change, text) for change, text in BAD if not {"optimal", "tempering"} & set(change)]


@pytest.mark.parametrize(
    ("change", "message"), FROM_REFERENCE_BAD, ids=[message[:60] for _, message in FROM_REFERENCE_BAD]
)
def test_from_reference_refuses_the_same(change, message):
    given = {name: value for name, value in (GOOD | change).items() if name != "optimal"}
    with pytest.raises(BadInput) as caught:
        from_reference(reference=GOOD["optimal"], **given)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "value", ["half", None, [[0.5, 0.5], [0.5]], np.array([[0.5 + 1j, 0.5]]), {"a": 1.0}, [[[0.5]]]]
)
def test_arrays_must_be_arrays_of_numbers(value):
    with pytest.raises(BadInput, match="optimal: expected"):
        checks.probabilities("optimal", value, 2)


@pytest.mark.parametrize("value", [[0.5], "0.5", True, None, np.ones(1), 0.5 + 0j])
def test_numbers_must_be_numbers(value):
    with pytest.raises(BadInput, match="temperature: expected one number"):
        checks.positive("temperature", value)


@pytest.mark.parametrize("value", [2, np.int64(2), 2.0, np.float32(2), np.array(2.0), jnp.array(2.0)])
def test_any_kind_of_number_is_a_number(value):
    number = checks.positive("temperature", value)
    assert number == 2.0 and type(number) is float


def test_from_reference_names_its_own_argument():
    given = {name: value for name, value in GOOD.items() if name != "optimal"}
    with pytest.raises(BadInput, match="reference: expected entries that sum to 1"):
        from_reference(reference=2 * GOOD["optimal"], **given)


def test_good_input_is_accepted_and_rescaled_to_sum_to_one():
    off = 1 + 0.5 * checks.SUM_TOLERANCE
    world = plant(**(GOOD | {"context_probs": GOOD["context_probs"] * off, "kernel": KERNEL * off}))
    assert abs(float(np.sum(world.context_probs)) - 1) <= 2 * EPS
    assert np.abs(np.sum(world.editor.kernel, axis=2) - 1).max() <= 2 * EPS
    close(world.triple_law().sum(), 1.0)
