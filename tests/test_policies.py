"""The log-linear class against slow searches, what holds for every policy class, and a learner of one's own."""

from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import policy_cases
import pytest
import reference_learners as slow
from policy_cases import RIDGE, SHAPE, logs_of, objective_of, slow_loss, without
from scipy.optimize import minimize

import sim
from sim.learners import LEARNERS, Preference, Status, Supervision, fit
from sim.learners.contract import PolicyLearner
from sim.policies import LogLinear, Mixture, PolicyList, build, log_linear, policy_list
from sim.pytrees import pytree

world, tables, mixed, listed = policy_cases.world, policy_cases.tables, policy_cases.mixed, policy_cases.listed


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


# Every class


def test_what_a_class_can_give(mixed, world):
    assert np.all(mixed.possible)
    np.testing.assert_array_equal(Mixture(mixed.basis[-1:]).possible[:, 3], [False, False])
    np.testing.assert_array_equal(
        PolicyList(jnp.stack([without(world, 2), without(world, 2, 5)])).possible[0, [2, 5]], [False, True]
    )


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
