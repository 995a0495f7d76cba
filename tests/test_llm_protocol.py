"""The protocol of the language model without a model: rounds without an answer, logs, and sums over rounds."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w

from sim.errors import BadInput
from sim.llm import folder, logs, protocol
from sim.llm import study as studies
from sim.llm.documents import draw, is_held_out
from sim.llm.meter import Meter
from sim.llm.presets import Study, study
from sim.llm.seeds import generator, number
from sim.llm.users import Edit, make
from sim.online import UCB, Uniform

NOTHING = math.nan


def rounds(*ratios: float) -> list[protocol.Round]:
    return [protocol.Round("a", "b", ratio, "ok" if ratio == ratio else "no answer") for ratio in ratios]


def test_a_rule_learns_nothing_from_a_round_without_an_answer() -> None:
    listed = {"good": rounds(0.1, NOTHING, 0.1, 0.1, 0.1), "bad": rounds(1.9, NOTHING, 1.9, 1.9, 1.9)}
    rows = protocol.episodes(listed, {"late": (UCB(alpha=0.0, c_max=2.0), ["good", "bad"])}, 0)
    late = rows[rows["method"] == "late"]
    # The second arm is still to be tried after the round in which it brought no cost.
    assert late["arm"].tolist() == ["good", "bad", "bad", "good", "good"]
    assert late["status"].tolist() == ["ok", "no answer", "ok", "ok", "ok"] and late["cost"].isna().tolist()[1]


def test_a_rule_that_draws_draws_again_after_a_round_without_an_answer() -> None:
    never = {"one": rounds(*[NOTHING] * 20), "two": rounds(*[NOTHING] * 20)}
    rows = protocol.episodes(never, {"uniform": (Uniform(), ["one", "two"])}, 0)
    assert set(rows[rows["method"] == "uniform"]["arm"]) == {"one", "two"}


def episodes(costs: dict[str, list[float]]) -> pd.DataFrame:
    frames = [
        pd.DataFrame({"method": name, "round": range(1, len(own) + 1), "arm": name, "cost": own})
        for name, own in costs.items()
    ]
    return pd.concat(frames).assign(task="email", training_user="weak", test_user="strong", seed=0)


def test_a_round_that_one_method_met_without_an_answer_counts_for_none() -> None:
    found = folder.online(episodes({"sup": [0.2, NOTHING, 0.4], "pref": [1.0, 0.0, 2.0]}))
    summed = found.pivot(index="round", columns="method", values="cost")
    # Means over the rounds 1 and 3: 0.3 and 1.5.
    assert np.allclose(summed["sup"], [0.2, 0.5, 0.9]) and np.allclose(summed["pref"], [1.0, 2.5, 4.5])
    regret = found.pivot(index="round", columns="method", values="regret")
    assert np.allclose(regret["sup"], 0) and np.allclose(regret["pref"], [0.8, 2.0, 3.6])


def test_without_any_answer_there_is_no_cost() -> None:
    found = folder.online(episodes({"sup": [NOTHING] * 2, "pref": [0.5, 0.5]}))
    assert len(found) == 4 and found[["cost", "regret"]].isna().all(axis=None)


def log_folder(path: Path, kept: Study, extra: dict[str, Any], files: dict[str, int]) -> None:
    path.joinpath("settings.toml").write_text(tomli_w.dumps(kept.as_table() | extra))
    for stem, count in files.items():
        rows = {"task": "email", "context": "c", "response": "r", "edit": "e", "cost": 1.0}
        logs.write(path / "logs" / f"{stem}.parquet", pd.DataFrame([rows] * count))


@pytest.mark.parametrize(("extra", "counted"), [({}, 80), ({"log": "12ab"}, 40)])
def test_rows_of_a_log_count_once(extra: dict[str, Any], counted: int, tmp_path: Path) -> None:
    kept = Study("micro", study("micro", seeds=3).settings, ("email",), ("other",))
    # The third seed is not there yet, and another user's name begins with this one's.
    log_folder(tmp_path, kept, extra, {"email-other-0": 40, "email-other-1": 40, "email-other-weak-0": 50})
    ((rows, n),) = folder.logs(tmp_path)
    assert len(rows) == counted and n == 40 - kept.settings.held_out


def test_samples_have_the_capped_cost_and_the_raw_one() -> None:
    found = protocol.samples(draw("email", 1, generator("x")), {"sup": rounds(3.5)}, 4)
    assert found["cost"].tolist() == [2.0] and found["raw_cost"].tolist() == [3.5]


def test_rounds_are_stored_as_they_were_and_played_once(tmp_path: Path) -> None:
    made = {"strong": rounds(0.5, NOTHING), "other": [protocol.Round("", "\n\u2603", 7.25, "ok"), *rounds(1.0)]}
    asked: list[None] = []

    def play() -> protocol.Rounds:
        asked.append(None)
        return made

    bench = studies.Bench(study("micro", overrides=["rounds=2"]), tmp_path, Meter(1, None))
    first, again = (studies._rounds(bench, "email-strong-0-pref (link paper)", play) for _ in range(2))
    assert len(asked) == 1 and list(first) == ["strong", "other"]
    assert str(first) == str(again) == str(made)


class Sometimes:
    """A user who answers the edits whose numbers are not listed, and counts how often she is asked."""

    def __init__(self, silent: range) -> None:
        self.silent, self.asked = silent, 0

    def answer(self, document: object, response: str, rng: np.random.Generator) -> Edit:
        self.asked += 1
        return Edit(response, "timed out") if self.asked - 1 in self.silent else Edit("mine")


def drafts(count: int) -> protocol.Drafts:
    return protocol.Drafts(draw("email", count, generator("x")), ["a b"] * count, np.full(count, -1.0))


def test_a_log_has_a_row_for_every_edit_answered_or_not() -> None:
    user = Sometimes(range(1, 3))
    rows = protocol.logged("email", "own", user, drafts(4), 0)
    assert rows["status"].tolist() == ["ok", "timed out", "timed out", "ok"]
    assert rows["edit"].tolist() == ["mine", "a b", "a b", "mine"] and rows["cost"].tolist() == [1, 0, 0, 1]
    protocol.check_answered("own", rows["status"])


def test_who_stops_answering_is_asked_no_more_and_later_for_the_rest_alone() -> None:
    user = Sometimes(range(5, 100))
    rows = protocol.logged("email", "own", user, drafts(40), 0)
    assert user.asked == 5 + protocol.PATIENCE and (rows["status"] == "ok").sum() == 5
    with pytest.raises(BadInput, match="user own: expected answers, got none to 20 edits in a row: timed out; what is"):
        protocol.check_answered("own", rows["status"])
    back = Sometimes(range(0))
    again = protocol.asked_again(rows, drafts(40).documents, back, 0)
    assert back.asked == 35 and (again["status"] == "ok").all() and (again["edit"] == "mine").all()
    assert (again["cost"] == 1).all() and (rows["status"] == "ok").sum() == 5


def test_answers_in_between_start_the_count_anew() -> None:
    found = protocol.Patient(Sometimes(range(1, 20)))
    documents = drafts(60).documents
    assert all(found.answer(one, "a", generator("y")).status in ("ok", "timed out") for one in documents)


def own_log(**columns: Any) -> pd.DataFrame:
    rows = {"task": "email", "context": "c", "response": "r", "edit": "e", "cost": 1.0}
    return pd.DataFrame([rows] * 40).assign(**columns)


@pytest.mark.parametrize(
    ("tasks", "columns", "told"),
    [
        (None, {"task": ["email"] * 37 + ["letters"] * 3}, "got 3 rows of letters beside them; split the file by task"),
        (["summarization"], {}, "--log: expected rows of the task summarization, got email; choose another --task"),
        (None, {"user": ["ann", "bob"] * 20}, "expected the edits of one user, got those of ann, bob; split the file"),
    ],
)
def test_a_log_that_is_a_mixture_is_refused(tasks: list[str] | None, columns: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        studies.of_log(study("micro", tasks), own_log(**columns))


def test_a_log_with_columns_of_its_own_is_taken(tmp_path: Path) -> None:
    chosen, taken = studies.of_log(study("micro"), own_log(status="sent", tags=[["a"]] * 40))
    assert taken is not None and "status" not in taken and "tags" in taken
    folder.opened(chosen, tmp_path / "run", False, taken).close()
    folder.opened(chosen, tmp_path / "run", True, taken.assign(tags=0)).close()
    with pytest.raises(BadInput, match="the run there has log = "):
        folder.opened(chosen, tmp_path / "run", True, taken.assign(edit="other"))
    with pytest.raises(BadInput, match="the run there learns from a log of your own; add --log FILE"):
        folder.opened(study("micro"), tmp_path / "run", True)


def test_users_of_ones_own_are_compared(tmp_path: Path) -> None:
    folder.opened(study("micro"), tmp_path, False, None, ["mine"]).close()
    folder.opened(study("micro"), tmp_path, True, None, ["mine"]).close()
    with pytest.raises(BadInput, match=r"the run there has own_users = \['mine'\], this one None"):
        folder.opened(study("micro"), tmp_path, True)


def test_an_unanswered_edit_is_a_row_with_its_status() -> None:
    class Silent:
        def answer(self, document: object, response: str, rng: object) -> object:
            return Edit(response, "timed out")

    document = draw("email", 1, generator("x"))[0]
    found = protocol.edited(Silent(), document, "Hello.", generator("y"))  # type: ignore[arg-type]
    assert found.status == "timed out" and found.edit == "Hello." and np.isnan(found.ratio)
    assert protocol.edited(make("strong"), document, "Hello.", generator("y")).ratio > 0


def test_streams_differ_by_name_and_documents_of_rounds_are_held_out() -> None:
    assert number("log", "email", 1) == number("log", "email", 1) != number("log", "email", 2)
    one, other = (generator("log", "email", seed).random(4).tolist() for seed in (0, 1))
    assert one != other
    documents = draw("email", 50, generator("online", "email", 0), None, 3, held_out=True)
    assert all(is_held_out(document.facts) for document in documents)
