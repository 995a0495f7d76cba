"""Edit kernels against their definitions, entry by entry; what is balanced, and what is not."""

import itertools
import math

import numpy as np
import pytest
import reference as ref
from kernel_cases import (
    EXACT,
    assert_balanced,
    assert_probabilities,
    attributes_of,
    general,
    plain_edits,
    probabilities,
    product,
)

from sim import kernels
from sim.errors import BadInput
from sim.users import User, build_kernel

STRENGTHS = [0.0, 0.3, 1.0]
OPTIMA = {
    "product": product(3, 3),
    "general": general(3, 8),
    "one context": general(1, 4),
    "one attribute": product(5, 1),
    "no attribute": np.ones((3, 1)),
}
optima = pytest.mark.parametrize("optimal", OPTIMA.values(), ids=OPTIMA)


# Definitions.


@pytest.mark.parametrize("attributes", [0, 1, 2, 3, 5])
def test_attribute_table_lists_the_tuples_in_order(attributes):
    table = kernels.attribute_table(attributes)
    assert table.shape == (2**attributes, attributes)
    assert [tuple(row) for row in table.tolist()] == ref.responses_of(attributes)


@pytest.mark.parametrize("attributes", [1, 2, 3, 5])
def test_product_law(attributes):
    p = probabilities(2, attributes)
    np.testing.assert_allclose(kernels._product_law(p, 1 - p), ref.product_policy(p), rtol=1e-14)


@optima
@pytest.mark.parametrize("strength", STRENGTHS)
def test_lazy(optimal, strength):
    np.testing.assert_allclose(kernels.lazy(optimal, strength), ref.lazy(optimal, strength), **EXACT)
    inner = np.random.default_rng(1).dirichlet(np.ones(optimal.shape[1]), size=optimal.shape)
    np.testing.assert_allclose(kernels.lazy(optimal, strength, inner), ref.lazy(optimal, strength, inner), **EXACT)


@optima
def test_identity(optimal):
    kernel = kernels.identity(optimal)
    np.testing.assert_array_equal(kernel, ref.lazy(optimal, 0.0))
    kernel[0, 0, 0] = 7.0
    assert (kernels.identity(optimal) <= 1).all()


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("attributes", [1, 2, 3, 4])
def test_redraw_of_a_product_draws_every_attribute_on_its_own(attributes, strength):
    p = probabilities(2, attributes)
    kernel = kernels.redraw(ref.product_policy(p), strength)
    np.testing.assert_allclose(kernel, ref.product_redraw(p, strength), **EXACT)


@optima
@pytest.mark.parametrize("strength", STRENGTHS)
def test_redraw_mixes_the_redraws_of_all_sets(optimal, strength):
    np.testing.assert_allclose(kernels.redraw(optimal, strength), ref.redraw(optimal, strength), **EXACT)


@pytest.mark.parametrize("apart", [1e-5, 1e-8, 1e-10])
def test_redraw_is_exact_and_continuous_where_a_product_stops_being_one(apart):
    exact = product(2, 3)
    nearly = exact * np.exp(apart * np.random.default_rng(0).normal(size=exact.shape))
    nearly /= nearly.sum(axis=1, keepdims=True)
    assert_balanced(kernels.redraw(nearly, 0.4), nearly)
    # The derivatives of a kernel in the log-probabilities are at most a few units.
    np.testing.assert_allclose(kernels.redraw(nearly, 0.4), kernels.redraw(exact, 0.4), rtol=0, atol=100 * apart)


def test_redraw_of_a_steep_product_does_not_go_through_all_sets(monkeypatch):
    """A product stays recognised when 1 - p is small: the sum over 2^K sets is out of reach for large K."""
    optimal = ref.attribute_policy(np.array([[15.0, -14.0, 12.0]]))
    expected = ref.redraw(optimal, 0.5)
    monkeypatch.setattr(kernels, "block_redraw", lambda *_: pytest.fail("a product went through the sum over sets"))
    np.testing.assert_allclose(kernels.redraw(optimal, 0.5), expected, **EXACT)


@optima
def test_subset_averages_over_the_sets_of_one_size(optimal):
    for size in range(attributes_of(optimal) + 1):
        np.testing.assert_allclose(kernels.subset(optimal, size), ref.subset(optimal, size), **EXACT)


