"""Contraction of editing, against loops written from its definitions."""

import itertools
import json
import math

import bound_cases
import numpy as np
import pytest
from bound_cases import context, with_zeros

import sim
from bounds import contraction, kl_search, truths
from bounds.truths import readable

stationary = bound_cases.stationary


def edited_subopt(world: sim.World) -> float:
    return float(world.suboptimality(world.edited(world.reference)))


def loop_kl(p: list[float], r: list[float]) -> float:
    return sum(a * math.log(a / b) if b > 0 else math.inf for a, b in zip(p, r, strict=True) if a > 0)


def push(p: list[float], kernel: list[list[float]]) -> list[float]:
    return [sum(p[y] * kernel[y][e] for y in range(len(p))) for e in range(len(p))]


def loop_ladder(world: sim.World) -> dict[str, float]:
    rho, beta, size = np.asarray(world.context_probs).tolist(), float(world.temperature), world.responses
    found = dict.fromkeys(["gamma_min", "doeblin", "dobrushin", "dobrushin_kl", "second_eigenvalue"], 0.0)
    for x in range(world.contexts):
        q, ref, opt = context(world, x)
        edited = push(ref, q)
        tv = 0.5 * sum(abs(a - b) for a, b in zip(ref, opt, strict=True))
        logs = [math.log(a / b) for a, b in zip(edited, opt, strict=True)]
        by_tv = beta * rho[x] * tv * (max(logs) - min(logs))
        best = opt.index(max(opt))
        tau = max(0.5 * sum(abs(a - b) for a, b in zip(q[i], q[j], strict=True)) for i in range(size) for j in range(i))
        found["gamma_min"] += by_tv * (1 - min(q[y][best] for y in range(size)))
        found["doeblin"] += by_tv * (1 - sum(min(q[y][e] for y in range(size)) for e in range(size)))
        found["dobrushin"] += by_tv * tau
        found["dobrushin_kl"] += beta * rho[x] * tau * loop_kl(ref, opt)
        chi2 = sum((a - b) ** 2 / b for a, b in zip(ref, opt, strict=True))
        # lambda_2^2 as the second eigenvalue of q times its reversal in L2(pi*).
        back = [[opt[e] * q[e][y] / opt[y] for e in range(size)] for y in range(size)]
        squared = np.sort(np.linalg.eigvals(np.array(q) @ np.array(back)).real)[-2]
        found["second_eigenvalue"] += beta * rho[x] * math.log(1 + squared * chi2)
    return found


def test_ladder_is_the_equations(stationary: sim.World) -> None:
    rungs = {rung.name: rung for rung in contraction.ladder(stationary)}
    for name, value in loop_ladder(stationary).items():
        assert rungs[name].subopt_bound == pytest.approx(value, rel=1e-9), name


def test_every_rung_is_above_what_is_measured(stationary: sim.World) -> None:
    rungs = contraction.ladder(stationary)
    truth = edited_subopt(stationary)
    for rung in rungs:
        if rung.coefficient is not None:
            assert np.all(rung.coefficient >= rung.measured * (1 - 1e-9)), rung.name
            assert rung.subopt_bound is not None and rung.subopt_bound >= truth * (1 - 1e-9), rung.name
        else:
            assert rung.name == "tensorised" and rung.subopt_bound is None and rung.reason
    name, value = contraction.smallest(stationary)
    bounds = {rung.name: rung.subopt_bound for rung in rungs if rung.subopt_bound is not None}
    assert name is not None and value == bounds[name] == min(bounds.values())


def test_every_coefficient_holds_for_other_policies(stationary: sim.World) -> None:
    rng = np.random.default_rng(0)
    coefficients = {rung.name: (rung.divergence, rung.coefficient) for rung in contraction.ladder(stationary)}
    for concentration in (0.2, 1.0, 20.0):
        policy = rng.dirichlet(np.full(stationary.responses, concentration), size=stationary.contexts)
        seen = contraction.measured(stationary, policy)
        for name, (divergence, coefficient) in coefficients.items():
            assert coefficient is None or np.all(seen[divergence] <= coefficient * (1 + 1e-9)), name


