"""What is made of a finished run of `medley llm`: theory from its logs, figures, report and summary."""

import json
from pathlib import Path

from bounds import from_logs
from bounds.from_logs_text import readable
from figures import llm, llm_predictions, llm_report
from sim.files import write_text
from sim.llm import stored
from sim.llm.findings import text_tables
from sim.llm.folder import logs
from sim.llm.tables import outcome, tables, wrapped
from sim.llm.traits import TRAITS

STEPS = {"Figures and report again, or what is missing": "medley llm --resume --out FOLDER"}


def finish(folder: Path) -> str:
    """Write theory.json, the figures, report.html and summary.txt of a result folder; returns the summary."""
    found = stored.read(folder)
    learners, names = llm_predictions.learners(found.settings), llm_predictions.names(found.settings)
    predicted = [one for rows, n in logs(folder) for one in from_logs.prediction(rows, TRAITS, n, learners)]
    compared = from_logs.compare(predicted, outcome(tables(found.online)[0]))
    write_text(folder / "theory.json", json.dumps(predicted, indent=2, allow_nan=False) + "\n")
    note = "\n".join(wrapped(llm_predictions.NOTE))
    summary = f"{text_tables(found.online)}\n\n{readable(predicted, compared, names)}\n\n{note}"
    llm_report.write(folder, found, llm.save_all(found, folder / "figures"), predicted, STEPS)
    write_text(folder / "summary.txt", summary + "\n")
    return summary