@optima
def test_subset_of_nothing_is_the_identity_and_of_everything_a_draw_from_the_optimum(optimal):
    np.testing.assert_allclose(kernels.subset(optimal, 0), ref.lazy(optimal, 0.0), **EXACT)
    np.testing.assert_allclose(kernels.subset(optimal, attributes_of(optimal)), ref.lazy(optimal, 1.0), **EXACT)


@pytest.mark.parametrize("block", [(), (0,), (2,), (0, 2), (0, 1, 2)])
def test_block_redraw_keeps_the_other_attributes(block):
    optimal, mask = general(3, 8), np.isin(np.arange(3), block)
    np.testing.assert_allclose(kernels.block_redraw(optimal, mask), ref.block_redraw(optimal, block), **EXACT)


@optima
@pytest.mark.parametrize("rule", ["metropolis", "barker"])
def test_metropolis_and_barker(optimal, rule):
    responses = optimal.shape[1]
    proposals = [kernels.flip_proposal(attributes_of(optimal)), kernels.uniform_proposal(responses)]
    random = np.random.default_rng(2).uniform(size=(responses, responses))
    proposals.append((random + random.T) / (2 * responses))
    for proposal in proposals:
        kernel = getattr(kernels, rule)(optimal, proposal)
        np.testing.assert_allclose(kernel, getattr(ref, rule)(optimal, proposal), **EXACT)
        assert_balanced(kernel, optimal)


@pytest.mark.parametrize("rule", [kernels.metropolis, kernels.barker])
def test_accept_reject_rows_are_probabilities_at_every_size(rule):
    """Where every proposal is accepted, what is left for staying is zero, not a rounding error below it."""
    for responses in range(1, 65):
        optimal = general(3, responses)
        assert_probabilities(rule(optimal, kernels.uniform_proposal(responses)))


@pytest.mark.parametrize("attributes", [0, 1, 2, 3, 4])
def test_flip_proposal_flips_one_attribute(attributes):
    tuples = ref.responses_of(attributes)
    expected = [[(math.dist(y, e) == 1) / max(attributes, 1) for e in tuples] for y in tuples]
    np.testing.assert_array_equal(kernels.flip_proposal(attributes), expected)


@pytest.mark.parametrize("responses", [1, 2, 3, 7])
def test_uniform_proposal_proposes_any_other(responses):
    expected = [[(y != e) / max(responses - 1, 1) for e in range(responses)] for y in range(responses)]
    np.testing.assert_array_equal(kernels.uniform_proposal(responses), expected)


@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_power_repeats_the_kernel(times):
    kernel = ref.redraw(general(2, 4), 0.3)
    expected = ref.lazy(general(2, 4), 0.0)
    for _ in range(times):
        expected = ref.composed(expected, kernel)
    np.testing.assert_allclose(kernels.power(kernel, times), expected, **EXACT)


def test_palindrome_and_mixture():
    optimal = general(2, 4)
    first, second = ref.subset(optimal, 1), ref.barker(optimal, kernels.uniform_proposal(4))
    expected = ref.composed(ref.composed(first, second), first)
    np.testing.assert_allclose(kernels.palindrome(first, second), expected, **EXACT)
    mixed = kernels.mixture(first, second, 0.3)
    for index in np.ndindex(mixed.shape):
        assert mixed[index] == pytest.approx(0.7 * first[index] + 0.3 * second[index], rel=0, abs=1e-15)


@pytest.mark.parametrize("responses", [1, 2, 3, 5, 7])
def test_cyclic_and_opposite(responses):
    optimal = general(3, responses)
    np.testing.assert_allclose(kernels.cyclic(optimal), ref.cyclic(optimal), **EXACT)
    np.testing.assert_allclose(kernels.opposite(optimal), ref.opposite(optimal), **EXACT)


# Balance.


REVERSIBLE = {
    "lazy": lambda mu: kernels.lazy(mu, 0.3),
    "redraw": lambda mu: kernels.redraw(mu, 0.3),
    "full redraw": lambda mu: kernels.redraw(mu, 1.0),
    "subset": lambda mu: kernels.subset(mu, min(2, attributes_of(mu))),
    "metropolis": lambda mu: kernels.metropolis(mu, kernels.flip_proposal(attributes_of(mu))),
    "barker": lambda mu: kernels.barker(mu, kernels.flip_proposal(attributes_of(mu))),
}
PAIRS = list(itertools.combinations(REVERSIBLE, 2))


