"""The result folder of `medley llm`: opened for one run at a time, and put together at the end."""

import hashlib
import io
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import tomli_w

from sim.errors import BadInput
from sim.files import atomic_file, empty_folder, locked_folder, write_text
from sim.llm import checkpoints
from sim.llm import logs as log_files
from sim.llm.presets import Study
from sim.summary import where

SETTING = ["task", "training_user", "test_user", "seed"]
KEYS = ["task", "training_user", "test_user", "method", "seed"]
RECORDED = 40
"""Rounds that `online.parquet` holds, log-spaced."""


def opened(
    study: Study, path: Path, resume: bool, log: pd.DataFrame | None = None, own: Collection[str] = ()
) -> IO[str]:
    """The folder's lock, held; the folder holds this study's settings and no other's.

    Args:
        study: that is run.
        path: of the folder.
        resume: whether it may hold a part of the same run.
        log: of a user's own.
        own: names of users that are none of the text world's.

    Raises:
        BadInput: a folder that is not empty (without `resume`), one of another study, or one that is in use.
    """
    named = {"own_users": sorted(own)} if own else {}
    table = study.as_table() | named | ({} if log is None else {"log": _digest(log)})
    if not resume:
        empty_folder(path)
    elif before := settings_of(path):
        _same(before, table, path)
    elif path.is_file() or (path.exists() and any(one.name != "lock" for one in path.iterdir())):
        raise BadInput(f"--resume {path}: expected the folder of a medley llm run (no settings.toml there)")
    lock = locked_folder(path)
    write_text(path / "settings.toml", tomli_w.dumps(table))
    return lock


