"""Attribute worlds against theory 2 and 3, and the dials that take them out of their classes."""

import jax.numpy as jnp
import numpy as np
import pytest
import reference as ref
from agreement import close
from reference_families import balance_violation, cost_misfit, default_log_odds, hamming, policy_misfit

from sim.families import world

STRENGTHS = [1.0, 0.5, 0.1, 0.01]


# Attribute worlds (theory 2.2).


@pytest.mark.parametrize("strength", STRENGTHS)
def test_default_attribute_world_is_that_of_the_theory(strength):
    found = world("attributes", strength=strength)
    theta = default_log_odds()
    optimal, kernel = ref.attribute_policy(theta), ref.product_redraw(1 / (1 + np.exp(-theta)), strength)
    cost = ref.expected_cost(kernel, hamming(4) / strength)
    close(found.context_probs, np.full(3, 1 / 3))
    close(found.optimal, optimal)
    close(found.editor.kernel, kernel)
    close(found.distance, hamming(4) / strength)
    close(found.expected_cost, cost)
    close(found.reference, ref.planted_reference(optimal, cost, 0.5))
    assert float(found.temperature) == 0.5


def test_attribute_features_are_one_per_context_and_attribute():
    found, tuples = world("attributes", attributes=3, contexts=2), ref.responses_of(3)
    expected = np.zeros((2, 8, 2, 3))
    for x, y, k in np.ndindex(2, 8, 3):
        expected[x, y, x, k] = tuples[y][k] - 0.5
    np.testing.assert_array_equal(found.policy_features.table, expected.reshape(2, 8, 6))
    np.testing.assert_array_equal(found.cost_features.table[:, :, :6], expected.reshape(2, 8, 6))
    np.testing.assert_array_equal(found.cost_features.table[:, :, 6], np.ones((2, 8)))


SETTINGS = [
    {},
    {"strength": 0.1, "cost_scale": 0.3},
    {"attributes": 2, "contexts": 5, "world_seed": 4, "temperature": 1.0},
    {"attributes": 1, "contexts": 1},
    {"attributes": 0},
    {"calibration": "fixed-distance", "strength": 0.3},
    {"preference_scale": 0.0},
]


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_attribute_worlds_are_realisable(setting):
    """Assumption 2 and a linear cost; balance."""
    found = world("attributes", **setting)
    assert cost_misfit(found) <= 1e-12
    for policy in (found.optimal, found.reference, found.edited(found.reference)):
        assert policy_misfit(found, policy) <= 1e-12
    assert balance_violation(found) <= 1e-14


@pytest.mark.parametrize("editor", ["redraw", "lazy", "subset"])
@pytest.mark.parametrize("strength", STRENGTHS)
def test_fixed_cost_does_not_move_with_the_strength(strength, editor):
    strong, user = world("attributes", strength=1.0), world("attributes", strength=strength, user={"editor": editor})
    close(user.expected_cost, strong.expected_cost)
    close(user.optimal, strong.optimal)
    close(user.reference, strong.reference)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_weak_user_has_a_longer_distance_and_the_same_cost(size):
    """Delta = (kappa K / m) Hamming (theory 2.4)."""
    found = world("attributes", strength=1.0, cost_scale=0.7, user={"editor": "subset", "subset_size": size})
    close(found.distance, 0.7 * 4 / size * hamming(4))
    close(found.expected_cost, world("attributes", cost_scale=0.7).expected_cost)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_fixed_distance_scales_the_cost(strength):
    """Delta = kappa Hamming, c scales with s, and beta proportional to s keeps pi_ref."""
    strong = world("attributes", strength=1.0, calibration="fixed-distance", temperature=0.5)
    found = world("attributes", strength=strength, calibration="fixed-distance", temperature=0.5 * strength)
    close(found.distance, hamming(4))
    close(found.expected_cost, strength * np.asarray(strong.expected_cost))
    close(found.optimal, strong.optimal)
    close(found.reference, strong.reference)


