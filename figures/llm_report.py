"""`report.html` of a language-model run: one self-contained page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from figures import llm_predictions, llm_samples, llm_tables, llm_theory, llm_training, page
from figures.markup import Section
from figures.report_parts import commands, duration, provenance_section
from sim.files import write_text
from sim.llm.stored import Stored
from sim.llm.tables import Table, tables

TITLE = "Learning from user edits with a small language model"
CLAIM = (
    "Learners of edits and their ensembles, trained on logs of one user and tested online: the paper's Tables 1 and 2 "
    "in a generated world, with the paper's own numbers beside them."
)


def write(
    folder: Path,
    stored: Stored,
    drawn: list[dict[str, Any]],
    predictions: llm_theory.Predictions | None = None,
    steps: Mapping[str, str] | None = None,
) -> Path:
    """Write the report of a result folder of `medley llm`; pictures are inside, nothing is fetched.

    Args:
        folder: of the run, with the figures.
        stored: its tables, from `sim.llm.stored.read`.
        drawn: its figures, from `figures.llm.save_all`.
        predictions: theory from the logs, a dictionary per log as `prediction` of bounds/from_logs.py makes them.
        steps: the commands that make and redraw the page, by their aims.
    """
    found, path = tables(stored.online), folder / "report.html"
    sections = [
        llm_tables.section(found),
        page.figures_section(folder, drawn),
        llm_theory.section(predictions or [], found[0], llm_predictions.names(stored.settings)),
        llm_training.training_section(stored.trained, stored.candidates, stored.episodes),
        llm_training.speed_section(stored.speed),
        llm_samples.section(stored.samples, found[0].methods),
        _what_was_run(stored, steps or {}),
        provenance_section(stored.provenance),
    ]
    head = page.head("Medley llm", str(stored.settings.get("preset", "")), TITLE, CLAIM, _facts(stored, found))
    write_text(path, page.page(TITLE, head, sections))
    return path


def _facts(stored: Stored, found: list[Table]) -> dict[str, Any]:
    first, known = found[0], stored.provenance | stored.speed | stored.settings
    size = next((known[name] for name in ("parameters", "model_parameters") if name in known), None)
    facts = {
        "preset": stored.settings.get("preset"),
        "tasks": ", ".join(dict.fromkeys(task for task, _ in first.settings)),
        "logs of users": ", ".join(dict.fromkeys(user for _, user in first.settings)),
        "test users": ", ".join(one.test_user for one in found),
        "logs per user and task": f"{len(first.seeds):,}",
        "rounds": f"{first.rounds:,}",
        "model": f"{size:,} parameters" if isinstance(size, int) else size,
        "wall time": duration(float(known["wall_seconds"])) if "wall_seconds" in known else None,
        "version": stored.provenance.get("version"),
        "device": stored.speed.get("device") or stored.provenance.get("device"),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _what_was_run(stored: Stored, steps: Mapping[str, str]) -> Section:
    note = (
        "<p>FOLDER is the folder of this report; its episodes.parquet holds every round, its logs and models what was "
        "learned from and what was learned.</p>"
    )
    return commands(note, steps, "All settings (settings.toml)", stored.settings_text)
