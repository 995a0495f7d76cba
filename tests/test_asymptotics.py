"""Limits and 1/n coefficients: against explicit cumulants in plain NumPy, known numbers, and simulation."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import sim
from bounds import asymptotics, quadratic_forms
from bounds.asymptotics import predict
from bounds.efficiency import efficiency_floor
from bounds.who_wins import best_weight
from sim.features import DenseFeatures
from sim.learners import Cost, Early, EarlyHeldOut, EditModel, PolicyLearner, Preference, Supervision
from sim.policies import mixture, policy_list
from sim.world import World


def random_world(seed: int, contexts: int = 2, responses: int = 4, d: int = 3, planted: bool = False) -> World:
    """A world without any symmetry: uneven contexts, a random kernel, and a class that misses optimum and q∘pi_ref."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(contexts, responses, d)) + 0.7
    kernel = rng.dirichlet(np.ones(responses), size=(contexts, responses))
    distance = rng.uniform(0.3, 1.5, size=(responses, responses)) * (1 - np.eye(responses))
    optimal = rng.dirichlet(3 * np.ones(responses), size=contexts)
    if planted:
        logits = features @ rng.normal(size=d)
        optimal = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    cost_features = rng.normal(size=(contexts, responses, 2)) + 0.4
    return sim.plant(rng.dirichlet(np.ones(contexts)), optimal, kernel, distance, 0.7, features, cost_features)


