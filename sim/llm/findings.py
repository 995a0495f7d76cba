"""What the paper's tables are said to show, worked out from the numbers of a run: never asserted in advance."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from sim.llm import paper
from sim.llm.tables import Setting, Table, half_interval, tables, text_table, wrapped
from sim.summary import LEVEL

TENTH = 0.1
"""Costs that differ by less than this part of themselves count as about the same."""

YES, NO, UNCLEAR = "yes", "no", "not clear"


class Finding(NamedTuple):
    """One question and its answer.

    Fields:
        about: the method it is about.
        question: in words.
        verdict: "yes", "no", or "not clear" where the interval holds zero (always so for one log).
        paper: the same question asked of the paper's printed numbers, "yes" or "no"; "" where it has none.
        value: the difference that decides, a mean over logs, with its interval `low` to `high`; above zero is "yes".
            Of several comparisons it is the least, and the intervals hold all at once (Bonferroni).
        sentence: the numbers in words.
    """

    about: str
    question: str
    verdict: str
    paper: str
    value: float
    low: float
    high: float
    sentence: str


class Answer(NamedTuple):
    """What a question finds in a table: a difference per seed of each comparison, and the words before it.

    What counts as about the same is a part of the costs of the same log, within the difference.
    """

    differences: np.ndarray
    told: str


Question = Callable[[Table], Answer | None]


def findings(table: Table) -> pd.DataFrame:
    """The answers of one table, a row each with the fields of `Finding`; a question without its methods is left out."""
    asked: list[tuple[str, str, Question]] = [
        ("reference", "Is the reference the worst policy, or within a tenth of it?", _reference),
        ("sup", "Is supervision much better with logs of the strong user (by more than a tenth)?", _supervision),
        ("pref", "Is preference learning about as good with logs of the weak user (within a tenth)?", _preference),
        ("late", "Is late ensembling's largest gap below that of every single policy?", _late),
        ("late (all)", "Over all trained policies: is its largest gap below that of every single one?", _late_over_all),
    ]
    found = [_asked(table, *question) for question in asked]
    return pd.DataFrame([one for one in found if one is not None], columns=list(Finding._fields))


def text_tables(online: pd.DataFrame) -> str:
    """What `medley llm` prints: each table, then what it shows."""
    parts = []
    for table in tables(online):
        told = [f"{row['verdict'].upper():9s} {row['sentence']}" for row in findings(table).to_dict("records")]
        lines = [line for words in told for line in wrapped(words, " " * 10)]
        parts.append("\n".join([text_table(table), "", *lines]).rstrip())
    return "\n\n".join(parts)


def _asked(table: Table, about: str, question: str, ask: Question) -> Finding | None:
    answer = ask(table)
    if answer is None:
        return None
    count = len(answer.differences)
    means, halves = answer.differences.mean(axis=1), half_interval(answer.differences, 1 - (1 - LEVEL) / count)
    least = int(np.argmin(means))
    value, half = float(means[least]), float(halves[least])
    verdict, theirs = _verdict(means - halves, means + halves), _of_the_paper(table, about, ask)
    sentence = f"{answer.told} is {value:+.3f} ({_span(value, half, count)}): {_ending(question, verdict, theirs)}"
    return Finding(about, question, verdict, theirs, value, value - half, value + half, sentence)


def _span(value: float, half: float, count: int) -> str:
    if np.isnan(half):
        return "one log, no interval"
    at_once = f", {count} comparisons at once" if count > 1 else ""
    return f"{100 * LEVEL:g}% interval {value - half:.3f} to {value + half:.3f}{at_once}"


def _verdict(low: np.ndarray, high: np.ndarray) -> str:
    """Whether all differences are above zero, or some below it, as far as their intervals tell."""
    if (low > 0).all():
        return YES
    return NO if (high < 0).any() else UNCLEAR


def _ending(question: str, verdict: str, theirs: str) -> str:
    if verdict == UNCLEAR:
        return f"not clear{f'; in the paper {theirs}' if theirs else ''}."
    if not theirs:
        return f"{verdict}."
    return f"{verdict}, {'as' if verdict == theirs else 'NOT as'} in the paper."


def _of_the_paper(table: Table, about: str, ask: Question) -> str:
    """The answer of the paper's own numbers over the same settings."""
    if about not in paper.NAMES or table.number is None:
        return ""
    if table.number == 2:
        return _of_printed(table.settings) if about == "late" else ""
    if any(setting not in paper.SETTINGS for setting in table.settings):
        return ""
    costs = [[paper.cost(method, setting) for setting in table.settings] for method in paper.NAMES]
    alone = [method for method in paper.NAMES if method != "late"]
    theirs = Table("strong", list(paper.NAMES), alone, table.settings, [0], 200, np.array(costs)[:, :, None])
    answer = ask(theirs)
    return "" if answer is None else YES if bool((answer.differences > 0).all()) else NO


