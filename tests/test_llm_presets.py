"""Presets and settings of `medley llm`: what is refused, in one line, and what a stored study keeps."""

import pytest

from sim.errors import BadInput
from sim.llm.domains import TASKS
from sim.llm.presets import PRESETS, study


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_study(name: str) -> None:
    found = study(name)
    assert found.tasks == tuple(TASKS) and found.settings == PRESETS[name]
    assert study(stored=found.as_table()) == found


def test_settings_are_set_one_by_one_and_kept_when_a_study_goes_on() -> None:
    found = study("tiny", ["email"], 5, ["steps=7", "temperature=1", "learning_rates=[0.01]"])
    assert (found.tasks, found.settings.seeds, found.settings.steps) == (("email",), 5, 7)
    assert found.settings.temperature == 1.0 and found.settings.learning_rates == [0.01]
    later = study(stored=found.as_table(), seeds=6)
    assert later.settings == found.settings.model_copy(update={"seeds": 6}) and later.tasks == ("email",)
    # Another preset is another study: nothing of the stored one is kept.
    assert study("micro", stored=found.as_table()).settings == PRESETS["micro"]


def test_the_domains_of_a_study_are_the_first_of_its_tasks() -> None:
    assert study("tiny").domains("email") == TASKS["email"][:2] and study("small").domains("email") == TASKS["email"]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["step=7"], "unknown setting of medley llm 'step'; did you mean 'steps'?"),
        (["steps=0"], "steps: Input should be greater than or equal to 1, got 0"),
        (["steps=many"], "steps: Input should be a valid integer, got 'many'"),
        (["learning_rates=[]"], "learning_rates: List should have at least 1 item"),
        (["learning_rates=[-1.0]"], "learning_rates"),
        (["dtype=float8"], "dtype: String should match"),
        (["width=50"], "width: expected a multiple of 4 .twice the heads., got 50"),
        (["logged={email=3}"], "logged: expected a positive number of examples for each of summarization, email"),
        (["logged={email=0,summarization=1}"], "logged.email: Input should be greater than or equal to 1, got 0"),
        (
            ["logged={email=10000000000,summarization=1}"],
            "logged.email: Input should be less than or equal to 10000000",
        ),
        (["pretraining_documents=10000000000"], "pretraining_documents: Input should be less than or equal to"),
        (["held_out=10000000000"], "held_out: Input should be less than or equal to 10000000"),
        (["logged.email=3"], "unknown setting of medley llm 'logged.email'"),
        (["steps"], "--set: expected key=value, got 'steps'"),
    ],
)
def test_wrong_settings_are_refused(overrides: list[str], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        study("tiny", overrides=overrides)


def test_unknown_presets_and_tasks_are_refused() -> None:
    with pytest.raises(BadInput, match="unknown preset 'tinny'; did you mean 'tiny'"):
        study("tinny")
    with pytest.raises(BadInput, match="unknown task 'emails'; did you mean 'email'"):
        study("tiny", ["emails"])
    with pytest.raises(BadInput, match="seeds: Input should be greater than or equal to 1"):
        study("tiny", seeds=0)
