"""The part of a language-model report that shows the paper's Tables 1 and 2, and what they say."""

from typing import Any

import pandas as pd

from figures.markup import Section, cell, key, row_head, table, text, tile
from sim.llm import paper
from sim.llm.findings import NO, UNCLEAR, YES, findings
from sim.llm.tables import Table, interval, notes, number
from sim.summary import LEVEL


def section(tables: list[Table]) -> Section:
    """Each table beside the paper's, then its findings; the smallest largest gap and the findings in brief.

    Args:
        tables: from `sim.llm.tables.tables`.
    """
    found = [findings(one) for one in tables]
    told = [notes(one) for one in tables]
    # What holds of both tables is said once.
    fresh = [[note for note in told[i] if not any(note in earlier for earlier in told[:i])] for i in range(len(told))]
    shown = [_table(one, said) + _findings(says) for one, said, says in zip(tables, fresh, found, strict=True)]
    body = _note() + "".join(shown)
    lead, tiles = _smallest(tables[0])
    return Section("tables", "Tables 1 and 2", body, tiles + _tile(found[0]), lead)


def _note() -> str:
    return (
        f"<p>Rows in grey hold {text('the numbers of Misra et al. 2025')} for the same cell, under its names. Its max "
        "gap here is that of its printed means over these settings; the column &ldquo;by log&rdquo; has its printed "
        f"&ldquo;max SubOpt&rdquo;, which is another number. {key('Green', 'best')}: the smallest in 95% of the "
        f"resamples of the logs; {key('yellow, ≈', 'tied')}: the smallest, but not as clearly.</p>"
    )


def _table(found: Table, said: list[str]) -> str:
    small = found.of_the_paper
    columns = [f"{task}, {user} logs" for task, user in found.settings]
    head = ["method", *columns, "max gap", f"{100 * LEVEL:g}% interval", "by log"]
    head += ["among the paper's methods"] if small else []
    rows = []
    for name in found.methods:
        rows.append(_own(found, small, name))
        if name in paper.NAMES and found.number:
            rows.append(_papers(found, name, bool(small)))
    told = "".join(f"<p>{text(note)}</p>" for note in said)
    return f"<h3>{text(found.title)}</h3>{table(found.title, head, rows)}{told}"


def _own(found: Table, small: Table | None, name: str) -> list[str]:
    m = found.methods.index(name)
    means = zip(found.mean[m], found.half[m], strict=True)
    cells = [row_head(name), *(cell(number(mean, half)) for mean, half in means)]
    return cells + _gap(found.gaps, name) + ([_among(small, name)] if small else [])


def _gap(gaps: pd.DataFrame, name: str) -> list[str]:
    for row in gaps[gaps["method"] == name].to_dict("records"):
        mark = ("best" if row["smallest"] >= LEVEL else "tied") if row["rank"] == 1 else ""
        told = f"≈ {row['max_gap']:.3f}" if mark == "tied" else number(row["max_gap"])
        half = row["high_by_seed"] - row["max_gap_by_seed"]
        return [cell(told, mark), cell(interval(row["low"], row["high"])), cell(number(row["max_gap_by_seed"], half))]
    return [cell("-")] * 3


def _among(small: Table, name: str) -> str:
    gaps = small.gaps.set_index("method")["max_gap"]
    return cell(number(gaps[name]) if name in gaps.index else "")


def _papers(found: Table, name: str, among: bool) -> list[str]:
    first = found.number == 1
    costs = [paper.cost(name, setting) if first else None for setting in found.settings]
    gap = paper.gap(name, found.settings) if first else None
    printed = paper.printed(found.number, name, found.settings)
    cells = [number(cost, digits=4) for cost in costs] + [number(gap, digits=4), "", number(printed, digits=4)]
    cells += [number(gap, digits=4)] if among else []
    return [row_head(f"{paper.NAMES[name]}, the paper", "aside"), *(cell(value, "aside") for value in cells)]


def _findings(found: pd.DataFrame) -> str:
    return "".join(_finding(row) for row in found.to_dict("records"))


def _finding(row: dict[str, Any]) -> str:
    same = {"": "", row["verdict"]: "best"}.get(row["paper"], "bad")
    verdict = key(row["verdict"], "tied" if row["verdict"] == UNCLEAR else same)
    return f"<h4>{text(row['question'])}</h4><p>{verdict} {text(row['sentence'])}</p>"


def _smallest(found: Table) -> tuple[str, str]:
    """The method with the smallest largest gap, in a sentence and as a tile."""
    if found.gaps.empty:
        return "", ""
    best = found.gaps.sort_values("max_gap", kind="stable").iloc[0]
    size = number(best["max_gap"])
    over = f"{len(found.settings)} setting{'' if len(found.settings) == 1 else 's'}"
    span = "" if pd.isna(best["low"]) else f" ({100 * LEVEL:g}% interval {interval(best['low'], best['high'])})"
    lead = (
        f"Smallest largest gap to the best method, over {over}: <b>{text(best['method'])}</b>, {size} per round{span}."
    )
    return lead, tile("smallest largest gap", best["method"], f"{size} in edit cost per round, over {over}")


def _tile(found: pd.DataFrame) -> str:
    """How many findings come out as in the paper."""
    asked = found[found["paper"] != ""]
    if asked.empty:
        return ""
    same, unclear = asked["verdict"] == asked["paper"], asked["verdict"] == UNCLEAR
    other = int((~same & ~unclear & asked["verdict"].isin([YES, NO])).sum())
    note = f"findings of Table 1; {int(unclear.sum())} not clear, {other} otherwise"
    return tile("as in the paper", f"{int(same.sum())} of {len(asked)}", note, "warn" if other else "")
