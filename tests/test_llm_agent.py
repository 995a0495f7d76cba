"""The reference policy: what is stored of its training, and training that fails; times and versions of a run."""

import json
from pathlib import Path

import numpy as np
import pytest

from sim import machine
from sim.errors import BadInput
from sim.llm import agent as agents
from sim.llm import checkpoints, presets
from sim.llm import study as studies
from sim.llm.presets import Study

SHORT = ["pretraining_steps=2", "pretraining_documents=40", "batch=4", "width=8", "heads=2", "layers=1", "hidden=8"]


def short(*more: str) -> Study:
    return presets.study("micro", ["email"], 1, [*SHORT, *more])


def test_the_last_loss_stands_beside_the_reference(tmp_path: Path) -> None:
    agents.agent(short(), "email", tmp_path)
    notes = checkpoints.notes_of(tmp_path / "reference.safetensors")
    assert notes["steps"] == 2 and 0 < notes["loss"] < 1000


def test_a_loss_that_is_no_number_stops_and_stores_no_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = agents.initial
    monkeypatch.setattr(agents, "initial", lambda *args: agents.jax.tree.map(lambda w: w * np.nan, right(*args)))
    words = (
        "pre-training: expected finite losses, got nan by step 2; in another folder try --set pretraining_rate=0.001"
    )
    with pytest.raises(BadInput, match=words):
        agents.agent(short(), "email", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["vocabulary.json"]


@pytest.mark.parametrize("damaged", ["", '{"a": 1}', '{"version": "1.0", "trunc'])
def test_a_damaged_vocabulary_says_how_to_get_it_back(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "vocabulary.json").write_text(damaged)
    with pytest.raises(
        BadInput, match=r"expected a stored vocabulary, which cannot be read .*; delete it, and --resume"
    ):
        agents.agent(short(), "email", tmp_path)
    assert (tmp_path / "vocabulary.json").read_text() == damaged


def test_times_add_up_and_packages_are_told(tmp_path: Path) -> None:
    assert studies.wall_seconds(tmp_path) == 0
    studies._provenance(tmp_path, 12.5)
    assert studies.wall_seconds(tmp_path) == 12.5
    told = json.loads((tmp_path / "provenance.json").read_text())
    assert {*studies.PACKAGES, *machine.RUN_PACKAGES} == set(told["packages"])
    assert "not installed" not in {told["packages"][name] for name in studies.PACKAGES}
    (tmp_path / "provenance.json").write_text("{")
    assert studies.wall_seconds(tmp_path) == 0
