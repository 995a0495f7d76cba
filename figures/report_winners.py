"""The part of the report about who wins among the fits: in a sentence, and as a table of all means."""

from collections import Counter
from itertools import groupby

import numpy as np

from figures.claims import places
from figures.markup import Section, cell, count, key, row_head, table, text, tile
from sim.summary import Contest, where

PATTERNS, CHANGES = 4, 3
"""Up to this many patterns of winners, of up to this many winners each, are told; of more the wins are counted."""


def section(found: list[Contest]) -> Section:
    """The means of every learner in every cell, and `sentence`."""
    logs = max(contest.logs for contest in found)
    note = (
        f"<p>Mean suboptimality (exact, of each fitted policy) over {count(logs, 'log')}, by cell and number of logged "
        f"edits n. {key('Green', 'best')}: the best learner of a row; {key('yellow, ≈', 'tied')}: best, with a lead "
        "within two standard errors. Baselines that need no log do not compete. The lead is over the next learner on "
        "the same logs, with its paired standard error.</p>"
    )
    return Section("winners", "Who wins", note + _table(found), _tile(found), sentence(found))


def sentence(found: list[Contest]) -> str:
    """Who wins where, as HTML, and how often the lead is clear."""
    patterns = _patterns(found)
    short = len(patterns) <= PATTERNS and all(len(pattern) <= CHANGES for pattern in patterns)
    told = _told(patterns, found) if short else _counted(found)
    clear = sum(contest.clear for contest in found)
    how_often = f"clear in {clear} of {len(found)} cells" if len(found) > 1 else "clear" if clear else "not clear"
    told = told.replace(" = ", "\u00a0=\u00a0")
    lead = f" The lead is {how_often}." if any(contest.runner_up for contest in found) else ""
    return f"Least mean suboptimality: {told}.{lead}"


def _tile(found: list[Contest]) -> str:
    (winner, wins), *_ = _wins(found)
    return tile("best most often", winner, f"least mean suboptimality in {wins} of {count(len(found), 'cell')}")


def _wins(found: list[Contest]) -> list[tuple[str, int]]:
    return Counter(contest.winner for contest in found).most_common()


def _counted(found: list[Contest]) -> str:
    return ", ".join(f"<b>{text(name)}</b> in {wins}" for name, wins in _wins(found)) + f" of {len(found)} cells"


def _patterns(found: list[Contest]) -> dict[tuple[str, ...], list[list[Contest]]]:
    """The points of the grid by who wins there as n grows; of each point the cells where a winner begins."""
    points: dict[str, list[Contest]] = {}
    for contest in found:
        points.setdefault(where(contest.cell), []).append(contest)
    patterns: dict[tuple[str, ...], list[list[Contest]]] = {}
    for cells in points.values():
        starts = [next(group) for _, group in groupby(cells, key=lambda contest: contest.winner)]
        patterns.setdefault(tuple(contest.winner for contest in starts), []).append(starts)
    return patterns


def _told(patterns: dict[tuple[str, ...], list[list[Contest]]], found: list[Contest]) -> str:
    points, sizes = sum(map(len, patterns.values())), len({contest.n for contest in found})
    parts = []
    for names, group in patterns.items():
        at = f" ({text(places([starts[0].cell for starts in group], points))})" if points > 1 else ""
        first = f"<b>{text(names[0])}</b>" + (" at every n" if len(names) == 1 and sizes > 1 else "")
        later = [f"then <b>{text(name)}</b> from n = {_sizes(group, i + 1)} on" for i, name in enumerate(names[1:])]
        parts.append(", ".join([first, *later]) + at)
    return "; ".join(parts)


def _sizes(group: list[list[Contest]], place: int) -> str:
    """Where the winner at some place of a pattern begins, at the earliest and at the latest."""
    begins = [starts[place].n for starts in group]
    return " to ".join(dict.fromkeys(f"{n:,}" for n in (min(begins), max(begins))))


def _table(found: list[Contest]) -> str:
    names = list(dict.fromkeys(name for contest in found for name in contest.means))
    rows: dict[str, list[list[str]]] = {}
    for contest in found:
        rows.setdefault(where(contest.cell), []).append(_row(contest, names))
    return table("Mean suboptimality by cell and learner", ["n", *names, "lead ± se", "fits not ok"], rows)


def _row(contest: Contest, names: list[str]) -> list[str]:
    cells = [row_head(f"{contest.n:,}", "number")]
    for name in names:
        won = name == contest.winner
        shown = _mean(contest.means[name]) if name in contest.means else ""
        cells.append(cell(f"≈ {shown}" if won and not contest.clear else shown, _mark(contest) if won else ""))
    error = "" if np.isnan(contest.gap_error) else f" ± {contest.gap_error:.1g}"
    lead = f"{contest.gap:.2g}{error}" if contest.runner_up and np.isfinite(contest.gap) else ""
    return [*cells, cell(lead), cell(contest.not_ok)]


def _mark(contest: Contest) -> str:
    return "best" if contest.clear else "tied"


def _mean(value: float) -> str:
    """A mean of suboptimalities; what rounding leaves of zero is zero."""
    return "0" if value < 1e-15 else f"{value:.3g}"