def _of_printed(settings: list[Setting]) -> str:
    gaps = {method: paper.printed(2, method, settings) for method in paper.NAMES}
    known = {method: gap for method, gap in gaps.items() if gap is not None}
    if "late" not in known:
        return ""
    return YES if known["late"] < min(gap for method, gap in known.items() if method != "late") else NO


def _reference(table: Table) -> Answer | None:
    others = [method for method in table.alone if method in table.whole and method != "reference"]
    if "reference" not in table.whole or not others:
        return None
    cost = table.cost[:, :, table.common]
    average = cost.mean(axis=1)
    own, rest = average[table.methods.index("reference")], average[table.rows(others)]
    worst = int(np.argmax(rest.mean(axis=1)))
    means = cost[table.rows(["reference", *others])].mean(axis=2)
    times = int((means[0] >= means.max(axis=0)).sum())
    told = (
        f"The reference costs {own.mean():.3f} per round on average over the settings and is the worst single policy "
        f"in {times} of {len(table.settings)}; the costliest other, {others[worst]}, costs {rest[worst].mean():.3f}: "
        f"the reference less {1 - TENTH:g} times that"
    )
    return Answer(own - (1 - TENTH) * rest, told)


def _by_user(table: Table, method: str) -> tuple[np.ndarray, np.ndarray, str] | None:
    """Costs with strong and with weak logs, averaged over the tasks that have both, per seed; and in words."""
    tasks = [task for task in dict(table.settings) if {(task, "strong"), (task, "weak")} <= set(table.settings)]
    if method not in table.methods or not tasks:
        return None
    own = table.cost[table.methods.index(method)]
    strong, weak = (own[[table.settings.index((task, user)) for task in tasks]] for user in ("strong", "weak"))
    known = np.isfinite(strong).all(axis=0) & np.isfinite(weak).all(axis=0)
    if not known.any():
        return None
    strong, weak = strong[:, known], weak[:, known]
    pairs = zip(tasks, strong.mean(axis=1), weak.mean(axis=1), strict=True)
    told = ", ".join(f"{task} {good:.3f} with strong and {bad:.3f} with weak logs" for task, good, bad in pairs)
    return strong.mean(axis=0), weak.mean(axis=0), told


def _supervision(table: Table) -> Answer | None:
    return _weak_logs_cost_more(table, "sup", "Supervision")


def _preference(table: Table) -> Answer | None:
    return _weak_logs_cost_more(table, "pref", "Preference learning", -1)


def _weak_logs_cost_more(table: Table, method: str, name: str, sign: int = 1) -> Answer | None:
    """Do weak users' logs cost a method over a tenth more than strong users'?  With sign -1: do they not?"""
    found = _by_user(table, method)
    if found is None:
        return None
    strong, weak, told = found
    limit = f"{1 + TENTH:g} times strong"
    more = f"weak less {limit}" if sign > 0 else f"{limit} less weak"
    return Answer(sign * (weak - (1 + TENTH) * strong)[None], f"{name}: {told}; {more}")


def _late(table: Table) -> Answer | None:
    small = table.of_the_paper
    if small is None:
        return _rule(table, "late", "")
    return _rule(small, "late", ", among the paper's methods,")


def _late_over_all(table: Table) -> Answer | None:
    return _rule(table.only([*table.alone, "late (all)"]), "late (all)", " over all policies")


def _rule(table: Table, rule: str, words: str) -> Answer | None:
    """The gaps within each seed of the single policies less that of a rule."""
    rivals = [method for method in table.alone if method in table.whole]
    if rule not in table.whole or not rivals:
        return None
    cost = table.cost[table.rows(table.whole)][:, :, table.common]
    gap = (cost - cost.min(axis=0)).max(axis=1)
    own, theirs = gap[table.whole.index(rule)], gap[[table.whole.index(rival) for rival in rivals]]
    least = int(np.argmin(theirs.mean(axis=1)))
    of_means = table.gaps.set_index("method")["max_gap"]
    told = (
        f"Late ensembling{words} has a largest gap of {of_means[rule]:.3f} (by log {own.mean():.3f}); the least of a "
        f"single policy is that of {rivals[least]}, {of_means[rivals[least]]:.3f} (by log {theirs[least].mean():.3f}): "
        "difference by log"
    )
    return Answer(theirs - own, told)
