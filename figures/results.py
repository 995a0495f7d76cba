"""What is made of a finished run: its table with theory, figures, report and summary."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bounds import compared, joined, readable
from bounds import online as online_theory
from bounds.beside import Theory
from figures import bound_figures, online, online_tables, report, suboptimality, winners
from figures.markup import Section
from sim import store
from sim.online.gaps import kinds_of, text_tables
from sim.regimes import Regime
from sim.summary import any_learner, text_table


def finish(folder: Path, regime: Regime, table: pd.DataFrame, theory: Theory | None = None) -> str:
    """Write what a run's folder holds beside its rows, and return the summary that is printed.

    Args:
        folder: of the run.
        regime: that was run.
        table: its rows.
        theory: of the regime, where it is known already.
    """
    table = joined(table, regime, theory)
    store.write_table(folder, table)
    phase = _online(regime, folder) if regime.online else _Online()
    comparison, pictures = compared(table, regime.delta), folder / "figures"
    fits = f"{text_table(table)}\n\n{readable(comparison)}" if any_learner(table) else ""
    summary = f"{phase.summary}{fits}".rstrip()
    drawn = [*phase.drawn, *winners.save_all(comparison.winners, pictures), *suboptimality.save_all(table, pictures)]
    drawn += bound_figures.save_all(table, pictures, regime.delta)
    report.write(folder, regime, table, drawn, comparison, phase.section)
    store.write_summary(folder, summary)
    return summary


@dataclass(frozen=True)
class _Online:
    """What a run says of its online phase: printed, in the report, and drawn."""

    summary: str = ""
    section: Section | None = None
    drawn: list[dict[str, Any]] = field(default_factory=list)


def _online(regime: Regime, folder: Path) -> _Online:
    rows, over = store.online_with_counts(folder), regime.online["settings"] or None
    regret = online_theory.regret(rows)
    found = online_theory.verdicts(regret, regime)
    verdicts = online_theory.readable(found, regime.online["rounds"])
    tables = text_tables(rows, over) if kinds_of(rows).rules else ""
    drawn = online.save_all(rows, regret, found, folder / "figures", over)
    summary = "".join(f"{part}\n\n" for part in (tables, verdicts) if part)
    return _Online(summary, online_tables.section(rows, verdicts, over), drawn)