def settings_of(path: Path) -> dict[str, Any] | None:
    """The stored settings of a run; None where none is stored.

    Raises:
        BadInput: a file that cannot be read, or is none of a study.
    """
    stored = path / "settings.toml"
    try:
        table = tomllib.loads(stored.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{stored}: cannot be read ({str(error).splitlines()[0]})") from None
    if not (_are_words(table.get("tasks")) and _are_words(table.get("users")) and _of_study(table)):
        raise BadInput(
            f"{stored}: expected the preset, tasks, users and [settings] of a medley llm run; start anew in another"
            " folder"
        )
    return table


def finish(path: Path) -> None:
    """Put the stored parts together: episodes, online, samples, trained and candidates."""
    rows = _together(path / "episodes")
    write(path / "episodes.parquet", rows)
    write(path / "online.parquet", online(rows))
    write(path / "samples.parquet", _together(path / "samples"))
    tried = candidates(path / "models")
    write(path / "candidates.parquet", tried)
    write(path / "trained.parquet", tried[tried["chosen"]].drop(columns="chosen"))


def answered(path: Path) -> pd.DataFrame:
    """The examples of a stored log that its user answered."""
    rows = log_files.read(path, empty_responses=True)
    return rows[rows["status"] == "ok"].reset_index(drop=True) if "status" in rows else rows


def logs(path: Path) -> Iterator[tuple[pd.DataFrame, int]]:
    """The logs of every task and user together, and how many examples of one the learners were trained on.

    Of a user's own log every seed holds the same rows, which count once.
    """
    table = settings_of(path) or {}
    seeds = range(1 if "log" in table else table["settings"]["seeds"])
    for task in table["tasks"]:
        for user in table["users"]:
            stored = (path / "logs" / f"{task}-{user}-{seed}.parquet" for seed in seeds)
            found = [answered(one) for one in stored if one.exists()]
            yield pd.concat(found, ignore_index=True), len(found[0]) - table["settings"]["held_out"]


def write(path: Path, rows: pd.DataFrame) -> None:
    """Store a table as Parquet, whole or not at all."""
    with atomic_file(path) as file:
        file.write(parquet(rows))


def read(path: Path) -> pd.DataFrame:
    """A table that `write` stored.

    Raises:
        BadInput: a file that is damaged.
    """
    try:
        return pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(
            f"{path}: not a readable Parquet file ({reason}); delete it, and --resume makes it again"
        ) from None


def parquet(rows: pd.DataFrame) -> bytes:
    """A table as the bytes of a Parquet file."""
    content = io.BytesIO()
    rows.to_parquet(content, index=False)
    return content.getvalue()


def online(episodes: pd.DataFrame) -> pd.DataFrame:
    """Summed costs at log-spaced rounds, in the columns of other runs' `online.parquet`.

    A round that any method of a setting met without an answer counts for none: each is given its own mean over the
    other rounds there, so that all are compared on the same rounds and a sum over its rounds is that mean.  Without any
    answered round costs are NaN.  Regret is the summed cost less that of the policy with the least summed cost over
    all rounds.
    """
    rounds = int(episodes["round"].max())
    kept = np.unique(np.append(np.geomspace(1, rounds, min(RECORDED, rounds)).round().astype(int), rounds))
    rows = episodes.sort_values([*KEYS, "round"], kind="stable")
    rows = rows.assign(summed=_answered_by_all(rows).groupby([rows[key] for key in KEYS]).cumsum())
    rows = rows[rows["round"].isin(kept)].reset_index(drop=True)
    words = [
        where({"task": task, "training user": user})
        for task, user in zip(rows["task"], rows["training_user"], strict=True)
    ]
    found = pd.DataFrame({"setting": words, "test_user": rows["test_user"], "task": rows["task"]})
    found = found.assign(training_user=rows["training_user"], method=rows["method"], seed=rows["seed"])
    found = found.assign(round=rows["round"], arm=rows["arm"], cost=rows["summed"], expected_cost=rows["summed"])
    return found.assign(regularised_cost=np.nan, regret=rows["summed"] - _best(rows))


def _answered_by_all(rows: pd.DataFrame) -> pd.Series:
    """The costs; a method's mean over the other rounds where any method of the setting had no answer."""
    lost = rows["cost"].isna().groupby([rows[key] for key in [*SETTING, "round"]]).transform("any")
    known = rows["cost"].mask(lost)
    return known.fillna(known.groupby([rows[key] for key in KEYS]).transform("mean"))


def _best(rows: pd.DataFrame) -> pd.Series:
    """The summed cost, at each round, of the policy that has the least at the last one."""
    alone = rows[rows["method"] == rows["arm"]]
    last = alone[alone["round"] == rows["round"].max()]
    # Where nothing was answered no policy is the best, and its NaN is the regret of all.
    last = last.assign(summed=last["summed"].fillna(np.inf))
    winners = last.loc[last.groupby(SETTING)["summed"].idxmin(), [*SETTING, "method"]]
    best = alone.merge(winners, on=[*SETTING, "method"])[[*SETTING, "round", "summed"]]
    return rows[[*SETTING, "round"]].merge(best, on=[*SETTING, "round"], how="left")["summed"]


def candidates(models: Path) -> pd.DataFrame:
    """Every training run with its hyperparameters, from the notes of the checkpoints."""
    rows = []
    for path in sorted(models.glob("*/*/*.safetensors")):
        notes = checkpoints.notes_of(path)
        rows += [one | {"seconds": notes["seconds"] / len(notes["tried"])} for one in notes["tried"]]
    return pd.DataFrame(rows)


def _together(folder: Path) -> pd.DataFrame:
    rows = pd.concat([read(path) for path in sorted(folder.glob("*.parquet"))], ignore_index=True)
    return rows[[*KEYS, *(name for name in rows if name not in KEYS)]]


def _are_words(values: Any) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(value, str) for value in values)


def _of_study(table: dict[str, Any]) -> bool:
    return isinstance(table.get("preset"), str) and isinstance(table.get("settings"), dict)


def _same(stored: dict[str, Any], wanted: dict[str, Any], path: Path) -> None:
    """Refuse to go on with other settings, by saying which differ; more seeds may be added."""
    before, now = _flat(stored), _flat(wanted)
    if "log" in before and "log" not in now:
        raise BadInput(f"--resume {path}: the run there learns from a log of your own; add --log FILE")
    for key in sorted(set(before) | set(now)):
        old, new = before.get(key), now.get(key)
        if key == "seeds" and isinstance(old, int) and isinstance(new, int) and new >= old:
            continue
        if old != new:
            raise BadInput(
                f"--resume {path}: the run there has {key} = {old!r}, this one {new!r}; use the same settings or"
                " another folder"
            )


def _flat(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != "settings"} | table.get("settings", {})


def _digest(log: pd.DataFrame) -> str:
    """Of what is learned from; other columns may hold lists, which have no digest."""
    rows = pd.util.hash_pandas_object(log[[*log_files.REQUIRED, "cost"]], index=False)
    return hashlib.blake2b(rows.to_numpy().tobytes(), digest_size=8).hexdigest()
