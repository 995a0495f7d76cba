"""The figures of a language-model run: largest gaps, running costs, and which policies late ensembling plays."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from figures import claims, llm_arms, llm_costs, llm_gaps, panels, style
from figures.online_parts import distinct
from sim.llm.stored import Stored
from sim.llm.tables import tables
from sim.online.gaps import kinds_of

Drawn = list[dict[str, Any]]


def save_all(stored: Stored, folder: Path) -> Drawn:
    """Write the figures of a run as .svg and .png, and the plotted numbers as .csv.

    Args:
        stored: the tables of the run, from `sim.llm.stored.read`.
        folder: of the figures.

    Returns:
        What was written, in reading order: name, claim and caption.
    """
    style.apply()
    folder.mkdir(parents=True, exist_ok=True)
    gaps = llm_gaps.numbers(tables(stored.online))
    drawn: Drawn = []
    if len(gaps):
        gaps.to_csv(folder / "llm-gaps.csv", index=False)
        panels.save(llm_gaps.figure(gaps), folder, "llm-gaps")
        drawn.append({"name": "llm-gaps", "claim": claims.of_gaps(gaps), "caption": llm_gaps.caption(gaps)})
    drawn += _save_by_user(llm_costs, llm_costs.numbers(stored.online), folder, "llm-costs")
    if kinds_of(stored.episodes).rules:
        rounds = sorted(int(at) for at in stored.online["round"].unique())
        drawn += _save_by_user(llm_arms, llm_arms.numbers(stored.episodes, rounds), folder, "llm-arms")
    return drawn


def _save_by_user(kind: ModuleType, numbers: pd.DataFrame, folder: Path, stem: str) -> Drawn:
    """A figure per test user; the numbers of all are in one CSV."""
    numbers.to_csv(folder / f"{stem}.csv", index=False)
    claim = {llm_costs: claims.of_running, llm_arms: claims.of_shares}[kind]
    drawn = []
    for user in distinct(numbers["test_user"]):
        here, name = numbers[numbers["test_user"] == user], f"{stem}-{user}"
        panels.save(kind.figure(here), folder, name)
        drawn.append({"name": name, "claim": claim(here), "caption": kind.caption(here)})
    return drawn
