"""What a log says of its user: by hand, and of users whose every probability is known."""

import numpy as np
import pandas as pd
import pytest
from log_traits import TRAITS, log_of, redrawn, subset
from scipy import stats

from sim.errors import BadInput
from sim.llm import costs, documents, responses, transitions, users
from sim.llm.dependence import dependence
from sim.llm.domains import DOMAINS
from sim.llm.estimates import by_setting, estimate
from sim.llm.trait_counts import patterns
from sim.llm.traits import TRAITS as TEXT_TRAITS

P, S, OPTIMUM = np.array([0.1, 0.3, 0.5, 0.7]), np.array([1.0, 0.5, 0.3, 0.6]), np.array([0.95, 0.8, 0.3, 0.1])
FOUR = {name: TRAITS[name] for name in ("t0", "t1", "t2", "t3")}


def table(*cells: int) -> np.ndarray:
    return np.array(cells).reshape(2, 2)


def test_a_table_by_hand() -> None:
    # Off: 20 rows, of which 15 are turned on.  On: 10 rows, of which 1 is turned off.
    bits = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [5, 15, 1, 9], axis=0)
    found = estimate(log_of(bits[:, :1], bits[:, 1:]), {"t0": TRAITS["t0"]})
    (group,) = found.groups
    (trait,) = group.traits
    assert trait.table.tolist() == [[5, 15], [1, 9]]
    a, b = 1.5 / 11, 15.5 / 21
    assert (trait.off.value, trait.on.value) == (0.1, 0.75)
    assert trait.share.value == pytest.approx(10.5 / 31)
    assert trait.strength.value == pytest.approx(a + b) and trait.contraction.value == pytest.approx(1 - a - b)
    assert trait.optimum.value == pytest.approx(b / (a + b))
    p, q = 10.5 / 31, b / (a + b)
    assert group.coverage.value == pytest.approx(q**2 / p + (1 - q) ** 2 / (1 - p))
    # gamma_min of a wish for on: the smaller of P(on | off) and P(on | on).
    assert group.gamma_min.value == pytest.approx(min(0.75, 0.9))
    assert found.edit_rate.value == pytest.approx(16 / 30) and found.mean_cost.value == pytest.approx(16 / 30)
    exact = stats.binomtest(16, 30).proportion_ci(0.95, method="exact")
    assert found.edit_rate[1:] == pytest.approx((exact.low, exact.high))
    exact = stats.binomtest(1, 10).proportion_ci(0.95, method="exact")
    assert trait.off[1:] == pytest.approx((exact.low, exact.high))
    student = stats.ttest_1samp(np.repeat([0.0, 1.0], [14, 16]), 0).confidence_interval(0.95)
    assert found.mean_cost[1:] == pytest.approx((student.low, student.high))


def test_edits_that_undo_a_trait_both_ways_are_at_full_strength_and_named() -> None:
    bits = np.repeat([[0, 1], [1, 0], [1, 1]], [40, 30, 10], axis=0)
    (trait,) = estimate(log_of(bits[:, :1], bits[:, 1:]), {"t0": TRAITS["t0"]}).groups[0].traits
    assert trait.strength.value == 1.0 and trait.alternates
    # The likeliest re-drawing user then is one whose edits do not depend on the response.
    assert trait.optimum.value == pytest.approx(50.5 / 81)


@pytest.mark.parametrize("seed", [0, 1])
def test_estimates_of_a_known_user_are_within_their_errors(seed: int) -> None:
    n = 20_000
    (group,) = estimate(redrawn(n, P, S, OPTIMUM, seed), FOUR).groups
    off, on = S * (1 - OPTIMUM), S * OPTIMUM
    for k, trait in enumerate(group.traits):
        sides = n * (1 - P[k]), n * P[k]
        assert abs(trait.share.value - P[k]) < 4 * np.sqrt(P[k] * (1 - P[k]) / n)
        spread = np.sqrt(on[k] * (1 - on[k]) / sides[0] + off[k] * (1 - off[k]) / sides[1])
        # Half a row on each side of the chain moves it by at most one row of the smaller.
        assert abs(trait.strength.value - S[k]) < 4 * spread + 1 / min(sides)
        assert abs(trait.optimum.value - OPTIMUM[k]) < 4 * spread / S[k] + 1 / min(sides)
        assert trait.relevant and not trait.alternates
    assert abs(group.dependence.z) < 4 and abs(group.dependence.correlation) < 0.02
    assert group.dependence.dispersion == pytest.approx(1, abs=0.05)
    truth = np.prod(OPTIMUM**2 / P + (1 - OPTIMUM) ** 2 / (1 - P))
    assert group.coverage.low < truth < group.coverage.high < 1.5 * group.coverage.low
    assert group.strength.value == pytest.approx(S.mean(), abs=0.02)
    assert group.contraction.value == pytest.approx(0.7, abs=0.02)


