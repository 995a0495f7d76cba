"""From a log to theory: the worlds are the log's, predictions converge to those of the true world, winners agree."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from log_traits import TRAITS, of_world, redrawn, subset

import sim
from bounds import from_logs, log_worlds, who_wins
from bounds.asymptotics import predict
from bounds.edit_forms import by_trait, likeliest
from bounds.who_wins import COMPETITORS
from sim import kernels
from sim.errors import BadInput
from sim.learners import Cost, Preference, Supervision
from sim.llm.estimates import estimate

TWO = {name: TRAITS[name] for name in ("t0", "t1")}
FOUR = {name: TRAITS[name] for name in ("t0", "t1", "t2", "t3")}
CHEAP = {"sup": Supervision(), "pref": Preference(), "cost": Cost()}
STRENGTHS = {"strong": 0.95, "weak": 0.15}


def worlds(strength: float) -> list[Any]:
    """One world per group: they share the temperature and the user's strength."""
    shared = {"attributes": 2, "contexts": 1, "strength": strength, "preference_scale": 2.0}
    return [sim.world("attributes", world_seed=seed, **shared) for seed in (0, 1)]


@pytest.fixture(scope="module", params=list(STRENGTHS))
def known(request: pytest.FixtureRequest) -> tuple[list[Any], dict[str, Any]]:
    """Two worlds, and the prediction from a long log with one of them in each group."""
    true = worlds(STRENGTHS[request.param])
    logs = [of_world(world, 100_000, 0).assign(group=f"group {g}") for g, world in enumerate(true)]
    (found,) = from_logs.prediction(pd.concat(logs, ignore_index=True), TWO, n=2000)
    return true, found


def exactly(true: list[Any], label: str) -> float:
    values = [predict(COMPETITORS[label], world).at(1000) for world in true]
    return float(np.mean([value for value in values if value is not None]))


def test_the_prediction_from_a_long_log_is_that_of_its_worlds(known: tuple[list[Any], dict[str, Any]]) -> None:
    true, found = known
    away = np.mean([float(world.suboptimality(world.reference)) for world in true])
    assert found["predicted"]["reference"] == pytest.approx(away, rel=0.05)
    assert found["temperature"] == pytest.approx(0.5, rel=0.05) and found["temperature_fit"] > 0.98
    for label in COMPETITORS:
        assert found["predicted"][label] == pytest.approx(exactly(true, label), rel=0.08), label
    json.dumps(found, allow_nan=False)


def test_the_winner_is_that_of_its_worlds(known: tuple[list[Any], dict[str, Any]]) -> None:
    true, found = known
    expected = {label: exactly(true, label) for label in COMPETITORS}
    assert found["winner"] == min(expected, key=expected.__getitem__) and found["lead"] > 0
    better = min(("sup", "pref"), key=found["predicted"].__getitem__)
    assert better == ("sup" if found["strength"] > 0.5 else "pref")
    parameters = {"attributes": 2, "contexts": 1, "strength": STRENGTHS["strong" if better == "sup" else "weak"]}
    plain = {label: COMPETITORS[label] for label in ("sup", "pref")}
    table = who_wins([1000], plain, preference_scale=2.0, world_seed=[0, 1], **parameters)
    assert table[["sup", "pref"]].mean().idxmin() == better


def test_the_groups_have_the_numbers_of_their_worlds(known: tuple[list[Any], dict[str, Any]]) -> None:
    true, found = known
    table = kernels.attribute_table(2)
    for world, group in zip(true, found["groups"], strict=True):
        assert group["form"] in ("redraw", "by trait") and group["n"] == 1000
        wanted = np.asarray(world.reference)[0] @ table, np.asarray(world.optimal)[0] @ table
        shown = [[one[name] for one in group["estimates"]] for name in ("share", "optimum")]
        np.testing.assert_allclose(shown, wanted, atol=0.03)
        np.testing.assert_allclose(group["shares"], shown[0], atol=0.02)
        assert group["gamma_min_interval"][0] <= group["gamma_min"]
    assert found["predicted_share"] == pytest.approx(1) and found["reasons"] == {}


