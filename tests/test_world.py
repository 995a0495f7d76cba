"""The functionals of a world against the slow reference, and the identities of the theory."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference as ref
from agreement import EPS, close

from sim.editors import DenseEditor
from sim.errors import BadInput
from sim.features import DenseFeatures, indicator_features
from sim.world import World, from_reference, log_optimum_of, plant

CASES = [(sizes, False) for sizes in ref.SIZES] + [(sizes, True) for sizes in ref.SIZES[:3]]


@pytest.fixture(
    scope="module", params=CASES, ids=lambda case: "X{}A{}d{}m{}".format(*case[0]) + ("-zeros" if case[1] else "")
)
def case(request):
    """A planted world, the arguments it was planted with, and a policy on its support."""
    sizes, zeros = request.param
    arguments = ref.world_arguments(7, *sizes, zeros=zeros)
    policy = ref.random_policy(np.random.default_rng(3), *sizes[:2]) * (arguments["optimal"] > 0)
    return plant(**arguments), arguments, policy / policy.sum(axis=1, keepdims=True)


def test_planted_world_is_that_of_the_equations(case):
    world, given, _ = case
    cost = ref.expected_cost(given["kernel"], given["distance"])
    assert (world.contexts, world.responses) == given["optimal"].shape
    assert world.policy_features.dimension == given["policy_features"].shape[2]
    assert world.cost_features.dimension == given["cost_features"].shape[2]
    close(world.expected_cost, cost)
    close(world.reference, ref.planted_reference(given["optimal"], cost, given["temperature"]))
    close(world.optimal, given["optimal"])


def test_functionals_agree_with_the_reference(case):
    world, given, policy = case
    rho, beta, pi = given["context_probs"], given["temperature"], jnp.asarray(policy)
    cost = ref.expected_cost(given["kernel"], given["distance"])
    reference = ref.planted_reference(given["optimal"], cost, beta)
    shifted = cost + 100.0
    close(world.expect(pi, jnp.asarray(shifted)), ref.expectation(rho, policy, shifted), scale=100)
    close(world.cost(pi), ref.expectation(rho, policy, cost))
    close(world.regularised_cost(pi), ref.regularised_cost(rho, policy, reference, cost, beta))
    close(world.suboptimality(pi), ref.suboptimality(rho, policy, reference, cost, beta))
    close(world.kl(pi, world.reference), ref.kl(rho, policy, reference))
    close(world.kl(world.reference, pi), ref.kl(rho, reference, policy))
    close(world.tv(pi, world.reference), ref.tv(rho, policy, reference))
    close(world.jeffreys(pi, world.optimal), ref.jeffreys(rho, policy, given["optimal"]))
    close(world.edited(pi), ref.edited(given["kernel"], policy))


def test_triples_agree_with_the_reference(case):
    world, given, _ = case
    cost = ref.expected_cost(given["kernel"], given["distance"])
    reference = ref.planted_reference(given["optimal"], cost, given["temperature"])
    table = np.random.default_rng(5).normal(size=given["kernel"].shape) + 2.0
    triple = (given["context_probs"], reference, given["kernel"])
    close(world.triple_law(), ref.triple_law(*triple))
    close(world.expect_triples(jnp.asarray(table)), ref.triple_expectation(*triple, table))
    close(np.sum(world.triple_law()), 1.0)


def test_editor_operations_agree_with_the_reference(case):
    _, given, policy = case
    editor = DenseEditor(jnp.asarray(given["kernel"]))
    values = np.random.default_rng(6).normal(size=policy.shape) - 4.0
    close(editor.push(jnp.asarray(policy)), ref.edited(given["kernel"], policy))
    close(editor.pull(jnp.asarray(values)), ref.pulled(given["kernel"], values))
    close(editor.pull_pairs(jnp.asarray(given["distance"])), ref.expected_cost(given["kernel"], given["distance"]))


def test_feature_operations_are_sums_over_cells(case):
    _, given, policy = case
    table = given["policy_features"]
    phi, cells = DenseFeatures(jnp.asarray(table)), list(np.ndindex(policy.shape))
    rng = np.random.default_rng(8)
    theta, root = rng.normal(size=table.shape[2]), rng.normal(size=(table.shape[2], table.shape[2]))
    matrix, pairs = root @ root.T, rng.normal(size=given["kernel"].shape)
    close(phi.pull(jnp.asarray(theta)), [[theta @ row for row in block] for block in table], scale=10)
    close(phi.push(jnp.asarray(policy)), sum(policy[i] * table[i] for i in cells), scale=10)
    gram = sum(policy[i] * np.outer(table[i], table[i]) for i in cells)
    close(phi.gram(jnp.asarray(policy)), gram, scale=100)
    mixed = sum(pairs[i] * np.outer(table[i[0], i[1]], table[i[0], i[2]]) for i in np.ndindex(pairs.shape))
    close(phi.pair_gram(jnp.asarray(pairs)), mixed, scale=1000)
    quadratic = [[row @ matrix @ row for row in block] for block in table]
    close(phi.quadratic(jnp.asarray(matrix)), quadratic, scale=1000)
    apart = table[:, None, :, :] - table[:, :, None, :]
    differences = np.array([apart[i] @ matrix @ apart[i] for i in np.ndindex(pairs.shape)]).reshape(pairs.shape)
    close(phi.pair_quadratic(jnp.asarray(matrix)), differences, scale=1000)


def test_centred_features_have_mean_zero_and_forget_translations(case):
    _, given, policy = case
    table, pi = given["policy_features"], jnp.asarray(policy)
    centred = DenseFeatures(jnp.asarray(table)).centred(pi)
    shift = np.arange(1.0, table.shape[2] + 1)
    for x, row in enumerate(policy):
        close(row @ np.asarray(centred.table)[x], np.zeros(table.shape[2]), scale=10)
    close(DenseFeatures(jnp.asarray(table + shift)).centred(pi).table, centred.table, scale=10)


def test_cost_features_default_to_one_indicator_per_pair():
    given = ref.world_arguments(7, 2, 5, 3, 7)
    del given["cost_features"]
    world = plant(**given)
    values = np.arange(10.0).reshape(2, 5) + 0.5
    np.testing.assert_array_equal(world.cost_features.pull(jnp.asarray(values.ravel())), values)
    np.testing.assert_array_equal(indicator_features(2, 5).table, world.cost_features.table)


@pytest.mark.parametrize("copies", [1, 2])
def test_cost_weights_are_the_least_squares_fit_of_least_norm(case, copies):
    """Also where the features are linearly dependent: every feature twice."""
    _, given, _ = case
    psi = np.concatenate([given["cost_features"]] * copies, axis=2)
    world = plant(**(given | {"cost_features": psi}))
    rows, cost = psi.reshape(-1, psi.shape[2]), ref.expected_cost(given["kernel"], given["distance"]).ravel()
    expected = np.linalg.pinv(rows, rcond=1e-10) @ cost
    # Least squares loses the square of the condition number of the features.
    tolerance = 64 * EPS * np.linalg.cond(rows[:, : psi.shape[2] // copies]) ** 2
    np.testing.assert_allclose(world.cost_weights, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_suboptimality_by_eq_1_is_beta_times_kl(case):
    world, given, policy = case
    pi = jnp.asarray(policy)
    gap = world.regularised_cost(pi) - world.regularised_cost(world.optimal)
    close(gap, given["temperature"] * ref.kl(given["context_probs"], policy, given["optimal"]))
    close(world.suboptimality(pi), gap)
    close(world.suboptimality(world.optimal), 0.0)


def test_suboptimality_is_never_negative(case):
    world, _, _ = case
    rng, optimal = np.random.default_rng(11), np.asarray(world.optimal)
    for scale in (0.0, EPS, 1e-12, 1e-8, 1e-2, 1.0):
        noisy = optimal * np.exp(scale * rng.normal(size=optimal.shape))
        assert float(world.suboptimality(jnp.asarray(noisy / noisy.sum(axis=1, keepdims=True)))) >= 0


@pytest.mark.parametrize("distance", [1e-3, 1e-5, 1e-7])
def test_small_divergences_are_not_lost_to_rounding(distance):
    world = plant(**ref.world_arguments(2, 2, 5, 3, 7))
    other = np.asarray(world.optimal)
    policy = other * (1 + distance * np.random.default_rng(4).normal(size=other.shape))
    exact = ref.exact_kl(np.asarray(world.context_probs), policy, other)
    # The summands (1 + t) log(1 + t) - t, about t^2 / 2, are differences of terms of size t.
    assert float(world.kl(jnp.asarray(policy), world.optimal)) == pytest.approx(exact, rel=16 * EPS / distance)


@pytest.mark.parametrize("small", [1e-100, 1e-300, 1e-305, 1e-307])
def test_kl_is_finite_while_the_other_policy_is_positive(small):
    world = plant(**ref.world_arguments(2, 1, 5, 3, 2))
    policy, other = np.array([[0.0, 1.0, 0.0, 0.0, 0.0]]), np.array([[1.0, small, 0.0, 0.0, 0.0]])
    close(world.kl(jnp.asarray(policy), jnp.asarray(other)), -math.log(small))


@pytest.mark.parametrize("sizes", ref.SIZES[:3])
def test_kl_is_at_most_jeffreys_and_jeffreys_at_most_tv_times_span(sizes):
    """Theory 1.3, in each context and on average."""
    world = plant(**ref.world_arguments(1, *sizes))
    rho, optimal = np.asarray(world.context_probs), np.asarray(world.optimal)
    for seed in range(20):
        policy = ref.random_policy(np.random.default_rng(seed), *sizes[:2])
        pi = jnp.asarray(policy)
        rows = list(zip(policy, optimal, strict=True))
        bound = sum(weight * ref.row_tv(*row) * ref.row_span(*row) for weight, row in zip(rho, rows, strict=True))
        kl, jeffreys = float(world.kl(pi, world.optimal)), float(world.jeffreys(pi, world.optimal))
        slack = 64 * EPS * max(1.0, bound)
        assert kl <= jeffreys + slack
        assert jeffreys <= bound + slack


def test_kl_and_tv_tell_their_arguments_apart():
    """Asymmetry of KL, symmetry of TV and Jeffreys, and the definite values of a hand-made pair."""
    given = ref.world_arguments(2, 2, 2, 3, 7) | {"context_probs": np.array([0.25, 0.75])}
    world = plant(**given)
    first, second = jnp.array([[0.5, 0.5], [0.1, 0.9]]), jnp.array([[0.25, 0.75], [0.1, 0.9]])
    forward = 0.25 * 0.5 * math.log(4 / 3)
    backward = 0.25 * (0.25 * math.log(0.5) + 0.75 * math.log(1.5))
    close(world.kl(first, second), forward)
    close(world.kl(second, first), backward)
    close(world.jeffreys(first, second), forward + backward)
    close(world.tv(first, second), 0.0625)
    close(world.tv(second, first), 0.0625)


def test_planting_then_from_reference_agree(case):
    world, given, policy = case
    given = {name: value for name, value in given.items() if name != "optimal"}
    again = from_reference(reference=np.asarray(world.reference), **given)
    close(again.reference, world.reference)
    close(again.optimal, world.optimal)
    close(again.expected_cost, world.expected_cost)
    close(again.suboptimality(jnp.asarray(policy)), world.suboptimality(jnp.asarray(policy)))


def test_from_reference_finds_the_optimum_of_eq_1(case):
    _, given, policy = case
    given = {name: value for name, value in given.items() if name != "optimal"}
    world = from_reference(reference=policy, **given)
    cost = ref.expected_cost(given["kernel"], given["distance"])
    close(world.optimal, ref.optimum(policy, cost, given["temperature"]))
    close(world.reference, policy)


def test_costs_that_differ_by_a_constant_per_context_have_the_same_optimum():
    rng = np.random.default_rng(9)
    reference, cost = ref.random_policy(rng, 3, 7), rng.uniform(size=(3, 7))
    shifted = cost + np.array([[300.0], [-300.0], [7.0]])
    first = jnp.exp(log_optimum_of(jnp.asarray(reference), jnp.asarray(cost), 0.7))
    close(jnp.exp(log_optimum_of(jnp.asarray(reference), jnp.asarray(shifted), 0.7)), first)
    close(first, ref.optimum(reference, cost, 0.7))


@pytest.mark.parametrize("tempering", [0.0, 0.3, 1.0])
def test_tempered_world(tempering):
    """Theory 2.5: pi_ref = mu exp(c ((1 - t) / beta + t)), so that pi* = mu exp(c t (1 - 1 / beta))."""
    given = ref.world_arguments(3, 2, 5, 3, 7)
    mu, beta = given["optimal"], given["temperature"]
    cost = ref.expected_cost(given["kernel"], given["distance"])
    world = plant(**given, tempering=tempering)
    reference = ref.planted_reference(mu, cost, beta, tempering)
    close(world.reference, reference)
    close(world.optimal, ref.optimum(reference, cost, beta))
    weights = mu * np.exp(cost * tempering * (1 - 1 / beta))
    close(world.optimal, weights / weights.sum(axis=1, keepdims=True))
    gap = world.regularised_cost(jnp.asarray(mu)) - world.regularised_cost(world.optimal)
    close(world.suboptimality(jnp.asarray(mu)), gap)


def test_tempering_changes_nothing_at_temperature_one():
    given = ref.world_arguments(3, 2, 5, 3, 7) | {"temperature": 1.0}
    close(plant(**given, tempering=1.0).optimal, given["optimal"])
    close(plant(**given, tempering=1.0).reference, plant(**given).reference)


def test_impossible_pairs_count_zero_whatever_their_value():
    world = plant(**ref.world_arguments(7, 2, 5, 3, 7, zeros=True))
    possible = np.asarray(world.context_probs)[:, None] * np.asarray(world.optimal) > 0
    assert not possible.all()
    for value in (np.inf, -np.inf, np.nan):
        close(world.expect(world.optimal, jnp.asarray(np.where(possible, 2.0, value))), 2.0)


def test_impossible_triples_count_zero_whatever_their_value():
    world = plant(**ref.world_arguments(7, 2, 5, 3, 7, zeros=True))
    possible = np.asarray(world.triple_law()) > 0
    assert not possible.all()
    for value in (np.inf, -np.inf, np.nan):
        close(world.expect_triples(jnp.asarray(np.where(possible, 2.0, value))), 2.0)


def test_policies_off_the_support_are_infinitely_suboptimal():
    given = ref.world_arguments(7, 2, 5, 3, 7)
    given["optimal"] = np.array([[0.0, 0.3, 0.2, 0.1, 0.4], [0.2, 0.1, 0.1, 0.5, 0.1]])
    world = plant(**given)
    uniform = jnp.full((2, 5), 1 / 5)
    assert float(world.suboptimality(uniform)) == math.inf
    assert float(world.regularised_cost(uniform)) == math.inf
    assert float(world.kl(world.optimal, uniform)) < math.inf
    assert float(world.jeffreys(uniform, world.optimal)) == math.inf


def test_impossible_contexts_do_not_count():
    given = ref.world_arguments(7, 2, 5, 3, 7) | {"context_probs": np.array([0.0, 1.0])}
    given["optimal"][0] = [0.0, 0.0, 0.0, 0.5, 0.5]
    world = plant(**given)
    policy = np.stack([[1.0, 0.0, 0.0, 0.0, 0.0], given["optimal"][1]])
    close(world.suboptimality(jnp.asarray(policy)), 0.0)
    close(world.tv(jnp.asarray(policy), world.optimal), 0.0)
    assert np.isfinite(float(world.regularised_cost(jnp.asarray(policy))))


@pytest.mark.parametrize("temperature", [1e-1, 1e-2, 1e-3, 1e-4])
def test_planting_holds_or_refuses_when_the_temperature_is_low(temperature):
    """exp(c / beta) must not push responses that pi* gives out of the reference policy."""
    given = ref.world_arguments(4, 2, 5, 3, 7) | {"temperature": temperature}
    try:
        world = plant(**given)
    except BadInput as error:
        assert "temperature" in str(error)
        return
    assert np.all(np.asarray(world.reference) > 0)
    close(jnp.exp(log_optimum_of(world.reference, world.expected_cost, temperature)), given["optimal"])


def test_world_is_a_pytree_for_jit_and_vmap():
    world = plant(**ref.world_arguments(7, 2, 5, 3, 7))
    policies = jnp.asarray([ref.random_policy(np.random.default_rng(i), 2, 5) for i in range(3)])
    batched = jax.jit(jax.vmap(World.suboptimality, in_axes=(None, 0)))(world, policies)
    close(batched, [world.suboptimality(policy) for policy in policies])
    assert world.reference.dtype == jnp.float64
