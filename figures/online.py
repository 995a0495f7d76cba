"""The figures of an online phase: largest gaps as dots, running costs, arm shares, regret with its bound."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from figures import claims, online_arms, online_costs, online_gaps, online_ranks, online_regret, panels, style
from figures.online_parts import LONG, distinct
from sim.online.gaps import MANY, kinds_of

SIDE_BY_SIDE = 6
"""More settings than this have no panels of their own."""

Drawn = list[dict[str, Any]]


def save_all(
    online: pd.DataFrame, regret: pd.DataFrame, verdicts: pd.DataFrame, folder: Path, over: list[str] | None = None
) -> Drawn:
    """Write the figures of an online phase, and the plotted numbers as CSV.

    Args:
        online: from `sim.load(folder, "online.parquet")`.
        regret, verdicts: from `bounds.online`.
        folder: of the figures.
        over: the axes over whose points the largest gap is taken; default: all.

    Returns:
        What was written, in reading order: name (of the .svg, .png and .csv file) and caption.
    """
    style.apply()
    folder.mkdir(parents=True, exist_ok=True)
    verdicts.to_csv(folder / "online-verdicts.csv", index=False)
    rules = bool(kinds_of(online).rules)
    drawn = _save_gaps(online, folder, over) if rules else []
    if online["setting"].nunique() > SIDE_BY_SIDE:
        return drawn
    if rules and online["setting"].nunique() > 1 and online["round"].max() >= LONG:
        drawn.append(_save_gaps_by_round(online, folder, over))
    if rules:
        drawn += _save_by_user(online_costs, online_costs.numbers(online), folder, "online-costs")
        drawn += _save_by_user(online_arms, online_arms.numbers(online), folder, "online-arms")
    found = online_regret.numbers(regret, verdicts, online)
    if online["round"].max() >= LONG and len(found):
        return drawn + _save_by_user(online_regret, found, folder, "online-regret")
    found.to_csv(folder / "online-regret.csv", index=False)
    return drawn


def _save_gaps(online: pd.DataFrame, folder: Path, over: list[str] | None) -> Drawn:
    gaps = online_gaps.numbers(online, over)
    outer = list(gaps.columns)[: list(gaps.columns).index("method")]
    gaps.to_csv(folder / "online-gaps.csv", index=False)
    if len(panels.points(gaps, outer)) > MANY:
        ranked = online_ranks.numbers(gaps)
        ranked.to_csv(folder / "online-ranks.csv", index=False)
        return _save(online_ranks, ranked, folder, "online-ranks")
    return _save(online_gaps, gaps, folder, "online-gaps")


def _save_gaps_by_round(online: pd.DataFrame, folder: Path, over: list[str] | None) -> dict[str, Any]:
    numbers, name = online_gaps.numbers_by_round(online, over), "online-gaps-by-round"
    numbers.to_csv(folder / f"{name}.csv", index=False)
    panels.save(online_gaps.figure_by_round(numbers), folder, name)
    return {"name": name, "claim": claims.of_gaps_by_round(numbers), "caption": online_gaps.caption_by_round(numbers)}


def _save_by_user(kind: ModuleType, numbers: pd.DataFrame, folder: Path, name: str) -> Drawn:
    """A figure per test user; the numbers of all are in one CSV."""
    users = distinct(numbers["test_user"])
    drawn = []
    for number, user in enumerate(users, start=1):
        suffix = f"-{number}" if len(users) > 1 else ""
        drawn += _save(kind, numbers[numbers["test_user"] == user], folder, f"{name}{suffix}")
    numbers.to_csv(folder / f"{name}.csv", index=False)
    return drawn


def _save(kind: ModuleType, numbers: pd.DataFrame, folder: Path, name: str) -> Drawn:
    panels.save(kind.figure(numbers), folder, name)
    return [{"name": name, "claim": _CLAIMS[kind](numbers), "caption": kind.caption(numbers)}]


_CLAIMS: dict[ModuleType, Callable[[pd.DataFrame], str]] = {
    online_gaps: claims.of_gaps,
    online_ranks: claims.of_ranks,
    online_costs: claims.of_running,
    online_arms: claims.of_shares,
    online_regret: claims.of_regret,
}
