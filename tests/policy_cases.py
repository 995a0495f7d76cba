"""A world, its logs, policy classes and losses for the tests of the policy classes.

A module that uses the fixtures binds them by their names.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_learners as slow

import sim
from sim.learners import Early, Preference, Supervision
from sim.logs import Logs
from sim.objectives import Derivatives, Objective
from sim.policies import Mixture, PolicyList

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


def learned_cost(world, table, found, s):
    """The context frequencies of a log and its pessimistic cost, from the weights of the fit."""
    psi = np.asarray(world.cost_features.table)
    _, gram = slow.least_squares(psi, np.asarray(world.distance), slow.records_of(table), RIDGE)
    alpha = found.notes["confidence_radius"][s]
    return table.sum(axis=(1, 2)) / table.sum(), slow.pessimistic_cost(found.parameters[s], gram, alpha, psi)


def without(world, *impossible):
    """log pi_ref without some responses of context 0."""
    policy = np.array(world.reference)
    policy[0, list(impossible)] = 0
    policy /= policy.sum(axis=1, keepdims=True)
    return np.array([[np.log(p) if p > 0 else -np.inf for p in row] for row in policy])
