"""Worlds of every family, tabular worlds and worlds of a simple cost, and the names and values that families take."""

import math
from typing import Annotated

import numpy as np
import pytest
import reference as ref
from agreement import EPS, close
from pydantic import Field
from reference_families import balance_violation, cost_misfit, hamming, policy_misfit

from sim import families
from sim.errors import BadInput
from sim.families import FAMILIES, grid, register_family, resolve, world
from sim.users import User
from sim.world import plant

# Users in worlds.


@pytest.mark.parametrize("calibration", ["fixed-cost", "fixed-distance"])
@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"random"}))
def test_nobody_edits_at_strength_zero(family, calibration):
    setting = {} if family == "self-consistent" else {"calibration": calibration}
    found = world(family, strength=0.0, **setting)
    np.testing.assert_array_equal(found.editor.kernel, ref.lazy(np.asarray(found.optimal), 0.0))
    np.testing.assert_array_equal(found.expected_cost, np.zeros(found.optimal.shape))
    close(found.reference, found.optimal)
    if family == "attributes":
        np.testing.assert_array_equal(found.distance, hamming(4))


FAMILY_NAMES = ["attributes", "tabular", "lowrank-cost"]


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("editor", ["lazy", "metropolis", "barker"])
def test_editors_balance_in_every_family(family, editor):
    found = world(family, user={"editor": editor})
    assert balance_violation(found) <= 1e-14
    assert ref.balance_violation(np.asarray(world(family).editor.kernel), np.asarray(found.optimal)) <= 1e-14


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("dial", ["cyclic", "other_optimum", "harmful"])
def test_dials_break_balance_and_keep_the_planted_optimum(family, dial):
    plain, broken = world(family), world(family, user={dial: 0.5})
    assert balance_violation(broken) > 1e-4
    close(broken.optimal, plain.optimal)
    cost = ref.expected_cost(np.asarray(broken.editor.kernel), np.asarray(broken.distance))
    close(ref.optimum(np.asarray(broken.reference), cost, float(broken.temperature)), broken.optimal)


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("tempered", [0.5, 1.0])
def test_tempered_user_balances_against_mu_and_not_against_the_optimum(family, tempered):
    """Theory 2.5: pi* is proportional to mu exp(c t (1 - 1 / beta))."""
    plain, found = world(family), world(family, user={"tempered": tempered})
    mu, beta = np.asarray(plain.optimal), float(found.temperature)
    assert balance_violation(found, mu) <= 1e-14
    assert balance_violation(found) > 1e-4
    weights = mu * np.exp(np.asarray(found.expected_cost) * tempered * (1 - 1 / beta))
    close(found.optimal, weights / weights.sum(axis=1, keepdims=True))


# Tabular worlds and worlds of a simple cost.


@pytest.mark.parametrize(
    "setting", [{}, {"responses": 13, "world_seed": 3, "cost_scale": 2.5}, {"responses": 2}], ids=str
)
@pytest.mark.parametrize("family", ["tabular", "lowrank-cost"])
def test_tabular_distance_is_a_metric(family, setting):
    distance = np.asarray(world(family, **setting).distance)
    np.testing.assert_array_equal(np.diag(distance), 0.0)
    np.testing.assert_array_equal(distance, distance.T)
    assert distance[~np.eye(len(distance), dtype=bool)].min() > 0
    for middle in range(len(distance)):
        through = distance[:, middle, None] + distance[None, middle]
        assert (distance <= through * (1 + 4 * EPS)).all()


@pytest.mark.parametrize("dimension", [0, 1, 3])
def test_tabular_worlds_are_realisable(dimension):
    found = world("tabular", responses=7, contexts=2, policy_dimension=dimension)
    assert found.policy_features.dimension == (dimension or 2 * 6)
    assert found.cost_features.dimension == 2 * 7
    assert policy_misfit(found, found.optimal) <= 1e-12
    assert cost_misfit(found) <= 1e-12
    assert balance_violation(found) <= 1e-14
    if dimension == 0:
        assert policy_misfit(found, found.edited(found.reference)) <= 1e-12


@pytest.mark.parametrize("editor", ["lazy", "metropolis", "barker"])
@pytest.mark.parametrize("dimension", [1, 3])
def test_lowrank_cost_is_linear_in_its_features(dimension, editor):
    found = world("lowrank-cost", responses=7, contexts=2, cost_dimension=dimension, user={"editor": editor})
    psi, cost = np.asarray(found.cost_features.table), np.asarray(found.expected_cost)
    assert psi.shape == (2, 7, dimension)
    assert np.linalg.matrix_rank(psi.reshape(14, dimension)) == dimension
    weights = np.zeros(dimension)
    weights[0] = cost.max()
    close(psi @ weights, cost)
    assert policy_misfit(found, found.reference) <= 1e-12