def test_coefficients_are_ordered(stationary: sim.World) -> None:
    slack = 1 + 1e-9
    tau = contraction.dobrushin(stationary)
    lower, upper = contraction.kl_coefficient_interval(stationary)
    assert np.all(contraction.gamma_min(stationary) <= contraction.doeblin(stationary) * slack)
    assert np.all(tau <= (1 - contraction.doeblin(stationary)) * slack)
    assert np.all(contraction.second_eigenvalue(stationary) ** 2 <= lower * slack)
    assert np.all(lower <= upper) and np.all(upper <= tau * slack)
    assert np.array_equal(contraction.kl_coefficient(stationary), upper)


@pytest.mark.parametrize("policy", ["reference", "random"])
def test_measured_contraction_is_the_ratio(stationary: sim.World, policy: str) -> None:
    size = stationary.contexts, stationary.responses
    other = None if policy == "reference" else np.random.default_rng(1).dirichlet(np.ones(size[1]), size=size[0])
    seen = contraction.measured(stationary, other)
    for x in range(size[0]):
        q, start, opt = context(stationary, x)
        start = start if other is None else other[x].tolist()
        edited = push(start, q)
        tv = [sum(abs(a - b) for a, b in zip(p, opt, strict=True)) for p in (edited, start)]
        chi2 = [sum((a - b) ** 2 / b for a, b in zip(p, opt, strict=True)) for p in (edited, start)]
        assert seen["tv"][x] == pytest.approx(tv[0] / tv[1], rel=1e-9)
        assert seen["chi2"][x] == pytest.approx(chi2[0] / chi2[1], rel=1e-9)
        assert seen["kl"][x] == pytest.approx(loop_kl(edited, opt) / loop_kl(start, opt), rel=1e-9)


def test_measured_contraction_of_the_optimum_is_undefined() -> None:
    world = sim.world("attributes", strength=0.0)
    assert np.all(np.isnan(contraction.measured(world, np.asarray(world.optimal))["tv"]))


@pytest.mark.parametrize(("p", "eta"), [(0.5, 0.250), (0.7, 0.260), (0.87, 0.291), (0.99, 0.381)])
def test_binary_coefficient_has_the_known_values(p: float, eta: float) -> None:
    assert kl_search.kl_coefficient_binary(p, 0.5) == pytest.approx(eta, abs=0.0006)
    assert kl_search.kl_coefficient_binary(1 - p, 0.5) == pytest.approx(
        kl_search.kl_coefficient_binary(p, 0.5), rel=1e-12
    )


