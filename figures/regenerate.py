"""Every figure from one command: its sources are made or read, then it is drawn and written beside its numbers."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from figures import panels, style
from figures.catalog import CATALOG, Entry, as_csv, drawn, numbers_of
from figures.sources import Source, Stored
from sim.errors import BadInput, choose
from sim.files import write_text
from sim.machine import version_of
from sim.regimes import Regime
from sim.runs import Progress

SOURCES = "runs"
"""The folder of the stored tables, beside the figures; a folder for each setting within."""

Bar = Callable[[str], AbstractContextManager[Progress]]


def chosen(ids: Iterable[str]) -> list[Entry]:
    """The entries of some ids, or all; unknown ones are refused with the nearest."""
    for name in ids:
        choose("figure", name, CATALOG)
    return [CATALOG[name] for name in dict.fromkeys(ids)] or list(CATALOG.values())


def make(entries: list[Entry], out: Path, quick: bool, bar: Bar) -> Iterator[dict[str, Any]]:
    """Make what feeds the figures under OUT/runs, where what is stored is kept, and draw each as soon as it can be.

    Args:
        entries: from `chosen`.
        out: the folder of the figures.
        quick: the small setting of every figure.
        bar: called with the name of a source that is made, gives its progress bar.

    Returns:
        What was written, one by one: the JSON of each figure.
    """
    folder = out / SOURCES / ("quick" if quick else "full")
    made: set[Source] = set()
    for entry in entries:
        if entry.source not in made:
            with bar(entry.source.name) as progress:
                entry.source.make(folder, quick, progress)
            made.add(entry.source)
        stored = entry.source.read(folder)
        assert stored is not None
        yield write(entry, stored, out, "quick" if quick else "full")


def redraw(ids: list[str], stored: Path, out: Path) -> Iterator[dict[str, Any]]:
    """Draw from what is stored, and simulate nothing.

    Args:
        ids: of the figures; none: all that the folder feeds.
        stored: a folder that `make` wrote, that of one run, or that of `medley bench`.
        out: the folder of the figures.

    Raises:
        BadInput: nothing there feeds a figure that was asked for.
    """
    if not stored.is_dir():
        raise BadInput(
            f"--from {stored}: expected a folder of stored runs, got {'a file' if stored.exists() else 'none'}"
        )
    places = {"full": stored / SOURCES / "full", "quick": stored / SOURCES / "quick", "its own": stored}
    found = {entry.id: _first(entry, places) for entry in chosen(ids)}
    missing = [name for name, one in found.items() if one is None]
    if len(missing) == len(found) and not ids:
        raise BadInput(f"--from {stored}: nothing finished there feeds a figure; expected what medley figures stored")
    if missing and ids:
        needed = ", ".join(dict.fromkeys(CATALOG[name].source.name for name in missing))
        raise BadInput(f"--from {stored}: nothing there feeds {', '.join(missing)}; expected the results of {needed}")
    for name, one in found.items():
        if one is not None:
            yield write(CATALOG[name], one[1], out, one[0])


def _first(entry: Entry, places: dict[str, Path]) -> tuple[str, Stored] | None:
    read = ((setting, entry.source.read(place)) for setting, place in places.items())
    return next(((setting, one) for setting, one in read if one is not None), None)


def write(entry: Entry, stored: Stored, out: Path, setting: str) -> dict[str, Any]:
    """Write one figure: ID.svg, ID.png, its numbers ID.csv and its provenance ID.json, which is returned.

    The claim is that of the "full" `setting`: others may be too small for it, or differ.
    """
    style.apply()
    numbers = numbers_of(entry, stored.table, stored.regime)
    figure, caption, text = drawn(entry, numbers), entry.caption(numbers), as_csv(numbers)
    panels.save(figure, out, entry.id)
    write_text(out / f"{entry.id}.csv", text)
    told = {
        "id": entry.id,
        "title": entry.title,
        "claim": entry.claim,
        "caption": caption,
        "source": entry.source.name,
        "setting": setting,
        "regime": _settings(stored.regime),
        "made_with": stored.provenance,
        "drawn_with": {name: version_of(name) for name in ("medley", "matplotlib", "pandas", "numpy")},
        "csv_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    write_text(out / f"{entry.id}.json", json.dumps(told, indent=2) + "\n")
    return told


def _settings(regime: Regime | None) -> dict[str, Any] | None:
    """The resolved regime without the texts of its plugins, whose digests the provenance has."""
    return None if regime is None else regime.model_dump(exclude={"plugins", "run_time"})
