"""Families against theory 2, self-consistent worlds, and the world file."""

import gc
import math
from typing import Annotated

import jax.numpy as jnp
import numpy as np
import pytest
import reference as ref
from pydantic import Field

from sim import families, self_consistent, worldfile
from sim.errors import BadInput
from sim.families import FAMILIES, extras, grid, register_family, resolve, world
from sim.users import User
from sim.world import plant

EPS = np.finfo(float).eps
STRENGTHS = [1.0, 0.5, 0.1, 0.01]


def close(value, expected, tolerance=1e-12):
    np.testing.assert_allclose(np.asarray(value), expected, rtol=tolerance, atol=tolerance)


def default_log_odds(scale=1.5, seed=0, contexts=3, attributes=4):
    """theta of the head of the theory page."""
    return scale * np.random.default_rng(seed).normal(size=(contexts, attributes))


def hamming(attributes):
    tuples = ref.responses_of(attributes)
    return np.array([[sum(a != b for a, b in zip(y, e, strict=True)) for e in tuples] for y in tuples], dtype=float)


def residual(features, values, intercepts):
    """The largest misfit of values (X, A) by least squares in features (X, A, d), perhaps plus one per context."""
    values = np.asarray(values)
    contexts, responses = values.shape
    columns = np.asarray(features).reshape(contexts * responses, -1)
    if intercepts:
        columns = np.hstack([columns, np.repeat(np.eye(contexts), responses, axis=0)])
    solution = np.linalg.lstsq(columns, values.ravel(), rcond=None)[0]
    return float(np.abs(columns @ solution - values.ravel()).max())


def policy_misfit(world, policy):
    return residual(world.policy_features.table, np.log(policy), intercepts=True)


def cost_misfit(world):
    return residual(world.cost_features.table, world.expected_cost, intercepts=False)


def balance_violation(world, optimal=None):
    return ref.balance_violation(
        np.asarray(world.editor.kernel), np.asarray(world.optimal if optimal is None else optimal)
    )


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


@pytest.mark.parametrize("calibration", ["fixed-cost", "fixed-distance"])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_nobody_edits_at_strength_zero(family, calibration):
    setting = {} if family == "self-consistent" else {"calibration": calibration}
    found = world(family, strength=0.0, **setting)
    np.testing.assert_array_equal(found.editor.kernel, ref.lazy(np.asarray(found.optimal), 0.0))
    np.testing.assert_array_equal(found.expected_cost, np.zeros(found.optimal.shape))
    close(found.reference, found.optimal)
    if family == "attributes":
        np.testing.assert_array_equal(found.distance, hamming(4))


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


# Users in worlds.


FAMILY_NAMES = ["attributes", "tabular", "lowrank-cost"]


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("editor", ["lazy", "metropolis", "barker"])
def test_editors_balance_in_every_family(family, editor):
    found = world(family, user={"editor": editor})
    assert balance_violation(found) <= 1e-14
    assert ref.balance_violation(np.asarray(world(family).editor.kernel), np.asarray(found.optimal)) <= 1e-14


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("dial", ["cyclic", "other_optimum", "harmful"])
def test_dials_break_balance_and_keep_the_planted_optimum(family, dial):
    plain, broken = world(family), world(family, user={dial: 0.5})
    assert balance_violation(broken) > 1e-4
    close(broken.optimal, plain.optimal)
    cost = ref.expected_cost(np.asarray(broken.editor.kernel), np.asarray(broken.distance))
    close(ref.optimum(np.asarray(broken.reference), cost, float(broken.temperature)), broken.optimal)


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("tempered", [0.5, 1.0])
def test_tempered_user_balances_against_mu_and_not_against_the_optimum(family, tempered):
    """Theory 2.5: pi* is proportional to mu exp(c t (1 - 1 / beta))."""
    plain, found = world(family), world(family, user={"tempered": tempered})
    mu, beta = np.asarray(plain.optimal), float(found.temperature)
    assert balance_violation(found, mu) <= 1e-14
    assert balance_violation(found) > 1e-4
    weights = mu * np.exp(np.asarray(found.expected_cost) * tempered * (1 - 1 / beta))
    close(found.optimal, weights / weights.sum(axis=1, keepdims=True))


# Tabular worlds and worlds of a simple cost.


