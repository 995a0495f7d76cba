"""Worlds, logs and learners for the tests of the learners.

A module that uses the fixtures binds them by their names.
"""

import numpy as np
import pytest
import reference_learners as slow

import sim
from sim.learners import Cost, Early, EarlyHeldOut, Preference, Supervision
from sim.logs import Logs

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
# Those that share few compilations.
FITTED = ["sup", "pref", "pref-paper", "early-0", "early-0.3", "early-1"]
every_fit = pytest.mark.parametrize("name", FITTED)


def terms_of(name, world):
    _, terms, scaled = LOSSES[name]
    return terms | {"scale": float(world.temperature) if scaled else 1.0}


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


def cost_features_with(cost, m, seed=11):
    """Random features among which are an intercept and the cost: the class contains it."""
    table = np.random.default_rng(seed).normal(size=(*cost.shape, m))
    table[..., 0], table[..., m // 2] = 1.0, cost
    return table


def expected_cost(kernel, distance):
    return np.einsum("xye,ye->xy", kernel, distance)
