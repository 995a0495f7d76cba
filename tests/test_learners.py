"""The learners against slow references, their limits, statuses, coverage and compile counts."""

from dataclasses import dataclass, replace
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_learners as slow
from scipy.optimize import minimize
from scipy.stats import binomtest

import sim
from sim.learners import Cost, Early, EarlyHeldOut, Preference, Status, Supervision, fit, fit_batch
from sim.learners.contract import PolicyLearner
from sim.learners.cost import cost_list
from sim.learners.early import GRID
from sim.logs import Logs
from sim.newton import MAX_ITERATIONS
from sim.policies import log_linear
from sim.pytrees import pytree

# Contexts, responses, policy features, cost features: distinct primes.
SHAPE = (3, 5, 7, 11)
IMPOSSIBLE = ((0, 1), (2, 4))
LANES = 4


def make_world(seed, impossible=(), **changes):
    return sim.plant(**slow.random_arrays(seed, *SHAPE, impossible=impossible) | changes)


def logs_of(*counts, held_out=None):
    counts = np.stack(counts).astype(float)
    return Logs(counts, counts if held_out is None else np.stack(held_out), int(counts[0].sum()))


def sampled(world, *sizes, seed=0):
    return [sim.sample(world, n, [seed]).counts[0] for n in sizes]


@pytest.fixture(scope="module")
def world():
    return make_world(1)


@pytest.fixture(scope="module")
def gapped():
    return make_world(2, IMPOSSIBLE)


@pytest.fixture(scope="module")
def tables(world):
    return sampled(world, 400, 401, 557, 997)


# The learner, and what it minimises: weights of Eq. 3 and Eq. 4, and whether the link is scaled by beta.
LOSSES = {
    "sup": (Supervision, {"supervision": 1.0}, False),
    "pref": (Preference, {"preference": 1.0}, False),
    "pref-paper": (lambda **s: Preference("paper", **s), {"preference": 1.0}, True),
    "early-0": (lambda **s: Early(0.0, **s), {"preference": 1.0, "supervision": 0.0}, False),
    "early-0.3": (lambda **s: Early(0.3, **s), {"preference": 1.0, "supervision": 0.3}, False),
    "early-1": (lambda **s: Early(1.0, **s), {"preference": 1.0, "supervision": 1.0}, False),
    "early-paper": (lambda **s: Early(0.3, "paper", **s), {"preference": 1.0, "supervision": 0.3}, True),
}
every_loss = pytest.mark.parametrize("name", LOSSES)
# Those that share few compilations.
FITTED = ["sup", "pref", "pref-paper", "early-0", "early-0.3", "early-1"]
every_fit = pytest.mark.parametrize("name", FITTED)


def terms_of(name, world):
    _, terms, scaled = LOSSES[name]
    return terms | {"scale": float(world.temperature) if scaled else 1.0}


def slow_total(name, world, log_policy, counts):
    return counts.sum() * slow.mean_loss(log_policy, np.asarray(world.reference), counts, **terms_of(name, world))


# Fits


@every_fit
@pytest.mark.parametrize("ridge", [1e-4, 5.0])
def test_fit_is_the_slow_minimiser(name, ridge, world, tables):
    found = fit(LOSSES[name][0](ridge=ridge), logs_of(*tables), world)
    features, reference = np.asarray(world.policy_features.table), np.asarray(world.reference)
    assert np.all(found.status == Status.ok)
    for s in (0, 3) if ridge < 1 else (2,):
        theta = slow.fit_log_linear(features, reference, tables[s], ridge, **terms_of(name, world))
        np.testing.assert_allclose(found.parameters[s], theta, rtol=0, atol=1e-6)
        np.testing.assert_allclose(
            found.log_policy[s], slow.log_linear(theta, features, reference > 0), rtol=0, atol=1e-5
        )


@every_fit
def test_fit_on_a_partial_support_is_the_slow_minimiser(name, gapped):
    tables = sampled(gapped, 400, 401, 557, 997)
    for table in tables:
        for x, e in IMPOSSIBLE:
            table[x, :, e] = 0
    found = fit(LOSSES[name][0](), logs_of(*tables), gapped)
    features, reference = np.asarray(gapped.policy_features.table), np.asarray(gapped.reference)
    theta = slow.fit_log_linear(features, reference, tables[2], 1e-4, **terms_of(name, gapped))
    np.testing.assert_allclose(found.parameters[2], theta, rtol=0, atol=1e-6)
    assert all(found.log_policy[2, x, y] == -np.inf for x, y in IMPOSSIBLE)


