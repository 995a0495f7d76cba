"""The result folder of a study: what is damaged, foreign or cannot be written is refused in one line."""

import errno
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tomli_w

from sim.errors import BadInput
from sim.files import atomic_file, empty_folder
from sim.llm import checkpoints, folder, presets, protocol, study
from sim.llm.meter import Meter
from sim.llm.protocol import Round

STUDY = presets.study("micro", ["email"], 1, ["rounds=2"])
LONG = "x" * 300


def refusal(act: Any, *given: Any) -> str:
    with pytest.raises(BadInput) as caught:
        act(*given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_settings_come_back_and_a_folder_without_them_has_none(tmp_path: Path) -> None:
    folder.opened(STUDY, tmp_path / "run", resume=True).close()
    assert folder.settings_of(tmp_path / "run") == STUDY.as_table()
    assert folder.settings_of(tmp_path) is None and folder.settings_of(tmp_path / "absent") is None


@pytest.mark.parametrize(
    "damaged",
    [{}, {"settings": 3}, {"tasks": 3}, {"tasks": [["email"]]}, {"tasks": []}, {"users": "strong"}, {"preset": 3}],
)
def test_settings_of_no_study_are_refused(damaged: dict[str, Any], tmp_path: Path) -> None:
    table = STUDY.as_table() | damaged if damaged else {}
    (tmp_path / "settings.toml").write_text(tomli_w.dumps(table))
    told = "settings.toml: expected the preset, tasks, users and [settings] of a medley llm run; start anew"
    assert told in refusal(folder.settings_of, tmp_path)
    assert told in refusal(folder.opened, STUDY, tmp_path, True)


def test_a_file_or_an_impossible_name_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    assert "expected the folder of a medley llm run" in refusal(folder.opened, STUDY, tmp_path / "file", True)
    assert "File name too long" in refusal(folder.opened, STUDY, tmp_path / LONG, True)
    assert "File name too long" in refusal(empty_folder, tmp_path / LONG)
    assert (tmp_path / "file").read_text() == "kept"


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    path.write_text("old")

    def fill() -> None:
        with atomic_file(path):
            raise OSError(errno.ENOSPC, "No space left on device")

    assert refusal(fill).endswith(
        "cannot be written (No space left on device); make room there, or choose another folder"
    )
    assert [one.name for one in tmp_path.iterdir()] == ["part.parquet"] and path.read_text() == "old"


@pytest.mark.parametrize("content", [b"", b"PAR1 and then nothing"])
def test_a_damaged_part_says_how_to_get_it_back(content: bytes, tmp_path: Path) -> None:
    for name in ("episodes/a.parquet", "rounds/a.parquet", "model.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert "a.parquet: not a readable Parquet file" in refusal(folder.finish, tmp_path)
    assert "; delete it, and --resume makes it again" in refusal(folder.finish, tmp_path)
    assert "; delete it, and --resume trains it again" in refusal(checkpoints.notes_of, tmp_path / "model.safetensors")


def test_rounds_of_another_run_are_refused(tmp_path: Path) -> None:
    bench = study.Bench(STUDY, tmp_path, Meter(1))
    own = [Round("a", "b", 1.0, "ok")] * 2
    rounds = {"strong": own, "other": own}
    assert study._rounds(bench, "right", lambda: rounds) == rounds
    folder.write(tmp_path / "rounds" / "short.parquet", protocol.as_table({"strong": own}))
    folder.write(tmp_path / "rounds" / "foreign.parquet", pd.DataFrame({"x": [1]}))
    for name, told in (("short", "got 2 rows of test_user"), ("foreign", "got 1 rows of x")):
        words = refusal(study._rounds, bench, name, lambda: rounds)
        assert f"{name}.parquet: expected 4 rounds of this run, {told}" in words
