"""Truths over grids of worlds, against explicit kernels and the definitions."""

import itertools
import math

import numpy as np
import pytest
import reference as ref
from agreement import close

import sim
from bounds import ladders, predict
from bounds.between import predictions_between
from sim.learners import Early, Preference

BETA, SCALE = 0.5, 1.5
CONTEXTS, SEED = 2, 5


def built(strength, attributes):
    """pi*, q, pi_ref and the Bernoulli parameters of the default world of this size, entry by entry."""
    logits = SCALE * np.random.default_rng(SEED).normal(size=(CONTEXTS, attributes))
    p = 1 / (1 + np.exp(-logits))
    optimal, kernel = ref.product_policy(p), ref.product_redraw(p, strength)
    tuples = ref.responses_of(attributes)
    distance = [[sum(a != b for a, b in zip(y, e, strict=True)) / strength for e in tuples] for y in tuples]
    cost = ref.expected_cost(kernel, np.array(distance))
    return optimal, kernel, ref.planted_reference(optimal, cost, BETA), p


def binary_kl(p, q):
    return ref.row_kl([1 - p, p], [1 - q, q])


def slow_eta(p, strength):
    """sup over Bernoulli laws of KL(q∘r || p) / KL(r || p), by brute force (theory 3.6)."""
    near = 0.5 + 0.4999 * np.tanh(np.linspace(-9, 9, 4001))
    grid = [r for r in [0.0, 1.0, *near] if abs(r - p) > 1e-3]
    return max(binary_kl((1 - strength) * r + strength * p, p) / binary_kl(r, p) for r in grid)


@pytest.mark.parametrize(("strength", "attributes"), [(0.3, 3), (0.8, 1), (0.6, 2)])
def test_the_ladder_is_that_of_the_definitions(strength, attributes):
    row = ladders.contraction_over([strength], [attributes], CONTEXTS, SEED).iloc[0]
    optimal, kernel, reference, p = built(strength, attributes)
    close(row["gamma_min"], min(ref.gamma_min(kernel, optimal)))
    close(row["doeblin"], min(ref.doeblin(kernel)))
    tau = ref.dobrushin(kernel)
    close(row["dobrushin"], max(tau))
    root = [np.sqrt(law) for law in optimal]
    singular = [np.linalg.svd(r[:, None] * q / r, compute_uv=False)[1] for r, q in zip(root, kernel, strict=True)]
    close(row["second_eigenvalue"], max(singular))
    eta = [max(slow_eta(one, strength) for one in law) for law in p]
    assert max(eta) <= row["kl_coefficient"] + 1e-12 and row["kl_coefficient"] == pytest.approx(max(eta), rel=1e-3)

    edited = ref.edited(kernel, reference)
    kl = [[ref.row_kl(a, b) for a, b in zip(law, optimal, strict=True)] for law in (reference, edited)]
    close(row["subopt_reference"], BETA * np.mean(kl[0]))
    close(row["subopt_edited"], BETA * np.mean(kl[1]))
    close(row["bound_dobrushin_kl"], BETA * np.mean(np.array(tau) * kl[0]))
    spans = [ref.row_span(a, b) for a, b in zip(edited, optimal, strict=True)]
    apart = [ref.row_tv(a, b) for a, b in zip(reference, optimal, strict=True)]
    gamma = 1 - np.array(ref.gamma_min(kernel, optimal))
    close(row["bound_gamma_min"], BETA * np.mean(gamma * apart * spans))
    assert (row[[f"bound_{name}" for name in ladders.RUNGS]] >= row["subopt_edited"]).all()


def test_every_strength_meets_every_size_and_large_worlds_say_what_is_not_known():
    found = ladders.contraction_over([0.4, 1.0], [1, 14], contexts=1)
    assert found[["attributes", "strength"]].to_numpy().tolist() == [[1, 0.4], [1, 1.0], [14, 0.4], [14, 1.0]]
    open_ = found[(found["attributes"] == 14) & (found["strength"] == 0.4)].iloc[0]
    assert np.isnan(open_["dobrushin"]) and open_["bound_dobrushin"] >= open_["subopt_edited"] > 0
    assert open_["gamma_min"] > 0 and 0 < open_["kl_coefficient"] < 0.6


