"""The mixtures of policies: searched by each learner, against slow searches, and their recipe."""

import jax
import jax.numpy as jnp
import numpy as np
import policy_cases
import pytest
import reference_learners as slow
from policy_cases import BASIS, LOSSES, RIDGE, SHAPE, learned_cost, logs_of, objective_of, slow_loss
from scipy.optimize import minimize

from sim.learners import Cost, Status, Supervision, fit
from sim.policies import Mixture, mixture

world, tables, mixed = policy_cases.world, policy_cases.tables, policy_cases.mixed


def mix(weights, basis):
    """log pi_w, pi_w = sum_j w_j b_j."""
    policy = sum(w * b for w, b in zip(weights, basis, strict=True))
    return np.array([[np.log(p) if p > 0 else -np.inf for p in row] for row in policy])


def test_mixtures_are_the_slow_ones(mixed):
    logits = np.random.default_rng(57).normal(size=BASIS)
    np.testing.assert_allclose(mixed.weights(jnp.asarray(logits)), slow.softmax(logits), rtol=1e-14)
    expected = mix(slow.softmax(logits), np.asarray(mixed.basis))
    np.testing.assert_allclose(mixed.log_policy(jnp.asarray(logits)), expected, rtol=1e-13)
    only_last = mixed.log_policy(jnp.where(jnp.arange(BASIS) == BASIS - 1, 0.0, -jnp.inf))
    assert np.all(only_last[:, 3] == -np.inf)


def by_expectation_maximisation(basis, counts, steps=20_000):
    """The weights that maximise sum N(x, e) log pi_w(e|x): each demonstration is shared among the basis policies."""
    shown, weights = counts.sum(axis=1), np.full(len(basis), 1 / len(basis))
    for _ in range(steps):
        policy = np.tensordot(weights, basis, axes=1)
        weights = weights * np.sum(shown * basis / policy, axis=(1, 2)) / shown.sum()
    return weights


def test_supervised_mixture_is_that_of_expectation_maximisation(world, mixed, tables):
    found, basis = fit(Supervision(), logs_of(*tables), world, mixed), np.asarray(mixed.basis)
    assert set(found.status) == {Status.ok}
    on_the_edge = 0
    for s, table in enumerate(tables):
        weights, n = by_expectation_maximisation(basis, table), table.sum()
        on_the_edge += np.sum(weights < 1e-6)
        logits = np.log(np.maximum(weights, 1e-12))
        logits -= logits.mean()
        least = slow_loss("sup", world, mix(weights, basis), table)
        reached = slow_loss("sup", world, found.log_policy[s], table)
        # Nothing beats the optimum, and the ridge costs no more than at the optimum's own logits.
        assert -1e-12 <= reached - least <= RIDGE * logits @ logits / (2 * n)
        np.testing.assert_allclose(np.exp(found.log_policy[s]), np.exp(mix(weights, basis)), rtol=0, atol=1e-3)
    assert on_the_edge > 0


def test_supervised_mixture_meets_the_conditions_of_an_optimum(world, mixed, tables):
    found, basis = fit(Supervision(), logs_of(*tables), world, mixed), np.asarray(mixed.basis)
    for s, table in enumerate(tables):
        weights, n = np.array(slow.softmax(found.parameters[s])), table.sum()
        gain = np.sum(table.sum(axis=1) * basis / np.exp(found.log_policy[s]), axis=(1, 2)) / n
        # Stationary in the logits, ridge included; so no direction from the mixture gains more than the ridge holds.
        np.testing.assert_allclose(weights * (gain - 1), RIDGE * found.parameters[s] / n, rtol=0, atol=1e-9)
        assert np.all(gain[weights < 1e-4] < 1 + 1e-9)
        np.testing.assert_allclose(gain[weights > 0.01], 1, atol=RIDGE * np.abs(found.parameters[s]).max() / 0.01 / n)


