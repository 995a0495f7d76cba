"""The lists of policies: searched by each learner, against the plain argmin, and their recipe."""

import jax.numpy as jnp
import numpy as np
import policy_cases
import pytest
import reference_learners as slow
from policy_cases import LOSSES, MEMBERS, SHAPE, learned_cost, logs_of, slow_loss, without

import sim
from sim.learners import Cost, Early, Preference, Status, fit
from sim.policies import PolicyList, policy_list

world, tables, listed = policy_cases.world, policy_cases.tables, policy_cases.listed

every_loss = pytest.mark.parametrize("name", LOSSES)


# Searches


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


# The recipe


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