def test_with_one_context_worlds_are_nested():
    found = ladders.contraction_over([0.5], [1, 2, 3], contexts=1)
    assert (found["gamma_min"].diff().dropna() < 0).all() and (found["kl_coefficient"].diff().dropna() >= 0).all()
    assert found["doeblin"].to_list() == pytest.approx([0.5, 0.25, 0.125])
    assert found["second_eigenvalue"].to_list() == pytest.approx([0.5] * 3)


def test_coverage_is_that_of_the_definitions():
    strength, attributes = 0.3, 3
    row = ladders.coverage_over([strength], attributes, CONTEXTS, SEED).iloc[0]
    optimal, kernel, reference, p = built(strength, attributes)
    close(row["policy_concentrability"], np.mean((optimal**2 / reference).sum(axis=1)))
    tuples = np.array(ref.responses_of(attributes))
    worst = 0.0
    for x in range(CONTEXTS):
        law = reference[x][:, None] * kernel[x] / CONTEXTS
        pairs = list(itertools.product(range(len(tuples)), repeat=2))
        moment = sum(law[y, e] * np.outer(tuples[e] - tuples[y], tuples[e] - tuples[y]) for y, e in pairs)
        inverse = np.linalg.inv(moment)
        worst = max(worst, *((tuples[e] - tuples[y]) @ inverse @ (tuples[e] - tuples[y]) for y, e in pairs))
    close(row["preference_coverage"], worst, worst)
    # 5.1 and 5.2: beta d / 2, and tr(F I^-1) beta / 2, I from the slope of the logistic function.
    assert row["rate_sup"] == pytest.approx(BETA * CONTEXTS * attributes / 2, rel=1e-3)
    total = 0.0
    for x in range(CONTEXTS):
        information = np.zeros((attributes, attributes))
        for y, e in pairs:
            advantage = math.log(optimal[x, e] * reference[x, y] / (reference[x, e] * optimal[x, y]))
            slope = 1 / (2 + 2 * math.cosh(advantage))
            apart = tuples[e] - tuples[y]
            information += reference[x, y] * kernel[x, y, e] * slope * np.outer(apart, apart)
        total += np.trace(np.diag(p[x] * (1 - p[x])) @ np.linalg.inv(information))
    assert row["rate_pref"] == pytest.approx(BETA / 2 * total, rel=1e-3)
    assert 0 < row["rate_floor"] < row["rate_pref"] and row["rate_cost"] > 0


OVERRIDES = ["n=[300]", "seeds=2", "world.attributes=2", "world.contexts=2", "world.strength=0.3"]


@pytest.fixture(scope="module")
def table():
    given = [*OVERRIDES, "learners=['pref', 'early']", "early.lam=[0.1, 1.0]", "pref.link='balance'"]
    return sim.run("tradeoffs", overrides=[*given, "user.cyclic=0.2"])


def test_predictions_between_points_are_those_of_the_worlds_there(table):
    early = table[table["learner"] == "early"]
    given = {"attributes": 2, "contexts": 2, "strength": 0.3, "user": {"cyclic": 0.2}}
    (found,) = predictions_between(early, "lam", [0.25])
    expected = predict(Early(0.25), sim.world("attributes", **given), ridge=1e-4)
    assert found.at(300) == pytest.approx(expected.at(300), rel=1e-9)
    (warm,) = predictions_between(table[table["learner"] == "pref"], "temperature", [0.8])
    expected = predict(Preference(), sim.world("attributes", **given, temperature=0.8), ridge=1e-4)
    assert warm.limit == pytest.approx(expected.limit, rel=1e-9)
    (broken,) = predictions_between(table[table["learner"] == "pref"], "cyclic", [0.0])
    assert broken.limit == pytest.approx(0.0, abs=1e-12) and warm.limit > 1e-4