@pytest.mark.parametrize("name", ["pref", "pref-paper", "early"])
def test_mixture_search_is_as_good_as_many_random_starts(name, world, mixed, tables):
    found, basis = fit(LOSSES[name][0], logs_of(*tables), world, mixed), np.asarray(mixed.basis)
    starts = np.random.default_rng(58).normal(scale=2.0, size=(7, BASIS))
    s, ridge = 1, RIDGE / (2 * tables[1].sum())

    def objective(logits):
        return slow_loss(name, world, mix(slow.softmax(logits), basis), tables[s]) + ridge * logits @ logits

    reached = [minimize(objective, start, method="L-BFGS-B").fun for start in starts]
    assert objective(found.parameters[s]) <= min(reached) + 1e-10
    np.testing.assert_allclose(objective(found.parameters[s]), min(reached), rtol=1e-5)
    assert set(found.status) == {Status.ok}


def test_mixture_of_learned_costs_minimises_the_regularised_cost(world, mixed, tables):
    found, basis = fit(Cost(1.0), logs_of(*tables), world, mixed), np.asarray(mixed.basis)
    reference, beta = np.asarray(world.reference), float(world.temperature)
    for s in (0, 2):
        contexts, f_bar = learned_cost(world, tables[s], found, s)

        def objective(weights, contexts=contexts, f_bar=f_bar):
            return slow.regularised_cost(mix(weights, basis), f_bar, reference, beta, contexts)

        simplex = {"type": "eq", "fun": lambda w: w.sum() - 1}
        even = np.full(BASIS, 1 / BASIS)
        searched = minimize(objective, even, method="SLSQP", bounds=[(0, 1)] * BASIS, constraints=simplex)
        assert searched.success
        reached = slow.regularised_cost(found.log_policy[s], f_bar, reference, beta, contexts)
        # The objective is convex in the weights; a ridge of 1e-4 / n on the logits costs less than 1e-5.
        assert abs(reached - searched.fun) < 1e-5
        assert reached < objective(even) - 1e-3
    assert set(found.status) == {Status.ok}


def test_mixture_search_follows_the_chain_rule(mixed):
    rng = np.random.default_rng(59)
    shown, roots = rng.uniform(size=SHAPE[:2]), rng.normal(size=(SHAPE[0], SHAPE[1], SHAPE[1]))
    curvature, ridge = jnp.asarray(roots @ roots.transpose(0, 2, 1)), 0.3

    def value(table):
        return -jnp.sum(shown * table) + 0.1 * jnp.einsum("xa,xab,xb->", table, curvature, table)

    def composed(logits):
        return value(mixed.log_policy(logits)) + 0.5 * ridge * logits @ logits

    found = jax.jit(lambda: mixed.minimise(objective_of(value), jnp.asarray(ridge)))()
    assert found.minimum.converged
    np.testing.assert_allclose(jax.jit(jax.grad(composed))(found.parameters), 0, atol=1e-8)
    np.testing.assert_allclose(found.minimum.hessian, jax.jit(jax.hessian(composed))(found.parameters), rtol=1e-9)
    np.testing.assert_allclose(found.minimum.value, composed(found.parameters), rtol=1e-13)


def test_several_local_minima_are_compared_and_their_spread_is_told():
    # p = 0.9 w + 0.1 (1 - w): -(p - 0.45)^2 has a minimum at each end, -0.2025 at w = 1 and -0.1225 at w = 0.
    two = Mixture(jnp.asarray([[[0.9, 0.1]], [[0.1, 0.9]]]))

    def objective(table):
        return -((jnp.exp(table[0, 0]) - 0.45) ** 2)

    found = jax.jit(lambda: two.minimise(objective_of(objective), jnp.asarray(1e-12)))()
    np.testing.assert_allclose(found.minimum.value, -0.2025, atol=1e-9)
    np.testing.assert_allclose(found.spread, 0.08, atol=1e-9)
    np.testing.assert_allclose(two.weights(found.parameters), [1, 0], atol=1e-9)


def test_mixture_recipe(world):
    kernel, policy = np.asarray(world.editor.kernel), np.asarray(world.reference)
    basis = np.asarray(mixture(world, BASIS).basis)
    assert basis.shape == (BASIS, *SHAPE[:2])
    for j in range(BASIS - 1):
        np.testing.assert_allclose(basis[j], policy, rtol=1e-12)
        policy = np.einsum("xy,xye->xe", policy, kernel)
    np.testing.assert_array_equal(basis[-1], world.optimal)
