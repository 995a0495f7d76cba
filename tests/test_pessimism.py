"""Pessimistic bounds: against the equations, and against simulated logs."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from bound_cases import DELTA, assert_rare, fitted, random_world
from product_cases import SIZES, USERS, dense_world, product_world

import sim
from bounds import pessimism
from bounds.coverage import policy_concentrability
from sim.learners import Cost
from sim.policies import log_linear


def test_population_bound_is_the_equation() -> None:
    world, n, ridge = random_world(2, 4, 5), 70, 0.3
    psi, rho = np.asarray(world.cost_features.table), np.asarray(world.context_probs)
    ref, opt = np.asarray(world.reference), np.asarray(world.optimal)
    pairs = [(x, y) for x in range(2) for y in range(4)]
    gram = ridge * np.eye(2) + n * sum(rho[x] * ref[x, y] * np.outer(psi[x, y], psi[x, y]) for x, y in pairs)
    squared = {(x, y): psi[x, y] @ np.linalg.inv(gram) @ psi[x, y] for x, y in pairs}
    log_det = math.log(np.linalg.det(gram / ridge))
    noise = float(np.max(np.asarray(world.distance))) / 2
    weights = float(np.linalg.norm(np.asarray(world.cost_weights)))
    alpha = noise * math.sqrt(2 * math.log(1 / DELTA) + log_det) + math.sqrt(ridge) * weights
    found = pessimism.population(world, n, DELTA, ridge=ridge)
    width = sum(rho[x] * opt[x, y] * math.sqrt(squared[x, y]) for x, y in pairs)
    spread = sum(rho[x] * ref[x, y] * squared[x, y] for x, y in pairs)
    assert found.value == pytest.approx(2 * alpha * width, rel=1e-10)
    coarse = 2 * alpha * math.sqrt(policy_concentrability(world) * spread)
    assert found.terms["coarse"] == pytest.approx(coarse, rel=1e-10) and coarse >= found.value
    assert found.violations["cost linear in its features"] > 0.01 and not found.holds


def test_pessimistic_bound_holds_on_simulated_logs() -> None:
    world = sim.world("attributes")
    fits = fitted(Cost(radius=1.0), world, log_linear(world), 300)
    rows = zip(fits.notes["confidence_radius"], fits.notes["bonus"], strict=True)
    found = [pessimism.realised(world, float(alpha), float(bonus)) for alpha, bonus in rows]
    assert all(bound.holds for bound in found)
    assert_rare(fits.suboptimality > np.array([bound.value for bound in found]))
    # At n the log's Gram matrix is close to its mean.
    mean = pessimism.population(world, 300, DELTA).value
    assert np.mean([bound.value for bound in found]) == pytest.approx(mean, rel=0.05)


@pytest.mark.parametrize(("contexts", "attributes"), SIZES)
@pytest.mark.parametrize("user", USERS, ids=str)
def test_the_noise_scale_of_independent_attributes_is_that_of_the_table(user, contexts, attributes) -> None:
    for strength in (0.0, 0.4, 1.0):
        world = product_world(contexts, attributes, strength, user)
        expected = pessimism.noise_scale(dense_world(contexts, attributes, strength, user))
        assert pessimism.noise_scale(world) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_the_noise_scale_of_a_million_responses() -> None:
    world = sim.world("attributes", attributes=20, contexts=2, strength=0.4)
    flips = np.asarray(world.editor.flips())
    spread = np.sqrt((flips * (1 - flips)).max(axis=2).sum(axis=1).max()) * float(world.distance.scale)
    assert spread <= pessimism.noise_scale(world) <= 0.5 * 20 * float(world.distance.scale)


def test_pessimistic_settings_are_the_learners_and_are_checked() -> None:
    world = sim.world("attributes", attributes=2, contexts=2)
    logs = sim.sample(world, 200, 1)
    scale = pessimism.noise_scale(world)
    settings = [
        {"radius": 1.0},
        {"radius": 2.5, "noise_bound": scale},
        {"radius": 1.0, "weight_bound": 9.0, "c_max": 7.0},
    ]
    psi = np.asarray(world.cost_features.table)
    for chosen in settings:
        fits = sim.fit(Cost(**chosen), logs, world)
        row = float(fits.notes["confidence_radius"][0]), float(fits.notes["bonus"][0])
        found = pessimism.realised(world, *row, **chosen)
        visits = logs.counts[0].sum(axis=2)
        gram = 1e-4 * np.eye(psi.shape[2]) + np.einsum("xy,xyd,xyf->df", visits, psi, psi)
        width = np.sqrt(np.einsum("xyd,df,xyf->xy", psi, np.linalg.inv(gram), psi))
        assert found.terms["width"] == pytest.approx(float(world.expect(world.optimal, jnp.asarray(width))), rel=1e-9)
        expected = (1 + chosen["radius"]) * found.terms["alpha"] * found.terms["width"]
        assert found.holds and found.value == pytest.approx(expected, rel=1e-12)
    assert scale <= 0.5 * float(np.max(np.asarray(world.distance)))
    wrong = {"noise_bound": 0.9 * scale, "weight_bound": 0.1, "radius": 0.5, "c_max": 1.0}
    names = ["sub-Gaussian", "|w*|", "radius", "c_max"]
    for (key, value), name in zip(wrong.items(), names, strict=True):
        assert name in str(pessimism.population(world, 100, DELTA, **{key: value}).why_not())
        assert name in str(pessimism.realised(world, 1.0, 1.0, **{key: value}).why_not())
    assert "plug-in" in str(pessimism.realised(world, 0.0, 0.0, radius=0.0).why_not())
    with pytest.raises(sim.BadInput, match="bonus"):
        pessimism.realised(world, 1.0, -1.0)


@pytest.mark.parametrize("settings", [{"cost_class": "list"}, {}], ids=["list", "linear"])
def test_the_gap_bounds_either_cost_class(settings: dict) -> None:
    world = sim.world("attributes", strength=0.5)
    learner = Cost(1.0, **settings)
    fits = fitted(learner, world, log_linear(world), 1000)
    found = [pessimism.gap(world, float(value), learner) for value in fits.notes["pessimism_gap"]]
    assert all(bound.holds for bound in found)
    assert_rare(fits.suboptimality > np.array([bound.value for bound in found]) + 1e-12)
    if not settings:
        rows = zip(fits.notes["confidence_radius"], fits.notes["bonus"], strict=True)
        realised = np.array([pessimism.realised(world, float(alpha), float(bonus)).value for alpha, bonus in rows])
        # Where the ellipsoid holds w*, which is nearly always.
        assert_rare(np.array([bound.value for bound in found]) > realised)


def test_the_gap_says_where_it_does_not_hold() -> None:
    world = sim.world("attributes", attributes=2)
    assert "plug-in" in str(pessimism.gap(world, 0.1, Cost()).why_not())
    assert "radius" in str(pessimism.gap(world, 0.1, Cost(0.5, cost_class="list")).why_not())
    assert "c_max" in str(pessimism.gap(world, 0.1, Cost(1.0, c_max=0.1, cost_class="list")).why_not())
    assert "printed" in str(pessimism.gap(world, 0.1, Cost(1.0, optimum="paper")).why_not())
