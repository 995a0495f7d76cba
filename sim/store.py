"""The result folder of a run: regime, chunks, table, provenance; every file appears whole or not at all."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api.types import union_categoricals

from sim import regimes
from sim.errors import BadInput
from sim.files import atomic_file, locked_folder, read_sealed, write_sealed, write_text
from sim.online.phase import KEYS, VALUES
from sim.regimes import Regime

SETTINGS = ["learner", "link", "lam", "ridge", "radius"]
MEASURED = ["suboptimality", "expected_cost", "status", "iterations"]
_OURS = {"regime.toml", "table.parquet", "chunks", "provenance.json", "figures", "report.html", "lock", "plugins"}
_OURS |= {"failures.json", "summary.txt", "online.parquet"}
_FOLDERS = {"chunks", "figures", "plugins"}
_ONLINE = ".online.parquet"
_OTHER_NUMBERS = (
    "chunks: expected one number for each key, got several: another version of the program wrote some of"
    " them; choose a new folder"
)
_WORDS = ["cell", "test_user", "method", "arm"]


@dataclass(frozen=True)
class RunFolder:
    """An open result folder, locked against other runs until `close`."""

    path: Path
    lock: IO[str]

    def close(self) -> None:
        """Release the lock."""
        self.lock.close()

    def write_regime(self, regime: Regime) -> None:
        """Store the resolved regime and its plugins."""
        for name, source in regime.plugins.items():
            write_text(self.path / "plugins" / name, source)
        write_text(self.path / "regime.toml", regimes.to_toml(regime, self.path))

    def write_chunk(self, keys: set[str], rows: pa.Table, online: pd.DataFrame | None = None) -> None:
        """Store the rows of one finished task under the keys of what it did; those with the keys come last."""
        names, folder = sorted(keys), self.path / "chunks"
        name = hashlib.blake2b("\n".join(names).encode(), digest_size=12).hexdigest()
        marks = {"keys": json.dumps(names)}
        content = BytesIO()
        if online is not None:
            online.to_parquet(content, index=False)
            marks["online"] = write_sealed(folder, name, _ONLINE, content.getvalue()).name
            content = BytesIO()
        pq.write_table(rows.replace_schema_metadata(marks), content)
        write_sealed(folder, name, ".parquet", content.getvalue())

    def done(self) -> set[str]:
        """The keys of all stored chunks.  A chunk that is damaged, or whose online rows are, is done again."""
        found: set[str] = set()
        for table in self._tables():
            marks = table.schema.metadata or {}
            if b"online" not in marks or read_sealed(self.path / "chunks" / marks[b"online"].decode()) is not None:
                found |= set(json.loads(marks.get(b"keys", b"[]")))
        return found

    def rows(self) -> pd.DataFrame:
        """The rows of all chunks, as one table in canonical order."""
        return merged(list(self._tables()))

    def online_rows(self) -> pd.DataFrame:
        """The rows of the online phase, each once, in an order that does not depend on how they came."""
        # One that is damaged was done again.
        contents = map(read_sealed, sorted((self.path / "chunks").glob(f"*{_ONLINE}")))
        return online_merged([pd.read_parquet(BytesIO(content)) for content in contents if content is not None])

    def write_json(self, name: str, value: Any) -> None:
        """Store a JSON file."""
        write_text(self.path / name, json.dumps(value, indent=2, sort_keys=True) + "\n")

    def _tables(self) -> Iterator[pa.Table]:
        files = sorted(file for file in (self.path / "chunks").glob("*.parquet") if not file.name.endswith(_ONLINE))
        for content in map(read_sealed, files):
            if content is not None:
                yield pq.read_table(BytesIO(content))


def merged(tables: list[pa.Table]) -> pd.DataFrame:
    """One table, each row once, columns and rows in an order that does not depend on how they came."""
    if not tables:
        return pd.DataFrame(columns=[*SETTINGS, "n", "seed", *MEASURED])
    bare = [table.replace_schema_metadata(None) for table in tables]
    rows = pa.concat_tables(bare, promote_options="permissive").to_pandas()

    def between(first: str, last: str) -> set[str]:
        places = [(t.column_names, t.column_names.index(first), t.column_names.index(last)) for t in tables]
        return {name for names, start, stop in places for name in names[start + 1 : stop]}

    settings = sorted(between(SETTINGS[-1], "family"))
    world = sorted(between("family", "n"))
    notes = sorted(set(rows.columns) - {*SETTINGS, *settings, "family", *world, "n", "seed", *MEASURED})
    keys = [*SETTINGS, *settings, "family", *world, "n", "seed"]
    rows = rows[[*keys, *MEASURED, *notes]].drop_duplicates()
    if rows.duplicated(subset=keys).any():
        raise BadInput(_OTHER_NUMBERS)
    return rows.sort_values(keys, kind="stable", na_position="first", ignore_index=True)


def open_folder(path: Path, regime: Regime, resume: bool) -> RunFolder:
    """Lock a folder for a run of `regime`; a new one is created, an old one must be a run that `regime` extends.

    Raises:
        BadInput: a folder that holds something else, another regime, or a run in progress.
    """
    if path.exists() and not path.is_dir():
        raise BadInput(f"--out {path}: expected a folder, got a file")
    contents = {entry.name for entry in path.iterdir()} - {"lock"} if path.exists() else set()
    _require_kinds(path, contents)
    if contents and not resume:
        raise BadInput(f"--out {path}: the folder is not empty; add --resume to continue it, or choose another")
    old = _stored_regime(path, contents)
    if old is not None:
        apart = regimes.differences(old, regime)
        if apart:
            raise BadInput(f"--resume {path}: the regime differs: {'; '.join(apart)}; choose another --out")
    return RunFolder(path, locked_folder(path))


def _require_kinds(path: Path, contents: set[str]) -> None:
    """Refuse files where a run has folders, and folders where it has files."""
    for name in sorted(contents & _OURS):
        expected, got = ("folder", "file") if name in _FOLDERS else ("file", "folder")
        if (path / name).is_dir() != (name in _FOLDERS):
            raise BadInput(f"--out {path}: expected '{name}' to be a {expected}, got a {got}; move it away")


def _stored_regime(path: Path, contents: set[str]) -> Regime | None:
    if "regime.toml" in contents:
        return regimes.load(str(path / "regime.toml"))
    strange = sorted(name for name in contents if name not in _OURS and not name.startswith("."))
    if strange:
        raise BadInput(f"--resume {path}: not the folder of a run (it holds '{strange[0]}' and no regime.toml)")
    return None


def online_merged(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """One table of the online phase from those of its tasks; a task that was done again counts once."""
    names = {
        column: union_categoricals([frame[column].astype("category") for frame in frames], sort_categories=True)
        for column in _WORDS
    }
    rows = pd.concat([frame.drop(columns=_WORDS) for frame in frames], ignore_index=True).assign(**names)
    rows = rows[KEYS + VALUES].drop_duplicates()
    if rows.duplicated(KEYS).any():
        raise BadInput(_OTHER_NUMBERS)
    return rows.sort_values(KEYS, kind="stable", ignore_index=True)


def write_table(folder: Path, table: pd.DataFrame, name: str = "table.parquet") -> None:
    """Store the finished table."""
    with atomic_file(folder / name) as file:
        table.to_parquet(file, index=False)


def write_summary(folder: Path, text: str) -> None:
    """Store the table that the run printed."""
    write_text(folder / "summary.txt", text + "\n")


def online_with_counts(folder: str | Path) -> pd.DataFrame:
    """`online.parquet` with columns `fits` and `not_ok`: of the run's fits, baselines left out."""
    table = load(folder)
    trained = table[~table["learner"].isin(["reference", "edited"])]
    counts = {"fits": len(trained), "not_ok": int((trained["status"] != "ok").sum())}
    return load(folder, "online.parquet").assign(**counts)


def load(folder: str | Path, name: str = "table.parquet") -> pd.DataFrame:
    """A table of a finished run.

    Args:
        folder: the result folder.
        name: "table.parquet", a row per fit, or "online.parquet", a row per method and recorded round.

    Raises:
        BadInput: no such table there, or one that cannot be read.
    """
    path = Path(folder) / name
    if not path.is_file():
        raise BadInput(f"{folder}: no finished run here (no {name}); finish it with medley run --resume")
    try:
        return pd.read_parquet(path)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise BadInput(f"{path}: cannot be read ({str(error).splitlines()[0]})") from None
