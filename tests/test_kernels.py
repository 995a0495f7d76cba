"""Edit kernels against their definitions, entry by entry; what is balanced, what is not, and the dials of a user."""

import itertools
import math

import numpy as np
import pytest
import reference as ref

from sim import kernels
from sim.errors import BadInput
from sim.users import EDITORS, Edits, User, build_kernel, edit_rate, register_editor

EXACT = {"rtol": 0, "atol": 1e-14}
STRENGTHS = [0.0, 0.3, 1.0]


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


OPTIMA = {
    "product": product(3, 3),
    "general": general(3, 8),
    "one context": general(1, 4),
    "one attribute": product(5, 1),
    "no attribute": np.ones((3, 1)),
}
optima = pytest.mark.parametrize("optimal", OPTIMA.values(), ids=OPTIMA)


def attributes_of(optimal):
    """K, for optima over {0, 1}^K."""
    return optimal.shape[1].bit_length() - 1


def edits_for(optimal, strength=0.6, subset_size=1):
    """What an editor of an attribute world may use."""
    attributes = attributes_of(optimal)
    return Edits(strength, kernels.flip_proposal(attributes), attributes, min(subset_size, attributes))


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


# Users.


DIALS = ["cyclic", "other_optimum", "harmful", "tempered"]


@pytest.mark.parametrize("editor", sorted(EDITORS))
def test_user_without_dials_is_the_editor_and_reversible(editor):
    optimal = general(3, 8)
    edits = edits_for(optimal, subset_size=2)
    kernel = build_kernel(User(editor=editor, subset_size=2), optimal, edits)
    inner = {
        "redraw": ref.redraw(optimal, 0.6),
        "lazy": ref.lazy(optimal, 0.6),
        "subset": ref.lazy(optimal, 0.6, ref.subset(optimal, 2)),
        "metropolis": ref.lazy(optimal, 0.6, ref.metropolis(optimal, edits.proposal)),
        "barker": ref.lazy(optimal, 0.6, ref.barker(optimal, edits.proposal)),
    }
    np.testing.assert_allclose(kernel, inner[editor], **EXACT)
    assert_balanced(kernel, optimal)


@pytest.mark.parametrize("editor", sorted(EDITORS))
def test_dials_at_zero_break_nothing(editor):
    optimal = general(3, 8)
    user = User(editor=editor, **dict.fromkeys(DIALS, 0.0), user_seed=5)
    plain = build_kernel(User(editor=editor), optimal, edits_for(optimal))
    np.testing.assert_array_equal(build_kernel(user, optimal, edits_for(optimal)), plain)


def test_compositions_of_a_user():
    optimal = general(2, 4)
    edits = edits_for(optimal)
    first, second = ref.redraw(optimal, 0.6), ref.lazy(optimal, 0.6, ref.barker(optimal, edits.proposal))
    common = {"editor": "redraw", "second_editor": "barker"}
    mixed = build_kernel(User(compose="mixture", second_weight=0.3, **common), optimal, edits)
    np.testing.assert_allclose(mixed, 0.7 * first + 0.3 * second, **EXACT)
    palindrome = build_kernel(User(compose="palindrome", **common), optimal, edits)
    np.testing.assert_allclose(palindrome, ref.composed(ref.composed(first, second), first), **EXACT)
    twice = build_kernel(User(editor="redraw", power=2), optimal, edits)
    np.testing.assert_allclose(twice, ref.composed(first, first), **EXACT)
    for kernel in (mixed, palindrome, twice):
        assert_balanced(kernel, optimal)


@pytest.mark.parametrize("weight", [0.2, 1.0])
def test_cyclic_dial_breaks_balance_and_nothing_else(weight):
    optimal = general(3, 8)
    kernel = build_kernel(User(editor="redraw", cyclic=weight), optimal, edits_for(optimal))
    expected = (1 - weight) * ref.redraw(optimal, 0.6) + weight * ref.cyclic(optimal)
    np.testing.assert_allclose(kernel, expected, **EXACT)
    assert ref.stationarity_violation(kernel, optimal) <= 1e-14
    assert ref.balance_violation(kernel, optimal) == pytest.approx(weight * optimal.min(axis=1).max(), rel=1e-9)