@pytest.mark.parametrize("p", [1e-30, 1e-6, 0.02, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("s", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_binary_coefficient_is_the_supremum(p: float, s: float) -> None:
    eta = kl_search.kl_coefficient_binary(p, s)
    assert (1 - s) ** 2 * (1 - 1e-9) <= eta <= (1 - s) * (1 + 1e-9)
    if p < 1e-3:
        return
    ratios = []
    for a in (i / 2000 for i in range(2001) if abs(i / 2000 - p) > 1e-3):
        b = (1 - s) * a + s * p
        ratios.append(loop_kl([1 - b, b], [1 - p, p]) / loop_kl([1 - a, a], [1 - p, p]))
    best = max([*ratios, (1 - s) ** 2])
    assert best * (1 - 1e-9) <= eta <= best * (1 + 1e-4) + 1e-12


def test_binary_coefficient_of_overshooting_kernels_and_sure_laws() -> None:
    assert kl_search.kl_coefficient_binary(0.5, 2.0) == pytest.approx(1.0, rel=1e-9)  # the swap
    assert kl_search.kl_coefficient_binary(0.0, 0.5) == kl_search.kl_coefficient_binary(1.0, 0.5) == 0.0


@pytest.mark.parametrize("seed", range(4))
def test_tensorised_is_the_supremum_over_all_laws_of_two_attributes(seed: int) -> None:
    world = sim.world("attributes", attributes=2, contexts=1, strength=0.2 + 0.2 * seed, world_seed=seed)
    eta = contraction.tensorised(world)
    assert eta is not None
    kernel, _, optimal = context(world, 0)
    # A grid of the simplex over the four responses, in steps of 1/24; then what the search finds.
    steps = itertools.product(range(25), repeat=3)
    laws = [[a / 24, b / 24, c / 24, (24 - a - b - c) / 24] for a, b, c in steps if a + b + c <= 24]
    best = max(loop_kl(push(p, kernel), optimal) / loop_kl(p, optimal) for p in laws)
    searched = kl_search.searched(np.array(kernel), np.array(optimal))
    assert best <= eta[0] * (1 + 1e-9)
    assert searched <= eta[0] * (1 + 1e-9)
    assert max(best, searched) == pytest.approx(eta[0], rel=1e-3)


def test_search_beats_a_grid_of_the_simplex_for_general_kernels() -> None:
    for world in (
        sim.world("tabular", responses=3, strength=0.4),
        sim.world("tabular", responses=3, user={"editor": "barker"}),
        sim.world("tabular", responses=3, user={"cyclic": 0.5}),
        sim.world("tabular", responses=3, user={"other_optimum": 0.7}),
    ):
        kernel, _, optimal = context(world, 0)
        image = push(optimal, kernel)
        laws = [[a / 60, b / 60, (60 - a - b) / 60] for a in range(61) for b in range(61 - a)]
        best = max(loop_kl(push(p, kernel), image) / loop_kl(p, optimal) for p in laws)
        lower, upper = contraction.kl_coefficient_interval(world)
        assert best * (1 - 1e-9) <= lower[0] <= upper[0]
        assert lower[0] <= best * 1.01


@pytest.mark.parametrize(
    ("family", "settings", "user", "product"),
    [
        ("attributes", {}, {}, True),
        ("attributes", {"attributes": 0}, {}, True),
        ("attributes", {"attributes": 1}, {"editor": "metropolis"}, True),
        ("attributes", {}, {"power": 2}, True),
        ("attributes", {"strength": 0.0}, {}, True),
        ("attributes", {"strength": 1.0}, {"editor": "lazy"}, True),
        ("attributes", {}, {"editor": "lazy"}, False),
        ("attributes", {}, {"editor": "subset"}, False),
        ("attributes", {}, {"other_optimum": 0.5}, False),
        ("attributes", {"policy_interaction": 0.1}, {}, False),
        ("tabular", {"responses": 2}, {}, True),
        ("tabular", {"responses": 6}, {}, False),
    ],
)
def test_products_are_found_in_the_kernel(family: str, settings: dict, user: dict, product: bool) -> None:
    eta = contraction.tensorised(sim.world(family, user=user, **settings))
    assert (eta is not None) == product


def test_a_product_of_unequal_strengths_is_found_in_the_order_of_the_attributes() -> None:
    law = np.kron([0.3, 0.7], [0.9, 0.1])
    parts = [(1 - s) * np.eye(2) + s * np.array([[1 - p, p]] * 2) for p, s in ((0.7, 0.4), (0.1, 0.8))]
    factors = kl_search.binary_factors(np.kron(*parts), law)
    assert factors is not None
    assert np.allclose(factors, [(0.3, 0.4), (0.1, 0.8)])
    assert kl_search.binary_factors(np.kron(*reversed(parts)), law) is None


def test_default_world_has_the_published_numbers() -> None:
    world = sim.world("attributes")
    rungs = {rung.name: rung for rung in contraction.ladder(world)}
    seen = contraction.measured(world)
    assert 0.4995 < seen["tv"].min() and seen["tv"].max() < 0.565
    assert 0.255 < seen["kl"].min() and seen["kl"].max() < 0.28
    gamma = contraction.gamma_min(world)
    assert 0.007 < gamma.min() and gamma.max() < 0.02
    assert contraction.doeblin(world) == pytest.approx([0.0625] * 3)
    tau = rungs["dobrushin"].coefficient
    assert tau is not None and 0.73 < tau.min() and tau.max() < 0.78
    assert contraction.smallest(world)[0] == "tensorised"
    assert edited_subopt(world) <= rungs["tensorised"].subopt_bound <= 1.1 * edited_subopt(world)  # type: ignore[operator]


@pytest.mark.parametrize("user", [{"other_optimum": 0.5}, {"harmful": 0.3}, {"tempered": 0.5}])
def test_without_stationarity_there_is_no_bound_and_a_reason_with_the_number(user: dict) -> None:
    world = sim.world("attributes", user=user)
    violation = contraction.stationarity_violation(world)
    for rung in contraction.ladder(world):
        assert rung.subopt_bound is None and rung.reason is not None and f"{violation:.3g}" in rung.reason
    assert contraction.smallest(world) == (None, None)
    values = truths(world)
    assert values["edited_bound"] is None and values["edited_bound_by"] is None
    assert f"{violation:.3g}" in values["reasons"]["edited_bound"]
    assert "none" in next(line for line in readable(values).splitlines() if line.startswith("edited_bound "))


def test_without_stationarity_the_bound_really_fails() -> None:
    world = sim.world("attributes", strength=0.9, user={"other_optimum": 1.0})
    tau, rho = contraction.dobrushin(world), np.asarray(world.context_probs)
    kl = [loop_kl(context(world, x)[1], context(world, x)[2]) for x in range(world.contexts)]
    assert edited_subopt(world) > float(world.temperature) * sum(rho * tau * kl)


def test_identity_and_full_redraw() -> None:
    idle = sim.world("attributes", strength=0.0)
    assert contraction.kl_coefficient(idle) == pytest.approx([1.0] * 3)
    assert contraction.smallest(idle)[1] == pytest.approx(0.0, abs=1e-12)
    sure = sim.world("attributes", strength=1.0)
    assert contraction.kl_coefficient(sure) == pytest.approx([0.0] * 3, abs=1e-12)
    assert contraction.smallest(sure)[1] == pytest.approx(0.0, abs=1e-12)


def test_a_reference_off_the_support_of_the_optimum_has_infinite_bounds() -> None:
    leaving = [[0.25] * 4, [0.1, 0.2, 0.3, 0.4]]
    name, value = contraction.smallest(with_zeros(0.5, leaving))
    assert name is not None and value == math.inf
    values = truths(with_zeros(0.5, leaving))
    assert values["edited_bound"] is None and values["reasons"]["edited_bound"].startswith("infinite")
    json.dumps(values, allow_nan=False)
    assert "infinite" in readable(values)
    # Users who always re-draw end at the optimum from anywhere.
    assert contraction.smallest(with_zeros(1.0, leaving))[1] == pytest.approx(0.0, abs=1e-12)


def test_a_reference_that_misses_responses_has_infinite_bounds_only_through_the_span() -> None:
    missing = [[0.9, 0.1, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]
    world = with_zeros(0.5, missing)
    for rung in contraction.ladder(world):
        assert rung.subopt_bound is None or edited_subopt(world) <= rung.subopt_bound < math.inf
    unedited = {rung.name: rung.subopt_bound for rung in contraction.ladder(with_zeros(0.0, missing))}
    assert unedited["dobrushin"] == math.inf
    assert unedited["dobrushin_kl"] == pytest.approx(edited_subopt(with_zeros(0.0, missing)))


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("attributes", {"attributes": 0, "contexts": 1}),
        ("attributes", {"attributes": 1, "contexts": 1}),
        ("tabular", {"responses": 1}),
        ("tabular", {"responses": 2, "contexts": 1}),
        ("attributes", {"strength": 0.0}),
        ("attributes", {"preference_scale": 60.0}),
        ("attributes", {"preference_scale": 0.0}),
    ],
)
def test_small_and_extreme_worlds_have_truths(family: str, settings: dict) -> None:
    world = sim.world(family, **settings)
    values = truths(world)
    json.dumps(values, allow_nan=False)
    assert {name for name, value in values.items() if value is None} == set(values["reasons"])
    assert len(values["kl_coefficient"]) == len(values["kl_coefficient_interval"]) == world.contexts
    if values["edited_bound"] is not None:
        assert values["edited_bound"] >= values["subopt_edited"] * (1 - 1e-9) - 1e-12
    assert readable(values)


def test_truths_give_the_interval_of_the_kl_coefficient() -> None:
    product, other = truths(sim.world("attributes")), truths(sim.world("attributes", user={"editor": "lazy"}))
    assert all(low == high for low, high in product["kl_coefficient_interval"])
    assert all(low < high for low, high in other["kl_coefficient_interval"])
    assert product["kl_coefficient"] == [high for _, high in product["kl_coefficient_interval"]]
    assert other["kl_coefficient"] is None and "search" in other["reasons"]["kl_coefficient"]
    assert [high for _, high in other["kl_coefficient_interval"]] == other["dobrushin"]