@pytest.mark.parametrize("family", ["tabular", "lowrank-cost"])
@pytest.mark.parametrize("setting", [{"responses": 1}, {"contexts": 1}, {"responses": 1, "contexts": 1}], ids=str)
def test_smallest_tabular_worlds(family, setting):
    found = world(family, **setting)
    close(np.sum(found.triple_law()), 1.0)
    assert np.isfinite(float(found.suboptimality(found.reference)))
    if "responses" in setting:
        np.testing.assert_array_equal(found.expected_cost, 0.0)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_world_seeds_make_worlds(family):
    # The families at collection: other tests register their own.
    first, again, other = (np.asarray(world(family, world_seed=seed).optimal) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


# Names and values.


REFUSED = [
    ("atributes", {}, "unknown world family 'atributes'; did you mean 'attributes'?"),
    ("low-rank-cost", {}, "did you mean 'lowrank-cost'?"),
    ("zzz", {}, "choose one of: attributes, lowrank-cost, random, self-consistent, tabular"),
    (
        "attributes",
        {"strenght": 0.5},
        "unknown parameter of world family 'attributes' 'strenght'; did you mean 'strength'?",
    ),
    ("tabular", {"attributes": 3}, "unknown parameter of world family 'tabular' 'attributes'"),
    ("attributes", {"user": {"editr": "lazy"}}, "unknown key of [user] 'editr'; did you mean 'editor'?"),
    ("attributes", {"user": {"editor": "redrew"}}, "unknown editor 'redrew'; did you mean 'redraw'?"),
    ("attributes", {"user": {"compose": "palindrom"}}, "user.compose: "),
    ("attributes", {"user": {"cyclic": 1.5}}, "user.cyclic: Input should be less than or equal to 1, got 1.5"),
    ("attributes", {"user": {"harmful": -0.1}}, "user.harmful: "),
    ("attributes", {"user": {"power": -1}}, "user.power: "),
    ("attributes", {"user": {"tempered": "yes"}}, "user.tempered: "),
    ("attributes", {"user": {"editor": "subset", "subset_size": 5}}, "subset_size: expected a number in [0, 4]"),
    ("tabular", {"user": {"editor": "subset"}}, "editor 'subset' needs an attribute world"),
    ("tabular", {"user": {"editor": "redraw"}}, "editor 'redraw' needs an attribute world"),
    ("attributes", {"strength": 1.5}, "strength: "),
    ("attributes", {"strength": -0.1}, "strength: "),
    ("attributes", {"strength": "0.5"}, "strength: "),
    ("attributes", {"strength": [0.5, 1.0]}, "strength: "),
    ("attributes", {"strength": math.nan}, "strength: "),
    ("attributes", {"attributes": 21}, "attributes: "),
    ("attributes", {"attributes": 2.5}, "attributes: "),
    ("attributes", {"attributes": -1}, "attributes: "),
    ("attributes", {"attributes": True}, "attributes: "),
    ("attributes", {"contexts": 0}, "contexts: "),
    ("attributes", {"cost_scale": 0.0}, "cost_scale: "),
    ("attributes", {"cost_scale": math.inf}, ""),
    ("attributes", {"temperature": 0.0}, "temperature: "),
    ("attributes", {"temperature": -1.0}, "temperature: "),
    ("attributes", {"temperature": math.nan}, "temperature: "),
    ("attributes", {"temperature": math.inf}, "temperature: "),
    ("attributes", {"preference_scale": -1.0}, "preference_scale: "),
    ("attributes", {"preference_scale": 1e4}, "lower the scale of the preferences"),
    ("tabular", {"preference_scale": 1e4}, "lower the scale of the preferences"),
    ("tabular", {"preference_scale": math.inf}, ""),
    ("attributes", {"world_seed": -1}, "world_seed: "),
    ("attributes", {"calibration": "fixed"}, "calibration: "),
    ("attributes", {"policy_interaction": -0.5}, "policy_interaction: "),
    ("tabular", {"responses": 0}, "responses: "),
    ("tabular", {"policy_dimension": -1}, "policy_dimension: "),
    ("lowrank-cost", {"cost_dimension": 0}, "cost_dimension: "),
    ("self-consistent", {"root": "left"}, "root: "),
    ("self-consistent", {"attributes": 0}, "attributes: "),
]


@pytest.mark.parametrize(("family", "given", "message"), REFUSED, ids=lambda value: str(value)[:50])
def test_unknown_names_and_bad_values_are_refused_in_one_line(family, given, message):
    with pytest.raises(BadInput) as caught:
        world(family, **given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_defaults_of_the_attribute_family():
    expected = {
        "attributes": 4, "contexts": 3, "strength": 0.5, "cost_scale": 1.0, "temperature": 0.5,
        "preference_scale": 1.5, "world_seed": 0, "calibration": "fixed-cost",
        "policy_interaction": 0.0, "cost_interaction": 0.0,
    }  # fmt: skip
    assert resolve("attributes", {}) == expected
    assert resolve("attributes", {"contexts": 5}) == expected | {"contexts": 5}


def test_whole_numbers_stand_for_floats_and_a_user_object_for_its_table():
    np.testing.assert_array_equal(
        world("attributes", strength=1).reference, world("attributes", strength=1.0).reference
    )
    table = {"editor": "barker", "cyclic": 0.2}
    np.testing.assert_array_equal(
        world("tabular", user=User(editor="barker", cyclic=0.2)).editor.kernel,
        world("tabular", user=table).editor.kernel,
    )


def test_registered_family_is_built_with_checked_parameters(monkeypatch):
    monkeypatch.setattr(families, "FAMILIES", dict(FAMILIES))

    def own(*, size: Annotated[int, Field(ge=2)] = 3, user: User):
        given = ref.world_arguments(1, 2, size, 2, 2)
        return plant(**given)

    register_family("own", own)
    assert world("own", size=5).responses == 5
    assert resolve("own", {}) == {"size": 3}
    with pytest.raises(BadInput, match="size: Input should be greater than or equal to 2, got 1"):
        world("own", size=1)
    with pytest.raises(BadInput, match="did you mean 'own'"):
        world("owm")


def test_grid_multiplies_the_lists_and_the_last_varies_fastest():
    cells = grid({"a": [1, 2], "b": "x", "c": [3, 4, 5]})
    assert cells == [{"a": a, "b": "x", "c": c} for a in (1, 2) for c in (3, 4, 5)]
    assert grid({}) == [{}]
    assert grid({"a": []}) == []
