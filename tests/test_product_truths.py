"""Truths of attribute worlds from the factors of their kernel, against those from its table and against loops."""

import itertools
import json

import jax.numpy as jnp
import numpy as np
import pytest
from agreement import close
from product_cases import SIZES, USERS, dense_world, product_world

import sim
from bounds import contraction, coverage, product_kernels, truths
from bounds.intervals import Interval, exactly
from bounds.truths import BETWEEN, SEARCHED, readable
from sim.distances import AttributeDistance
from sim.editors import ProductEditor
from sim.features import attribute_features
from sim.policies import log_linear
from sim.world import plant_law

# Searched for, proved but not the least, or named after it: only their order is known.
LOOSE = {"kl_coefficient", "kl_coefficient_interval", "edited_bound", "edited_bound_by", "reasons"}


def within(ends, value) -> bool:
    low, high = np.moveaxis(np.array(ends, dtype=float), -1, 0)
    slack = 1e-12 * (1 + np.abs(value))
    return bool(np.all((low <= value + slack) & (value <= high + slack)))


@pytest.mark.parametrize("user", USERS, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_both_routes_have_the_same_truths(size: tuple[int, int], user: dict, strength: float) -> None:
    dense, product = (truths(make(*size, strength, user)) for make in (dense_world, product_world))
    assert dense.keys() <= product.keys()
    for name in dense.keys() - LOOSE:
        if product[name] is not None:
            close(product[name], dense[name])
        elif dense[name] is None:
            assert product["reasons"][name] == dense["reasons"][name]
        else:
            assert product["reasons"][name] == BETWEEN
            assert within(product[f"{name}_interval"], np.array(dense[name]))
    ends = [np.array(found["kl_coefficient_interval"]) for found in (dense, product)]
    assert np.all(ends[0][:, 1] <= ends[1][:, 1] + 1e-12)
    for found, (low, high) in zip((dense, product), [end.T for end in ends], strict=True):
        assert np.all(low <= ends[0][:, 1] + 1e-9)
        if found["kl_coefficient"] is None:
            assert np.any(low < high) and found["reasons"]["kl_coefficient"] == SEARCHED
        else:
            np.testing.assert_array_equal(found["kl_coefficient"], low)
            np.testing.assert_array_equal(low, high)
    json.dumps(product, allow_nan=False)


@pytest.mark.parametrize("user", [*({"power": m} for m in (1, 3)), {"editor": "lazy"}, {"other_optimum": 0.5}], ids=str)
def test_products_and_lazy_users_have_exact_truths(user: dict) -> None:
    values = truths(product_world(2, 5, 0.3, user))
    assert not [name for name in values if name.endswith("_interval") and name != "kl_coefficient_interval"]


@pytest.mark.parametrize("user", [{}, {"power": 3}], ids=str)
def test_products_that_keep_their_optimum_have_the_same_kl_coefficient_and_bound(user: dict) -> None:
    dense, product = (truths(make(2, 4, 0.3, user)) for make in (dense_world, product_world))
    for name in ("kl_coefficient", "kl_coefficient_interval", "edited_bound"):
        close(product[name], dense[name], tolerance=1e-10)
    assert product["edited_bound_by"] == dense["edited_bound_by"]


@pytest.mark.parametrize("calibration", ["fixed-cost", "fixed-distance"])
def test_no_attributes_are_one_response(calibration: str) -> None:
    dense, product = (truths(make(2, 0, 0.3, {}, calibration=calibration)) for make in (dense_world, product_world))
    for name in dense.keys() - LOOSE:
        close(product[name], dense[name])


# Kernels that no user has: factors drawn at random, which move their optimum.


def random_product(seed: int, attributes: int, contexts: int = 2) -> sim.World:
    rng = np.random.default_rng(seed)
    factors = rng.dirichlet([0.6, 0.6], size=(contexts, attributes, 2))
    law = rng.dirichlet([1, 1], size=(contexts, attributes))
    log_law = np.log(law)
    log_optimal = log_law[:, 0] if attributes == 1 else np.log(np.array([np.einsum("a,b,c->abc", *row) for row in law]))
    return plant_law(
        rng.dirichlet(np.ones(contexts)),
        log_optimal.reshape(contexts, -1),
        ProductEditor(jnp.asarray(factors)),
        AttributeDistance(jnp.asarray(0.4), attributes),
        0.7,
        attribute_features(contexts, attributes),
        attribute_features(contexts, attributes, constant=True),
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("attributes", [1, 3])
def test_random_products_against_loops_over_pairs_of_responses(seed: int, attributes: int) -> None:
    world = random_product(seed, attributes)
    for x, q in enumerate(world.editor.dense()):
        law, size = np.asarray(world.optimal)[x], len(q)
        pairs = list(itertools.product(range(size), repeat=2))
        found = {name: ends.lower[x] for name, ends in contraction.coefficients(world).items()}
        assert found["gamma_min"] == pytest.approx(min(q[y][law.argmax()] for y in range(size)), rel=1e-12)
        assert found["doeblin"] == pytest.approx(sum(min(q[y][e] for y in range(size)) for e in range(size)), rel=1e-12)
        assert found["dobrushin"] == pytest.approx(max(abs(q[y] - q[e]).sum() / 2 for y, e in pairs), rel=1e-12)
        scaled = np.sqrt(law)[:, None] * q / np.sqrt(law)
        assert found["second_eigenvalue"] == pytest.approx(np.linalg.svd(scaled)[1][1], rel=1e-12)
        gap = max(law[y] * q[y][e] - law[e] * q[e][y] for y, e in pairs)
        assert contraction.interval("balance_violation", world).upper[x] == pytest.approx(gap, rel=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_the_hull_finds_the_largest_gap_of_seven_attributes(seed: int) -> None:
    flows = np.random.default_rng(seed).dirichlet(np.full(4, 0.5), size=7).reshape(7, 2, 2)
    whole = np.ones((1, 1))
    for flow in flows:
        whole = np.kron(whole, flow)
    assert product_kernels._largest_gap(flows) == pytest.approx((whole - whole.T).max(), rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_ends_of_dobrushins_coefficient_enclose_it(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    factors = np.random.default_rng(seed).dirichlet([1, 1], size=(6, 2))
    exact = product_kernels._tv_ends(factors)
    assert exact[0] == exact[1]
    monkeypatch.setattr(product_kernels, "_BLOCK", 2)
    lower, upper = product_kernels._tv_ends(factors)
    assert lower <= exact[0] * (1 + 1e-12)
    assert exact[0] <= upper * (1 + 1e-12)
    assert upper < 1
    assert lower > 0.9 * exact[0]


@pytest.mark.parametrize("seed", range(3))
def test_coverage_of_random_products_against_a_loop_over_pairs(seed: int) -> None:
    world = random_product(seed, 3)
    sigma, rho = np.zeros((6, 6)), np.asarray(world.context_probs)
    phi, reference, q = np.asarray(world.policy_features.table), np.asarray(world.reference), world.editor.dense()
    triples = list(itertools.product(range(2), range(8), range(8)))
    for x, y, e in triples:
        psi = phi[x, e] - phi[x, y]
        sigma += rho[x] * reference[x, y] * q[x, y, e] * np.outer(psi, psi)
    inverse = np.linalg.inv(sigma)
    expected = max((phi[x, e] - phi[x, y]) @ inverse @ (phi[x, e] - phi[x, y]) for x, y, e in triples)
    assert coverage.preference_coverage(world, log_linear(world)) == pytest.approx(expected, rel=1e-10)


def test_an_optimum_that_is_no_product_has_reasons_instead_of_numbers() -> None:
    world = random_product(0, 3)
    rng = np.random.default_rng(1)
    other = plant_law(
        np.asarray(world.context_probs), np.log(rng.dirichlet(np.ones(8), size=2)), world.editor, world.distance, 0.7,
        world.policy_features, world.cost_features,
    )  # fmt: skip
    values = truths(other)
    for name in ("second_eigenvalue", "balance_violation"):
        assert values[name] is None
        assert "no product" in values["reasons"][name]
        assert f"{name}_interval" not in values
    assert "unknown" in next(line for line in readable(values).splitlines() if "balance" in line)


def test_intervals_are_printed_and_the_verdict_takes_the_end_that_tells() -> None:
    text = readable(truths(product_world(2, 3, 0.3, {"harmful": 0.2})))
    assert "dobrushin_interval         [" in text
    assert "fails" in next(line for line in text.splitlines() if "balance, max" in line)
    assert f"dobrushin: {BETWEEN}" in text


def test_an_interval_is_exact_where_its_ends_agree_relatively() -> None:
    assert exactly([1e-20, 3.0]).exact
    assert Interval(np.array([0.5]), np.array([0.5 + 1e-14])).exact
    assert not Interval(np.array([1e-13]), np.array([2e-13])).exact
    assert not Interval(np.zeros(2), np.array([0.0, np.inf])).exact
