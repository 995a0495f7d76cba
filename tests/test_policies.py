"""The policy classes: log-linear, mixture and list, each searched by each learner, against slow searches."""

from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_learners as slow
from scipy.optimize import minimize

import sim
from sim.learners import LEARNERS, Cost, Early, Preference, Status, Supervision, fit
from sim.learners.contract import PolicyLearner
from sim.logs import Logs
from sim.policies import (
    Derivatives,
    LogLinear,
    Mixture,
    Objective,
    PolicyList,
    build,
    log_linear,
    mixture,
    policy_list,
)
from sim.pytrees import pytree

# Contexts, responses, policy features, cost features, basis policies, members of a list: distinct primes.
SHAPE = (2, 7, 3, 11)
BASIS, MEMBERS = 5, 13
SIZES = (300, 301, 503)
RIDGE = 1e-4


def logs_of(*counts):
    counts = np.stack(counts).astype(float)
    return Logs(counts, np.zeros_like(counts), int(counts[0].sum()))


@pytest.fixture(scope="module")
def world():
    return sim.plant(**slow.random_arrays(51, *SHAPE))


@pytest.fixture(scope="module")
def tables(world):
    return [sim.sample(world, n, [n]).counts[0] for n in SIZES]


@pytest.fixture(scope="module")
def mixed():
    """Mixtures of random policies; the last gives no chance to one response, the first gives all to some."""
    basis = np.random.default_rng(52).dirichlet(np.full(SHAPE[1], 0.7), size=(BASIS, SHAPE[0]))
    basis[-1, :, 3] = 0
    return Mixture(jnp.asarray(basis / basis.sum(axis=2, keepdims=True)))


@pytest.fixture(scope="module")
def listed(world):
    """Random members around the reference policy."""
    noise = np.random.default_rng(53).normal(size=(MEMBERS, *SHAPE[:2]))
    return PolicyList(jax.nn.log_softmax(jnp.log(world.reference) + 0.4 * noise, axis=2))


