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
        """From FOLDER/NAME, or from `folder` if that is the folder of a run."""
        path = folder if (folder / "regime.toml").exists() else folder / self.name
        if not (path / "regime.toml").exists():
            return None
        regime = regimes.load(str(path / "regime.toml"))
        if regime.name != self.regime:
            return None
        table = store.load(path, "online.parquet" if self.online else "table.parquet")
        told = json.loads((path / "provenance.json").read_text())
        return Stored(table, regime, {key: value for key, value in told.items() if key not in _OF_THE_MOMENT})


@dataclass(frozen=True)
class Truths:
    """Exact quantities over a grid of worlds, NAME.parquet; they take seconds, so that quick is full."""

    name: str
    compute: Callable[[], pd.DataFrame]

    def make(self, folder: Path, quick: bool, progress: runs.Progress | None = None) -> None:
        """Compute the table, unless it is there."""
        path = folder / f"{self.name}.parquet"
        if not path.exists():
            with atomic_file(path) as file:
                self.compute().to_parquet(file, index=False)
            write_text(folder / f"{self.name}.json", json.dumps(machine.made_with(), indent=2, sort_keys=True) + "\n")

    def read(self, folder: Path) -> Stored | None:
        """From FOLDER/NAME.parquet."""
        if not (folder / f"{self.name}.parquet").exists():
            return None
        told = folder / f"{self.name}.json"
        return Stored(
            store.load(folder, f"{self.name}.parquet"), None, json.loads(told.read_text()) if told.exists() else {}
        )


@dataclass(frozen=True)
class Timings:
    """A table of `medley bench`, as it was measured: drawing it again measures nothing."""

    file: str

    @property
    def name(self) -> str:
        """Of the file."""
        return self.file

    def make(self, folder: Path, quick: bool, progress: runs.Progress | None = None) -> None:
        """Copy the committed table, unless one is there."""
        if not (folder / self.file).exists():
            if not (TIMINGS / self.file).exists():
                raise BadInput(f"{TIMINGS / self.file}: expected the stored timings, got no such file; use a git clone")
            write_text(folder / self.file, (TIMINGS / self.file).read_text())

    def read(self, folder: Path) -> Stored | None:
        """From FOLDER/FILE."""
        path = folder / self.file
        if not path.exists():
            return None
        table = pd.DataFrame([json.loads(path.read_text())]) if path.suffix == ".json" else pd.read_csv(path)
        return Stored(table, None, {"device": str(table["device"].iloc[0])})


Source = Run | Truths | Timings
"""Where the table of a figure comes from; each kind has a `name`, and makes and reads its table."""