@pytest.mark.parametrize(
    "setting", [{}, {"responses": 13, "world_seed": 3, "cost_scale": 2.5}, {"responses": 2}], ids=str
)
@pytest.mark.parametrize("family", ["tabular", "lowrank-cost"])
def test_tabular_distance_is_a_metric(family, setting):
    distance = np.asarray(world(family, **setting).distance)
    np.testing.assert_array_equal(np.diag(distance), 0.0)
    np.testing.assert_array_equal(distance, distance.T)
    assert distance[~np.eye(len(distance), dtype=bool)].min() > 0
    for middle in range(len(distance)):
        through = distance[:, middle, None] + distance[None, middle]
        assert (distance <= through * (1 + 4 * EPS)).all()


@pytest.mark.parametrize("dimension", [0, 1, 3])
def test_tabular_worlds_are_realisable(dimension):
    found = world("tabular", responses=7, contexts=2, policy_dimension=dimension)
    assert found.policy_features.dimension == (dimension or 2 * 6)
    assert found.cost_features.dimension == 2 * 7
    assert policy_misfit(found, found.optimal) <= 1e-12
    assert cost_misfit(found) <= 1e-12
    assert balance_violation(found) <= 1e-14
    if dimension == 0:
        assert policy_misfit(found, found.edited(found.reference)) <= 1e-12


@pytest.mark.parametrize("editor", ["lazy", "metropolis", "barker"])
@pytest.mark.parametrize("dimension", [1, 3])
def test_lowrank_cost_is_linear_in_its_features(dimension, editor):
    found = world("lowrank-cost", responses=7, contexts=2, cost_dimension=dimension, user={"editor": editor})
    psi, cost = np.asarray(found.cost_features.table), np.asarray(found.expected_cost)
    assert psi.shape == (2, 7, dimension)
    assert np.linalg.matrix_rank(psi.reshape(14, dimension)) == dimension
    weights = np.zeros(dimension)
    weights[0] = cost.max()
    close(psi @ weights, cost)
    assert policy_misfit(found, found.reference) <= 1e-12


@pytest.mark.parametrize("family", ["tabular", "lowrank-cost"])
@pytest.mark.parametrize("setting", [{"responses": 1}, {"contexts": 1}, {"responses": 1, "contexts": 1}], ids=str)
def test_smallest_tabular_worlds(family, setting):
    found = world(family, **setting)
    close(np.sum(found.triple_law()), 1.0)
    assert np.isfinite(float(found.suboptimality(found.reference)))
    if "responses" in setting:
        np.testing.assert_array_equal(found.expected_cost, 0.0)


def test_world_seeds_make_worlds():
    for family in FAMILIES:
        first, again, other = (np.asarray(world(family, world_seed=seed).optimal) for seed in (0, 0, 1))
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - other).max() > 1e-3


# Self-consistent worlds (theory 2.3).


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


# Names and values.


