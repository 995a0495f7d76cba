"""A whole study at its smallest: what is learned, what is stored, and how it goes on after it was stopped."""

import json
import shutil
import signal
from pathlib import Path

import llm_runs
import numpy as np
import pandas as pd
import pytest
from llm_runs import WORDS, called, reaches, started
from safetensors.numpy import load, save_file

from sim.errors import BadInput
from sim.llm import folder, learners, logs, presets, stored, study
from sim.llm.presets import Study

pytestmark = pytest.mark.slow

TRAINED = list(learners.learners(presets.PRESETS["micro"]))


@pytest.fixture(scope="module")
def small() -> Study:
    return llm_runs.small()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished study, a copy of its own for each process, since some tests take parts away."""
    base = tmp_path_factory.getbasetemp()
    # Of processes that share the tests, each has a folder beside those of the others.
    shared = (base.parent if base.name.startswith("popen-") else base) / "llm-study"
    return Path(shutil.copytree(llm_runs.made_once(shared, llm_runs.finished), tmp_path_factory.mktemp("llm") / "run"))


def means(path: Path) -> pd.DataFrame:
    rows = stored.read(path).episodes
    return rows.groupby(["training_user", "test_user", "method"])["cost"].mean().unstack()


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    names = ("episodes", "online", "samples", "trained", "candidates")
    found = {name: pd.read_parquet(folder / f"{name}.parquet") for name in names}
    # Training takes another time each time.
    return {name: rows.drop(columns="seconds", errors="ignore") for name, rows in found.items()}


# The first two need no finished study, or need it last: another process makes it meanwhile.
def test_a_run_that_is_killed_at_any_moment_goes_on_to_the_same_tables(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    going_on = ["--out", "killed", "--resume"]
    for reached in ("vocabulary.json", "*/sup.safetensors"):
        with started(*going_on, *WORDS, cwd=tmp_path) as running:
            reaches(running, tmp_path / "killed" / "models" / "email", reached)
        assert running.returncode == -signal.SIGKILL
    # Without its settings: they are those that the folder holds.
    with started(*going_on, cwd=tmp_path) as running:
        told, wrong = running.communicate(timeout=600)
    assert running.returncode == 0, wrong
    assert "Table 1" in told and "Theory from the logs alone" in told
    for part in ("report.html", "summary.txt", "theory.json", "speed.json", "figures/llm-gaps.svg"):
        assert (tmp_path / "killed" / part).stat().st_size > 100
    # Asked for when it is needed, so that another process can make it beside this run.
    went_on = tables(tmp_path / "killed")
    for name, rows in tables(request.getfixturevalue("ran")).items():
        pd.testing.assert_frame_equal(went_on[name], rows, check_exact=True)
    other = called("--resume", "--out", "killed", "--preset", "tiny", cwd=tmp_path)
    assert other.returncode == 2 and "the run there has" in other.stderr


def test_an_own_log_of_a_known_task_is_learned_from(tmp_path: Path) -> None:
    # Of one group, since theory is asked of each.
    logs.write(tmp_path / "log.parquet", llm_runs.log_of("strong", 96).assign(group="all"))
    with started(*WORDS, "--log", "log.parquet", "--out", "mine", cwd=tmp_path) as running:
        _, wrong = running.communicate(timeout=600)
    assert running.returncode == 0, wrong
    rows = pd.read_parquet(tmp_path / "mine" / "episodes.parquet")
    assert set(rows["training_user"]) == {"log"} and set(rows["test_user"]) == {"strong", "other"}
    again = called("--resume", "--out", "mine", cwd=tmp_path)
    told = "medley: --resume mine: the run there learns from a log of your own; add --log FILE\n"
    assert (again.returncode, again.stderr) == (2, told)


def test_it_learns_from_edits(ran: Path) -> None:
    costs = means(ran)
    strong = costs.loc[("strong", "strong")]
    assert strong["sup"] < 0.75 * strong["reference"] and strong["early"] < 0.75 * strong["reference"]
    # Weak users' edits leave most of a text as the reference wrote it, and supervision imitates that too.
    assert strong["sup"] < costs.loc[("weak", "strong")]["sup"]
    assert (costs >= 0).all(axis=None) and (costs <= 2).all(axis=None)


def test_every_policy_and_rule_played_every_round(ran: Path, small: Study) -> None:
    rows = stored.read(ran).episodes
    methods = {"reference", *TRAINED, "late", "late (all)", "uniform"}
    counted = rows.groupby(["training_user", "test_user", "method"])["round"].agg(["size", "nunique"])
    assert len(counted) == 2 * 2 * len(methods) and (counted == small.settings.rounds).all(axis=None)
    assert set(rows["method"]) == methods and (rows["status"] == "ok").all()
    assert np.allclose(rows["cost"], np.minimum(rows["raw_cost"], 2.0))
    late = rows[rows["method"] == "late"]
    assert set(late["arm"]) <= {"sup", "pref", "early"}
    # A rule pays what the policy that it chose costs in the same round.
    keys = ["training_user", "test_user", "seed", "round", "arm"]
    alone = rows[rows["method"].isin(TRAINED)].assign(arm=lambda frame: frame["method"])
    joined = late.merge(alone, on=keys, suffixes=("", "_alone"))
    assert len(joined) == len(late) and np.array_equal(joined["cost"], joined["cost_alone"])


def test_the_online_table_sums_the_episodes(ran: Path, small: Study) -> None:
    found, rounds = stored.read(ran), small.settings.rounds
    last = found.online[found.online["round"] == rounds].set_index(["training_user", "test_user", "method"])
    summed = found.episodes.groupby(["training_user", "test_user", "method"])["cost"].sum()
    assert np.allclose(last["cost"], summed.loc[last.index])
    best = (
        last[last["arm"] == last.index.get_level_values("method")].groupby(["training_user", "test_user"])["cost"].min()
    )
    for key, row in last.iterrows():
        assert row["regret"] == pytest.approx(row["cost"] - best[key[:2]])
    assert found.online["round"].max() == rounds and found.online["round"].min() == 1


def test_logs_hold_the_same_drafts_for_every_user_and_no_document_of_the_online_phase(ran: Path, small: Study) -> None:
    strong, weak = (
        logs.read(ran / "logs" / f"email-{user}-0.parquet", empty_responses=True) for user in ("strong", "weak")
    )
    assert strong[["context", "response"]].equals(weak[["context", "response"]])
    assert not strong["edit"].equals(weak["edit"]) and strong["cost"].mean() > weak["cost"].mean()
    assert (strong["logprob_response"] < 0).all() and set(strong["group"]) == set(small.domains("email"))
    shown = set(stored.read(ran).samples["context"])
    assert shown and not shown & set(strong["context"])


def test_every_candidate_is_told_and_one_is_chosen(ran: Path) -> None:
    found = stored.read(ran)
    assert len(found.candidates) == len(found.trained) == 2 * len(TRAINED)
    assert (
        found.trained["cut"].between(0, 1).all() and found.trained.groupby("training_user")["cut"].nunique().max() == 1
    )
    assert found.candidates["chosen"].all() and np.isfinite(found.trained["held_out"]).all()
    strengths = found.trained.set_index(["training_user", "method"])["strength"]
    assert strengths["strong", "edit-model"] > strengths["weak", "edit-model"]
    speed = json.loads((ran / "speed.json").read_text())
    assert speed["tokens_per_second_training"] > 0
    # Known where the device's peak is.
    assert (speed["model_flop_utilisation"] is None) == ("reasons" in speed)


def test_a_finished_run_goes_on_with_nothing_and_gives_the_same(ran: Path, small: Study) -> None:
    before = tables(ran)
    model = ran / "models" / "email" / "strong-0" / "sup.safetensors"
    kept = load(model.read_bytes())
    # One policy and what follows from it are lost: they come back as they were, to the last bit.
    for path in (model, *(ran / name / "email-strong-0.parquet" for name in ("episodes", "samples"))):
        path.unlink()
    (ran / "rounds" / "email-strong-0-sup.parquet").unlink()
    study.run(small, ran, resume=True)
    again = load(model.read_bytes())
    assert all(np.array_equal(again[name], kept[name]) for name in kept)
    after = tables(ran)
    for name, rows in before.items():
        pd.testing.assert_frame_equal(after[name], rows, check_exact=True)


def test_a_redraw_keeps_the_speed_and_adds_its_time(ran: Path, small: Study) -> None:
    speed, seconds = (ran / "speed.json").read_bytes(), study.wall_seconds(ran)
    study.run(small, ran, resume=True)
    assert (ran / "speed.json").read_bytes() == speed and 0 < seconds < study.wall_seconds(ran)


@pytest.mark.parametrize(
    ("tasks", "overrides", "words"),
    [
        (["email"], ["steps=31"], "the run there has steps = 20, this one 31"),
        (["summarization"], [], "the run there has tasks = .'email'., this one .'summarization'."),
    ],
)
def test_other_settings_are_refused_by_saying_what_differs(
    ran: Path, tasks: list[str], overrides: list[str], words: str
) -> None:
    other = presets.study("micro", tasks, 1, [*llm_runs.SIZE, *overrides])
    with pytest.raises(BadInput, match=words):
        study.run(other, ran, resume=True)
    with pytest.raises(BadInput, match="the folder is not empty"):
        study.run(other, ran)


def test_a_folder_of_another_kind_and_one_in_use_are_refused(ran: Path, small: Study, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="expected the folder of a medley llm run"):
        study.run(small, tmp_path, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    lock = folder.opened(small, ran, True, None)
    try:
        with pytest.raises(BadInput, match="another run is writing there"):
            folder.opened(small, ran, True, None)
    finally:
        lock.close()


def test_a_log_of_ones_own_chooses_the_study(ran: Path, tmp_path: Path) -> None:
    own = logs.read(ran / "logs" / "email-strong-0.parquet", empty_responses=True)
    chosen, given = study.of_log(presets.study("micro", seeds=1), own)
    assert chosen.tasks == ("email",) and chosen.users == ("log",) and given is not None
    assert set(given["user"]) == {"log"}
    with pytest.raises(
        BadInput, match=r"expected at least 33 examples of task 'email' \(32 of them are held out\), got 5"
    ):
        study.of_log(chosen, own[:5])
    assert study.of_log(chosen, None) == (chosen, None)


def test_a_checkpoint_that_is_damaged_is_refused(ran: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(ran, tmp_path / "run"))
    save_file({"x": np.zeros(2)}, run / "models" / "email" / "strong-0" / "sup.safetensors")
    (run / "episodes" / "email-strong-0.parquet").unlink()
    damaged = called("--resume", "--out", "run", cwd=tmp_path)
    assert damaged.returncode == 2 and "expected a checkpoint of this model" in damaged.stderr
