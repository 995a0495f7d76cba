"""Self-consistent worlds (theory 2.3): the roots, and the worlds built on them."""

import math

import numpy as np
import pytest
import reference as ref
from agreement import EPS, close
from reference_families import balance_violation, default_log_odds

from sim import self_consistent
from sim.families import extras, world

THETA_REF = np.concatenate([np.linspace(-1.5, 1.5, 25), [-7.0, 9.0]])
SCALES = [0.3, 2.0, 2.5, 4.0, 11.0]


@pytest.mark.parametrize("a", SCALES)
def test_roots_solve_the_equation_and_none_is_missed(a):
    """theta = theta_ref + a tanh(theta / 2), against the sign changes on a fine grid."""
    found = self_consistent.roots(THETA_REF, a)
    assert found.shape == (len(THETA_REF), 3)
    for theta_ref, row in zip(THETA_REF, found, strict=True):
        roots = row[~np.isnan(row)]
        assert len(roots) in (1, 3) and np.isnan(row[len(roots) :]).all()
        assert np.abs(roots - theta_ref - a * np.tanh(roots / 2)).max() <= 64 * EPS * (1 + abs(theta_ref) + a)
        low, high = theta_ref - a - 0.1, theta_ref + a + 0.1
        points = np.linspace(low, high, 20_011)
        excess = points - a * np.tanh(points / 2) - theta_ref
        crossings = np.flatnonzero(np.sign(excess[:-1]) * np.sign(excess[1:]) <= 0)
        crossings = crossings[np.sign(excess[crossings]) != 0]
        assert len(roots) == len(crossings)
        assert (points[crossings] <= roots + 1e-4).all() and (roots - 1e-4 <= points[crossings + 1]).all()


@pytest.mark.parametrize(("a", "quoted"), [(2.5, 0.156), (4.0, 1.066)])
def test_three_roots_below_the_threshold_and_one_above(a, quoted):
    threshold = a * math.sqrt(1 - 2 / a) - 2 * math.acosh(math.sqrt(a / 2))
    assert round(threshold, 3) == quoted
    for side in (-1, 1):
        inside, outside = self_consistent.roots(side * threshold * np.array([1 - 1e-6, 1 + 1e-6]), a)
        assert not np.isnan(inside).any()
        assert np.isnan(outside[1:]).all()


@pytest.mark.parametrize("a", [0.3, 1.0, 2.0])
def test_one_root_where_the_cost_is_weak(a):
    assert np.isnan(self_consistent.roots(np.linspace(-2, 2, 41), a)[:, 1:]).all()


@pytest.mark.parametrize("a", SCALES)
def test_roots_mirror_with_the_reference(a):
    for up, down in zip(self_consistent.roots(THETA_REF, a), self_consistent.roots(-THETA_REF, a), strict=True):
        # At the critical point (a = 2, theta_ref = 0) a root is triple and fixed to the cube root of a rounding error.
        np.testing.assert_allclose(np.sort(-down), np.sort(up), rtol=0, atol=1e-9 if a != 2 else 1e-4)


def test_only_the_middle_root_repels_iteration():
    roots = self_consistent.roots(np.linspace(-1.0, 1.0, 11), 4.0)
    slope = 2.0 / np.cosh(roots / 2) ** 2
    assert (slope[:, 1] > 1).all() and (slope[:, [0, 2]] < 1).all()


def test_roots_keep_the_shape_of_their_input():
    theta_ref = np.arange(15.0).reshape(3, 5) / 10
    found = self_consistent.roots(theta_ref, 4.0)
    assert found.shape == (3, 5, 3)
    np.testing.assert_array_equal(found[2], self_consistent.roots(theta_ref[2], 4.0))


def test_extras_of_a_self_consistent_world_are_its_roots():
    listed = extras("self-consistent", {"temperature": 0.4, "world_seed": 2})["roots"]
    expected = self_consistent.roots(default_log_odds(scale=0.5, seed=2), 1 / 0.4)
    assert {len(roots) for context in listed for roots in context} == {1, 3}
    for x, k in np.ndindex(3, 4):
        np.testing.assert_array_equal(listed[x][k], expected[x, k][~np.isnan(expected[x, k])])
    assert extras("attributes", {}) == {}


@pytest.mark.parametrize("editor", ["redraw", "lazy", "subset"])
@pytest.mark.parametrize("strength", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("root", ["lower", "middle", "upper"])
def test_self_consistent_world_has_the_given_reference(root, strength, editor):
    found = world("self-consistent", root=root, strength=strength, user={"editor": editor})
    reference, cost = np.asarray(found.reference), np.asarray(found.expected_cost)
    close(reference, ref.attribute_policy(default_log_odds(scale=0.5)))
    close(found.optimal, ref.optimum(reference, cost, 0.25))
    assert balance_violation(found) <= 1e-14


def test_self_consistent_roots_are_different_worlds_where_there_are_three():
    """kappa / beta = 4: the log-odds of pi* are the roots, attribute by attribute."""
    roots = self_consistent.roots(default_log_odds(scale=0.5), 4.0)
    three = ~np.isnan(roots[..., 1])
    assert three.any()
    for column, root in enumerate(["lower", "middle", "upper"]):
        share = ref.marginals(np.asarray(world("self-consistent", root=root).optimal))
        expected = np.where(three, roots[..., column], roots[..., 0])
        close(np.log(share / (1 - share)), expected, tolerance=1e-11)


def test_self_consistent_world_with_single_roots():
    found = world("self-consistent", reference_scale=3.0, temperature=1.0, root="upper")
    assert np.isnan(self_consistent.roots(default_log_odds(scale=3.0), 1.0)[..., 1]).all()
    close(found.reference, ref.attribute_policy(default_log_odds(scale=3.0)))
