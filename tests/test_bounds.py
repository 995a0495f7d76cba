"""Exact coefficients of a world against loops written from their definitions."""

import math

import numpy as np
import pytest

import sim
from bounds import contraction, coverage, truths


def random_world(contexts: int, responses: int, seed: int, zeros: bool = False) -> sim.World:
    rng = np.random.default_rng(seed)
    kernel = rng.dirichlet(np.ones(responses), size=(contexts, responses))
    distance = rng.uniform(0.5, 2.0, (responses, responses)) * ~np.eye(responses, dtype=bool)
    reference = rng.dirichlet(np.ones(responses), size=contexts)
    if zeros:
        reference[0, 0] = 0.0
        reference[0] /= reference[0].sum()
    features = rng.normal(size=(contexts, responses, 3))
    return sim.from_reference(rng.dirichlet(np.ones(contexts)), reference, kernel, distance, 0.7, features)


@pytest.fixture(params=[(1, 1), (2, 1), (1, 2), (2, 5), (3, 7)], ids=str)
def world(request: pytest.FixtureRequest) -> sim.World:
    return random_world(*request.param, seed=sum(request.param))


def rows(world: sim.World, x: int) -> list[list[float]]:
    return np.asarray(world.editor.kernel)[x].tolist()


def test_gamma_min_doeblin_and_dobrushin(world: sim.World) -> None:
    size = world.responses
    for x in range(world.contexts):
        q, optimal = rows(world, x), np.asarray(world.optimal)[x].tolist()
        best = optimal.index(max(optimal))
        gamma = min(q[y][best] for y in range(size))
        common = sum(min(q[y][e] for y in range(size)) for e in range(size))
        tau = max(0.5 * sum(abs(q[a][e] - q[b][e]) for e in range(size)) for a in range(size) for b in range(size))
        assert contraction.gamma_min(world)[x] == pytest.approx(gamma, rel=1e-12)
        assert contraction.doeblin(world)[x] == pytest.approx(common, rel=1e-12)
        assert contraction.dobrushin(world)[x] == pytest.approx(tau, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("editor", ["redraw", "lazy", "metropolis", "barker"])
def test_second_eigenvalue_of_reversible_kernels(editor: str) -> None:
    world = sim.world("attributes", attributes=3, contexts=2, strength=0.3, user={"editor": editor})
    for x, found in enumerate(contraction.second_eigenvalue(world)):
        sizes = np.sort(np.abs(np.linalg.eigvals(np.asarray(world.editor.kernel)[x])))
        assert found == pytest.approx(sizes[-2], rel=1e-10)


def test_second_singular_value_bounds_the_contraction_of_chi_square() -> None:
    world = sim.world("attributes", attributes=2, contexts=1, user={"cyclic": 0.4})
    optimal = np.asarray(world.optimal)[0]
    lambda_2 = contraction.second_eigenvalue(world)[0]
    best = 0.0
    rng = np.random.default_rng(0)
    for _ in range(2000):
        policy = optimal * np.exp(0.1 * rng.normal(size=4))
        policy /= policy.sum()
        edited = policy @ np.asarray(world.editor.kernel)[0]
        best = max(best, sum((edited - optimal) ** 2 / optimal) / sum((policy - optimal) ** 2 / optimal))
    assert best <= lambda_2**2 * (1 + 1e-9)
    assert best >= 0.9 * lambda_2**2


def test_violations_are_the_largest_differences(world: sim.World) -> None:
    optimal, size = np.asarray(world.optimal), world.responses
    balance = max(
        abs(optimal[x, y] * rows(world, x)[y][e] - optimal[x, e] * rows(world, x)[e][y])
        for x in range(world.contexts)
        for y in range(size)
        for e in range(size)
    )
    moved = max(
        abs(sum(optimal[x, y] * rows(world, x)[y][e] for y in range(size)) - optimal[x, e])
        for x in range(world.contexts)
        for e in range(size)
    )
    assert contraction.balance_violation(world) == pytest.approx(balance, rel=1e-12, abs=1e-16)
    assert contraction.stationarity_violation(world) == pytest.approx(moved, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("zeros", [False, True])
def test_concentrability(zeros: bool) -> None:
    world = random_world(2, 5, seed=3, zeros=zeros)
    rho, optimal, reference = (np.asarray(a) for a in (world.context_probs, world.optimal, world.reference))
    expected = sum(
        rho[x] * optimal[x, y] * optimal[x, y] / reference[x, y]
        for x in range(2)
        for y in range(5)
        if optimal[x, y] > 0
    )
    assert coverage.policy_concentrability(world) == pytest.approx(expected, rel=1e-12)


def test_default_world_has_the_published_coefficients() -> None:
    values = truths(sim.world("attributes"))
    assert min(values["gamma_min"]) == pytest.approx(0.00733, abs=5e-6)
    assert max(values["gamma_min"]) == pytest.approx(0.01926, abs=5e-6)
    assert values["doeblin"] == pytest.approx([0.0625] * 3, rel=1e-12)
    assert 0.73 < min(values["dobrushin"]) and max(values["dobrushin"]) < 0.78
    assert values["second_eigenvalue"] == pytest.approx([0.5] * 3, rel=1e-12)
    assert values["subopt_edited"] / values["subopt_reference"] == pytest.approx(0.27, abs=0.005)


def test_truths_have_no_nan_and_a_reason_for_every_gap() -> None:
    values = truths(random_world(2, 5, seed=3, zeros=True))
    gaps = {name for name, value in values.items() if value is None}
    assert gaps == set(values["reasons"]) == {"subopt_edited", "edited_bound", "edited_bound_by", "kl_coefficient"}
    numbers = [v for v in values.values() if isinstance(v, float)]
    assert all(math.isfinite(v) for v in numbers)


@pytest.mark.parametrize(
    ("world_settings", "user", "broken"),
    [
        ({}, {}, set()),
        ({"policy_interaction": 0.3}, {}, {"optimum_outside_class", "edited_outside_class", "cost_outside_class"}),
        ({"cost_interaction": 0.3}, {}, {"edited_outside_class", "cost_outside_class"}),
        ({}, {"cyclic": 0.2}, {"balance_violation", "edited_outside_class", "cost_outside_class"}),
        ({}, {"editor": "lazy"}, {"edited_outside_class"}),
    ],
)
def test_each_dial_breaks_what_it_says(world_settings: dict, user: dict, broken: set[str]) -> None:
    names = ["balance_violation", "stationarity_violation"]
    names += ["optimum_outside_class", "edited_outside_class", "cost_outside_class"]
    values = truths(sim.world("attributes", user=user, **world_settings))
    assert {name for name in names if values[name] > 1e-9} == broken
