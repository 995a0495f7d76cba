"""What a fit says of itself: separated logs, nothing to learn, edits outside the class, no ridge, no end."""

from dataclasses import dataclass, replace
from typing import ClassVar

import jax.numpy as jnp
import learner_cases
import numpy as np
import pytest
import reference_learners as slow
from learner_cases import (
    EVERY,
    IMPOSSIBLE,
    LANES,
    LOSSES,
    SHAPE,
    every_fit,
    every_learner,
    logs_of,
    make_world,
    only_ties,
    sampled,
    terms_of,
)

import sim
from sim.learners import Cost, Early, Preference, Status, Supervision, fit
from sim.learners.contract import PolicyLearner
from sim.newton import MAX_ITERATIONS
from sim.pytrees import pytree

world, gapped, tables = learner_cases.world, learner_cases.gapped, learner_cases.tables


# Separation


SMALL = (2, 5, 3, 7)
SMALL_LOGS = 29


def small_world(kind):
    impossible = ((0, 3), (1, 1)) if kind == "gapped" else ()
    arrays = slow.random_arrays(41, *SMALL, impossible=impossible)
    if kind == "ties":
        arrays["policy_features"] = np.random.default_rng(42).integers(-1, 2, size=SMALL[:3]).astype(float)
    if kind == "narrow":
        arrays["policy_features"] *= 1e-3
    return sim.plant(**arrays)


SEPARABLE = {
    "sup": (Supervision, {"supervision": True, "preference": False}),
    "pref": (Preference, {"supervision": False, "preference": True}),
    "early-0": (lambda ridge: Early(0.0, ridge=ridge), {"supervision": False, "preference": True}),
    "early-1": (lambda ridge: Early(1.0, ridge=ridge), {"supervision": True, "preference": True}),
}


SEPARATING = [
    ("random", 1e-4),
    ("random", 1.0),
    ("random", 1e-12),
    ("random", 0.0),
    ("ties", 1e-4),
    ("ties", 0.0),
    ("narrow", 1e-4),
    ("narrow", 1.0),
    ("gapped", 1e-4),
]


@pytest.mark.parametrize("kind, ridge", SEPARATING)
@pytest.mark.parametrize("name", SEPARABLE)
def test_separation_is_that_of_the_linear_program(name, kind, ridge):
    world = small_world(kind)
    build, compared = SEPARABLE[name]
    support = np.asarray(world.reference) > 0
    tables = [sim.sample(world, 3 + seed % 17, [seed]).counts[0] * support[:, None, :] for seed in range(SMALL_LOGS)]
    found = fit(build(ridge=ridge), logs_of(*tables), world)
    features = np.asarray(world.policy_features.table)
    expected = [
        Status.no_information
        if np.einsum("xyy->", table) == table.sum()
        else Status.separated
        if slow.has_no_minimiser(features, support, table, **compared)
        else Status.ok
        for table in tables
    ]
    np.testing.assert_array_equal(found.status, expected)
    assert {Status.ok, Status.separated} <= set(expected)


@pytest.mark.parametrize("temperature", [0.5, 1.5, 4.0])
@pytest.mark.parametrize("n", [10, 40])
def test_separation_under_a_link_of_any_scale_is_that_of_the_linear_program(temperature, n):
    world = sim.world("attributes", attributes=2, contexts=2, temperature=temperature, world_seed=3)
    drawn = sim.sample(world, n, 60)
    found = fit(Preference("paper"), drawn, world)
    features, support = np.asarray(world.policy_features.table), np.asarray(world.reference) > 0
    expected = [
        Status.no_information
        if np.einsum("xyy->", table) == table.sum()
        else Status.separated
        if slow.has_no_minimiser(features, support, table, supervision=False, preference=True)
        else Status.ok
        for table in drawn.counts
    ]
    np.testing.assert_array_equal(found.status, expected)
    assert Status.separated in expected


# Nothing to learn


@every_learner
def test_a_log_without_an_edit_leaves_the_reference(name, world, tables):
    found = fit(EVERY[name], logs_of(only_ties(tables[0]), *tables[1:]), world)
    assert found.status.tolist() == [Status.no_information] + 3 * [Status.ok]
    np.testing.assert_allclose(np.exp(found.log_policy[0]), world.reference, rtol=1e-14)
    assert found.suboptimality[0] > 1e-3


@every_learner
def test_a_user_of_strength_zero_gives_no_information(name):
    idle = make_world(1, kernel=np.broadcast_to(np.eye(SHAPE[1]), (SHAPE[0], SHAPE[1], SHAPE[1])))
    found = fit(EVERY[name], logs_of(*sampled(idle, 400, 401, 557, 997)), idle)
    assert np.all(found.status == Status.no_information)
    np.testing.assert_allclose(np.exp(found.log_policy), np.broadcast_to(idle.reference, (LANES, *SHAPE[:2])))
    np.testing.assert_allclose(found.suboptimality, 0, atol=1e-15)


