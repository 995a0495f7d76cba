"""Optima, what an editor may use, and the balance of a kernel, for the tests of kernels and of users."""

import numpy as np
import reference as ref

from sim import kernels
from sim.users import Edits

EXACT = {"rtol": 0, "atol": 1e-14}


def probabilities(contexts, attributes):
    """Bernoulli probabilities p_xk of a product optimum, some of them extreme."""
    theta = 3.0 * np.random.default_rng([contexts, attributes]).normal(size=(contexts, attributes)) + 0.7
    return 1 / (1 + np.exp(-theta))


def product(contexts, attributes):
    """A product optimum over {0, 1}^K."""
    return ref.product_policy(probabilities(contexts, attributes))


def general(contexts, responses):
    """An optimum without structure."""
    return ref.random_policy(np.random.default_rng([3, contexts, responses]), contexts, responses)


def attributes_of(optimal):
    """K, for optima over {0, 1}^K."""
    return optimal.shape[1].bit_length() - 1


def plain_edits(responses, strength=0.6):
    """What an editor of a world without attributes may use."""
    return Edits(strength, kernels.uniform_proposal(responses), None, 1)


def assert_probabilities(kernel):
    assert kernel.min() >= 0
    np.testing.assert_allclose(kernel.sum(axis=2), 1.0, **EXACT)


def assert_balanced(kernel, optimal):
    assert_probabilities(kernel)
    assert ref.balance_violation(kernel, optimal) <= 1e-14
    assert ref.stationarity_violation(kernel, optimal) <= 1e-14
