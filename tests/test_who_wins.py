"""The predicted winner in closed form: against the predictions one by one, and against a run."""

import numpy as np
import pytest

import sim
from bounds import predict, who_wins
from bounds.compare import joined, winners
from sim import regimes
from sim.learners import Cost, Early, Preference, Supervision

LEARNERS = {"sup": Supervision(), "early": Early(), "cost": Cost(), "pref": Preference()}


@pytest.mark.slow
def test_the_winner_has_the_least_prediction_in_every_cell() -> None:
    found = who_wins(
        [100, 1e6], LEARNERS, strength=[0.2, 1.0], attributes=(1, 2), contexts=2, preference_scale=[0.5, 2]
    )
    assert len(found) == 2**4 and list(found.columns[:4]) == ["strength", "attributes", "preference_scale", "n"]
    for row in found.to_dict("records"):
        world = sim.world("attributes", contexts=2, **{name: row[name] for name in found.columns[:3]})
        found_one = {label: predict(one, world, ridge=one.ridge) for label, one in LEARNERS.items()}
        values = {label: one.at(row["n"]) for label, one in found_one.items()}
        ranked = sorted(values, key=lambda label: values[label])
        assert (row["winner"], row["runner_up"]) == (ranked[0], ranked[1])
        assert row["lead"] == pytest.approx(values[ranked[1]] - values[ranked[0]])
        assert all(row[label] == pytest.approx(value) for label, value in values.items())


@pytest.mark.slow
def test_strong_users_and_short_logs_are_supervisions() -> None:
    found = who_wins([100, 1e6], strength=[1.0, 0.1], contexts=2, attributes=2).set_index(["strength", "n"])
    assert found["winner"].isin(["sup", "early", "pref", "cost", "edit-model"]).all()
    assert found.loc[(0.1, 1e6), "sup"] > found.loc[(0.1, 1e6), "pref"]
    assert found.loc[(1.0, 100), "sup"] < found.loc[(1.0, 100), "pref"]


def test_it_is_the_predicted_winner_of_a_run(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'n = [100, 3000]\nseeds = 2\nlearners = ["sup", "pref", "cost", "early"]\n[world]\nfamily = "attributes"\n'
        "attributes = 2\ncontexts = 2\nstrength = [1.0, 0.3]\n[early]\nlam = 1.0\n"
    )
    regime = regimes.load(str(path))
    measured = winners(joined(sim.run(regime), regime)).set_index(["strength", "n"])["predicted_winner"]
    measured = measured.str.removesuffix(" (lam 1)")
    predicted = who_wins([100, 3000], LEARNERS, attributes=2, contexts=2, strength=[1.0, 0.3])
    assert measured.to_dict() == predicted.set_index(["strength", "n"])["winner"].to_dict()


def test_learners_without_a_prediction_do_not_compete() -> None:
    found = who_wins([50], {"sup": Supervision(), "cost": Cost(cost_class="list")}, attributes=2, contexts=1)
    assert found["winner"].tolist() == ["sup"] and found["runner_up"].isna().all() and np.isnan(found["lead"]).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"ns": [0, 10]}, "ns: expected a number in"),
        ({"ns": 100}, "ns: expected a list"),
        ({"ns": ["a"]}, "ns: expected"),
        ({"ns": [10], "learners": {"x": "sup"}}, "learners: expected learners by label"),
        ({"ns": [10], "strenght": [0.5]}, "strength"),
        ({"ns": [10], "family": "attribute"}, "attributes"),
        ({"ns": [10], "strength": [2.0]}, "strength"),
        ({"ns": [10], "strength": []}, "strength: expected a list of at least one value"),
        ({"ns": []}, "ns: expected a list of at least one value"),
    ],
)
def test_bad_input_is_refused(arguments, words) -> None:
    with pytest.raises(sim.BadInput, match=words):
        who_wins(**arguments)
