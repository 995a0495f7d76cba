"""The head of a report, what was run and how to run it again, and its provenance."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from figures import page
from figures.markup import Section, count, row_head, table, text, words
from figures.report_fits import share
from sim import regimes
from sim.regimes import Regime
from sim.summary import axes, is_baseline, with_labels


def head(regime: Regime, rows: pd.DataFrame, provenance: dict[str, Any]) -> str:
    """Title, claim and the facts of the run."""
    return page.head("Medley run", regime.name, regime.title or regime.name, regime.claim, _facts(rows, provenance))


def _facts(rows: pd.DataFrame, provenance: dict[str, Any]) -> dict[str, Any]:
    grid, bad = axes(rows), int((rows["status"] != "ok").sum())
    cells = len(rows[[*grid, "n"]].drop_duplicates())
    labels = with_labels(rows[["learner", *_settings(rows)]].drop_duplicates())["label"].unique()
    baselines = sum(is_baseline(label.partition(" (")[0]) for label in labels)
    points = len(rows[grid].drop_duplicates()) if grid else 1
    return {
        "logs per cell": f"{rows['seed'].nunique():,}",
        "cells": f"{cells:,} ({count(points, 'grid point')} × {count(rows['n'].nunique(), 'size')})",
        "learners": _learners(len(labels), baselines),
        "fits": f"{len(rows):,}",
        "not ok": f"{bad:,} ({share(bad, len(rows))})",
        "wall time": duration(float(provenance.get("wall_seconds", 0.0))),
        "version": provenance.get("version", ""),
        "device": f"{provenance.get('device', '')}, {provenance.get('platform', '')}".strip(", "),
    }


def _learners(labels: int, baselines: int) -> str:
    if labels == baselines:
        return f"none but {count(baselines, 'baseline')}"
    return f"{labels}, of them {count(baselines, 'baseline')}" if baselines else str(labels)


def _settings(rows: pd.DataFrame) -> list[str]:
    columns = list(rows.columns)
    return columns[1 : columns.index("family") + 1]


def duration(seconds: float) -> str:
    """A time in words: "9.8 s", "2 min 5 s", "3 h 4 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def what_was_run(regime: Regime, folder: Path) -> Section:
    """The commands that make and redraw this report, and the resolved regime."""
    steps = {
        "The same run again": f"medley run {_source(regime)} --out NEW_FOLDER",
        "Figures and report again, from the stored rows; or what is missing": "medley run --resume --out FOLDER",
    }
    note = "<p>FOLDER is the folder of this report; its table.parquet holds all rows.</p>"
    resolved = (folder / "regime.toml").read_text()
    return commands(note, steps, "The regime with all its settings (regime.toml)", resolved)


def commands(note: str, steps: Mapping[str, str], summary: str, settings: str) -> Section:
    """What was run: a note (HTML), commands by their aims, and the settings to unfold."""
    lines = "".join(f"<dt>{text(aim)}</dt><dd><pre>{text(command)}</pre></dd>" for aim, command in steps.items())
    unfold = f'<details><summary>{text(summary)}</summary><pre class="long">{text(settings)}</pre></details>'
    return Section("run", "What was run", note + (f"<dl>{lines}</dl>" if lines else "") + (unfold if settings else ""))


def _source(regime: Regime) -> str:
    """What to run for this regime: a shipped name, or the stored file where anything was set otherwise."""
    shipped = regime.name in regimes.shipped()
    return regime.name if shipped and regimes.load(regime.name) == regime else "FOLDER/regime.toml"


def provenance_section(found: dict[str, Any]) -> Section:
    """What made the table: version, device, seed, time, packages and plug-ins."""
    named = {
        "Medley": found.get("version"),
        "Python": found.get("python"),
        "device": found.get("device"),
        "platform": found.get("platform"),
        "root seed": found.get("root_seed"),
        "finished": found.get("finished"),
        "wall time": duration(float(found.get("wall_seconds", 0.0))),
    }
    rows = {
        "": [_line(name, value) for name, value in named.items() if value is not None],
        "packages": [_line(name, value) for name, value in found.get("packages", {}).items() if name != "medley"],
        "plug-ins (digest of the source)": [_line(name, value) for name, value in found.get("plugins", {}).items()],
    }
    body = table("What made the table", ["of", "value"], {name: lines for name, lines in rows.items() if lines})
    return Section("provenance", "Provenance", body)


def _line(name: str, value: Any) -> list[str]:
    return [row_head(name), words(value)]


def read_provenance(folder: Path) -> dict[str, Any]:
    """What provenance.json of a run folder holds."""
    return json.loads((folder / "provenance.json").read_text())
