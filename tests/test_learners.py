"""The learners against slow references: fits, derivatives, limits, the choice of lambda, and compile counts."""

import jax
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
    cost_features_with,
    every_fit,
    every_learner,
    expected_cost,
    logs_of,
    make_world,
    only_ties,
    sampled,
    terms_of,
)

import sim
from sim.learners import Cost, Early, EarlyHeldOut, Preference, Status, Supervision, fit, fit_batch
from sim.learners.contract import PolicyLearner
from sim.learners.early import GRID
from sim.policies import log_linear

world, gapped, tables = learner_cases.world, learner_cases.gapped, learner_cases.tables

every_loss = pytest.mark.parametrize("name", LOSSES)


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
