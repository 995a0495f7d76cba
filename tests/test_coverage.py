"""Coverage of preferences, against loops written from its definitions."""

import itertools
import math

import bound_cases
import jax.numpy as jnp
import numpy as np
import pytest
from bound_cases import context, with_zeros

import sim
from bounds import coverage, truths
from sim import policies
from sim.policies import PolicyList

stationary = bound_cases.stationary


def loop_preference_coverage(world: sim.World, members: np.ndarray) -> float:
    rho, worst = np.asarray(world.context_probs), 0.0
    for member in members:
        top = bottom = 0.0
        if np.abs(member - np.asarray(world.optimal)).max() <= 1e-12:
            continue
        for x in range(world.contexts):
            q, ref, opt = context(world, x)
            reward = [math.log(a / b) for a, b in zip(member[x], ref, strict=True)]
            best = [math.log(a / b) for a, b in zip(opt, ref, strict=True)]
            for y, e in itertools.product(range(world.responses), repeat=2):
                square = ((reward[e] - reward[y]) - (best[e] - best[y])) ** 2
                top += rho[x] * member[x, y] * opt[e] * square
                bottom += rho[x] * ref[y] * q[y][e] * square if e != y else 0.0
        worst = max(worst, top / bottom if bottom > 0 else math.inf)
    return worst


def loop_linear_coverage(world: sim.World) -> float:
    features, rho = np.asarray(world.policy_features.table), np.asarray(world.context_probs)
    sigma = np.zeros((features.shape[2], features.shape[2]))
    for x in range(world.contexts):
        q, ref, _ = context(world, x)
        for y, e in itertools.product(range(world.responses), repeat=2):
            psi = features[x, e] - features[x, y]
            sigma += rho[x] * ref[y] * q[y][e] * np.outer(psi, psi)
    inverse = np.linalg.pinv(sigma, rcond=1e-12)
    pairs = itertools.product(range(world.contexts), range(world.responses), range(world.responses))
    return max(
        float((features[x, e] - features[x, y]) @ inverse @ (features[x, e] - features[x, y])) for x, y, e in pairs
    )


def asymmetric_world(seed: int) -> sim.World:
    rng = np.random.default_rng(seed)
    kernel = rng.dirichlet(np.ones(4), size=(3, 4))
    distance = rng.uniform(0.5, 2.0, (4, 4)) * ~np.eye(4, dtype=bool)
    reference = rng.dirichlet(np.ones(4), size=3)
    return sim.from_reference(rng.dirichlet(np.ones(3)), reference, kernel, distance, 0.7, rng.normal(size=(3, 4, 5)))


@pytest.mark.parametrize("seed", range(3))
def test_preference_coverage_is_the_equation_in_asymmetric_worlds(seed: int) -> None:
    world = asymmetric_world(seed)
    members = policies.policy_list(world, 9, seed)
    expected = loop_preference_coverage(world, np.exp(np.asarray(members.log_policies)))
    assert coverage.preference_coverage(world, members) == pytest.approx(expected, rel=1e-9)
    found = coverage.preference_coverage(world, policies.log_linear(world))
    assert found == pytest.approx(loop_linear_coverage(world), rel=1e-7)


def test_log_linear_coverage_is_above_that_of_its_members(stationary: sim.World) -> None:
    members = policies.policy_list(stationary, 20)
    drawn = PolicyList(members.log_policies[3:])
    linear = coverage.preference_coverage(stationary, policies.log_linear(stationary))
    if truths(stationary)["optimum_outside_class"] < 1e-9:
        assert 0 < coverage.preference_coverage(stationary, drawn) <= linear * (1 + 1e-9)


@pytest.mark.parametrize("kind", ["list", "log-linear"])
def test_preference_coverage_grows_as_one_over_the_strength(kind: str) -> None:
    def at(strength: float) -> float:
        world = sim.world("attributes", attributes=3, strength=strength)
        chosen = policies.policy_list(world) if kind == "list" else policies.log_linear(world)
        if isinstance(chosen, PolicyList):
            chosen = PolicyList(chosen.log_policies[2:])  # q∘pi_ref moves with the strength
        return coverage.preference_coverage(world, chosen)

    assert at(0.5) < at(0.2) < at(0.1)
    assert at(0.001) / at(0.01) == pytest.approx(10, rel=0.03)


def test_a_log_without_edits_covers_nothing() -> None:
    world = sim.world("attributes", strength=0.0)
    skewed = PolicyList(jnp.log(jnp.asarray(np.random.default_rng(0).dirichlet(np.ones(16), size=(2, 3)))))
    assert coverage.preference_coverage(world, skewed) == math.inf
    assert coverage.preference_coverage(world, policies.log_linear(world)) == math.inf
    assert truths(world)["reasons"]["preference_coverage"].startswith("infinite")


def test_only_the_optimum_needs_no_coverage_and_lost_responses_cannot_be_covered() -> None:
    world = sim.world("tabular", responses=4)
    assert coverage.preference_coverage(world, PolicyList(world.log_optimal[None])) == 0.0
    lost = np.array(world.optimal)
    lost[0, 0] = 0.0
    lost[0] /= lost[0].sum()
    assert coverage.preference_coverage(world, PolicyList(jnp.log(jnp.asarray(lost))[None])) == math.inf
    single = sim.world("tabular", responses=1)
    assert coverage.preference_coverage(single, policies.log_linear(single)) == 0.0


def test_responses_that_no_policy_gives_do_not_count() -> None:
    world = with_zeros(0.5, [[0.6, 0.2, 0.2, 0.0], [0.25] * 4])
    other = jnp.log(jnp.asarray([[0.2, 0.3, 0.5, 0.0], [0.4, 0.3, 0.2, 0.1]]))[None]
    assert math.isfinite(coverage.preference_coverage(world, PolicyList(other)))
    assert math.isfinite(coverage.preference_coverage(world, policies.log_linear(world)))


def test_pairs_that_never_meet_leave_a_direction_uncovered() -> None:
    optimal = np.full((1, 4), 0.25)
    kernel = np.kron(np.eye(2), np.full((2, 2), 0.5))[None]
    world = sim.plant(np.ones(1), optimal, kernel, 1.0 - np.eye(4), 0.5, np.eye(4)[None])
    assert coverage.preference_coverage(world, policies.log_linear(world)) == math.inf
    within = np.array([[[1.0], [-1.0], [0.5], [-0.5]]])
    narrow = sim.plant(np.ones(1), optimal, kernel, 1.0 - np.eye(4), 0.5, within)
    assert math.isfinite(coverage.preference_coverage(narrow, policies.log_linear(narrow)))