def cumulants(weights: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, covariance and third central moment of vectors (N, d) under weights (N,)."""
    mean = weights @ vectors
    away = vectors - mean
    return mean, np.einsum("n,ni,nj->ij", weights, away, away), np.einsum("n,ni,nj,nk->ijk", weights, away, away, away)


def slow_prediction(world: World, lam: float, preference: float, scale: float) -> tuple[float, float]:
    """Limit and coefficient of preference * DPO loss + lam * SFT loss, with every derivative written out."""
    phi, reference = np.asarray(world.policy_features.table), np.asarray(world.reference)
    law, rho = np.asarray(world.triple_law()), np.asarray(world.context_probs)
    d = phi.shape[2]

    def policy(theta: np.ndarray) -> np.ndarray:
        logits = phi @ theta
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    def parts(theta: np.ndarray) -> list[tuple[float, np.ndarray, np.ndarray, np.ndarray]]:
        found, now = [], policy(theta)
        for x, y, e in np.ndindex(*law.shape):
            mean, covariance, third = cumulants(now[x], phi[x])
            gradient, hessian, cubic = lam * (mean - phi[x, e]), lam * covariance, lam * third
            if y != e:
                psi = scale * (phi[x, e] - phi[x, y])
                margin = psi @ theta - scale * np.log(reference[x, e] / reference[x, y])
                p = 1 / (1 + np.exp(-margin))
                gradient = gradient - preference * (1 - p) * psi
                hessian = hessian + preference * p * (1 - p) * np.outer(psi, psi)
                cubic = cubic + preference * p * (1 - p) * (1 - 2 * p) * np.einsum("i,j,k->ijk", psi, psi, psi)
            found.append((law[x, y, e], gradient, hessian, cubic))
        return found

    theta = np.zeros(d)
    for _ in range(60):
        found = parts(theta)
        step = np.linalg.solve(sum(w * h for w, _, h, _ in found), sum(w * g for w, g, _, _ in found))
        theta = theta - step / max(1.0, 2 * np.linalg.norm(step))
    found = parts(theta)
    inverse = np.linalg.inv(sum(w * h for w, _, h, _ in found))
    variance = inverse @ sum(w * np.outer(g, g) for w, g, _, _ in found) @ inverse
    mixed = sum(w * h @ inverse @ g for w, g, h, _ in found)
    cubic = sum(w * t for w, _, _, t in found)
    bias = inverse @ (mixed - 0.5 * np.einsum("ijk,jk->i", cubic, variance))
    now, best, beta = policy(theta), np.asarray(world.optimal), float(world.temperature)
    slope, bend, limit = np.zeros(d), np.zeros((d, d)), 0.0
    for x in range(len(rho)):
        gap = np.log(now[x] / best[x])
        limit += beta * rho[x] * now[x] @ gap
        mean, covariance, _ = cumulants(now[x], phi[x])
        away = phi[x] - mean
        slope += beta * rho[x] * np.einsum("a,a,ad->d", now[x], gap, away)
        bend += beta * rho[x] * (covariance + np.einsum("a,a,ai,aj->ij", now[x], gap - now[x] @ gap, away, away))
    return limit, float(slope @ bias + 0.5 * np.sum(bend * variance))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
@pytest.mark.parametrize("planted", [False, True])
def test_the_expansion_equals_explicit_cumulants(seed: int, planted: bool) -> None:
    world = random_world(seed, contexts=2 + seed % 2, responses=4 + seed % 3, planted=planted)
    cases = [
        (Supervision(), 1.0, 0.0, 1.0),
        (Preference(), 0.0, 1.0, 1.0),
        (Preference("paper"), 0.0, 1.0, 0.7),
        (Early(0.3), 0.3, 1.0, 1.0),
    ]
    for learner, lam, preference, scale in cases:
        found = predict(learner, world)
        limit, coefficient = slow_prediction(world, lam, preference, scale)
        assert found.status == "ok"
        assert found.limit == pytest.approx(limit, rel=1e-6, abs=1e-10)
        assert found.coefficient == pytest.approx(coefficient, rel=1e-6, abs=1e-10)


def test_the_default_worlds_coefficients() -> None:
    known = {1.0: (7.2, 0.0), 0.5: (12.9, 0.0469), 0.2: (30.3, 0.1133), 0.1: (59.4, 0.1411)}
    for strength, (preference, floor) in known.items():
        world = sim.world("attributes", strength=strength)
        found = predict(Preference(), world)
        assert found.coefficient == pytest.approx(preference, abs=0.06)
        assert found.limit == pytest.approx(0, abs=1e-12)
        found = predict(Supervision(), world)
        assert found.coefficient == pytest.approx(0.5 * 12 / 2, rel=1e-6)
        assert found.limit == pytest.approx(float(world.suboptimality(world.edited(world.reference))), abs=1e-10)
        assert found.limit == pytest.approx(floor, abs=1e-4)
    assert predict(Preference("paper"), sim.world("attributes")).limit == pytest.approx(0.074, abs=5e-4)


def test_supervisions_coefficient_is_half_beta_d_only_with_the_optimum_in_the_class() -> None:
    for family, settings in [("attributes", {"attributes": 3, "contexts": 2, "temperature": 0.9}), ("tabular", {})]:
        world = sim.world(family, **settings)
        d = world.policy_features.dimension
        found = predict(Supervision(), world)
        assert found.coefficient == pytest.approx(float(world.temperature) * d / 2, rel=1e-6)
    outside = sim.world("attributes", policy_interaction=0.8)
    assert abs(predict(Supervision(), outside).coefficient / 3.0 - 1) > 0.01  # type: ignore[operator]


def test_plug_in_cost_has_the_least_squares_coefficient() -> None:
    world = sim.world("attributes", attributes=3, contexts=2, strength=0.4)
    psi, best = np.asarray(world.cost_features.table), np.asarray(world.optimal)
    law, cost, delta = (np.asarray(part) for part in (world.triple_law(), world.expected_cost, world.distance))
    gram, noise = np.zeros((7, 7)), np.zeros((7, 7))
    for x, y, e in np.ndindex(*law.shape):
        gram += law[x, y, e] * np.outer(psi[x, y], psi[x, y])
        noise += law[x, y, e] * (delta[y, e] - cost[x, y]) ** 2 * np.outer(psi[x, y], psi[x, y])
    inverse = np.linalg.inv(gram)
    spread = sum(rho * cumulants(best[x], psi[x])[1] for x, rho in enumerate(np.asarray(world.context_probs)))
    expected = np.trace(spread @ inverse @ noise @ inverse) / (2 * float(world.temperature))
    found = predict(Cost(), world)
    assert (found.limit, found.coefficient) == pytest.approx((0.0, expected), rel=1e-6, abs=1e-10)


def test_pessimistic_cost_has_a_prediction_and_no_coefficient() -> None:
    world = sim.world("attributes")
    found = predict(Cost(radius=1.0), world)
    assert found.coefficient is None
    assert "log n" in (found.reason or "")
    at = [found.at(n) for n in (1e3, 1e5, 1e7)]
    assert at[0] > at[1] > at[2] > 0  # type: ignore[operator]
    assert found.at(found.needed(0.05)) == pytest.approx(0.05, rel=1e-6)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_free_direction_is_named_and_the_rest_is_answered() -> None:
    world = sim.world("attributes", attributes=2, contexts=2)
    table = np.asarray(world.policy_features.table)
    doubled = jnp.asarray(np.concatenate([table, table[:, :, :1], np.ones((*table.shape[:2], 1))], axis=2))
    free = dataclasses.replace(world, policy_features=dataclasses.replace(world.policy_features, table=doubled))
    for learner in (Supervision(), Preference(), Early()):
        plain, found = predict(learner, world), predict(learner, free)
        assert found.status == "rank_deficient"
        assert "2 of 6 directions are free" in (found.reason or "")
        assert found.limit == pytest.approx(plain.limit, abs=1e-9)
        assert found.coefficient == pytest.approx(plain.coefficient, rel=1e-6)


def test_no_minimiser_and_no_edits_are_told() -> None:
    kernel = np.array([[[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.5, 0.5]]])
    distance = 1.0 - np.eye(3)
    features = np.eye(3)[None, :, 1:]
    world = sim.plant(np.ones(1), np.array([[0.2, 0.5, 0.3]]), kernel, distance, 1.0, features)
    for learner in (Supervision(), Preference()):
        found = predict(learner, world)
        assert (found.status, found.limit, found.coefficient, found.at(10)) == ("no_minimiser", None, None, None)
    still = predict(Preference(), sim.world("attributes", strength=0.0))
    assert (still.status, still.coefficient) == ("rank_deficient", 0.0)
    assert still.limit == pytest.approx(0.0, abs=1e-12)


def test_lists_have_a_limit_and_learners_without_a_loss_are_refused() -> None:
    world = sim.world("attributes")
    found = predict(Preference(), world, policy_list(world, 8))
    assert found.limit == pytest.approx(0.0, abs=1e-12)
    assert (found.coefficient, found.at(100)) == (None, None)
    found = predict(Supervision(), world, policy_list(world, 8))
    assert found.limit == pytest.approx(float(world.suboptimality(world.edited(world.reference))), rel=1e-9)
    assert predict(Cost(), world, mixture(world)).limit is None
    with pytest.raises(sim.BadInput, match="no loss of one triple"):
        predict(EarlyHeldOut(), world)


@sim.pytree
@dataclasses.dataclass(frozen=True)
class Squared(PolicyLearner):
    """A learner of one's own: the squared log-ratio that the edit falls short of one."""

    ridge: float = 0.0
    name: ClassVar[str] = "squared"

    def triple_loss(self, log_policy, world, context, response, edited):
        gain = log_policy[context, edited] - log_policy[context, response]
        return jnp.where(edited == response, 0.0, (1.0 - gain) ** 2)


def test_a_learner_of_ones_own_is_predicted() -> None:
    world = random_world(3)
    found = predict(Squared(), world)
    logs = sim.sample(world, 4000, range(500))
    measured = sim.fit(Squared(), logs, world).suboptimality
    error = stats.sem(measured)
    assert abs(measured.mean() - found.at(4000)) < 5 * error + 0.02 * abs(found.at(4000) - found.limit)  # type: ignore[operator]


def test_the_ridge_enters_the_coefficient() -> None:
    world = sim.world("attributes")
    plain, ridged = predict(Early(), world), predict(Early(), world, ridge=2.0)
    fit = sim.fit(Early(ridge=2.0), expected_log(world, 10**7), world)
    bias = float(fit.suboptimality[0]) - plain.limit  # type: ignore[operator]
    assert ridged.coefficient - plain.coefficient == pytest.approx(bias * 10**7, rel=1e-3)  # type: ignore[operator]


def expected_log(world: World, n: int) -> sim.Logs:
    counts = n * np.asarray(world.triple_law())[None]
    return sim.Logs(counts, np.zeros_like(counts), n)


@pytest.mark.slow
@pytest.mark.parametrize("strength", [1.0, 0.5, 0.2])
def test_predictions_hold_in_simulation(strength: float) -> None:
    world = sim.world("attributes", strength=strength)
    others = (Preference(), Cost(), EditModel())
    for n, learners, tolerance in [(300, (Supervision(), Early()), 0.03), (3000, others, 0.10)]:
        logs = sim.sample(world, n, range(4000))
        for learner in learners:
            measured, found = sim.fit(learner, logs, world).suboptimality, predict(learner, world)
            assert measured.mean() == pytest.approx(found.at(n), rel=tolerance)
            quantile = found.quantile(n, 0.95)
            assert np.quantile(measured, 0.95) == pytest.approx(quantile, rel=0.12)


@pytest.mark.parametrize("scale", [1e-5, 1e5])
def test_the_units_of_a_feature_do_not_matter(scale: float) -> None:
    world = sim.world("attributes", attributes=2, contexts=2)
    table = np.asarray(world.policy_features.table) * [scale, 1, 1, 1]
    twin = dataclasses.replace(world, policy_features=DenseFeatures(jnp.asarray(table)))
    for learner in (Supervision(), Preference(), EditModel()):
        here, there = predict(learner, world), predict(learner, twin)
        assert there.status == "ok"
        assert (there.limit, there.coefficient) == pytest.approx((here.limit, here.coefficient), rel=1e-5, abs=1e-9)
    assert efficiency_floor(twin)[0] == pytest.approx(efficiency_floor(world)[0], rel=1e-8)


def test_quantiles_at_extreme_levels_are_none_and_never_negative() -> None:
    found = predict(Supervision(), sim.world("attributes", attributes=2, contexts=2))
    assert found.quantile(1000, 1 - 1e-6) is None and found.quantile(1000, 1e-300) is None
    assert found.quantile(10, 0.01) >= 0  # type: ignore[operator]
    # A mean of 5 leaves no room for a 95% quantile of thousands (Markov).
    cold = predict(Preference(), sim.world("attributes", temperature=0.06))
    assert cold.quantile(1000, 0.95) <= 20 * cold.at(1000)  # type: ignore[operator]
    for level in (0.0, 1.0, 2.0):
        with pytest.raises(sim.BadInput, match="level"):
            found.quantile(1000, level)


def test_an_edit_model_over_a_list_has_no_prediction() -> None:
    world = sim.world("attributes", attributes=2)
    found = predict(EditModel(), world, policy_list(world, 8))
    assert found.limit is None and "finite list" in (found.reason or "")


def test_quantiles_of_quadratic_forms() -> None:
    eye, zero = np.eye(3), np.zeros(3)
    for level in (0.05, 0.5, 0.95, 0.99):
        chi2 = quadratic_forms.quantile(level, zero, eye, zero, 2 * eye)
        assert chi2 == pytest.approx(stats.chi2.ppf(level, 3), rel=2e-3)
        normal = quadratic_forms.quantile(level, zero + 1, eye, np.array([3.0, 0, 4.0]), 0 * eye)
        assert normal == pytest.approx(stats.norm.ppf(level, 7, 5), abs=2e-2)
    assert quadratic_forms.quantile(0.5, zero, 0 * eye, zero, eye) == 0
    one = quadratic_forms.quantile(0.95, np.zeros(1), np.eye(1), np.zeros(1), 2 * np.eye(1))
    assert one == pytest.approx(stats.chi2.ppf(0.95, 1), rel=5e-3)


def test_the_best_weight_beats_its_neighbours() -> None:
    world = sim.world("attributes")
    lam, value = best_weight(world, 1000)
    assert lam == pytest.approx(50 / 1000, rel=0.2)
    for other in (0.0, lam / 2, lam * 2, 1.0):
        assert value <= predict(Early(other), world).at(1000) + 1e-12  # type: ignore[operator]


@pytest.mark.slow
def test_one_compilation_serves_all_worlds_of_a_shape() -> None:
    jax.clear_caches()
    before = asymptotics._moments.compilations()
    for strength in (1.0, 0.5, 0.2):
        for lam in (0.1, 1.0):
            predict(Early(jnp.asarray(lam)), sim.world("attributes", strength=strength))  # type: ignore[arg-type]
    assert asymptotics._moments.compilations() - before == 1