@every_fit
def test_a_constant_per_context_in_the_features_changes_nothing(name, world, tables):
    arrays = slow.random_arrays(1, *SHAPE)
    shift = np.random.default_rng(3).normal(size=(SHAPE[0], 1, SHAPE[2]))
    translated = make_world(1, policy_features=arrays["policy_features"] + shift)
    before, after = (fit(LOSSES[name][0](), logs_of(*tables), w) for w in (world, translated))
    np.testing.assert_allclose(after.log_policy, before.log_policy, rtol=0, atol=1e-10)
    np.testing.assert_allclose(after.parameters, before.parameters, rtol=0, atol=1e-9)


def test_suboptimality_and_cost_are_those_of_the_policy(world, tables):
    found = fit("sup", logs_of(*tables), world)
    for s in range(LANES):
        expected = cost = 0.0
        for x, y in np.ndindex(*SHAPE[:2]):
            weight = float(world.context_probs[x]) * np.exp(found.log_policy[s, x, y])
            gap = found.log_policy[s, x, y] - np.log(float(world.optimal[x, y]))
            expected += float(world.temperature) * weight * gap
            cost += weight * float(world.expected_cost[x, y])
        np.testing.assert_allclose(found.suboptimality[s], expected, rtol=1e-9)
        np.testing.assert_allclose(found.expected_cost[s], cost, rtol=1e-12)


# Derivatives


TRIPLES = 59


def some_table(world, seed=5):
    theta = np.random.default_rng(seed).normal(size=SHAPE[2])
    return log_linear(world).log_policy(jnp.asarray(theta))


def some_triples(world):
    """As many triples as `TRIPLES` whose edited response has a chance."""
    records = sim.sample_records(world, 4 * TRIPLES)
    usable = np.flatnonzero(np.asarray(world.reference)[records.context, records.edited] > 0)[:TRIPLES]
    return tuple(jnp.asarray(column[usable]) for column in (records.context, records.response, records.edited))


def count(triples):
    return jnp.zeros((*SHAPE[:2], SHAPE[1])).at[triples].add(1.0)


class TripleLossOnly(PolicyLearner):
    """A learner that states its loss and nothing else."""

    name = "triple loss only"

    def __init__(self, inner):
        self.inner, self.ridge = inner, inner.ridge

    def settings(self):
        return {}

    def triple_loss(self, *triple):
        return self.inner.triple_loss(*triple)


@jax.jit
def differentiated(learner, table, world, triples):
    """Value, gradient and Hessian in the whole table of the sum of triple losses; stated and default derivatives."""

    def total(table):
        return jnp.sum(jax.vmap(lambda x, y, e: learner.triple_loss(table, world, x, y, e))(*triples))

    counts = count(triples)
    stated = learner.derivatives(table, counts, world)
    default = TripleLossOnly(learner).derivatives(table, counts, world)
    return (total(table), jax.grad(total)(table), jax.hessian(total)(table)), stated, default


@every_fit
@pytest.mark.parametrize("place", ["world", "gapped"])
def test_derivatives_are_those_of_the_sum_of_triple_losses(name, place, request):
    world = request.getfixturevalue(place)
    learner, table, triples = LOSSES[name][0](), some_table(world), some_triples(world)
    (value, gradient, hessian), stated, default = differentiated(learner, table, world, triples)
    assert triples[0].shape == (TRIPLES,)
    assert stated.curvature is not None or name == "sup"
    for found in (stated, default):
        np.testing.assert_allclose(found.value, value, rtol=1e-12)
        np.testing.assert_allclose(found.gradient, gradient, rtol=0, atol=1e-10)
        curvature = np.zeros_like(hessian)
        for x in range(SHAPE[0]):
            curvature[x, :, x, :] = 0.0 if found.curvature is None else found.curvature[x]
        np.testing.assert_allclose(curvature, hessian, rtol=0, atol=1e-10)
    np.testing.assert_allclose(learner.total(table, count(triples), world), value, rtol=1e-12)
    np.testing.assert_allclose(slow_total(name, world, np.asarray(table), np.asarray(count(triples))), value)