def test_intervals_cover_as_often_as_they_say() -> None:
    """300 logs of 60 rows, with counts of zero among them; exact binomial tests at 1e-6."""
    rng, p, s, optimum, runs = np.random.default_rng(3), 0.15, 0.6, 0.9, 300
    truth = {"share": p, "strength": s, "optimum": optimum, "off": s * (1 - optimum), "on": s * optimum}
    hits = dict.fromkeys([*truth, "concentrability"], 0)
    truth["concentrability"] = optimum**2 / p + (1 - optimum) ** 2 / (1 - p)
    for _ in range(runs):
        seed = int(rng.integers(2**31))
        (trait,) = estimate(redrawn(60, [p], [s], [optimum], seed), {"t0": TRAITS["t0"]}).groups[0].traits
        for name, value in truth.items():
            measured = getattr(trait, name)
            hits[name] += measured.low <= value <= measured.high
    for name, count in hits.items():
        assert stats.binomtest(count, runs, 0.95, alternative="less").pvalue > 1e-6, (name, count)


def test_traits_that_no_edit_changes_are_left_out() -> None:
    log = redrawn(800, [0.3, 0.0, 1.0, 0.5], [0.7, 0.0, 0.0, 0.0], [0.9, 0.5, 0.5, 0.5], 0)
    (group,) = estimate(log, FOUR).groups
    assert [trait.name for trait in group.relevant] == ["t0"] and group.patterns.responses.shape[1] == 1
    never, always = group.traits[1:3]
    assert never.off.value is None and never.off[1:] == (0.0, 1.0) and never.on.value == 0.0
    assert always.on.value is None and always.off.value == 0.0
    for trait in (never, always):
        # Whether the trait would be kept is not known, so that the strength is open above.
        assert trait.strength.high > 0.9 and trait.strength.low < 0.01
        assert np.isfinite([*trait.concentrability]).all()


def test_a_trait_that_the_reference_never_shows() -> None:
    (group,) = estimate(redrawn(500, [0.0, 0.2], [1.0, 1.0], [1.0, 1.0], 0), {k: FOUR[k] for k in ("t0", "t1")}).groups
    trait = group.traits[0]
    assert trait.optimum.value > 0.99 and trait.strength.value == 1.0
    assert trait.concentrability.high > 10 * trait.concentrability.value > 1000
    assert np.isfinite([*group.coverage, *group.gamma_min]).all()


def test_one_accident_makes_no_trait_relevant() -> None:
    responses = np.zeros((400, 2), bool)
    edits = responses.copy()
    edits[:200, 0], edits[0, 1] = True, True
    (group,) = estimate(log_of(responses, edits), {k: FOUR[k] for k in ("t0", "t1")}).groups
    assert [trait.relevant for trait in group.traits] == [True, False]


def test_a_user_who_edits_exactly_two_traits_is_found_out() -> None:
    (group,) = estimate(subset(4000, 0.1, 4, 2, 0), FOUR).groups
    assert group.dependence.correlation == pytest.approx(-1 / 3, abs=0.05)
    assert group.dependence.p_value < 1e-12 and group.dependence.dispersion < 0.5
    assert all(pair[3] < -0.2 for pair in group.dependence.pairs) and len(group.dependence.pairs) == 6
    assert group.strength.value == pytest.approx(0.5, abs=0.03)


def test_independence_is_rejected_as_often_as_it_should_be() -> None:
    found = [estimate(redrawn(300, P, S, OPTIMUM, seed), FOUR).groups[0].dependence.z for seed in range(80)]
    assert abs(np.mean(found)) < 5 / np.sqrt(80) and stats.kstest(found, "norm").pvalue > 1e-4


@pytest.mark.parametrize("rows", [1, 2])
def test_the_smallest_logs_are_finite_and_say_little(rows: int) -> None:
    found = estimate(redrawn(rows, P, S, OPTIMUM, 0), FOUR)
    (group,) = found.groups
    if rows == 1:
        assert not group.relevant and group.coverage == (1.0, 1.0, 1.0) and group.strength.value is None
    numbers = [found.edit_rate, found.mean_cost, group.contraction, group.gamma_min, group.coverage]
    numbers += [getattr(t, name) for t in group.traits for name in ("share", "strength", "optimum", "concentrability")]
    assert np.isfinite([[one.low, one.high] for one in numbers]).all()
    assert all(t.strength.high - t.strength.low > 0.3 for t in group.traits)


def test_groups_are_apart_and_their_weights_add_up() -> None:
    parts = [redrawn(600, P, S, OPTIMUM, 0, group="a"), redrawn(200, P, S, 1 - OPTIMUM, 1, group="b")]
    log = pd.concat(parts, ignore_index=True).sample(frac=1, random_state=0)
    found = estimate(log, FOUR)
    assert [(group.name, group.rows, group.weight) for group in found.groups] == [("a", 600, 0.75), ("b", 200, 0.25)]
    alone = estimate(parts[0], FOUR).groups[0]
    assert [str(trait) for trait in found.groups[0].traits] == [str(trait) for trait in alone.traits]
    assert found.rows == 800 and found.mean_cost.value == pytest.approx(log["cost"].mean())
    whole = estimate(log.drop(columns="group"), FOUR).groups
    assert [group.name for group in whole] == ["all"] and whole[0].rows == 800