# The learner, and what it minimises: weights of Eq. 3 and Eq. 4, and whether the link is scaled by beta.
LOSSES = {
    "sup": (Supervision(), {"supervision": 1.0}, False),
    "pref": (Preference(), {"preference": 1.0}, False),
    "pref-paper": (Preference("paper"), {"preference": 1.0}, True),
    "early": (Early(0.3), {"preference": 1.0, "supervision": 0.3}, False),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def slow_loss(name, world, log_policy, counts):
    _, terms, scaled = LOSSES[name]
    scale = float(world.temperature) if scaled else 1.0
    return slow.mean_loss(log_policy, np.asarray(world.reference), counts, scale=scale, **terms)


def objective_of(value, convex=False):
    """An objective with its derivatives in the table by automatic differentiation."""

    def derivatives(table):
        contexts = jnp.arange(len(table))
        return Derivatives(value(table), jax.grad(value)(table), jax.hessian(value)(table)[contexts, :, contexts])

    return Objective(value, derivatives, convex)


# Log-linear


@pytest.mark.parametrize("impossible", [(), ((0, 2), (1, 5), (1, 6))])
def test_log_linear_policies_are_the_slow_ones(impossible):
    place = sim.plant(**slow.random_arrays(54, *SHAPE, impossible=impossible))
    policies, support = log_linear(place), np.asarray(place.reference) > 0
    assert (~support).sum() == len(impossible)
    np.testing.assert_array_equal(policies.possible, support)
    theta = np.random.default_rng(55).normal(size=SHAPE[2])
    expected = slow.log_linear(theta, np.asarray(place.policy_features.table), support)
    np.testing.assert_allclose(policies.log_policy(jnp.asarray(theta)), expected, rtol=1e-12)
    uniform = np.exp(policies.log_policy(jnp.zeros(SHAPE[2])))
    np.testing.assert_allclose(uniform, support / support.sum(axis=1, keepdims=True), rtol=1e-14)


def test_log_linear_search_follows_the_chain_rule(world):
    # Linear in the table plus a quadratic of its rows, centred so that the whole is convex in theta.
    rng = np.random.default_rng(56)
    shown = jnp.asarray(rng.uniform(size=SHAPE[:2]))
    roots = rng.normal(size=(SHAPE[0], SHAPE[1], SHAPE[1]))
    centre = np.eye(SHAPE[1]) - 1 / SHAPE[1]
    curvature = jnp.asarray(centre @ roots @ roots.transpose(0, 2, 1) @ centre)

    def value(table):
        return -jnp.sum(shown * table) + 0.5 * jnp.einsum("xa,xab,xb->", table, curvature, table)

    ridge, policies = 0.3, log_linear(world)

    def composed(theta):
        return value(policies.log_policy(theta)) + 0.5 * ridge * theta @ theta

    found = jax.jit(lambda: policies.minimise(objective_of(value, convex=True), jnp.asarray(ridge)))()
    assert found.minimum.converged and found.spread == 0
    composed, slope, bend = (jax.jit(f) for f in (composed, jax.grad(composed), jax.hessian(composed)))
    np.testing.assert_allclose(slope(found.parameters), 0, atol=1e-8)
    np.testing.assert_allclose(found.minimum.hessian, bend(found.parameters), rtol=1e-9)
    np.testing.assert_allclose(found.minimum.value, composed(found.parameters), rtol=1e-13)
    np.testing.assert_array_equal(found.log_policy, policies.log_policy(found.parameters))
    searched = minimize(composed, np.zeros(SHAPE[2]), jac=slope, method="BFGS")
    np.testing.assert_allclose(found.minimum.value, searched.fun, rtol=1e-9)


# Mixtures


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


def test_what_a_class_can_give(mixed, world):
    assert np.all(mixed.possible)
    np.testing.assert_array_equal(Mixture(mixed.basis[-1:]).possible[:, 3], [False, False])
    np.testing.assert_array_equal(
        PolicyList(jnp.stack([without(world, 2), without(world, 2, 5)])).possible[0, [2, 5]], [False, True]
    )


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


def learned_cost(world, table, found, s):
    """The context frequencies of a log and its pessimistic cost, from the weights of the fit."""
    psi = np.asarray(world.cost_features.table)
    _, gram = slow.least_squares(psi, np.asarray(world.distance), slow.records_of(table), RIDGE)
    alpha = found.notes["confidence_radius"][s]
    return table.sum(axis=(1, 2)) / table.sum(), slow.pessimistic_cost(found.parameters[s], gram, alpha, psi)


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


# Lists


@every_loss
def test_list_search_is_the_plain_argmin(name, world, listed, tables):
    found = fit(LOSSES[name][0], logs_of(*tables), world, listed)
    for s, table in enumerate(tables):
        losses = [slow_loss(name, world, member, table) for member in np.asarray(listed.log_policies)]
        assert found.parameters[s] == [np.argmin(losses)]
        np.testing.assert_array_equal(found.log_policy[s], listed.log_policies[np.argmin(losses)])
    assert set(found.status) == {Status.ok}


@pytest.mark.parametrize("radius", [0.0, 1.0])
def test_list_search_of_learned_costs_is_the_plain_argmin(radius, world, listed, tables):
    found = fit(Cost(radius), logs_of(*tables), world, listed)
    reference, beta = np.asarray(world.reference), float(world.temperature)
    for s, table in enumerate(tables):
        contexts, f_bar = learned_cost(world, table, found, s)
        members = np.asarray(listed.log_policies)
        values = [slow.regularised_cost(member, f_bar, reference, beta, contexts) for member in members]
        np.testing.assert_array_equal(found.log_policy[s], members[np.argmin(values)])


def without(world, *impossible):
    """log pi_ref without some responses of context 0."""
    policy = np.array(world.reference)
    policy[0, list(impossible)] = 0
    policy /= policy.sum(axis=1, keepdims=True)
    return np.array([[np.log(p) if p > 0 else -np.inf for p in row] for row in policy])


@every_loss
def test_a_member_that_rules_out_what_was_shown_is_not_chosen(name, world):
    counts = np.zeros((3, SHAPE[0], SHAPE[1], SHAPE[1]))
    counts[:, 0, 4, 2] = 5
    counts[:, 1, 0, 6] = 3
    found = fit(LOSSES[name][0], logs_of(*counts), world, PolicyList(jnp.stack([without(world, 2), without(world)])))
    assert found.parameters.tolist() == [[1.0]] * 3
    assert np.all(np.isfinite(found.suboptimality))


@every_loss
def test_a_member_that_rules_out_what_was_never_shown_is_chosen_when_it_fits(name, world):
    counts = np.zeros((3, SHAPE[0], SHAPE[1], SHAPE[1]))
    counts[:, 0, 4, 2] = 5
    counts[:, 1, 0, 6] = 3
    found = fit(LOSSES[name][0], logs_of(*counts), world, PolicyList(jnp.stack([without(world), without(world, 1, 4)])))
    assert found.parameters.tolist() == [[1.0]] * 3
    assert set(found.status) == {Status.ok}


def test_early_without_supervision_is_preference_also_where_a_member_rules_out_a_tie(world):
    counts = np.zeros((3, SHAPE[0], SHAPE[1], SHAPE[1]))
    counts[:, 0, 4, 2] = 5
    counts[:, 0, 1, 1] = 4
    policies = PolicyList(jnp.stack([without(world), without(world, 1, 4)]))
    preference, early = (fit(learner, logs_of(*counts), world, policies) for learner in (Preference(), Early(0.0)))
    assert preference.parameters.tolist() == [[1.0]] * 3
    np.testing.assert_array_equal(early.parameters, preference.parameters)


@pytest.mark.parametrize("name", ["sup", "pref", "early"])
def test_what_no_member_gives_is_left_out_and_reported(name, world):
    policies = PolicyList(jnp.stack([without(world, 2), without(world, 2, 5)]))
    counts = np.zeros((3, SHAPE[0], SHAPE[1], SHAPE[1]))
    counts[:, 0, 4, 2] = 7
    counts[:, 0, 4, 5] = 1
    counts[1, 0, 4, 2] = 0
    found = fit(LOSSES[name][0], logs_of(*counts), world, policies)
    assert found.status.tolist() == [Status.outside_class, Status.ok, Status.outside_class]
    assert found.parameters.tolist() == [[0.0]] * 3


def test_cost_can_choose_a_member_that_rules_a_response_out(world, tables):
    closed = np.exp(fit(Cost(), logs_of(*tables), world).log_policy[0])
    closed[0, np.argmin(closed[0])] = 0
    near = np.array([[np.log(p) if p > 0 else -np.inf for p in row / row.sum()] for row in closed])
    far = np.log(closed[:, ::-1] + 0.1) - np.log(np.sum(closed + 0.1, axis=1, keepdims=True))
    found = fit(Cost(), logs_of(*tables), world, PolicyList(jnp.stack([far, near])))
    contexts, f_bar = learned_cost(world, tables[0], found, 0)
    reference, beta = np.asarray(world.reference), float(world.temperature)
    values = [slow.regularised_cost(member, f_bar, reference, beta, contexts) for member in (far, near)]
    assert np.argmin(values) == 1
    np.testing.assert_array_equal(found.log_policy[0], near)
    assert np.isfinite(found.suboptimality[0])


# Recipes


def test_mixture_recipe(world):
    kernel, policy = np.asarray(world.editor.kernel), np.asarray(world.reference)
    basis = np.asarray(mixture(world, BASIS).basis)
    assert basis.shape == (BASIS, *SHAPE[:2])
    for j in range(BASIS - 1):
        np.testing.assert_allclose(basis[j], policy, rtol=1e-12)
        policy = np.einsum("xy,xye->xe", policy, kernel)
    np.testing.assert_array_equal(basis[-1], world.optimal)


def test_list_recipe_names_three_policies_first(world):
    edited = np.einsum("xy,xye->xe", np.asarray(world.reference), np.asarray(world.editor.kernel))
    members = np.exp(policy_list(world, MEMBERS).log_policies)
    assert members.shape == (MEMBERS, *SHAPE[:2])
    np.testing.assert_allclose(members[:3], [world.optimal, edited, world.reference], rtol=1e-12)
    np.testing.assert_allclose(members.sum(axis=2), 1, rtol=1e-12)


def centred(table):
    """The features, or logs, less their mean over responses, one row per (x, y)."""
    return (table - table.mean(axis=1, keepdims=True)).reshape(table.shape[0] * table.shape[1], -1)


def test_list_recipe_draws_around_the_line_between_the_parameters():
    arrays = slow.random_arrays(51, *SHAPE)
    world = sim.plant(**arrays | {"distance": 9 * arrays["distance"]})
    phi = centred(np.asarray(world.policy_features.table))

    def parameters(log_policies):
        return np.linalg.lstsq(phi, np.stack([centred(p)[:, 0] for p in log_policies], axis=1))[0].T

    drawn = np.asarray(policy_list(world, 4003).log_policies[3:])
    theta = parameters(drawn)
    np.testing.assert_allclose(phi @ theta[0], centred(drawn[0])[:, 0], atol=1e-12)
    optimal, reference = parameters(np.log([world.optimal, world.reference]))
    length = np.linalg.norm(optimal - reference)
    assert length > 1
    along = (theta - reference) @ (optimal - reference) / length
    across = (theta - reference) - along[:, None] * (optimal - reference) / length
    # theta = t theta* + (1 - t) theta_ref + 0.6 u z: along the line the variance is length^2 Var t + 0.36 E u^2,
    # across it 0.36 E u^2 per direction; Var t = 1/3, E u^2 = 1/3.  The kurtosis of u z is 27/5.
    for values, mean, variance in [
        (along / length, 0.5, 1 / 3 + 0.12 / length**2),
        ((across**2).sum(axis=1) / (SHAPE[2] - 1), 0.12, None),
    ]:
        error = values.std() / np.sqrt(len(values))
        assert abs(values.mean() - mean) < 5 * error
        if variance:
            spread = (values - mean) ** 2
            assert abs(spread.mean() - variance) < 5 * spread.std() / np.sqrt(len(values))


def test_list_recipe_depends_on_its_seed_alone(world):
    first, again, other = (np.asarray(policy_list(world, MEMBERS, seed).log_policies) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[:3], other[:3])
    assert np.all(np.abs(first[3:] - other[3:]).max(axis=(1, 2)) > 1e-3)


def test_list_recipe_keeps_to_the_support_of_the_reference():
    place = sim.plant(**slow.random_arrays(54, *SHAPE, impossible=((0, 2), (1, 5))))
    members = policy_list(place, MEMBERS).log_policies
    for drawn in np.asarray(members)[[0, *range(2, MEMBERS)]]:
        np.testing.assert_array_equal(np.isfinite(drawn), np.asarray(place.reference) > 0)


@pytest.mark.parametrize("kind, least", [("mixture", 2), ("list", 3)])
def test_the_smallest_classes(kind, least, world, tables):
    with pytest.raises(sim.BadInput, match=f"at least {least}"):
        build(kind, world, least - 1)
    policies = build(kind, world, least)
    assert policies.log_policy(jnp.zeros(2 if kind == "mixture" else 1)).shape == SHAPE[:2]
    found = fit(Supervision(), logs_of(*tables), world, policies)
    for s, table in enumerate(tables):
        reached = slow_loss("sup", world, found.log_policy[s], table)
        for named in (world.optimal, world.reference):
            # A vertex of the simplex is left for the ridge of logits of size 10.
            assert reached <= slow_loss("sup", world, np.log(np.asarray(named)), table) + RIDGE * 100 / table.sum()


@pytest.mark.parametrize("kind", ["mixture", "list"])
def test_a_class_of_one_policy_answers_with_it(kind, world, tables):
    only = {"mixture": Mixture(world.optimal[None]), "list": PolicyList(jnp.log(world.optimal)[None])}[kind]
    found = fit(Preference(), logs_of(*tables), world, only)
    np.testing.assert_allclose(np.exp(found.log_policy), np.broadcast_to(world.optimal, (3, *SHAPE[:2])), rtol=1e-12)
    assert set(found.status) == {Status.ok}


def test_build_by_name_and_default_size(world):
    assert isinstance(build("log-linear", world), LogLinear)
    assert build("mixture", world).basis.shape[0] == 5
    assert build("list", world).log_policies.shape[0] == 64
    np.testing.assert_array_equal(build("list", world, 5, seed=3).log_policies, policy_list(world, 5, 3).log_policies)
    with pytest.raises(sim.BadInput, match="log-linear"):
        build("loglinear", world)


# A learner of one's own


@pytree
@dataclass(frozen=True)
class OwnPreference(PolicyLearner):
    """Eq. 4, written again; everything but the loss follows."""

    scale: float = 1.0
    ridge: float = RIDGE
    label: str = field(default="own", metadata={"static": True})
    name: ClassVar[str] = "own"

    def settings(self):
        return {"ridge": self.ridge}

    def triple_loss(self, log_policy, world, context, response, edited):
        ratio = log_policy[context] - jnp.log(world.reference[context])
        loss = jnp.log1p(jnp.exp(-self.scale * (ratio[edited] - ratio[response])))
        return jnp.where(edited == response, 0.0, loss)


@pytest.mark.parametrize("kind", ["log-linear", "mixture", "list"])
def test_a_learner_that_states_only_its_loss_works_with_every_class(kind, world, mixed, listed, tables, monkeypatch):
    monkeypatch.setattr("sim.learners.LEARNERS", dict(LEARNERS))
    sim.register_learner("own", OwnPreference)
    policies = {"log-linear": log_linear(world), "mixture": mixed, "list": listed}[kind]
    beta = float(world.temperature)
    own = fit(sim.make("own", scale=beta), logs_of(*tables), world, policies)
    built_in = fit(Preference("paper"), logs_of(*tables), world, policies)
    np.testing.assert_allclose(own.parameters, built_in.parameters, rtol=0, atol=1e-6)
    np.testing.assert_allclose(own.log_policy, built_in.log_policy, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(own.status, built_in.status)


def test_a_registered_learner_is_found_by_its_name_alone(world, tables, monkeypatch):
    monkeypatch.setattr("sim.learners.LEARNERS", dict(LEARNERS))
    with pytest.raises(sim.BadInput):
        sim.make("own")
    sim.register_learner("own", OwnPreference)
    by_name, by_value = (fit(learner, logs_of(*tables), world) for learner in ("own", OwnPreference()))
    np.testing.assert_array_equal(by_name.parameters, by_value.parameters)
