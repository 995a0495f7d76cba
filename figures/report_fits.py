"""The part of the report about how the fits ended: every status with its meaning, where, and tasks that failed."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from figures.markup import Section, cell, count, row_head, size, table, text, tile, words
from sim.learners import Status
from sim.summary import in_digits, where, with_labels

MEANINGS = {
    Status.ok: "The search converged.",
    Status.iteration_limit: "The search stopped before it converged.",
    Status.separated: "Without the ridge there is no finite optimum: the log can be fitted ever better by ever larger "
    "parameters.",
    Status.no_information: "No triple of the log holds an edit; the answer is the reference policy.",
    Status.not_finite: "A number overflowed or is undefined.",
    Status.outside_class: "The log holds edits to responses that no policy of the class gives; they were left out of "
    "the fit.",
}
"""What each status of a fit says."""

MANY = 0.1
"""A share of fits not ok above this is pointed out."""


def section(rows: pd.DataFrame, failures: list[dict[str, Any]]) -> Section:
    """Statuses, where they are not ok, and failed tasks."""
    body = _statuses(rows) + _where(rows) + _failures(failures)
    return Section("fits", "How the fits ended", body, _tile(rows, failures))


def failed_tasks(folder: Path) -> list[dict[str, Any]]:
    """What failures.json of a run folder holds: cell, first seeds and error of every task that failed."""
    file = folder / "failures.json"
    return json.loads(file.read_text()) if file.exists() else []


def _tile(rows: pd.DataFrame, failures: list[dict[str, Any]]) -> str:
    bad = int((rows["status"] != "ok").sum())
    note = f"{bad:,} of {count(len(rows), 'fit')} not ok, and included"
    note += f"; {count(len(failures), 'task')} failed" if failures else ""
    return tile("fits that ended ok", share(len(rows) - bad, len(rows)), note, "warn" if _many(rows, failures) else "")


def _many(rows: pd.DataFrame, failures: list[dict[str, Any]]) -> bool:
    return bool(failures) or bool((rows["status"] != "ok").mean() > MANY)


def share(number: int, of: int) -> str:
    """A share in per cent; all and none are exact, and no other share is rounded to them."""
    if number in (0, of):
        return f"{100 * number // max(of, 1)}%"
    return f"{min(max(100 * number / of, 0.1), 99.9):.1f}%"


def _statuses(rows: pd.DataFrame) -> str:
    counts = rows["status"].astype(str).value_counts()
    names = [*(status.name for status in Status), *sorted(set(counts.index) - set(Status.__members__))]
    lines = [
        [row_head(name), words(_meaning(name), "long"), cell(f"{counts.get(name, 0):,}"), cell(_share(counts, name))]
        for name in names
    ]
    note = f"<p>{count(len(rows), 'fit')}. None was left out: every mean includes the fits that are not ok.</p>"
    return note + table("Fits by status", ["status", "what it says", "fits", "share"], lines)


def _meaning(name: str) -> str:
    return MEANINGS[Status[name]] if name in Status.__members__ else "A status of a plug-in's learner."


def _share(counts: pd.Series, name: str) -> str:
    return share(int(counts.get(name, 0)), int(counts.sum()))


def _where(rows: pd.DataFrame) -> str:
    bad = rows[rows["status"] != "ok"]
    if bad.empty:
        return "<p>All fits are ok.</p>"
    # By all rows, so that labels are those of the other tables.
    labelled = with_labels(rows)
    fits = labelled.groupby(["label", "n"], sort=False).size()
    bad = labelled[labelled["status"] != "ok"]
    counts = bad.groupby(["label", "status", "n"], sort=False).size().unstack(fill_value=0)
    sizes = sorted(counts.columns)
    lines = [
        [
            row_head(label),
            words(status),
            *(cell(f"{line[n]:,} of {fits[label, n]:,}" if line[n] else "0") for n in sizes),
        ]
        for (label, status), line in counts.iterrows()
    ]
    return "<h3>Where fits are not ok</h3>" + table(
        "Fits not ok by learner and n", ["learner", "status", *(size(n) for n in sizes)], lines
    )


def _failures(found: list[dict[str, Any]]) -> str:
    if not found:
        return "<p>No task failed.</p>"
    cells = [_flat(failure["cell"]) for failure in found]
    varying = [key for key in dict.fromkeys(k for c in cells for k in c) if len({str(c.get(key)) for c in cells}) > 1]
    lines = [
        [
            row_head(where({key: cells[i][key] for key in ["family", *varying, "n"] if key in cells[i]}), "long"),
            cell(", ".join(in_digits(seed) for seed in failure["seeds"])),
            words(failure["error"], "long"),
        ]
        for i, failure in enumerate(found)
    ]
    note = "<p>Their rows are missing; <code>medley run --resume</code> does them again.</p>"
    return f"<h3>Tasks that failed</h3>{note}" + table("Failed tasks", ["cell", "first log", "error"], lines)


def _flat(found: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a stored cell on one level."""
    inner = {key: value for part in found.values() if isinstance(part, dict) for key, value in part.items()}
    return inner | {key: value for key, value in found.items() if not isinstance(value, dict)}


def warning(rows: pd.DataFrame) -> str:
    """A sentence where most fits are not ok; else nothing."""
    bad = int((rows["status"] != "ok").sum())
    if 2 * bad <= len(rows):
        return ""
    told = f"{share(bad, len(rows))} of the fits are not ok: read all means below as those of such fits."
    return f'<p class="warning">{text(told)}</p>'
