"""Logs of worlds too large for a table of counts: their law, their identity, and what is refused.

Every statistical test uses fixed seeds, on two separate batches; it rejects a right sampler about once in a million.
"""

import jax.numpy as jnp
import numpy as np
import product_cases
import pytest
import test_log_law
from scipy.stats import chi2, norm

import sim
from sim import cubes, logs, record_logs
from sim.editors import ProductEditor
from sim.errors import BadInput
from sim.logs import law_key
from sim.record_logs import draw, law_of

ALPHA = 1e-6
BATCHES = {"first": range(20), "second": range(1000, 1020)}
batches = pytest.mark.parametrize("seeds", BATCHES.values(), ids=BATCHES)
LARGE = {"attributes": 20, "contexts": 2, "strength": 0.4, "world_seed": 3}
USERS = {"redraw": {}, "mixture": {"editor": "lazy", "harmful": 0.2}}


@pytest.fixture(scope="module", params=USERS.values(), ids=USERS)
def large(request):
    return sim.world("attributes", user=request.param, **LARGE)


def law_of_triples(world):
    """The declared law of a triple, from the table of the kernel."""
    weights = np.asarray(world.context_probs)[:, None] * np.asarray(world.reference)
    return weights[:, :, None] * world.editor.dense()


def bits(responses, attributes):
    return (responses[..., None] >> np.arange(attributes)[::-1] & 1).astype(float)


# The law, at sizes where the table of triples fits.


@pytest.mark.parametrize("user", [{}, {"editor": "lazy"}, {"editor": "subset", "subset_size": 2}, {"tempered": 0.4}])
@batches
def test_records_follow_the_law_of_the_table(user, seeds):
    world = product_cases.product_world(2, 3, 0.4, user)
    drawn = draw(law_of(world), 10_000, [[5, seed] for seed in seeds])
    cells = np.ravel_multi_index((drawn.context, drawn.response, drawn.edited), (2, 8, 8))
    totals = np.bincount(cells.ravel(), minlength=128).reshape(2, 8, 8)
    test_log_law.assert_law(totals, law_of_triples(world))


def test_a_reference_that_is_no_product_is_drawn_exactly():
    law = law_of(product_cases.product_world(2, 3, 0.4, {}))
    reference = np.random.default_rng(0).dirichlet(np.ones(8), 2)
    reference[0, [0, 7]] = 0
    reference[0] /= reference[0].sum()
    drawn = draw(law._replace(reference=reference), 200_000, [[seed] for seed in range(2)])
    counts = np.bincount((drawn.context * 8 + drawn.response).ravel(), minlength=16).reshape(2, 8)
    test_log_law.assert_law(counts, law.context_probs[:, None] * reference)


# A million responses: marginals and moments against exact ones.


def pushed(world, weights):
    return np.asarray(world.editor.push(jnp.asarray(weights)))


def exact_moments(world):
    """Per context: E y_j, E e_j, E 1[e_j != y_j] (X, K), and E y_j e_k (X, K, K), from tables of one policy."""
    reference = np.asarray(world.reference)
    parts = [cubes.marginals(pushed(world, reference))[:, :, 1]]
    ones = cubes.marginals(reference)[:, :, 1]
    flipped = np.sum(cubes.marginals(reference) * np.asarray(world.editor.flips()), axis=2)
    attributes = ones.shape[1]
    mixed = np.zeros((len(ones), attributes, attributes))
    for j in range(attributes):
        chosen = (np.arange(2**attributes) >> (attributes - 1 - j) & 1).astype(float)
        mixed[:, j] = cubes.marginals(pushed(world, reference * chosen))[:, :, 1]
    return ones, parts[0], flipped, mixed


@pytest.fixture(scope="module")
def moments(large):
    return exact_moments(large)


@pytest.mark.slow
@batches
def test_a_million_responses_have_their_moments(large, moments, seeds):
    drawn = sim.sample(large, 5_000, list(seeds))
    before, after = bits(drawn.response, 20), bits(drawn.edited, 20)
    for x in range(2):
        here = drawn.context == x
        y, e = before[here], after[here]
        n, (ones, edited, flipped, mixed) = len(y), (m[x] for m in moments)
        found = [y.mean(0), e.mean(0), (y != e).mean(0), (y.T @ e / n).ravel()]
        expected = [ones, edited, flipped, mixed.ravel()]
        assert abs(n - drawn.context.size / 2) < norm.isf(ALPHA / 2) * np.sqrt(drawn.context.size) / 2
        for mean, p in zip(found, expected, strict=True):
            error = np.sqrt(p * (1 - p) / n)
            assert np.all(np.abs(mean - p) <= norm.isf(ALPHA / (2 * p.size)) * error + 1e-12)