@pytest.mark.parametrize(("strength", "variance", "digit"), [(1.0, 0.80, 0.01), (0.5, 2.7, 0.1), (0.1, 18, 1)])
def test_noise_of_the_observed_cost(strength, variance, digit):
    """The mean variances quoted in theory 2.2, to their last digit."""
    found = world("attributes", strength=strength)
    noise = ref.cost_variance(np.asarray(found.editor.kernel), np.asarray(found.distance))
    mean = ref.expectation(np.asarray(found.context_probs), np.asarray(found.reference), noise)
    assert abs(mean - variance) <= digit / 2


def test_contraction_seen_in_the_default_world():
    """The numbers at the end of theory 3, at s = 0.5."""
    found = world("attributes")
    kernel, optimal, reference = (np.asarray(a) for a in (found.editor.kernel, found.optimal, found.reference))
    gamma, dobrushin = ref.gamma_min(kernel, optimal), ref.dobrushin(kernel)
    assert (round(min(gamma), 3), round(max(gamma), 3)) == (0.007, 0.019)
    assert (round(min(dobrushin), 2), round(max(dobrushin), 2)) == (0.73, 0.78)
    close(ref.doeblin(kernel), np.full(3, 0.0625))
    rows = zip(ref.edited(kernel, reference), reference, optimal, strict=True)
    ratios = [ref.row_tv(after, best) / ref.row_tv(before, best) for after, before, best in rows]
    assert (round(min(ratios), 2), round(max(ratios), 2)) == (0.50, 0.56)
    ratio = float(found.suboptimality(found.edited(found.reference)) / found.suboptimality(found.reference))
    assert round(ratio, 2) == 0.27


@pytest.mark.parametrize("strength", STRENGTHS)
def test_kl_contracts_by_nearly_the_square_of_what_is_kept(strength):
    """(1 - s)^2 close to pi*, and at most 1 - s far from it (theory 3.6)."""
    found, rng = world("attributes", strength=strength), np.random.default_rng(1)
    for size in (1e-4, 1.0, 4.0):
        policy = jnp.asarray(ref.attribute_policy(default_log_odds() + size * rng.normal(size=(3, 4))))
        ratio = float(found.suboptimality(found.edited(policy)) / found.suboptimality(policy))
        if size == 1e-4:
            # The third derivative of KL over the second is of order one.
            assert abs(ratio - (1 - strength) ** 2) <= 10 * size
        assert ratio <= 1 - strength + 1e-12


# The dials of attribute worlds.


@pytest.mark.parametrize("editor", ["redraw", "lazy"])
def test_policy_interaction_adds_an_interaction_that_the_policy_features_miss(editor):
    found = world("attributes", policy_interaction=0.4, user={"editor": editor})
    signs = 2 * np.array(ref.responses_of(4)) - 1
    neighbours = [sum(s[k] * s[k + 1] for k in range(3)) for s in signs]
    weights = ref.attribute_policy(default_log_odds()) * np.exp(0.4 * np.array(neighbours))
    close(found.optimal, weights / weights.sum(axis=1, keepdims=True))
    close(found.distance, hamming(4) / 0.5)
    assert policy_misfit(found, found.optimal) > 0.1
    assert balance_violation(found) <= 1e-14


def test_policy_interaction_leaves_the_cost_of_a_lazy_user_in_its_class():
    assert cost_misfit(world("attributes", policy_interaction=0.4, user={"editor": "lazy"})) <= 1e-12


def test_cost_interaction_adds_to_the_distance_what_the_cost_features_miss():
    plain, found = world("attributes"), world("attributes", cost_interaction=0.4)
    np.testing.assert_array_equal(found.optimal, plain.optimal)
    np.testing.assert_array_equal(found.editor.kernel, plain.editor.kernel)
    close(found.distance, (hamming(4) + 0.4 * (hamming(4) >= 2)) / 0.5)
    assert cost_misfit(found) > 1e-3
    assert policy_misfit(found, found.optimal) <= 1e-12
    assert balance_violation(found) <= 1e-14


@pytest.mark.parametrize("setting", [{"attributes": 1}, {"attributes": 0}], ids=str)
def test_interactions_need_two_attributes(setting):
    plain, found = (
        world("attributes", **setting),
        world("attributes", **setting, policy_interaction=1.0, cost_interaction=1.0),
    )
    close(found.optimal, plain.optimal)
    close(found.expected_cost, plain.expected_cost)