def test_a_world_is_built_from_the_estimates_as_they_are() -> None:
    log = redrawn(4000, [0.1, 0.3], [0.9, 0.4], [0.95, 0.2], 0)
    (group,) = estimate(log, TWO).groups
    built = log_worlds.world_of(group, 0.7)
    assert built.form.name == "by trait" and built.moved == {} and built.left_out == ()
    table = kernels.attribute_table(2)
    values = {
        name: np.array([getattr(t, name).value for t in group.traits]) for name in ("share", "optimum", "strength")
    }
    np.testing.assert_allclose(np.asarray(built.world.reference)[0] @ table, values["share"], atol=1e-12)
    np.testing.assert_allclose(np.asarray(built.world.optimal)[0] @ table, values["optimum"], atol=1e-12)
    np.testing.assert_allclose(built.world.editor.dense(), by_trait(values["strength"], values["optimum"]), atol=1e-15)
    # Planted: the optimum is the minimiser of Eq. 1 with the fitted distance.
    tilted = np.asarray(built.world.reference) * np.exp(-np.asarray(built.world.expected_cost) / 0.7)
    np.testing.assert_allclose(tilted / tilted.sum(), np.asarray(built.world.optimal), atol=1e-12)


def test_a_share_that_no_cost_explains_moves_and_is_named() -> None:
    # Edits end with t0 more often off than on, and yet more often on than the reference has it.
    (group,) = estimate(redrawn(4000, [0.1, 0.2], [0.9, 0.9], [0.35, 0.9], 0), TWO).groups
    built = log_worlds.world_of(group, 1.0)
    assert set(built.moved) == {"t0"} and built.moved["t0"] > 0.1
    assert built.shares[1] == pytest.approx(group.traits[1].share.value)


def test_the_form_of_the_kernel_is_found() -> None:
    def best(log: pd.DataFrame) -> Any:
        (group,) = estimate(log, FOUR).groups
        strengths = np.array([trait.strength.value for trait in group.relevant])
        optimum = np.array([trait.optimum.value for trait in group.relevant])
        return likeliest(group.patterns, strengths, optimum)[0]

    two = best(subset(3000, 0.2, 4, 2, 0))
    assert (two.name, two.size) == ("subset", 2) and two.strengths[0] > 0.95
    np.testing.assert_allclose(two.rates, 0.5, atol=0.03)
    alike = best(redrawn(3000, [0.2] * 4, [0.5] * 4, [0.9] * 4, 1))
    assert alike.name == "redraw" and alike.strengths[0] == pytest.approx(0.5, abs=0.03)
    assert best(redrawn(3000, [0.2] * 4, [0.2, 0.9, 0.5, 0.4], [0.9] * 4, 1)).name == "by trait"
    lazy = pd.concat([redrawn(1500, [0.2] * 4, [s] * 4, [0.9] * 4, 2) for s in (0.0, 1.0)])
    assert best(lazy).name == "lazy" and best(lazy).strengths[0] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_kernels_of_forms_are_the_likelihoods_that_chose_them(strength: float) -> None:
    log = redrawn(300, [0.3] * 3, [strength] * 3, [0.8, 0.6, 0.7], 0)
    (group,) = estimate(log, {name: TRAITS[name] for name in ("t0", "t1", "t2")}).groups
    seen, powers = group.patterns, 2 ** np.arange(3)[::-1]
    strengths = np.array([trait.strength.value for trait in group.relevant])
    optimum = np.array([trait.optimum.value for trait in group.relevant])
    forms = likeliest(seen, strengths, optimum)
    separate = next(form for form in forms if form.name == "by trait").kernel()[0]
    for form in forms:
        kernel = form.kernel()[0]
        np.testing.assert_allclose(kernel.sum(axis=1), 1, atol=1e-12)
        mixed = kernel if form.name == "by trait" else 0.98 * kernel + 0.02 * separate
        value = seen.counts @ np.log(mixed[seen.responses @ powers, seen.edits @ powers])
        assert value == pytest.approx(form.log_likelihood, rel=1e-9), form.name


def test_only_the_traits_that_move_most_enter_a_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_worlds, "MOST", 2)
    (group,) = estimate(redrawn(2000, [0.1] * 4, [0.9, 0.3, 0.2, 0.8], [0.9] * 4, 0), FOUR).groups
    built = log_worlds.world_of(group, 1.0)
    assert (built.traits, built.left_out) == (("t0", "t3"), ("t1", "t2")) and built.world.responses == 4


def test_a_log_in_which_nothing_is_edited_has_no_prediction_and_says_why() -> None:
    (found,) = from_logs.prediction(redrawn(50, [0.3, 0.3], [0, 0], [0.9, 0.9], 0), TWO)
    assert found["winner"] is None and set(found["predicted"].values()) == {None}
    assert found["reasons"] == {"predicted": from_logs.NO_TRAIT} and found["edit_rate"] == 0
    json.dumps(found, allow_nan=False)
    (one,) = from_logs.prediction(redrawn(1, [0.3, 0.3], [1, 1], [0.9, 0.9], 0), TWO)
    assert one["winner"] is None and one["rows"] == 1