@every_loss
def test_derivatives_agree_with_finite_differences(name, world):
    learner, counts = LOSSES[name][0](), count(some_triples(world))
    table, step = np.asarray(some_table(world)), 1e-4
    found = learner.derivatives(jnp.asarray(table), counts, world)
    curvature = np.zeros((*table.shape, table.shape[1])) if found.curvature is None else found.curvature

    def along(direction):
        return [slow_total(name, world, table + k * step * direction, np.asarray(counts)) for k in (-1, 0, 1)]

    # Truncation step^2 and rounding 1e-16 n / step^2, times derivatives of order n = 60.
    for direction in np.random.default_rng(7).normal(size=(5, *table.shape)):
        below, here, above = along(direction)
        slope = np.sum(np.asarray(found.gradient) * direction)
        bend = np.einsum("xa,xab,xb->", direction, curvature, direction)
        np.testing.assert_allclose((above - below) / (2 * step), slope, rtol=0, atol=60 * 10 * step**2)
        np.testing.assert_allclose((above - 2 * here + below) / step**2, bend, rtol=0, atol=60 * 1e-5)


@every_loss
def test_the_loss_of_a_triple_in_the_parameters_is_the_slow_one(name, world):
    learner, policies = LOSSES[name][0](), log_linear(world)
    theta = np.random.default_rng(8).normal(size=SHAPE[2])
    log_policy = slow.log_linear(theta, np.asarray(world.policy_features.table), np.ones(SHAPE[:2], bool))
    for x, y, e in [(0, 1, 4), (2, 3, 0), (1, 2, 2)]:
        one = np.zeros((*SHAPE[:2], SHAPE[1]))
        one[x, y, e] = 1
        found = learner.loss(jnp.asarray(theta), world, policies, jnp.asarray(x), jnp.asarray(y), jnp.asarray(e))
        np.testing.assert_allclose(found, slow_total(name, world, log_policy, one), rtol=1e-12, atol=1e-15)


# Cost


