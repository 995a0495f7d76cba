"""`report.html`: one self-contained page about one run."""

from pathlib import Path
from typing import Any

import pandas as pd

from bounds.compare import Comparison
from figures import page, report_fits, report_parts, report_winners, theory
from figures.markup import Section
from sim.files import write_text
from sim.regimes import Regime
from sim.summary import any_learner, contests


def write(
    folder: Path,
    regime: Regime,
    table: pd.DataFrame,
    drawn: list[dict[str, Any]],
    found: Comparison,
    online: Section | None = None,
) -> Path:
    """Write the report of a run folder; pictures are inside, nothing is fetched.

    Args:
        folder: of the run, with its regime.toml and provenance.json.
        regime: that was run.
        table: its rows.
        drawn: the figures, from `save_all` of each kind: `name`, `caption`, and where there is one a `claim`.
        found: theory beside the measurements, from `bounds.compared`.
        online: the section about the online phase; None where there is none.
    """
    path, provenance = folder / "report.html", report_parts.read_provenance(folder)
    won = contests(table) if any_learner(table) else []
    sections = [
        *([online] if online else []),
        *([report_winners.section(won), theory.section(found, regime.delta)] if won else []),
        page.figures_section(folder, drawn),
        report_fits.section(table, report_fits.failed_tasks(folder)),
        report_parts.what_was_run(regime, folder),
        report_parts.provenance_section(provenance),
    ]
    head = report_parts.head(regime, table, provenance)
    write_text(path, page.page(regime.title or regime.name, head, sections, report_fits.warning(table)))
    return path
