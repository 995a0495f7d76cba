"""What a result folder of `medley llm` holds, read for the pages that show it."""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sim.errors import BadInput


@dataclass(frozen=True)
class Stored:
    """The tables of one run.

    Fields:
        settings: resolved, of settings.toml.
        episodes: a row per round that was played.
        online: summed costs at the recorded rounds, in the columns of every other run.
        samples: generations with their edits.
        trained: a row per trained policy.
        candidates: a row per hyperparameter setting that was tried.
        speed: tokens per second, memory, utilisation, device.
        provenance: versions, device, times.
        settings_text: settings.toml as it was written.
    """

    settings: dict[str, Any]
    episodes: pd.DataFrame
    online: pd.DataFrame
    samples: pd.DataFrame
    trained: pd.DataFrame
    candidates: pd.DataFrame
    speed: dict[str, Any]
    provenance: dict[str, Any]
    settings_text: str = ""


def read(folder: Path) -> Stored:
    """The tables of a result folder; of a missing one that no number depends on there are no rows.

    Raises:
        BadInput: a folder without the rows of a run.
    """
    for name in ("episodes", "online"):
        if not (folder / f"{name}.parquet").exists():
            raise BadInput(f"{folder}: expected the result folder of a finished `medley llm`, found no {name}.parquet")
    settings = folder / "settings.toml"
    text = settings.read_text(encoding="utf-8") if settings.exists() else ""
    frames = {name: _frame(folder, name) for name in ("episodes", "online", "samples", "trained", "candidates")}
    words = {name: _json(folder, name) for name in ("speed", "provenance")}
    return Stored(tomllib.loads(text), **frames, **words, settings_text=text)


def _frame(folder: Path, name: str) -> pd.DataFrame:
    file = folder / f"{name}.parquet"
    return pd.read_parquet(file) if file.exists() else pd.DataFrame()


def _json(folder: Path, name: str) -> dict[str, Any]:
    file = folder / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else {}