@pytest.mark.parametrize("weight", [0.2, 1.0])
def test_harmful_dial_mixes_in_edits_towards_the_opposite(weight):
    optimal = general(3, 8)
    kernel = build_kernel(User(editor="redraw", harmful=weight), optimal, edits_for(optimal))
    expected = (1 - weight) * ref.redraw(optimal, 0.6) + weight * ref.redraw(ref.opposite(optimal), 0.6)
    np.testing.assert_allclose(kernel, expected, **EXACT)
    assert ref.stationarity_violation(kernel, optimal) > 1e-3


def wanted(optimal, edits, **dials):
    """The optimum a user edits towards: a lazy user of strength 1 draws from it."""
    kernel = build_kernel(User(editor="lazy", **dials), optimal, edits)
    np.testing.assert_array_equal(kernel, np.broadcast_to(kernel[:, :1], kernel.shape))
    return kernel[:, 0]


SETTINGS = {"attributes": (product(3, 3), edits_for(product(3, 3), 1.0)), "plain": (general(3, 7), plain_edits(7, 1.0))}


@pytest.mark.parametrize("setting", SETTINGS)
def test_other_optimum_is_a_geometric_path_to_a_reordering(setting):
    optimal, edits = SETTINGS[setting]
    far = wanted(optimal, edits, other_optimum=1.0)
    np.testing.assert_allclose(np.sort(far, axis=1), np.sort(optimal, axis=1), rtol=1e-12)
    half = wanted(optimal, edits, other_optimum=0.3)
    weights = optimal**0.7 * far**0.3
    np.testing.assert_allclose(half, weights / weights.sum(axis=1, keepdims=True), rtol=1e-12)
    assert not np.allclose(wanted(optimal, edits, other_optimum=1.0, user_seed=2), far)


@pytest.mark.parametrize("dial", [0.3, 1.0])
def test_other_optimum_of_an_attribute_world_is_a_product(dial):
    optimal, edits = SETTINGS["attributes"]
    other = wanted(optimal, edits, other_optimum=dial)
    np.testing.assert_allclose(other, ref.product_policy(ref.marginals(other)), rtol=1e-12)


@pytest.mark.parametrize("editor", ["lazy", "metropolis", "barker"])
def test_user_with_another_optimum_is_balanced_for_it_and_not_for_pi_star(editor):
    optimal, edits = SETTINGS["plain"]
    other = wanted(optimal, edits, other_optimum=0.5)
    kernel = build_kernel(User(editor=editor, other_optimum=0.5), optimal, edits)
    assert_balanced(kernel, other)
    assert ref.stationarity_violation(kernel, optimal) > 1e-3


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("responses", [2, 3, 4, 7])
def test_other_optimum_is_another_optimum_for_every_seed(responses, seed):
    optimal = general(2, responses)
    other = wanted(optimal, plain_edits(responses, 1.0), other_optimum=1.0, user_seed=seed)
    assert np.abs(other - optimal).max() > 1e-3


@pytest.mark.parametrize("attributes", [0, 1])
@pytest.mark.parametrize("dials", [{}, dict.fromkeys(DIALS[:3], 0.3)], ids=["plain", "broken"])
@pytest.mark.parametrize("editor", sorted(EDITORS))
def test_users_of_the_smallest_worlds(editor, attributes, dials):
    optimal = np.ones((3, 1)) if attributes == 0 else product(3, 1)
    kernel = build_kernel(User(editor=editor, **dials), optimal, edits_for(optimal))
    assert kernel.shape == (3, 2**attributes, 2**attributes)
    assert_probabilities(kernel)
    if not dials:
        assert_balanced(kernel, optimal)


def test_edit_rate_is_the_share_that_is_redrawn():
    edits = Edits(0.6, kernels.flip_proposal(4), 4, 3)
    assert edit_rate(User(editor="redraw"), edits) == 0.6
    assert edit_rate(User(editor="subset", subset_size=3), edits) == pytest.approx(0.6 * 3 / 4, rel=1e-15)
    assert edit_rate(User(editor="subset", subset_size=0), edits) == 0


def test_registered_editor_is_used(monkeypatch):
    monkeypatch.setattr("sim.users.EDITORS", dict(EDITORS))
    register_editor("always-first", lambda optimal, edits: np.eye(optimal.shape[1])[np.zeros(optimal.shape, int)])
    kernel = build_kernel(User(editor="always-first"), general(2, 3), plain_edits(3))
    assert (kernel[:, :, 0] == 1).all() and (kernel[:, :, 1:] == 0).all()


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
