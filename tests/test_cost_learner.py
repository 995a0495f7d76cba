"""The learner of costs: the linear and the listed class against slow ones, and how often its confidence sets cover."""

import jax
import jax.numpy as jnp
import learner_cases
import numpy as np
import pytest
import reference_learners as slow
from learner_cases import SHAPE, cost_features_with, expected_cost, logs_of
from scipy.optimize import minimize
from scipy.stats import binomtest

import sim
from sim.learners import Cost, fit
from sim.learners.cost import cost_list
from sim.policies import log_linear

world, tables = learner_cases.world, learner_cases.tables


# Linear costs


def least_norm(world):
    rows = np.asarray(world.cost_features.table).reshape(-1, world.cost_features.dimension)
    return float(np.linalg.norm(np.linalg.pinv(rows) @ np.asarray(world.expected_cost).ravel()))


COSTS = {
    "plug-in": {"radius": 0.0},
    "radius": {"radius": 1.0},
    "half": {"radius": 0.5, "delta": 0.3, "ridge": 2.0},
    "c_max": {"radius": 1.0, "c_max": 4.0},
    "all": {"radius": 1.0, "c_max": 4.0, "noise_bound": 0.2, "weight_bound": 9.0, "ridge": 3.0},
}


@pytest.mark.parametrize("name", COSTS)
def test_linear_cost_is_the_slow_one(name, world, tables):
    given = COSTS[name]
    ridge, delta = given.get("ridge", 1e-4), given.get("delta", 0.05)
    noise = given.get("noise_bound", given.get("c_max", float(world.distance.max())) / 2)
    found = fit(Cost(**given), logs_of(*tables), world)
    psi, distance, reference = (np.asarray(a) for a in (world.cost_features.table, world.distance, world.reference))
    for s in (0, 2):
        weights, gram = slow.least_squares(psi, distance, slow.records_of(tables[s]), ridge)
        bound = given.get("weight_bound", least_norm(world))
        alpha = given["radius"] * slow.confidence_radius(gram, ridge, delta, noise, bound)
        f_bar = slow.pessimistic_cost(weights, gram, alpha, psi)
        policy = [slow.softmax(np.log(reference[x]) - f_bar[x] / float(world.temperature)) for x in range(SHAPE[0])]
        bonus = float(world.expect(world.optimal, jnp.asarray(f_bar - psi @ weights)))
        np.testing.assert_allclose(found.parameters[s], weights, rtol=0, atol=1e-9)
        np.testing.assert_allclose(found.notes["confidence_radius"][s], alpha, rtol=1e-10)
        np.testing.assert_allclose(found.notes["bonus"][s], bonus, rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(np.exp(found.log_policy[s]), policy, rtol=1e-9)


def test_pessimism_without_a_ridge_is_refused():
    with pytest.raises(sim.BadInput, match="ridge"):
        Cost(1.0, ridge=0.0)


def test_cost_loss_is_half_the_squared_error_and_its_sum_is_stationary_at_the_fit(world, tables):
    learner, weights = Cost(ridge=0.7), fit(Cost(ridge=0.7), logs_of(*tables), world).parameters[0]
    x, y, e = (jnp.asarray(column) for column in np.nonzero(tables[0]))

    def total(w):
        losses = jax.vmap(lambda x, y, e: learner.loss(w, world, log_linear(world), x, y, e))(x, y, e)
        return tables[0][x, y, e] @ losses + 0.5 * learner.ridge * w @ w

    np.testing.assert_allclose(jax.grad(total)(jnp.asarray(weights)), 0, atol=1e-9)
    residual = float(world.distance[1, 4] - world.cost_features.table[2, 1] @ weights)
    one = learner.loss(jnp.asarray(weights), world, log_linear(world), *(jnp.asarray(i) for i in (2, 1, 4)))
    np.testing.assert_allclose(one, residual**2 / 2, rtol=1e-12)


def test_the_policy_of_learned_costs_minimises_the_regularised_cost(world, tables):
    psi, reference, beta = (np.asarray(a) for a in (world.cost_features.table, world.reference, world.temperature))
    found = fit(Cost(1.0), logs_of(*tables), world)
    _, gram = slow.least_squares(psi, np.asarray(world.distance), slow.records_of(tables[1]), 1e-4)
    f_bar = slow.pessimistic_cost(found.parameters[1], gram, found.notes["confidence_radius"][1], psi)
    contexts = tables[1].sum(axis=(1, 2)) / tables[1].sum()

    def objective(scores):
        log_policy = np.log([slow.softmax(row) for row in scores.reshape(reference.shape)])
        return slow.regularised_cost(log_policy, f_bar, reference, beta, contexts)

    least = objective(found.log_policy[1])
    rng = np.random.default_rng(12)
    for size in (1e-3, 0.1, 3.0):
        for direction in rng.normal(size=(7, *reference.shape)):
            assert objective(found.log_policy[1] + size * direction) > least
    searched = minimize(objective, np.log(reference).ravel(), method="L-BFGS-B", options={"ftol": 1e-14})
    np.testing.assert_allclose(searched.fun, least, rtol=1e-7)


# Lists of costs


LIST_SIZE = 7
LISTS = {
    "plug-in": {"radius": 0.0},
    "radius": {"radius": 1.0},
    "tenth": {"radius": 0.1**0.5, "delta": 0.5},
}


@pytest.mark.parametrize("name", LISTS)
def test_version_space_is_the_slow_one(name, world, tables):
    found = fit(Cost(**LISTS[name], cost_class="list", size=LIST_SIZE), logs_of(*tables), world)
    costs, distance, reference = np.asarray(cost_list(world, LIST_SIZE)), world.distance, np.asarray(world.reference)
    log = np.log(LIST_SIZE / LISTS[name].get("delta", 0.05))
    squared = LISTS[name]["radius"] ** 2 * 2 * float(distance.max()) ** 2 * log
    for s in (0, 3):
        best, members = slow.version_space(costs, np.asarray(distance), slow.records_of(tables[s]), squared)
        f_bar = costs[members].max(axis=0)
        policy = [slow.softmax(np.log(reference[x]) - f_bar[x] / float(world.temperature)) for x in range(SHAPE[0])]
        bonus = float(world.expect(world.optimal, jnp.asarray(f_bar - costs[best])))
        assert found.parameters[s] == [best]
        np.testing.assert_allclose(found.notes["confidence_radius"][s] ** 2, squared, rtol=1e-12)
        np.testing.assert_allclose(found.notes["bonus"][s], bonus, rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(np.exp(found.log_policy[s]), policy, rtol=1e-9)
        assert LISTS[name]["radius"] < 0.5 or 1 < len(members)


def test_a_declared_bound_scales_the_version_space(world, tables):
    wide = fit(Cost(1.0, c_max=10.0, cost_class="list", size=LIST_SIZE), logs_of(*tables), world)
    np.testing.assert_allclose(wide.notes["confidence_radius"] ** 2, 200 * np.log(LIST_SIZE / 0.05), rtol=1e-12)


def test_the_list_of_costs_holds_the_truth_first_and_distinct_others(world):
    costs = np.asarray(cost_list(world, 13))
    assert costs.shape == (13, *SHAPE[:2])
    np.testing.assert_array_equal(costs[0], world.expected_cost)
    np.testing.assert_array_equal(costs, cost_list(world, 13))
    psi = np.asarray(world.cost_features.table).reshape(-1, SHAPE[3])
    for other in costs[1:]:
        apart = (other - costs[0]).ravel()
        np.testing.assert_allclose(psi @ np.linalg.lstsq(psi, apart)[0], apart, atol=1e-12)
        assert 0 < np.sqrt(np.mean(apart**2)) <= 0.5 * np.std(costs[0]) * (1 + 1e-12)


# Coverage


COVERAGE_SHAPE = (2, 3, 2, 5)
COVERAGE_LOGS = 2003


def coverage_world(kind):
    arrays = slow.random_arrays(21, *COVERAGE_SHAPE)
    if kind == "noisy":
        # Every edit costs the same, and some half of the responses are edited: bounded costs hardly vary more.
        edited = np.random.default_rng(22).uniform(0.2, 0.8, size=(2, 3, 1))
        arrays["kernel"] = np.where(np.eye(3, dtype=bool), 1 - edited, edited / 2)
        arrays["distance"] = 1.0 - np.eye(3)
    cost = expected_cost(arrays["kernel"], arrays["distance"])
    return sim.plant(**arrays | {"cost_features": cost_features_with(cost, COVERAGE_SHAPE[3])})


def misses_are_rare(missed, delta):
    """The exact binomial test of "at most delta" at level 1e-6."""
    return binomtest(int(missed.sum()), len(missed), delta, alternative="greater").pvalue > 1e-6


@pytest.mark.parametrize("kind", ["random", "noisy"])
@pytest.mark.parametrize("delta", [0.05, 0.4])
def test_the_confidence_ellipsoid_covers_the_cost(kind, delta):
    world = coverage_world(kind)
    logs = sim.sample(world, 101, COVERAGE_LOGS)
    visits = logs.counts.sum(axis=3)
    psi, cost = np.asarray(world.cost_features.table), np.asarray(world.expected_cost)
    gram = np.einsum("sxy,xyi,xyj->sij", visits, psi, psi) + 1e-4 * np.eye(psi.shape[2])
    width = np.sqrt(np.einsum("xyi,sij,xyj->sxy", psi, np.linalg.inv(gram), psi))
    truth = np.zeros(psi.shape[2])
    truth[psi.shape[2] // 2] = 1.0

    def missed(radius):
        found = fit(Cost(radius, delta=delta), logs, world)
        alpha, apart = found.notes["confidence_radius"], found.parameters - truth
        outside = np.einsum("si,sij,sj->s", apart, gram, apart) > alpha**2
        f_bar = np.einsum("xyi,si->sxy", psi, found.parameters) + alpha[:, None, None] * width
        below = np.any(f_bar < cost - 1e-12, axis=(1, 2))
        assert not np.any(below & ~outside)
        if radius == 1:
            # SubOpt <= 2 alpha E |psi| wherever the ellipsoid covers.
            assert np.all(found.suboptimality[~outside] <= 2 * found.notes["bonus"][~outside])
        return outside, below

    assert all(misses_are_rare(m, delta) for m in missed(1.0))
    assert not any(misses_are_rare(m, delta) for m in missed(0.05))


@pytest.mark.parametrize("kind", ["random", "noisy"])
def test_the_version_space_covers_the_cost(kind):
    world = coverage_world(kind)
    logs = sim.sample(world, 101, COVERAGE_LOGS)
    visits, costs = logs.counts.sum(axis=3), np.asarray(cost_list(world, LIST_SIZE))

    def missed(radius):
        found = fit(Cost(radius, cost_class="list", size=LIST_SIZE), logs, world)
        best = costs[found.parameters[:, 0].astype(int)]
        apart = np.einsum("sxy,skxy->sk", visits, (costs - best[:, None]) ** 2)
        outside = apart[:, 0] > found.notes["confidence_radius"]
        surplus = np.einsum("x,xy,sxy->s", world.context_probs, world.optimal, best - costs[0])
        held = ~outside
        assert np.all(found.suboptimality[held] <= (found.notes["bonus"] + surplus)[held] + 1e-12)
        return outside

    assert misses_are_rare(missed(1.0), 0.05)
    assert not misses_are_rare(missed(0.01), 0.05)
