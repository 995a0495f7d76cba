"""The part of the report about the online phase: the table of the paper's Table 1, and the verdicts."""

import itertools
from typing import Any

import pandas as pd

from figures.markup import Section, cell, key, row_head, table, text, tile
from sim.online.gaps import MANY, Costs, costs, gaps_of, kinds_of, max_gaps, ranks
from sim.summary import LEVEL

TITLE = "Online phase"


def section(online: pd.DataFrame, verdicts: str, over: list[str] | None) -> Section:
    """The tables, then the verdicts, a paragraph each; the smallest largest gap, or the first verdict, in brief."""
    told = "".join(f"<p>{text(line)}</p>" for line in verdicts.splitlines())
    if not kinds_of(online).rules:
        return Section("online", TITLE, told, lead=text(verdicts.partition("\n")[0]))
    found = list(itertools.islice(costs(online, over), MANY + 1))
    shown = _ranks(online, over) if len(found) > MANY else "".join(_costs(one) for one in found)
    note = (
        f"<p>{int(online['round'].max()):,} rounds, {online['seed'].nunique()} logs. J is the expected edit cost per "
        "round, J_beta adds beta times the KL divergence from the reference: an over-optimised policy can have a low J "
        "and a high J_beta. max_gap is the largest gap in J to the best method of a setting (the paper's "
        f"&ldquo;max SubOpt&rdquo;), with its {100 * LEVEL:g}% interval over logs; by seed: the mean over logs of the "
        f"largest gap within a log. {key('Green', 'best')}: the smallest in 95% of the resamples of the logs; "
        f"{key('yellow, ≈', 'tied')}: the smallest, but not as clearly. Below all alone: the share of the resamples "
        "in which a rule's gap is below that of every policy played alone.</p>"
    )
    return Section("online", TITLE, note + shown + told, *_smallest(max_gaps(online, over)))


def _costs(found: Costs) -> str:
    gaps = gaps_of(found)
    names = [f"{name} {letter}" for name in ("J", "J_beta") for letter in found.letters]
    rows = []
    for m, row in enumerate(gaps.to_dict("records")):
        mark = ("best" if row["smallest"] >= LEVEL else "tied") if row["rank"] == 1 else ""
        means = [*found.cost[m].mean(axis=1), *found.regularised_cost[m].mean(axis=1)] if names else []
        last = [cell(f"{row['low']:.3f} to {row['high']:.3f}"), cell(_with_error(row))]
        last.append(cell("" if row["method"] in found.alone else f"{row['below_alone']:.0%}"))
        rows.append(
            [row_head(row["method"]), *(cell(f"{v:.3f}") for v in means), cell(_gap(row["max_gap"], mark), mark), *last]
        )
    head = ["method", *names, "max_gap", f"{100 * LEVEL:g}% interval", "by seed", "below all alone"]
    letters = "; ".join(f"{letter}: {setting}" for letter, setting in found.letters.items())
    shown = table(f"Mean cost per round and largest gap; {found.title}", head, rows)
    return f"<h3>{text(found.title)}</h3><p>{text(letters)}</p>{shown}"


def _gap(value: float, mark: str) -> str:
    return f"≈ {value:.3f}" if mark == "tied" else f"{value:.3f}"


def _smallest(gaps: pd.DataFrame) -> tuple[str, str]:
    """Which method most often has the smallest largest gap, as a tile and in a sentence."""
    best = gaps[gaps["rank"] == 1]
    winner = str(best["method"].astype(str).value_counts().index[0])
    wins, of = best[best["method"] == winner], int((gaps["method"] == winner).sum())
    size = " to ".join(dict.fromkeys(f"{gap:.3f}" for gap in (wins["max_gap"].min(), wins["max_gap"].max())))
    often = f" in {len(wins)} of {of} comparisons" if of > 1 else ""
    told = f"Online, smallest largest gap to the best method: <b>{text(winner)}</b>{often}, {size} per round."
    return tile("smallest largest gap", winner, f"{size} in edit cost per round{often}"), told


def _with_error(row: dict[str, Any]) -> str:
    return f"{row['max_gap_by_seed']:.3f} \u00b1 {row['error_by_seed']:.2g}"


def _ranks(online: pd.DataFrame, over: list[str] | None) -> str:
    found = ranks(max_gaps(online, over))
    rows = [
        [row_head(row["method"])]
        + [cell(f"{row[name]:.3f}") for name in ("gap_10", "gap_50", "gap_90")]
        + [cell(row[name]) for name in ("best", "second", "worst")]
        for row in found.to_dict("records")
    ]
    head = ["method", "10% of max_gap", "median", "90%", "best", "second", "worst"]
    draws = f"Over {found['groups'].max()} draws"
    return f"<h3>{draws}</h3>{table(f'{draws}: largest gaps, and how often best, second and worst', head, rows)}"
