"""What a log of text edits says about its user and its reference policy, with intervals, from the log alone.

A text is the set of its traits; per group and trait an edit is a step of a two-state chain (`sim/llm/transitions.py`).
docs/from-logs.md 1 to 4 has the formulas, and what may fail.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from sim import checks
from sim.errors import BadInput
from sim.llm.dependence import Dependence, dependence
from sim.llm.logs import C_MAX
from sim.llm.side_effects import followers
from sim.llm.trait_counts import Patterns, distinct, patterns
from sim.llm.transitions import Draws, Measured, concentrability, draws, exact, interval, smoothed

NOISE = 0.02
"""A trait that edits move less often than this has been moved by accident, by edits that were after something else."""

ALL = "all"
"""The group of a log without groups, and the user of a log that names none."""


@dataclass(frozen=True)
class TraitEstimate:
    """One trait in one group.

    Fields:
        name: of the trait.
        table: rows by its value in the response and in the edit, N[y, e], (2, 2).
        share: p, of responses that have it, under the reference policy.
        off: a = P(the edit lacks it | the response has it), as counted, with its Clopper-Pearson interval.
        on: b = P(the edit has it | the response lacks it), likewise.
        strength: s, the probability that an edit re-draws it.
        optimum: pi*, the share that re-drawing draws it with.
        contraction: 1 - s, the second eigenvalue of the chain.
        concentrability: its factor in C*.
        relevant: whether edits change it, more often than by accident (`NOISE`) and not as a side effect.
        alternates: whether a + b is surely above 1: edits undo it both ways, which no re-drawing does.
        follows: the trait whose changes bring those of this one about (`sim/llm/side_effects.py`); None for most.
    """

    name: str
    table: np.ndarray
    share: Measured
    off: Measured
    on: Measured
    strength: Measured
    optimum: Measured
    contraction: Measured
    concentrability: Measured
    relevant: bool
    alternates: bool
    follows: str | None = None


@dataclass(frozen=True)
class GroupEstimate:
    """One group of a log (docs/from-logs.md 3).

    Fields:
        name: of the group.
        rows: of the log in it.
        weight: its share of the log.
        edit_rate: the share of rows whose edit differs from the response.
        mean_cost: of its rows.
        traits: an estimate per trait, in the order of the checkers.
        strength: the mean of the relevant traits' s; None where there is none.
        contraction: the largest 1 - s among the relevant traits.
        coverage: C*, the product of the relevant traits' concentrabilities; 1 where there is none.
        gamma_min: the paper's coefficient if traits are edited independently; its low end is the lower estimate.
        dependence: whether they are.
        patterns: the rows told apart by the relevant traits.
    """

    name: str
    rows: int
    weight: float
    edit_rate: Measured
    mean_cost: Measured
    traits: tuple[TraitEstimate, ...]
    strength: Measured
    contraction: Measured
    coverage: Measured
    gamma_min: Measured
    dependence: Dependence
    patterns: Patterns = field(repr=False)

    @property
    def relevant(self) -> tuple[TraitEstimate, ...]:
        """The traits that edits change, K of them."""
        return tuple(trait for trait in self.traits if trait.relevant)


@dataclass(frozen=True)
class Estimates:
    """What one log says: of one task, edited by one user.

    Fields:
        rows: of the log.
        edit_rate: the share of rows whose edit differs from the response.
        mean_cost: of all rows.
        groups: an estimate per group, by name.
        level: of every interval.
    """

    rows: int
    edit_rate: Measured
    mean_cost: Measured
    groups: tuple[GroupEstimate, ...]
    level: float


def estimate(rows: pd.DataFrame, traits: Mapping[str, Any], level: float = 0.95, noise: float = NOISE) -> Estimates:
    """Estimate edit rate, cost, and per group the re-drawing of every trait, contraction and coverage.

    Args:
        rows: a log as `sim.llm.logs.read` gives it, of one task and user.
        traits: by name, a function text -> bool, or an object with such a method `has`; several names of one object
            are one trait.
        level: of the intervals, in (0, 1).
        noise: a trait counts as relevant if an exact test rejects, at 1 - level over all traits of a group, that
            edits turn it off, or on, in at most this share of the rows that they could, in [0, 1).

    Returns:
        The estimates.  Intervals are Clopper-Pearson's for frequencies, Student's for costs, and else equal-tailed
        ones of what the counts leave open, drawn under Jeffreys' prior with a fixed seed.

    Raises:
        BadInput: no rows, no traits, missing columns, a level or noise out of its range.

    Source: docs/from-logs.md.  The paper estimates none of these.
    """
    level, noise = checks.chance("level", level), checks.in_range("noise", noise, 0, 1)
    if not traits:
        raise BadInput("traits: expected at least one checker of a trait, got none")
    missing = [name for name in ("response", "edit", "cost") if name not in rows]
    if missing or len(rows) == 0:
        what = f"no column {', '.join(missing)}" if missing else "no rows"
        raise BadInput(f"log: {what}; read it with sim.llm.logs.read")
    traits = distinct(traits)
    groups = [_group(name, part, len(rows), traits, level, noise) for name, part in _by_group(rows)]
    return Estimates(len(rows), _edit_rate(rows, level), mean_cost(rows["cost"], level), tuple(groups), level)


def by_setting(log: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """The rows of every (task, user) of a log; rows that name no user are of user "all"."""
    task = log["task"] if "task" in log else pd.Series(ALL, index=log.index)
    user = log["user"].fillna(ALL) if "user" in log else pd.Series(ALL, index=log.index)
    parts = log.groupby([task.to_numpy(object), user.to_numpy(object)], sort=True)
    return {(str(key[0]), str(key[1])): part for key, part in parts}


def _by_group(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    names = rows["group"].fillna(ALL) if "group" in rows else pd.Series(ALL, index=rows.index)
    return [(str(name), part) for name, part in rows.groupby(names.to_numpy(object), sort=True)]


def _edit_rate(rows: pd.DataFrame, level: float) -> Measured:
    changed = rows["edit"].to_numpy(object) != rows["response"].to_numpy(object)
    return exact(int(changed.sum()), len(rows), level)


def mean_cost(costs: pd.Series, level: float = 0.95) -> Measured:
    """The mean of `costs`, in [0, C_MAX], with Student's interval at `level`; of a single row it is all of that."""
    values = costs.to_numpy(float)
    if len(values) < 2:
        return Measured(float(values.mean()), 0.0, C_MAX)
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
    middle = float(values.mean())
    return Measured(middle, max(middle - half, 0.0), middle + half)