def test_names_of_one_trait_are_one_trait() -> None:
    class Trait:
        name = "brief"

        def has(self, text: str) -> bool:
            return "t0" in text.split()

    brief = Trait()
    log = redrawn(500, P, S, OPTIMUM, 0)
    (group,) = estimate(log, {"brief": brief, "short sentences": brief, "other": TRAITS["t1"]}).groups
    assert [trait.name for trait in group.traits] == ["brief", "other"]


def test_patterns_hold_every_row_once() -> None:
    log = redrawn(500, P, S, OPTIMUM, 0)
    seen = patterns(log, FOUR)
    assert seen.rows == 500 and seen.counts @ seen.costs == pytest.approx(log["cost"].sum())
    assert len(np.unique(np.hstack([seen.responses, seen.edits]), axis=0)) == len(seen.counts)
    one = seen.only([2])
    np.testing.assert_array_equal(one.tables()[0], seen.tables()[2])
    assert one.rows == 500 and len(one.counts) <= 4
    assert dependence([], seen.only([])).z is None


def test_settings_are_told_apart() -> None:
    log = pd.concat([redrawn(3, P, S, OPTIMUM, 0, user=user) for user in ("strong", None)], ignore_index=True)
    assert {key: len(part) for key, part in by_setting(log).items()} == {
        ("summarization", "all"): 3,
        ("summarization", "strong"): 3,
    }
    assert set(by_setting(log.drop(columns="user"))) == {("summarization", "all")}


def test_what_cannot_be_estimated_is_refused() -> None:
    log = redrawn(5, P, S, OPTIMUM, 0)
    with pytest.raises(BadInput, match="no rows"):
        estimate(log[:0], FOUR)
    with pytest.raises(BadInput, match="no column cost"):
        estimate(log.drop(columns="cost"), FOUR)
    with pytest.raises(BadInput, match="at least one checker"):
        estimate(log, {})
    with pytest.raises(BadInput, match="level"):
        estimate(log, FOUR, level=1.0)


def test_intervals_widen_with_the_level_and_do_not_move_with_the_call() -> None:
    log = redrawn(200, P, S, OPTIMUM, 0)
    narrow, wide = (estimate(log, FOUR, level=level).groups[0] for level in (0.5, 0.99))
    assert narrow.coverage.high < wide.coverage.high and narrow.coverage.low > wide.coverage.low
    assert str(estimate(log, FOUR)) == str(estimate(log, FOUR))


def test_counts_of_zero_leave_wide_intervals() -> None:
    drawn = transitions.draws(table(0, 8, 0, 0), np.random.default_rng(0))
    assert np.isfinite(transitions.concentrability(drawn.share, drawn.optimum)).all()
    assert transitions.exact(0, 10).high == pytest.approx(1 - 0.025**0.1)
    assert transitions.exact(10, 10)[1:] == (pytest.approx(0.025**0.1), 1.0)


def test_a_side_effect_of_another_trait_is_no_trait_of_its_own() -> None:
    log = redrawn(1500, P, S, OPTIMUM, 0)
    plain = {"t1": TRAITS["t1"], "t2": TRAITS["t2"]}
    (group,) = estimate(log, plain | {"lacks t1": lambda text: "t1" not in text.split()}).groups
    assert {trait.name: trait.follows for trait in group.traits} == {"t1": None, "t2": None, "lacks t1": "t1"}
    assert [trait.name for trait in group.relevant] == ["t1", "t2"]
    (alone,) = estimate(log, plain).groups
    assert group.strength.value == alone.strength.value


def test_traits_that_always_change_together_without_need_are_two() -> None:
    rng = np.random.default_rng(0)
    responses = rng.random((2000, 2)) < 0.1
    edits = np.where(rng.random((2000, 1)) < 0.6, True, responses)
    (group,) = estimate(log_of(responses, edits), {name: TRAITS[name] for name in ("t0", "t1")}).groups
    assert len(group.relevant) == 2 and group.dependence.correlation == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("name", "correlation"), [("strong", None), ("weak", -1 / 3)])
def test_users_of_the_text_world_are_seen_for_what_they_are(name: str, correlation: float | None) -> None:
    rng, found = np.random.default_rng(0), []
    for document in documents.draw("email", 700, rng, domains=("peer review", "personal problem")):
        response = responses.demonstrate(document, rng)
        edit = users.make(name).edit(document, response, rng)
        found.append((response, edit, costs.edit_cost(response, edit), document.domain))
    log = pd.DataFrame(found, columns=["response", "edit", "cost", "group"])
    for group, wanted in zip(estimate(log, TEXT_TRAITS).groups, (4, 3), strict=True):
        named = {TEXT_TRAITS[phrase].name for phrase in DOMAINS[group.name].traits}
        assert {trait.name for trait in group.relevant} == named and len(named) == wanted
        assert group.strength.value == pytest.approx(1.0 if name == "strong" else 2 / wanted, abs=0.05)
        assert all(trait.optimum.value > 0.95 for trait in group.relevant)
        if correlation is not None and wanted == 4:
            assert group.dependence.correlation == pytest.approx(correlation, abs=0.06)