@optima
@pytest.mark.parametrize("name", REVERSIBLE)
def test_kernels_are_reversible_and_so_are_their_powers(optimal, name):
    kernel = REVERSIBLE[name](optimal)
    for times in range(4):
        assert_balanced(kernels.power(kernel, times), optimal)
    assert_balanced(kernels.lazy(optimal, 0.4, kernel), optimal)


@optima
@pytest.mark.parametrize("names", PAIRS, ids=" ".join)
def test_mixtures_and_palindromes_are_reversible(optimal, names):
    first, second = (REVERSIBLE[name](optimal) for name in names)
    assert_balanced(kernels.mixture(first, second, 0.3), optimal)
    assert_balanced(kernels.palindrome(first, second), optimal)
    assert_balanced(kernels.palindrome(second, first), optimal)


@pytest.mark.parametrize("optimal", [product(3, 3), general(3, 8)], ids=["product", "general"])
def test_products_of_two_reversible_kernels_are_stationary_but_not_reversible(optimal):
    product_of_two = kernels.metropolis(optimal, kernels.uniform_proposal(8)) @ kernels.subset(optimal, 2)
    assert_probabilities(product_of_two)
    assert ref.stationarity_violation(product_of_two, optimal) <= 1e-14
    assert ref.balance_violation(product_of_two, optimal) > 1e-4


@pytest.mark.parametrize("responses", [2, 3, 5, 7])
def test_cyclic_is_stationary_and_not_reversible_for_three_or_more(responses):
    optimal = general(3, responses)
    kernel = kernels.cyclic(optimal)
    assert_probabilities(kernel)
    assert ref.stationarity_violation(kernel, optimal) <= 1e-14
    # The flow along every edge of the cycle is min(mu), and nothing flows back.
    violation = optimal.min(axis=1).max() if responses > 2 else 0.0
    assert ref.balance_violation(kernel, optimal) == pytest.approx(violation, rel=0, abs=1e-14)


def test_opposite_of_the_opposite_is_the_optimum():
    optimal = general(3, 7)
    np.testing.assert_allclose(kernels.opposite(kernels.opposite(optimal)), optimal, rtol=1e-13)


# Bad input.


ZERO = np.array([[0.5, 0.5, 0.0, 0.0], [0.1, 0.2, 0.3, 0.4]])
BAD = {
    "subset too large": (lambda: kernels.subset(general(2, 4), 3), r"subset_size: expected a number in \[0, 2\]"),
    "subset negative": (lambda: kernels.subset(general(2, 4), -1), r"subset_size: .* got -1"),
    "subset of no attributes": (lambda: kernels.subset(general(2, 6), 1), r"expected 2\^K responses, got 6"),
    "redraw of no attributes": (lambda: kernels.redraw(general(2, 5), 0.5), r"expected 2\^K responses, got 5"),
    "redraw zero": (lambda: kernels.block_redraw(ZERO, np.array([True, False])), "response 2 in context 0"),
    "metropolis zero": (lambda: kernels.metropolis(ZERO, kernels.uniform_proposal(4)), "response 2 in context 0"),
    "barker zero": (lambda: kernels.barker(ZERO, kernels.uniform_proposal(4)), "response 2 in context 0"),
    "cyclic zero": (lambda: kernels.cyclic(ZERO), "lower the scale"),
    "opposite zero": (lambda: kernels.opposite(ZERO), "lower the scale"),
    "user zero": (lambda: build_kernel(User(editor="lazy"), ZERO, plain_edits(4)), "response 2 in context 0"),
    "unknown editor": (
        lambda: build_kernel(User(editor="metropoli"), general(2, 3), plain_edits(3)),
        "unknown editor 'metropoli'; did you mean 'metropolis'?",
    ),
    "unknown second editor": (
        lambda: build_kernel(
            User(editor="lazy", compose="mixture", second_editor="lasy"), general(2, 3), plain_edits(3)
        ),
        "unknown editor 'lasy'; did you mean 'lazy'?",
    ),
    "redraw without attributes": (
        lambda: build_kernel(User(editor="redraw"), general(2, 4), plain_edits(4)),
        "editor 'redraw' needs an attribute world",
    ),
    "subset without attributes": (
        lambda: build_kernel(User(editor="subset"), general(2, 4), plain_edits(4)),
        "editor 'subset' needs an attribute world",
    ),
}


@pytest.mark.parametrize(("build", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_with_the_reason(build, message):
    with pytest.raises(BadInput, match=message):
        build()