REFUSED = [
    ("atributes", {}, "unknown world family 'atributes'; did you mean 'attributes'?"),
    ("low-rank-cost", {}, "did you mean 'lowrank-cost'?"),
    ("zzz", {}, "choose one of: attributes, lowrank-cost, self-consistent, tabular"),
    (
        "attributes",
        {"strenght": 0.5},
        "unknown parameter of world family 'attributes' 'strenght'; did you mean 'strength'?",
    ),
    ("tabular", {"attributes": 3}, "unknown parameter of world family 'tabular' 'attributes'"),
    ("attributes", {"user": {"editr": "lazy"}}, "unknown key of [user] 'editr'; did you mean 'editor'?"),
    ("attributes", {"user": {"editor": "redrew"}}, "unknown editor 'redrew'; did you mean 'redraw'?"),
    ("attributes", {"user": {"compose": "palindrom"}}, "user.compose: "),
    ("attributes", {"user": {"cyclic": 1.5}}, "user.cyclic: Input should be less than or equal to 1, got 1.5"),
    ("attributes", {"user": {"harmful": -0.1}}, "user.harmful: "),
    ("attributes", {"user": {"power": -1}}, "user.power: "),
    ("attributes", {"user": {"tempered": "yes"}}, "user.tempered: "),
    ("attributes", {"user": {"editor": "subset", "subset_size": 5}}, "subset_size: expected a number in [0, 4]"),
    ("tabular", {"user": {"editor": "subset"}}, "editor 'subset' needs an attribute world"),
    ("tabular", {"user": {"editor": "redraw"}}, "editor 'redraw' needs an attribute world"),
    ("attributes", {"strength": 1.5}, "strength: "),
    ("attributes", {"strength": -0.1}, "strength: "),
    ("attributes", {"strength": "0.5"}, "strength: "),
    ("attributes", {"strength": [0.5, 1.0]}, "strength: "),
    ("attributes", {"strength": math.nan}, "strength: "),
    ("attributes", {"attributes": 13}, "attributes: "),
    ("attributes", {"attributes": 2.5}, "attributes: "),
    ("attributes", {"attributes": -1}, "attributes: "),
    ("attributes", {"attributes": True}, "attributes: "),
    ("attributes", {"contexts": 0}, "contexts: "),
    ("attributes", {"cost_scale": 0.0}, "cost_scale: "),
    ("attributes", {"cost_scale": math.inf}, ""),
    ("attributes", {"temperature": 0.0}, "temperature: "),
    ("attributes", {"temperature": -1.0}, "temperature: "),
    ("attributes", {"temperature": math.nan}, "temperature: "),
    ("attributes", {"temperature": math.inf}, "temperature: "),
    ("attributes", {"preference_scale": -1.0}, "preference_scale: "),
    ("attributes", {"preference_scale": 1e4}, "lower the scale of the preferences"),
    ("tabular", {"preference_scale": 1e4}, "lower the scale of the preferences"),
    ("tabular", {"preference_scale": math.inf}, ""),
    ("attributes", {"world_seed": -1}, "world_seed: "),
    ("attributes", {"calibration": "fixed"}, "calibration: "),
    ("attributes", {"policy_interaction": -0.5}, "policy_interaction: "),
    ("tabular", {"responses": 0}, "responses: "),
    ("tabular", {"policy_dimension": -1}, "policy_dimension: "),
    ("lowrank-cost", {"cost_dimension": 0}, "cost_dimension: "),
    ("self-consistent", {"root": "left"}, "root: "),
    ("self-consistent", {"attributes": 0}, "attributes: "),
]


