"""Theory without a table of the edit kernel: against the same numbers with it, and at a million responses."""

import json
import math

import jax.numpy as jnp
import numpy as np
import product_cases
import pytest

import sim
from bounds import asymptotics, class_size, pessimism, without_kernel
from bounds.asymptotics import PessimisticPrediction, predict, without_table
from bounds.efficiency import efficiency_floor
from bounds.of_learner import bounds_of, predicted
from bounds.predictions import predictions
from sim.features import DenseFeatures
from sim.learners import Cost, Early, EditModel, Preference, Supervision
from sim.policies import LogLinear, log_linear

USERS = {
    "redraw": {},
    "lazy": {"editor": "lazy"},
    "subset": {"editor": "subset", "subset_size": 1, "power": 2},
    "other": {"other_optimum": 0.4, "harmful": 0.1},
    "tempered": {"tempered": 0.3},
}
every_user = pytest.mark.parametrize("user", USERS.values(), ids=USERS)


def both_worlds(user, attributes=3):
    made = (product_cases.product_world, product_cases.dense_world)
    return [build(2, attributes, 0.4, user) for build in made]


def assert_same(found, expected):
    np.testing.assert_allclose(found.limit, expected.limit, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.coefficient, expected.coefficient, rtol=1e-9)
    assert (found.status, found.reason) == (expected.status, expected.reason)
    for level in (0.05, 0.5, 0.95):
        np.testing.assert_allclose(found.quantile(300, level), expected.quantile(300, level), rtol=1e-6)


@pytest.mark.parametrize("ridge", [0.0, 0.7])
@pytest.mark.parametrize("user", [{}, {"power": 3}, {"other_optimum": 0.4}, {"tempered": 0.3}])
def test_supervision_is_predicted_as_from_all_triples(user, ridge):
    without, tables = both_worlds(user)
    expected = predict(Supervision(), tables, ridge=ridge)
    assert_same(without_table(Supervision(), without, ridge), expected)
    moments = without_table(Supervision(), without).moments
    for found, value in zip(moments, expected.moments, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-7, atol=1e-9)


@every_user
def test_plug_in_cost_is_predicted_as_from_all_triples(user):
    without, tables = both_worlds(user)
    assert_same(without_table(Cost(), without), predict(Cost(), tables))


@every_user
def test_the_noise_of_the_cost_is_that_of_the_table(user):
    without, tables = both_worlds(user)
    costs, distance = np.asarray(tables.expected_cost), np.asarray(tables.distance)
    expected = np.sum(tables.editor.dense() * (distance - costs[:, :, None]) ** 2, axis=2)
    for world in (without, tables):
        np.testing.assert_allclose(without_kernel.noise_variance(world), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("user", [{"editor": "lazy"}, {"editor": "subset", "subset_size": 1}])
def test_supervision_outside_the_class_has_no_prediction(user):
    found = without_table(Supervision(), product_cases.product_world(2, 3, 0.4, user))
    assert (found.limit, found.coefficient) == (None, None)
    assert found.reason.startswith("the log-linear class misses q∘pi_ref by")


@pytest.mark.parametrize("learner", [Preference(), Early(), EditModel(), Cost(optimum="paper")])
def test_what_needs_the_kernel_is_empty_with_the_reason(learner):
    found = without_table(learner, product_cases.product_world(2, 3, 0.4, {}))
    assert (found.limit, found.coefficient, found.reason) == (None, None, without_kernel.NO_KERNEL)


def test_the_price_of_pessimism_is_that_of_the_expected_log():
    without, tables = both_worlds({})
    for world in (without, tables):
        expected = predict(Cost(1.0), tables).at(500)
        found = predict(Cost(1.0), world)
        assert isinstance(found, PessimisticPrediction)
        np.testing.assert_allclose(found.at(500), expected, rtol=1e-9)


@every_user
def test_sizes_of_a_class_of_attributes_are_those_of_its_table(user):
    without, tables = both_worlds(user)
    for function in (class_size.ball_radius, pessimism._largest_paid):
        np.testing.assert_allclose(function(without), function(tables), rtol=1e-9)
    policies = log_linear(without)
    dense = LogLinear(DenseFeatures(policies.features.table), policies.support, None, None)
    largest = [class_size.largest_feature(without, one) for one in (policies, dense)]
    np.testing.assert_allclose(largest[0], largest[1], rtol=1e-12)


# A million responses.


@pytest.fixture(scope="module")
def large():
    return sim.world("attributes", attributes=20, contexts=2)


@pytest.mark.slow
def test_a_million_responses_have_the_coefficients_of_single_attributes(large):
    """Supervision: beta d / 2.  Cost: the prediction of each attribute alone adds up, but for what intercepts share."""
    assert predict(Supervision(), large).coefficient == pytest.approx(0.5 * 40 / 2, rel=1e-9)
    edited = float(large.suboptimality(large.edited(large.reference)))
    assert predict(Supervision(), large).limit == pytest.approx(edited, rel=1e-12)
    assert predicted(Supervision(), large, None).coefficient != predict(Supervision(), large).coefficient
    found = predict(Cost(), large)
    assert found.limit == 0 and math.isfinite(found.coefficient)


@pytest.mark.slow
def test_every_answer_about_a_million_responses_is_a_number_or_has_a_reason(large):
    for learner in (Supervision(), Preference(), Early(), Cost(), Cost(1.0), EditModel()):
        values = predictions(learner, large, 1000)
        json.dumps(values, allow_nan=False)
        empty = {name for name, value in values.items() if value is None}
        assert empty <= set(values["reasons"]) and all(values["reasons"].values())
        for bound in values["bounds"].values():
            assert bound["value"] is not None or bound["reason"]
    assert efficiency_floor(large) == (None, without_kernel.NO_KERNEL)


def test_bounds_that_need_no_kernel_are_those_of_the_table():
    """With eleven attributes, where the table of features fits."""
    world = sim.world("attributes", attributes=11, contexts=1)
    policies = log_linear(world)
    dense = LogLinear(DenseFeatures(policies.features.table), policies.support, None, None)
    for learner in (Supervision(), Preference()):
        found, expected = (bounds_of(learner, world, one, [1000], 0.05) for one in (policies, dense))
        for name, (bound,) in expected.items():
            assert found[name][0].value == pytest.approx(bound.value, rel=1e-9)


def test_baselines_are_exact(large):
    for name, policy in (("reference", large.reference), ("edited", large.edited(large.reference))):
        found = predicted(sim.make(name), large, None)
        assert (found.limit, found.coefficient) == (float(large.suboptimality(jnp.asarray(policy))), 0.0)


def test_asymptotics_asks_for_no_triples_of_a_large_world(large, monkeypatch):
    monkeypatch.setattr(asymptotics, "possible_triples", None)
    assert predict(Preference(), large).reason == without_kernel.NO_KERNEL