def _group(
    name: str, rows: pd.DataFrame, total: int, traits: Mapping[str, Any], level: float, noise: float
) -> GroupEstimate:
    seen = patterns(rows, traits)
    tables, rng = seen.tables(), np.random.default_rng(0)
    drawn = [draws(table, rng) for table in tables]
    each = zip(traits, tables, drawn, strict=True)
    found = _apart([_trait(*one, level, noise, len(traits)) for one in each], seen)
    chosen = [k for k, trait in enumerate(found) if trait.relevant]
    relevant = [found[k] for k in chosen]
    return GroupEstimate(
        name,
        len(rows),
        len(rows) / total,
        _edit_rate(rows, level),
        mean_cost(rows["cost"], level),
        found,
        *_of_group(relevant, [drawn[k] for k in chosen], level),
        gamma_min(relevant, level),
        dependence([trait.name for trait in relevant], seen.only(chosen)),
        seen.only(chosen),
    )


def _apart(found: list[TraitEstimate], seen: Patterns) -> tuple[TraitEstimate, ...]:
    """The traits, those that follow another marked."""
    leaders = followers(seen, [k for k, trait in enumerate(found) if trait.relevant])
    for k, j in leaders.items():
        found[k] = replace(found[k], relevant=False, follows=found[j].name)
    return tuple(found)


def _trait(name: str, table: np.ndarray, drawn: Draws, level: float, noise: float, traits: int) -> TraitEstimate:
    share, strength, optimum = smoothed(table)
    off, on = (_changed(table, y, level) for y in (1, 0))
    # Both directions of every trait are looked at: each gets its part of the level.
    strict = 1 - (1 - level) / (2 * traits)
    surely = [_changed(table, y, strict).low for y in (1, 0)]
    covered = concentrability(drawn.share, drawn.optimum)
    return TraitEstimate(
        name,
        table,
        interval(share, drawn.share, level),
        off,
        on,
        interval(strength, drawn.strength, level),
        interval(optimum, drawn.optimum, level),
        interval(1 - strength, 1 - drawn.strength, level),
        interval(concentrability(share, optimum), covered, level),
        bool(max(surely) > noise),
        bool(sum(surely) > 1),
    )


def _changed(table: np.ndarray, value: int, level: float) -> Measured:
    """How often an edit changes the trait where the response has it (value 1), or lacks it (0)."""
    return exact(int(table[value, 1 - value]), int(table[value].sum()), level)


def _of_group(relevant: list[TraitEstimate], drawn: list[Draws], level: float) -> tuple[Measured, Measured, Measured]:
    """Mean strength, contraction and coverage of the relevant traits."""
    if not relevant:
        return Measured(None, 0.0, 1.0), Measured(None, 0.0, 1.0), Measured(1.0, 1.0, 1.0)
    strengths = np.array([one.strength for one in drawn])
    values = np.array([trait.strength.value for trait in relevant])
    factors = np.array([concentrability(one.share, one.optimum) for one in drawn])
    covered = math.prod(trait.concentrability.value or 1.0 for trait in relevant)
    return (
        interval(float(values.mean()), strengths.mean(axis=0), level),
        interval(float(1 - values.min()), 1 - strengths.min(axis=0), level),
        interval(covered, factors.prod(axis=0), level),
    )


def gamma_min(relevant: list[TraitEstimate], level: float = 0.95) -> Measured:
    """gamma_min = prod_k min_y q_k(y*_k | y), y* = argmax pi*, if the traits are edited independently.

    Args:
        relevant: the traits, K of them.
        level: the low end is the product of lower Clopper-Pearson ends, each at 1 - (1 - level) / K.

    Source: docs/theory.md 3.1; docs/from-logs.md 3.
    """
    share = 1 - (1 - level) / max(len(relevant), 1)
    value = low = high = 1.0
    for trait in relevant:
        best = int((trait.optimum.value or 0.0) >= 0.5)
        rates = [exact(int(trait.table[y, best]), int(trait.table[y].sum()), share) for y in (0, 1)]
        # Without a row that tells, the frequency is the smoothed one, 1/2.
        value *= min(0.5 if rate.value is None else rate.value for rate in rates)
        low, high = low * min(rate.low for rate in rates), high * min(rate.high for rate in rates)
    return Measured(value, low, high)