@batches
def test_attributes_are_independent_where_the_law_is_a_product(seeds):
    """Chi-square of all pairs of values of two attributes, at the two ends and in the middle."""
    world = sim.world("attributes", **LARGE)
    drawn = sim.sample(world, 5_000, list(seeds))
    ones = cubes.marginals(np.asarray(world.reference))[0]
    for j, k in [(0, 19), (9, 10), (0, 1)]:
        y = bits(drawn.response[drawn.context == 0], 20)
        observed = np.bincount((2 * y[:, j] + y[:, k]).astype(int), minlength=4).reshape(2, 2)
        expected = len(y) * np.outer(ones[j], ones[k])
        assert np.sum((observed - expected) ** 2 / expected) <= chi2.isf(ALPHA, 3)


# Identity.


def test_a_log_is_a_function_of_the_law_n_seed_and_root_seed():
    world = sim.world("attributes", **LARGE)
    first, again = sim.sample(world, 50, [3, 1], held_out=20), sim.sample(world, 50, [1], held_out=20)
    for name in ("context", "response", "edited"):
        np.testing.assert_array_equal(getattr(first, name)[1], getattr(again, name)[0])
        np.testing.assert_array_equal(getattr(first.held_out, name)[1], getattr(again.held_out, name)[0])
        assert getattr(again.held_out, name).shape == (1, 20)
    others = [
        sim.sample(world, 50, [3]),
        sim.sample(world, 50, [1], root_seed=1),
        sim.sample(world, 51, [1]),
        sim.sample(sim.world("attributes", **LARGE | {"strength": 0.41}), 50, [1]),
        sim.sample(sim.world("attributes", **LARGE | {"world_seed": 4}), 50, [1]),
    ]
    assert all(np.any(other.response[0, :50] != again.response[0]) for other in others)
    assert np.any(again.held_out.response[0] != again.response[0, :20])
    assert sim.sample(world, 50).held_out.context.shape == (1, 0)


def test_laws_that_differ_in_the_last_bits_have_one_key():
    law = law_of(sim.world("attributes", **LARGE | {"attributes": 12}))
    moved = law._replace(factors=law.factors * (1 + 2e-16), reference=law.reference * (1 - 2e-16))
    assert law_key(law.numbers()) == law_key(moved.numbers())
    moved = law._replace(reference=np.roll(law.reference, 1, axis=1))
    assert law_key(law.numbers()) != law_key(moved.numbers())


# Which form, and what is refused.


def test_only_worlds_without_tables_have_records():
    assert isinstance(sim.sample(sim.world("attributes", attributes=10, contexts=1), 5), sim.Logs)
    assert isinstance(sim.sample(sim.world("attributes", attributes=11, contexts=1), 5), sim.RecordLogs)
    small = product_cases.product_world(2, 3, 0.4, {})
    assert isinstance(small.editor, ProductEditor)
    assert isinstance(sim.sample(small, 5), sim.Logs)


def test_records_in_order_have_their_cost():
    world = sim.world("attributes", **LARGE)
    records = sim.sample_records(world, 40, seed=2)
    apart = np.bitwise_count(records.response ^ records.edited)
    np.testing.assert_allclose(records.cost, float(world.distance.scale) * apart, rtol=1e-15)
    together = logs.as_record_logs([records, sim.sample_records(world, 40, seed=3)])
    np.testing.assert_array_equal(together.of(0).edited, records.edited)
    assert (together.n, together.held_out.context.shape) == (40, (2, 0))


def test_what_does_not_fit_is_refused_in_one_line():
    world = sim.world("attributes", **LARGE)
    with pytest.raises(BadInput, match=r"to_counts: a table of all triples of 1048576 responses .* use the records"):
        sim.to_counts(sim.sample_records(world, 5), world)
    with pytest.raises(BadInput, match=rf"n: expected at most {record_logs.LARGEST_LOG} .* got 10000000000"):
        sim.sample(world, 10**10)