@pytest.mark.parametrize("name", ["sup", "pref", "cost"])
def test_with_one_response_there_is_nothing_to_learn(name):
    for contexts in (1, 2) if name == "pref" else (1,):
        lonely = sim.world("tabular", responses=1, contexts=contexts)
        found = fit(EVERY[name], sim.sample(lonely, 13, 1), lonely)
        assert found.status.tolist() == [Status.no_information]
        assert (found.log_policy.tolist(), found.suboptimality.tolist()) == ([[[0.0]] * contexts], [0.0])


# Edits outside the class


@pytest.mark.parametrize("name", ["sup", "pref", "early"])
def test_edits_outside_the_class_are_left_out_and_reported(name, gapped):
    tables = sampled(gapped, 400, 401, 557, 997)
    usable = [table * (np.asarray(gapped.reference) > 0)[:, None, :] for table in tables]
    assert all(u.sum() < t.sum() for u, t in zip(usable, tables, strict=True))
    learner = replace(EVERY[name], ridge=30.0)
    found, without = (fit(learner, logs_of(*counts), gapped) for counts in (tables, usable))
    assert set(found.status) == {Status.outside_class}
    assert set(without.status) == {Status.ok}
    np.testing.assert_allclose(found.parameters, without.parameters, rtol=0, atol=1e-8)


def test_cost_uses_edits_to_responses_that_nobody_gives(gapped):
    table = sampled(gapped, 400)[0]
    found = fit(Cost(), logs_of(*[table] * LANES), gapped)
    psi, distance = np.asarray(gapped.cost_features.table), np.asarray(gapped.distance)
    weights, _ = slow.least_squares(psi, distance, slow.records_of(table), 1e-4)
    np.testing.assert_allclose(found.parameters[0], weights, rtol=0, atol=1e-9)
    assert found.status[0] == Status.ok
    assert all(found.log_policy[0, x, y] == -np.inf for x, y in IMPOSSIBLE)


# Without a ridge, and without an end


@every_fit
def test_without_a_ridge_the_fit_is_the_slow_minimiser(name, world, tables):
    found = fit(LOSSES[name][0](ridge=0.0), logs_of(*tables), world)
    features, reference = np.asarray(world.policy_features.table), np.asarray(world.reference)
    theta = slow.fit_log_linear(features, reference, tables[1], 0.0, **terms_of(name, world))
    np.testing.assert_allclose(found.parameters[1], theta, rtol=0, atol=1e-6)
    assert found.status[1] == Status.ok


@every_fit
@pytest.mark.parametrize("ridge", [0.0, 1e-8])
def test_redundant_features_change_no_policy(name, ridge, world, tables):
    table = slow.random_arrays(1, *SHAPE)["policy_features"]
    table[..., 5] = 1.7
    table[..., 6] = table[..., 0] - 2 * table[..., 3]
    redundant = make_world(1, policy_features=table)
    found = fit(LOSSES[name][0](ridge=ridge), logs_of(*tables), redundant)
    reference = np.asarray(world.reference)
    theta = slow.fit_log_linear(table[..., :5], reference, tables[1], 0.0, **terms_of(name, world))
    expected = np.exp(slow.log_linear(theta, table[..., :5], reference > 0))
    np.testing.assert_allclose(np.exp(found.log_policy[1]), expected, rtol=0, atol=1e-6)
    assert set(found.status) == {Status.ok}


def test_least_squares_without_a_ridge_says_when_it_is_undefined(world, tables):
    thin = np.zeros_like(tables[0])
    thin[1, 2, 3] = 5
    found = fit(Cost(ridge=0.0), logs_of(tables[0], thin, *tables[2:]), world)
    assert found.status.tolist() == [Status.ok, Status.not_finite, Status.ok, Status.ok]
    assert np.all(np.isfinite(found.suboptimality[[0, 2, 3]]))


@pytree
@dataclass(frozen=True)
class Endless(PolicyLearner):
    """A convex loss that falls for ever: Newton's step doubles each time."""

    ridge: float = 0.0
    name: ClassVar[str] = "endless"

    def settings(self):
        return {}

    def triple_loss(self, log_policy, world, context, response, edited):
        margin = log_policy[context, edited] - log_policy[context, response]
        return jnp.where(margin >= 0, -jnp.log1p(jnp.where(margin >= 0, margin, 0.0)), -margin)


def test_a_search_without_end_is_reported(world):
    one_way = np.zeros((*SHAPE[:2], SHAPE[1]))
    one_way[1, 2, 4] = 3
    found = fit(Endless(), logs_of(one_way), world)
    assert found.iterations.tolist() == [MAX_ITERATIONS]
    assert found.status.tolist() == [Status.iteration_limit]
