"""The part of the report about the online phase: the table of the paper's Table 1, and the verdicts."""

import html
import itertools

import pandas as pd

from figures.theory import cell, table
from sim.online.gaps import MANY, Costs, costs, gaps_of, kinds_of, max_gaps, ranks
from sim.summary import LEVEL


def section(online: pd.DataFrame, verdicts: str, over: list[str] | None) -> str:
    """The tables as HTML, then the verdicts, a paragraph each."""
    told = "".join(f"<p>{html.escape(line)}</p>" for line in verdicts.splitlines())
    if not kinds_of(online).rules:
        return told
    found = list(itertools.islice(costs(online, over), MANY + 1))
    shown = _ranks(online, over) if len(found) > MANY else "".join(_costs(one) for one in found)
    note = (
        f"<p>{int(online['round'].max()):,} rounds, {online['seed'].nunique()} logs.  J is the expected edit cost per "
        "round, J_beta adds beta times the KL divergence from the reference: an over-optimised policy can have a low J "
        "and a high J_beta.  max_gap is the largest gap in J to the best method of a setting (the paper's "
        f"&ldquo;max SubOpt&rdquo;), with its {100 * LEVEL:g}% interval over logs; by seed: the mean over logs of the "
        "largest gap within a log.  Green: the smallest in 95% of the resamples of the logs; yellow: the smallest, "
        "but not as clearly.  Below all alone: the share of the resamples in which a rule's gap is below that of every "
        "policy played alone.</p>"
    )
    return note + shown + told


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
            [cell(row["method"]), *(cell(f"{v:.3f}") for v in means), cell(f"{row['max_gap']:.3f}", mark), *last]
        )
    head = ["method", *names, "max_gap", f"{100 * LEVEL:g}% interval", "by seed", "below all alone"]
    key = "; ".join(f"{letter}: {setting}" for letter, setting in found.letters.items())
    return f"<h3>{html.escape(found.title)}</h3><p>{html.escape(key)}</p>{table(head, rows)}"


def _with_error(row: dict[str, float]) -> str:
    return f"{row['max_gap_by_seed']:.3f} \u00b1 {row['error_by_seed']:.2g}"


def _ranks(online: pd.DataFrame, over: list[str] | None) -> str:
    found = ranks(max_gaps(online, over))
    rows = [
        [cell(row["method"])]
        + [cell(f"{row[name]:.3f}") for name in ("gap_10", "gap_50", "gap_90")]
        + [cell(row[name]) for name in ("best", "second", "worst")]
        for row in found.to_dict("records")
    ]
    head = ["method", "10% of max_gap", "median", "90%", "best", "second", "worst"]
    return f"<h3>Over {found['groups'].max()} draws</h3>{table(head, rows)}"
