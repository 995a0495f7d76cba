"""What feeds the figures: runs of regimes, truths of worlds, and stored timings.

Making a source may simulate; drawing never does.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bounds import joined
from sim import machine, regimes, runs, store
from sim.errors import BadInput
from sim.files import atomic_file, write_text
from sim.regimes import Regime

TIMINGS = Path(__file__).parent.parent / "docs" / "performance"
"""The committed tables of `medley bench`."""

_OF_THE_MOMENT = ("finished", "wall_seconds")
"""What a run's provenance says that differs when the same run is made twice."""


class Stored(NamedTuple):
    """A stored table, the regime that made it, if one did, and its provenance without times."""

    table: pd.DataFrame
    regime: Regime | None
    provenance: dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A shipped regime: `table.parquet` with the columns of theory, or with `online` its `online.parquet`.

    `quick` are the overrides of the quick setting.
    """

    regime: str
    quick: tuple[str, ...]
    online: bool = False

    @property
    def name(self) -> str:
        """The regime's."""
        return self.regime

    def make(self, folder: Path, quick: bool, progress: runs.Progress | None = None) -> None:
        """Run the regime into FOLDER/NAME, or go on with what is there."""
        regime = regimes.load(self.regime, list(self.quick) if quick else [])
        path = folder / self.name
        # The figures of an online phase show nothing of the theory of fits.
        theory = None if self.online else lambda table: store.write_table(path, joined(table, regime))
        runs.run(regime, path, resume=True, progress=progress, finish=theory)

    def read(self, folder: Path) -> Stored | None:
        """From FOLDER/NAME, or from `folder` if that is the folder of a run; None of a run that is not finished."""
        path = folder if (folder / "regime.toml").exists() else folder / self.name
        if not (path / "regime.toml").exists():
            return None
        regime = regimes.load(str(path / "regime.toml"))
        if regime.name != self.regime or not (path / self._table).exists():
            return None
        table = store.online_with_counts(path) if self.online else store.load(path)
        if not self.online and "predicted" not in table:
            # Stopped between the simulation and its theory.
            return None
        _require_same(path, regime, table)
        told = _object(path / "provenance.json")
        return Stored(table, regime, {key: value for key, value in told.items() if key not in _OF_THE_MOMENT})

    @property
    def _table(self) -> str:
        return "online.parquet" if self.online else "table.parquet"


@dataclass(frozen=True)
class Truths:
    """Exact quantities over a grid of worlds, NAME.parquet; they take seconds, so that quick is full."""

    name: str
    compute: Callable[[], pd.DataFrame]

    def make(self, folder: Path, quick: bool, progress: runs.Progress | None = None) -> None:
        """Compute the table, unless the same versions have stored it."""
        path, told, now = folder / f"{self.name}.parquet", folder / f"{self.name}.json", machine.made_with()
        if not path.is_file() or not told.exists() or _object(told) != now:
            table = self.compute()
            # The table last: without it all is made again.
            path.unlink(missing_ok=True)
            write_text(told, json.dumps(now, indent=2, sort_keys=True) + "\n")
            with atomic_file(path) as file:
                table.to_parquet(file, index=False)

    def read(self, folder: Path) -> Stored | None:
        """From FOLDER/NAME.parquet."""
        if not (folder / f"{self.name}.parquet").exists():
            return None
        return Stored(store.load(folder, f"{self.name}.parquet"), None, _object(folder / f"{self.name}.json"))


@dataclass(frozen=True)
class Timings:
    """A table of `medley bench`, as it was measured: drawing it again measures nothing."""

    file: str

    @property
    def name(self) -> str:
        """Of the file."""
        return self.file

    def make(self, folder: Path, quick: bool, progress: runs.Progress | None = None) -> None:
        """Copy the committed table."""
        if not (TIMINGS / self.file).exists():
            raise BadInput(f"{TIMINGS / self.file}: expected the stored timings, got no such file; use a git clone")
        write_text(folder / self.file, (TIMINGS / self.file).read_text())

    def read(self, folder: Path) -> Stored | None:
        """From FOLDER/FILE."""
        path = folder / self.file
        if not path.exists():
            return None
        try:
            table = pd.DataFrame([_object(path)]) if path.suffix == ".json" else pd.read_csv(path)
            told = {name: table[name].iloc[0] for name in ("device", "versions") if name in table}
        except (OSError, ValueError, IndexError) as error:
            raise BadInput(f"{path}: expected a table of medley bench, cannot be read ({_first_line(error)})") from None
        return Stored(table, None, told)


Source = Run | Truths | Timings
"""Where the table of a figure comes from; each kind has a `name`, and makes and reads its table."""


def _object(path: Path) -> dict[str, Any]:
    """The object of a JSON file; an empty one where there is no file."""
    try:
        found = json.loads(path.read_text()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read ({_first_line(error)}); remove it, or make it again") from None
    if not isinstance(found, dict):
        raise BadInput(f"{path}: expected a JSON object, got {type(found).__name__}; remove it, or make it again")
    return found


def _require_same(path: Path, regime: Regime, table: pd.DataFrame) -> None:
    """Refuse a table that the regime beside it did not make."""
    if table["seed"].nunique() != regime.seeds or ("n" in table and set(table["n"]) != set(regime.n)):
        raise BadInput(f"{path}: regime.toml and the table differ in seeds or n: one of them was changed; run it again")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