def test_users_and_tasks_are_predicted_apart() -> None:
    strong = redrawn(2000, [0.2, 0.3], [0.95, 0.95], [0.9, 0.9], 0, user="strong")
    weak = redrawn(2000, [0.2, 0.3], [0.1, 0.1], [0.9, 0.9], 1, user="weak")
    found = from_logs.prediction(pd.concat([strong, weak]), TWO, learners=CHEAP)
    assert [one["training_user"] for one in found] == ["strong", "weak"]
    table = from_logs.table(found)
    assert table["strength"].round(1).tolist() == [1.0, 0.1] or table["strength"].round(1).tolist() == [0.9, 0.1]
    assert table.loc[0, "sup"] < table.loc[1, "sup"] and table.loc[0, "coverage"] > 1
    outcome = pd.DataFrame({"task": "summarization", "training_user": "strong", "method": ["sup", "pref", "cost"]})
    costs = outcome.assign(mean_cost=[0.1, 0.2, 0.3], low=0.0, high=1.0)
    (row,) = from_logs.compare(found, costs).to_dict("records")
    assert row["methods"] == ["sup", "pref", "cost"] and row["tied"] is True


def made_up(**values: float) -> list[dict[str, Any]]:
    return [{"task": "email", "training_user": "weak", "predicted": values}]


def measured(**costs: float) -> pd.DataFrame:
    rows = [{"method": name, "mean_cost": cost, "low": cost - 0.1, "high": cost + 0.1} for name, cost in costs.items()]
    return pd.DataFrame(rows).assign(task="email", training_user="weak")


def test_a_prediction_is_held_against_the_outcome() -> None:
    predictions = made_up(sup=0.1, pref=0.2, early=0.3, cost=0.4)
    (right,) = from_logs.compare(predictions, measured(sup=1.0, pref=1.5, early=2.0, late=0.1)).to_dict("records")
    assert (right["agrees"], right["rank"], right["rank_correlation"]) == (True, 1, pytest.approx(1.0))
    assert right["methods"] == ["sup", "pref", "early"] and right["reason"] is None
    (wrong,) = from_logs.compare(predictions, measured(sup=2.0, pref=1.0, early=1.5)).to_dict("records")
    assert (wrong["agrees"], wrong["rank"], wrong["tied"]) == (False, 3, False)
    assert (wrong["predicted_winner"], wrong["measured_winner"]) == ("sup", "pref")
    assert wrong["rank_correlation"] == pytest.approx(-0.5)
    (close,) = from_logs.compare(predictions, measured(sup=1.05, pref=1.0)).to_dict("records")
    assert not close["agrees"] and close["tied"] and close["rank"] == 2


def test_what_cannot_be_compared_says_why() -> None:
    (row,) = from_logs.compare(made_up(sup=0.1, pref=0.2), measured(sup=1.0, late=0.5)).to_dict("records")
    assert row["agrees"] is None and "fewer than two" in row["reason"]
    (same,) = from_logs.compare(made_up(sup=0.1, pref=0.2), measured(sup=1.0, pref=1.0)).to_dict("records")
    assert same["agrees"] is True and same["rank_correlation"] is None and "the same" in same["reason"]
    # A tie is won by the learner that theory names, not by the first in the table.
    (tie,) = from_logs.compare(made_up(sup=0.2, pref=0.1), measured(sup=1.0, pref=1.0)).to_dict("records")
    assert (tie["agrees"], tie["predicted_winner"], tie["measured_winner"]) == (True, "pref", "pref")
    assert from_logs.compare(made_up(sup=0.1), measured(sup=1.0).assign(task="other")).empty
    with pytest.raises(BadInput, match="missing column low, high"):
        from_logs.compare(made_up(sup=0.1), measured(sup=1.0).drop(columns=["low", "high"]))
    with pytest.raises(BadInput, match="one row per task"):
        from_logs.compare(made_up(sup=0.1), pd.concat([measured(sup=1.0)] * 2))
    with pytest.raises(BadInput, match="finite"):
        from_logs.compare(made_up(sup=0.1), measured(sup=np.nan))


def test_costs_that_say_nothing_of_the_traits_leave_the_unit_to_their_mean() -> None:
    log = redrawn(500, [0.3, 0.3], [0.8, 0.8], [0.9, 0.9], 0)
    assert log_worlds.temperature(estimate(log.assign(cost=0.5), TWO)).source == "mean cost"
    assert log_worlds.temperature(estimate(log.assign(cost=0.0), TWO)).source == "unit"
    fitted = log_worlds.temperature(estimate(log, TWO))
    assert fitted.source == "slopes" and 0 < fitted.fit <= 1
    doubled = log_worlds.temperature(estimate(log.assign(cost=2 * log["cost"]), TWO))
    assert doubled.value == pytest.approx(2 * fitted.value)
