"""Users: the kernels of their editors and compositions, and the dials that break balance."""

import numpy as np
import pytest
import reference as ref
from kernel_cases import EXACT, assert_balanced, assert_probabilities, attributes_of, general, plain_edits, product

from sim import kernels
from sim.users import EDITORS, Edits, User, build_kernel, edit_rate, register_editor


def edits_for(optimal, strength=0.6, subset_size=1):
    """What an editor of an attribute world may use."""
    attributes = attributes_of(optimal)
    return Edits(strength, kernels.flip_proposal(attributes), attributes, min(subset_size, attributes))


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
    assert edit_rate(User(editor="redraw"), 0.6, 4) == 0.6
    assert edit_rate(User(editor="subset", subset_size=3), 0.6, 4) == pytest.approx(0.6 * 3 / 4, rel=1e-15)
    assert edit_rate(User(editor="subset", subset_size=0), 0.6, 4) == 0


def test_registered_editor_is_used(monkeypatch):
    monkeypatch.setattr("sim.users.EDITORS", dict(EDITORS))
    register_editor("always-first", lambda optimal, edits: np.eye(optimal.shape[1])[np.zeros(optimal.shape, int)])
    kernel = build_kernel(User(editor="always-first"), general(2, 3), plain_edits(3))
    assert (kernel[:, :, 0] == 1).all() and (kernel[:, :, 1:] == 0).all()
