"""The structure of log-linear fits: blocks of parameters, groups of equal differences, small systems."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_learners as slow

import sim
from sim.learners import Early, Preference, Supervision, fit, fit_batch
from sim.learners.contract import EditLog
from sim.linear_solve import SMALL, TINY, solve_positive
from sim.log_linear import log_linear
from sim.newton import TOLERANCE
from sim.objectives import Objective

LEARNERS = {
    "sup": (Supervision(), {"preference": 0.0, "supervision": 1.0}),
    "pref": (Preference(), {"preference": 1.0, "supervision": 0.0}),
    "paper link": (Preference(link="paper"), {"preference": 1.0, "supervision": 0.0}),
    "early": (Early(0.3), {"preference": 1.0, "supervision": 0.3}),
}


def uneven_world(**given):
    return sim.world("attributes", **({"attributes": 3, "contexts": 2, "strength": 0.3, "world_seed": 4} | given))


# Structure


@pytest.mark.parametrize("attributes, contexts", [(1, 1), (2, 5), (4, 3)])
def test_attribute_worlds_fall_into_contexts_and_differences(attributes, contexts):
    policies = log_linear(uneven_world(attributes=attributes, contexts=contexts))
    assert policies.blocks.rows.shape == (contexts, 1, 2**attributes, attributes)
    np.testing.assert_array_equal(policies.blocks.place, np.arange(contexts * attributes))
    if attributes > 2:
        assert policies.groups.psi.shape == (1, (3**attributes - 1) // 2, attributes)
        assert policies.groups.offset.shape == (contexts, (3**attributes - 1) // 2)


def test_every_pair_is_in_the_group_of_its_difference():
    world = uneven_world()
    groups, phi = log_linear(world).groups, np.asarray(world.policy_features.table)
    member, number = np.asarray(groups.member).reshape(8, 8, -1), groups.psi.shape[1]
    for y, e in np.ndindex(8, 8):
        assert member[y, e].sum() == (y != e)
        if y != e:
            j = int(member[y, e].argmax())
            sign = 1.0 if j < number else -1.0
            for x in range(2):
                expected = phi[x, e] - phi[x, y]
                np.testing.assert_array_equal(sign * groups.psi[0, j % number], expected[3 * x : 3 * x + 3])
                offset = np.log(float(world.reference[x, e]) / float(world.reference[x, y]))
                np.testing.assert_allclose(sign * groups.offset[x, j % number], offset, atol=1e-12)


def test_where_the_reference_tells_equal_differences_apart_pairs_stay_single():
    assert log_linear(uneven_world(policy_interaction=0.7)).groups is None


def test_tabular_differences_are_all_distinct():
    policies = log_linear(sim.world("tabular", responses=5, contexts=4))
    assert policies.groups is None
    assert policies.blocks.rows.shape == (4, 1, 5, 4)


def test_contexts_that_share_a_parameter_are_one_problem():
    policies = log_linear(sim.world("tabular", responses=5, contexts=4, policy_dimension=3))
    assert policies.blocks.rows.shape == (1, 4, 5, 3)


def world_with_features(change):
    """A world of two contexts and two attributes whose policy features (X, A, 2) are changed in each context."""
    contexts, own = 2, 2
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) - 0.5
    features = np.zeros((contexts, 4, contexts * own))
    for x in range(contexts):
        features[x, :, own * x : own * (x + 1)] = change(corners, x)
    return sim.plant(**(slow.random_arrays(7, contexts, 4, 2, 2) | {"policy_features": features}))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda corners, x: corners, True),
        (lambda corners, x: corners[[2, 0, 3, 1]] if x else corners[:, ::-1], True),
        (lambda corners, x: corners + 3.0, True),
        (lambda corners, x: -corners, True),
        (lambda corners, x: 2 * corners, False),
        (lambda corners, x: corners[[0, 1, 1, 3]] if x else corners, False),
        (lambda corners, x: corners + 0.1 * corners[:, ::-1], False),
    ],
    ids=["plain", "permuted", "translated", "reflected", "longer", "a corner twice", "slanted"],
)
def test_responses_that_are_a_cube_are_found_whatever_their_order(change, expected):
    world = world_with_features(change)
    policies = log_linear(world)
    assert policies.blocks.on_cube == expected
    logs = sim.sample(world, 300, 3)
    plain = replace(policies, blocks=replace(policies.blocks, on_cube=False))
    for learner in (Supervision(), Early(0.3)):
        found, other = fit(learner, logs, world, policies), fit(learner, logs, world, plain)
        np.testing.assert_allclose(found.parameters, other.parameters, atol=1e-7)
        np.testing.assert_array_equal(found.status, other.status)


def test_a_cube_without_one_of_its_corners_is_none():
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) - 0.5
    arrays = slow.random_arrays(7, 1, 4, 2, 2, impossible=[(0, 3)])
    world = sim.plant(**(arrays | {"policy_features": corners[None]}))
    assert float(world.reference[0, 3]) == 0 and not log_linear(world).blocks.on_cube


def test_a_constant_feature_is_in_no_block():
    arrays = slow.random_arrays(7, 2, 4, 3, 2)
    features = np.zeros((2, 4, 5))
    features[0, :, [0, 3]], features[1, :, [1, 4]] = arrays["policy_features"][:, :, :2].transpose(0, 2, 1)
    features[:, :, 2] = 9.0
    world = sim.plant(**(arrays | {"policy_features": features}))
    policies = log_linear(world)
    assert policies.blocks.rows.shape == (2, 1, 4, 2)
    found = fit("sup", sim.sample(world, 90, 2), world)
    np.testing.assert_array_equal(found.parameters[:, 2], 0.0)
    assert np.all(found.parameters[:, [0, 1, 3, 4]] != 0)


# The same fits by every route


@pytest.mark.parametrize("name", LEARNERS)
def test_structured_fits_are_the_slow_ones(name):
    world, (learner, terms) = uneven_world(), LEARNERS[name]
    logs = sim.sample(world, 800, [3, 11])
    scale = float(world.temperature) if name == "paper link" else 1.0
    found = fit(learner, logs, world)
    for s in range(2):
        expected = slow.fit_log_linear(
            np.asarray(world.policy_features.table), np.asarray(world.reference), logs.counts[s], 1e-4,
            scale=scale, **terms,
        )  # fmt: skip
        np.testing.assert_allclose(found.parameters[s], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("place", ["grouped", "interacting", "tabular", "shared"])
def test_structured_fits_are_those_of_the_whole_table(name, place):
    world = {
        "grouped": lambda: uneven_world(),
        "interacting": lambda: uneven_world(policy_interaction=0.7),
        "tabular": lambda: sim.world("tabular", responses=5, contexts=4),
        "shared": lambda: sim.world("tabular", responses=5, contexts=4, policy_dimension=3),
    }[place]()
    learner, policies, table = LEARNERS[name][0], log_linear(world), sim.sample(world, 900, [5]).counts[0] / 900.0

    def whole(counts):
        objective = Objective(
            lambda t: learner.total(t, counts, world), lambda t: learner.derivatives(t, counts, world)
        )
        return policies.minimise(objective, jnp.asarray(1e-4))

    def structured(counts, policies):
        objective = Objective(
            lambda t: learner.total(t, counts, world),
            lambda t: learner.derivatives(t, counts, world),
            choices=learner.choices(counts, world),
        )
        return policies.minimise(objective, jnp.asarray(1e-4))

    expected = jax.jit(whole)(jnp.asarray(table))
    for classes in (policies, replace(policies, groups=None)):
        found = jax.jit(structured)(jnp.asarray(table), classes)
        assert bool(found.minimum.converged) and bool(found.minimum.finite)
        np.testing.assert_allclose(found.parameters, expected.parameters, rtol=0, atol=2e-7)
        np.testing.assert_allclose(found.minimum.value, expected.minimum.value, rtol=1e-12)
        # Of the last point evaluated, which may be a step of 1e-7 from the end.
        np.testing.assert_allclose(found.minimum.hessian, expected.minimum.hessian, rtol=0, atol=1e-6)
        assert 0 < float(found.certificate) < np.inf


def test_a_class_of_another_world_keeps_its_features_and_not_its_groups():
    world, other = uneven_world(), uneven_world(temperature=0.9)
    borrowed = log_linear(other)
    logs = sim.sample(world, 300, 3)
    assert borrowed.of_reference(other) is borrowed
    np.testing.assert_allclose(
        fit("pref", logs, world, borrowed).parameters, fit("pref", logs, world).parameters, rtol=0, atol=1e-7
    )


def test_worlds_of_one_shape_share_compiled_code():
    fit("pref", sim.sample(uneven_world(), 50, 7), uneven_world())
    before = fit_batch._cache_size()
    for given in ({"strength": 0.9}, {"temperature": 0.7}, {"world_seed": 8}):
        world = uneven_world(**given)
        for n in (40, 400):
            fit("pref", sim.sample(world, n, 7), world)
    assert fit_batch._cache_size() == before


def test_a_context_without_edits_leaves_the_others_alone():
    world = uneven_world()
    table = sim.sample(world, 500, [2]).counts[0]
    table[1] = np.diag(np.arange(8))
    log = EditLog(jnp.asarray(table, float), jnp.zeros(table.shape))
    found = Preference().fit(log, world, log_linear(world))
    np.testing.assert_allclose(found.parameters[3:], 0.0, atol=1e-12)
    assert np.all(np.abs(found.parameters[:3]) > 1e-3)
    assert float(found.certificate) < 1


# Small systems


@pytest.mark.parametrize("size", [0, 1, 2, TINY, TINY + 1, SMALL, SMALL + 1])
def test_positive_systems_are_solved_at_every_size(size):
    rng = np.random.default_rng(size)
    root = rng.normal(size=(3, size, size))
    matrix = root @ np.swapaxes(root, 1, 2) + np.diag(np.arange(1.0, size + 1))
    right = rng.normal(size=(3, size, 2))
    solution, log_det = jax.vmap(solve_positive)(jnp.asarray(matrix), jnp.asarray(right))
    np.testing.assert_allclose(matrix @ solution, right, rtol=0, atol=1e-10)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(matrix)[1], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("size", [2, TINY + 1, SMALL + 1])
def test_a_matrix_that_is_not_positive_gives_no_number(size):
    matrix = np.eye(size)
    matrix[-1, -1] = -1.0
    solution, log_det = solve_positive(jnp.asarray(matrix), jnp.ones((size, 1)))
    assert np.isnan(log_det) and np.isnan(np.asarray(solution)).any()


def test_the_tolerance_bounds_what_the_routes_may_differ_by():
    assert TOLERANCE**0.5 < 1e-8