def cost_features_with(cost, m, seed=11):
    """Random features among which are an intercept and the cost: the class contains it."""
    table = np.random.default_rng(seed).normal(size=(*cost.shape, m))
    table[..., 0], table[..., m // 2] = 1.0, cost
    return table


def expected_cost(kernel, distance):
    return np.einsum("xye,ye->xy", kernel, distance)


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


# Limits


@pytest.fixture(scope="module")
def balanced():
    """A balanced world whose policy class contains every limit, and whose cost class contains the cost."""
    arrays = slow.random_arrays(31, *SHAPE)
    optimal, temperature = arrays["optimal"], arrays["temperature"]
    arrays["distance"] *= 3
    arrays["kernel"] = 0.6 * np.eye(SHAPE[1]) + 0.4 * optimal[:, None, :]
    cost = expected_cost(arrays["kernel"], arrays["distance"])
    reference = optimal * np.exp(cost / temperature)
    reference /= reference.sum(axis=1, keepdims=True)
    arrays["policy_features"][..., :3] = np.log(np.stack([optimal, reference, 0.6 * reference + 0.4 * optimal], axis=2))
    arrays["cost_features"] = cost_features_with(cost, SHAPE[3])
    return sim.plant(**arrays)


def limit_of(name, world):
    reference, optimal, cost, beta = (
        np.asarray(a) for a in (world.reference, world.optimal, world.expected_cost, world.temperature)
    )
    if name == "sup":
        return np.einsum("xy,xye->xe", reference, np.asarray(world.editor.kernel))
    if name == "pref-paper":
        return np.array([slow.softmax(np.log(reference[x]) - cost[x] / beta**2) for x in range(SHAPE[0])])
    return optimal


LIMITS = {"sup": Supervision(), "pref": Preference(), "pref-paper": Preference("paper"), "cost": Cost()}
HUGE = 10**8


@pytest.mark.parametrize("name", LIMITS)
def test_limit_of_a_log_that_is_the_law(name, balanced):
    law = HUGE * np.asarray(balanced.triple_law())
    found = fit(LIMITS[name], logs_of(*[law] * LANES), balanced)
    np.testing.assert_allclose(np.exp(found.log_policy[0]), limit_of(name, balanced), rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", LIMITS)
def test_huge_logs_are_at_the_limit(name, balanced):
    limit = float(balanced.suboptimality(jnp.asarray(limit_of(name, balanced))))
    found = fit(LIMITS[name], sim.sample(balanced, HUGE, LANES), balanced)
    # SubOpt moves by 1/sqrt n where the limit is not optimal, by 1/n where it is: within 10 sqrt(limit/n) and 1e-6.
    np.testing.assert_allclose(found.suboptimality, limit, rtol=0, atol=10 * np.sqrt(limit / HUGE) + 1e-6)
    assert limit > 1e-3 if name in ("sup", "pref-paper") else limit == 0


# Statuses

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


EVERY = {
    "sup": Supervision(),
    "pref": Preference(),
    "early": Early(0.3),
    "held-out": EarlyHeldOut(),
    "cost": Cost(1.0),
}
every_learner = pytest.mark.parametrize("name", EVERY)


def only_ties(table):
    return table * np.eye(SHAPE[1])


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


# Held-out choice of lambda


def slow_choice(table, held_out, world):
    """The lambda of the grid whose slow fit has the smallest held-out preference loss, and that fit."""
    features, reference = np.asarray(world.policy_features.table), np.asarray(world.reference)
    held_out = held_out * (reference > 0)[:, None, :]
    fits = []
    for lam in GRID:
        theta = slow.fit_log_linear(features, reference, table, 1e-4, preference=1.0, supervision=lam)
        log_policy = slow.log_linear(theta, features, reference > 0)
        fits.append((slow.mean_loss(log_policy, reference, held_out, preference=1.0), lam, theta))
    return min(fits, key=lambda entry: entry[0])


@pytest.mark.parametrize("place", ["world", "gapped"])
def test_held_out_edits_choose_lambda(place, request):
    world = request.getfixturevalue(place)
    usable = (np.asarray(world.reference) > 0)[:, None, :]
    logs = [sim.sample(world, 101, [seed], held_out=200) for seed in range(LANES)]
    tables, held_out = [log.counts[0] * usable for log in logs], [log.held_out[0] for log in logs]
    found = fit(EarlyHeldOut(), logs_of(*tables, held_out=held_out), world)
    assert len(set(found.notes["lam_chosen"])) > 1
    for s in (0, 2):
        _, lam, theta = slow_choice(tables[s], held_out[s], world)
        assert found.notes["lam_chosen"][s] == lam
        np.testing.assert_allclose(found.parameters[s], theta, rtol=0, atol=1e-6)


def test_early_says_which_lambda_it_used(world, tables):
    assert fit(Early(0.3), logs_of(*tables), world).notes["lam_chosen"].tolist() == LANES * [0.3]


REFUSED = [
    ("early", {"lam": -0.1}),
    ("early", {"lam": float("nan")}),
    ("pref", {"link": "logit"}),
    ("cost", {"cost_class": "tree"}),
    ("sup", {"lam": 1.0}),
    ("supp", {}),
]


@pytest.mark.parametrize("name, settings", REFUSED)
def test_settings_that_cannot_be_used_are_refused(name, settings):
    with pytest.raises(sim.BadInput):
        sim.make(name, **settings)


# Batching


def test_sizes_settings_and_worlds_of_one_shape_share_a_compilation(world):
    other, before = make_world(6), fit_batch._cache_size()
    for place in (world, other):
        for n in (50, 51):
            logs = sim.sample(place, n, 2)
            for lam, ridge in [(0.3, 1e-4), (1.0, 0.5)]:
                fit(Early(lam, ridge=ridge), logs, place)
            for radius, ridge in [(0.0, 1e-4), (1.0, 0.5)]:
                fit(Cost(radius, ridge), logs, place)
    assert fit_batch._cache_size() == before + 2


def test_whole_numbers_share_the_compilation_of_fractions(world):
    logs = sim.sample(world, 50, 2)
    fit(Early(0.3), logs, world)
    before = fit_batch._cache_size()
    fit(Early(1), logs, world)
    assert fit_batch._cache_size() == before


@every_learner
def test_a_lane_does_not_depend_on_its_neighbours(name, world, tables):
    separated = np.zeros_like(tables[0])
    separated[0, 1, 2] = 7
    neighbours = [only_ties(tables[2]), separated, tables[3]]
    held_out = np.stack([sampled(world, 50, seed=1)[0]] * LANES)
    one = fit(EVERY[name], logs_of(*tables, held_out=held_out), world)
    other = fit(EVERY[name], logs_of(tables[0], *neighbours, held_out=held_out), world)
    assert not np.array_equal(one.log_policy[2], other.log_policy[2])
    for before, after in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(after[0], before[0])