@pytest.mark.parametrize(("family", "given", "message"), REFUSED, ids=lambda value: str(value)[:50])
def test_unknown_names_and_bad_values_are_refused_in_one_line(family, given, message):
    with pytest.raises(BadInput) as caught:
        world(family, **given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_defaults_of_the_attribute_family():
    expected = {
        "attributes": 4, "contexts": 3, "strength": 0.5, "cost_scale": 1.0, "temperature": 0.5,
        "preference_scale": 1.5, "world_seed": 0, "calibration": "fixed-cost",
        "policy_interaction": 0.0, "cost_interaction": 0.0,
    }  # fmt: skip
    assert resolve("attributes", {}) == expected
    assert resolve("attributes", {"contexts": 5}) == expected | {"contexts": 5}


def test_whole_numbers_stand_for_floats_and_a_user_object_for_its_table():
    np.testing.assert_array_equal(
        world("attributes", strength=1).reference, world("attributes", strength=1.0).reference
    )
    table = {"editor": "barker", "cyclic": 0.2}
    np.testing.assert_array_equal(
        world("tabular", user=User(editor="barker", cyclic=0.2)).editor.kernel,
        world("tabular", user=table).editor.kernel,
    )


def test_registered_family_is_built_with_checked_parameters(monkeypatch):
    monkeypatch.setattr(families, "FAMILIES", dict(FAMILIES))

    def own(*, size: Annotated[int, Field(ge=2)] = 3, user: User):
        given = ref.world_arguments(1, 2, size, 2, 2)
        return plant(**given)

    register_family("own", own)
    assert world("own", size=5).responses == 5
    assert resolve("own", {}) == {"size": 3}
    with pytest.raises(BadInput, match="size: Input should be greater than or equal to 2, got 1"):
        world("own", size=1)
    with pytest.raises(BadInput, match="did you mean 'own'"):
        world("owm")


def test_grid_multiplies_the_lists_and_the_last_varies_fastest():
    cells = grid({"a": [1, 2], "b": "x", "c": [3, 4, 5]})
    assert cells == [{"a": a, "b": "x", "c": c} for a in (1, 2) for c in (3, 4, 5)]
    assert grid({}) == [{}]
    assert grid({"a": []}) == []


# The world file.


@pytest.fixture
def file_of(tmp_path):
    """Save arrays as a world file; None leaves one out."""

    def save(**arrays):
        path = tmp_path / "own.npz"
        np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
        return path

    return save


def arrays_of(sizes=(2, 5, 3, 7), zeros=False):
    """The arrays of a legal file with an optimum."""
    given = ref.world_arguments(6, *sizes, zeros=zeros)
    names = {"kernel": "edit_kernel", "distance": "edit_distance"}
    return {names.get(name, name): value for name, value in given.items()}


WORLDS = {
    "attributes": lambda: world("attributes", strength=0.3),
    "tabular": lambda: world("tabular", user={"editor": "barker", "cyclic": 0.1}),
    "tempered": lambda: world("tabular", user={"tempered": 1.0}),
    "lowrank-cost": lambda: world("lowrank-cost"),
    "self-consistent": lambda: world("self-consistent"),
    "random": lambda: plant(**ref.world_arguments(6, 3, 7, 2, 5)),
    "zeros": lambda: plant(**ref.world_arguments(6, 3, 7, 2, 5, zeros=True)),
    "one response": lambda: world("tabular", responses=1, contexts=1),
}


@pytest.mark.parametrize("name", WORLDS)
def test_world_file_gives_the_world_back(name, tmp_path):
    before = WORLDS[name]()
    worldfile.write(before, tmp_path / "own.npz")
    after = world(str(tmp_path / "own.npz"))
    policy = jnp.full((before.contexts, before.responses), 1 / before.responses)
    for functional in ("suboptimality", "regularised_cost", "cost", "edited"):
        for argument in (policy, before.reference):
            np.testing.assert_allclose(
                getattr(after, functional)(argument), getattr(before, functional)(argument), rtol=1e-12, atol=1e-14
            )
    for array in ("context_probs", "reference", "optimal", "expected_cost", "distance", "temperature"):
        np.testing.assert_allclose(getattr(after, array), getattr(before, array), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(after.editor.kernel, before.editor.kernel)
    np.testing.assert_array_equal(after.policy_features.table, before.policy_features.table)
    np.testing.assert_array_equal(after.cost_features.table, before.cost_features.table)


@pytest.mark.parametrize("zeros", [False, True])
def test_file_with_an_optimum_is_planted(file_of, zeros):
    given = arrays_of(zeros=zeros)
    found = world(str(file_of(**given)))
    cost = ref.expected_cost(given["edit_kernel"], given["edit_distance"])
    close(found.optimal, given["optimal"])
    close(found.reference, ref.planted_reference(given["optimal"], cost, given["temperature"]))


@pytest.mark.parametrize("zeros", [False, True])
def test_minimal_file_with_a_reference_gives_the_optimum_of_eq_1(file_of, zeros):
    given = arrays_of(zeros=zeros)
    reference = given.pop("optimal")
    del given["cost_features"]
    found = world(str(file_of(**given, reference=reference)))
    cost = ref.expected_cost(given["edit_kernel"], given["edit_distance"])
    close(found.reference, reference)
    close(found.optimal, ref.optimum(reference, cost, given["temperature"]))
    np.testing.assert_array_equal(found.cost_features.table, np.eye(10).reshape(2, 5, 10))


def both(tilt):
    """A file with both policies, whose optimum is off by a factor 1 +- tilt."""
    given = arrays_of()
    cost = ref.expected_cost(given["edit_kernel"], given["edit_distance"])
    reference = ref.planted_reference(given["optimal"], cost, given["temperature"])
    tilted = given["optimal"] * np.exp(tilt * np.array([1, -1, 0, 0, 0]))
    return given | {"optimal": tilted / tilted.sum(axis=1, keepdims=True), "reference": reference}


def test_file_with_both_policies_must_agree(file_of):
    close(world(str(file_of(**both(1e-10)))).optimal, arrays_of()["optimal"], tolerance=1e-9)
    with pytest.raises(BadInput, match=r"'optimal' and 'reference' disagree: .* leave one of them out"):
        world(str(file_of(**both(1e-6))))


BAD_FILES = [
    ({"edit_kernel": None}, "expected the array 'edit_kernel', which is missing"),
    ({"context_probs": None}, "expected the array 'context_probs', which is missing"),
    ({"temperature": None}, "expected the array 'temperature', which is missing"),
    ({"policy_features": None}, "expected the array 'policy_features', which is missing"),
    ({"edit_distance": None}, "expected the array 'edit_distance', which is missing"),
    ({"optimal": None}, "expected 'optimal' or 'reference'"),
    ({"edit_kernels": np.ones(1)}, "unknown array 'edit_kernels'; did you mean 'edit_kernel'?"),
    ({"context_probs": np.full(3, 1 / 3)}, "optimal: expected shape (3, any), got (2, 5)"),
    ({"edit_kernel": np.full((2, 3, 3), 1 / 3)}, "edit_kernel: expected shape (2, 5, 5), got (2, 3, 3)"),
    ({"edit_kernel": np.full((5, 5), 0.2)}, "edit_kernel: expected 3 axes, got shape (5, 5)"),
    ({"edit_kernel": np.full((2, 5, 5), 0.3)}, "edit_kernel: expected entries that sum to 1, got 1.5 in row (0, 0)"),
    ({"edit_distance": np.zeros((5, 5))}, "edit_distance: expected positive distances off the diagonal, got 0"),
    ({"edit_distance": np.ones((5, 5))}, "edit_distance: expected a zero diagonal"),
    ({"edit_distance": np.where(np.eye(5) > 0, 0, np.inf)}, "edit_distance: expected finite numbers"),
    ({"temperature": np.float64(0.0)}, "temperature: expected a number above 0, got 0"),
    ({"temperature": np.ones(2)}, "temperature: expected one number"),
    ({"temperature": np.array("warm")}, "temperature: expected one number"),
    ({"policy_features": np.ones((2, 5))}, "policy_features: expected 3 axes, got shape (2, 5)"),
    ({"policy_features": np.ones((5, 2, 3))}, "policy_features: expected shape (2, 5, any), got (5, 2, 3)"),
    ({"cost_features": np.ones((2, 5, 0))}, "cost_features: expected at least one feature"),
    ({"optimal": np.full((2, 5), "a")}, "optimal: expected numbers"),
    ({"optimal": np.full((2, 5), np.nan)}, "optimal: expected finite numbers"),
    ({"optimal": np.zeros((2, 5), dtype=[("a", float)])}, "optimal: expected"),
]


@pytest.mark.parametrize(("change", "message"), BAD_FILES, ids=[message[:60] for _, message in BAD_FILES])
def test_bad_file_is_refused_with_its_path_and_the_reason(file_of, change, message):
    path = file_of(**(arrays_of() | change))
    with pytest.raises(BadInput) as caught:
        world(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def assert_unreadable(path, message="not a readable .npz world file"):
    with pytest.raises(BadInput) as caught:
        world(str(path))
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert message in text
    assert "\n" not in text
    # A file that was left open warns when it is collected: here, not in whatever test comes next.
    del caught
    gc.collect()


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.3, 0.7, 0.999])
def test_truncated_file_is_refused(file_of, kept):
    path = file_of(**arrays_of())
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    assert_unreadable(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("place", [0.2, 0.5])
def test_damaged_file_is_refused(tmp_path, save, place):
    path = tmp_path / "own.npz"
    save(path, **arrays_of())
    content = bytearray(path.read_bytes())
    start = int(place * len(content))
    content[start : start + 64] = bytes(255 - byte for byte in content[start : start + 64])
    path.write_bytes(content)
    assert_unreadable(path, "")


@pytest.mark.parametrize("content", [b"not a zip at all", b"PK\x03\x04 nor this", b"\x80\x04N."])
def test_file_that_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "own.npz"
    path.write_bytes(content)
    assert_unreadable(path)


def test_array_file_under_the_wrong_name_is_refused(tmp_path):
    path = tmp_path / "own.npz"
    with path.open("wb") as file:
        np.save(file, np.ones((2, 5)))
    assert_unreadable(path)


def test_missing_file_and_folder_are_refused(tmp_path):
    assert_unreadable(tmp_path / "none.npz", "no such world file")
    (tmp_path / "folder.npz").mkdir()
    assert_unreadable(tmp_path / "folder.npz")


def test_pickled_arrays_are_refused(file_of):
    kernel = np.empty((2, 5, 5), dtype=object)
    kernel[...] = 0.2
    assert_unreadable(file_of(**(arrays_of() | {"edit_kernel": kernel})))


def test_file_holds_its_own_user_and_parameters(file_of):
    path = str(file_of(**arrays_of()))
    assert world(path, user=User()).responses == 5
    with pytest.raises(BadInput, match=r"remove the \[user\] settings"):
        world(path, user={"cyclic": 0.5})
    with pytest.raises(BadInput, match="strength"):
        world(path, strength=0.5)


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "own.npz"
    worldfile.write(world("tabular"), path)
    before = path.read_bytes()

    def fail(file, **_):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="disk full"):
        worldfile.write(world("attributes"), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
