"""The catalog: every figure with its source, its claim, and the functions that draw it."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from bounds import compare
from bounds import online as online_theory
from figures import (
    online_arms,
    online_costs,
    online_gaps,
    online_regret,
    panels,
    ratios,
    scaling,
    speed,
    style,
    suboptimality,
    winners,
)
from figures.sources import Run, Source, Timings
from sim import regimes
from sim.errors import choose
from sim.regimes import Regime

Numbers = Callable[[pd.DataFrame, Regime], pd.DataFrame]


@dataclass(frozen=True)
class Entry:
    """One figure of the catalog.

    `numbers` makes of a stored table (and the regime that made it) all that is drawn, the figure's CSV; `figure` and
    `caption` see these numbers only.
    """

    id: str
    title: str
    claim: str
    source: Source
    numbers: Numbers
    figure: Callable[[pd.DataFrame], Figure]
    caption: Callable[[pd.DataFrame], str]


def draw(name: str, table: pd.DataFrame, regime: Regime | None = None) -> Figure:
    """Draw one figure of the catalog from a stored table.

    Args:
        name: an id of `CATALOG`.
        table: what the figure's source stores: `table.parquet` or `online.parquet` of a run (`sim.load`), a table of
            truths or of timings.
        regime: that made the table, if it is not the shipped one that feeds the figure.

    Raises:
        BadInput: an unknown id.
    """
    choose("figure", name, CATALOG)
    entry = CATALOG[name]
    style.apply()
    return panels.finish(entry.figure(numbers_of(entry, table, regime)))


def numbers_of(entry: Entry, table: pd.DataFrame, regime: Regime | None) -> pd.DataFrame:
    """The plotted numbers, as they read back from their CSV: what is drawn is what is written."""
    if regime is None:
        regime = regimes.load(entry.source.name if isinstance(entry.source, Run) else regimes.DEFAULT)
    return read_csv(as_csv(entry.numbers(table, regime)))


def as_csv(numbers: pd.DataFrame) -> str:
    """The numbers as CSV, with all digits."""
    return numbers.to_csv(index=False, lineterminator="\n")


def read_csv(text: str) -> pd.DataFrame:
    """The numbers from their CSV."""
    return pd.read_csv(io.StringIO(text))


def _plain(numbers: Callable[[pd.DataFrame], pd.DataFrame]) -> Numbers:
    return lambda table, regime: numbers(table)


def _of_first_user(numbers: Callable[[pd.DataFrame], pd.DataFrame]) -> Numbers:
    """The numbers of an online phase with the first of its test users."""
    return lambda table, regime: numbers(table[table["test_user"] == table["test_user"].iloc[0]])


def _regret(table: pd.DataFrame, regime: Regime) -> pd.DataFrame:
    regret = online_theory.regret(table)
    return online_regret.numbers(regret, online_theory.verdicts(regret, regime), table["seed"].nunique())


def _settings(regime: Regime) -> list[str] | None:
    return regime.online["settings"] or None


_TRADEOFFS = Run("tradeoffs", ("n=[100, 1000, 10000]", "seeds=40", "world.strength=[0.2, 0.5, 1.0]"))
_WHO_WINS = Run("who-wins", ("n=[100, 1000, 10000]", "seeds=40"))
_LATE = Run("late-ensemble", ("seeds=20", "online.rounds=50"), online=True)
_REGRET = Run("regret", ("seeds=10", "online.rounds=3000"), online=True)
_PURE = Run("pure-online", ("seeds=10", "online.rounds=10000"), online=True)

_ENTRIES = [
    Entry(
        "suboptimality", "Suboptimality against the size of the log",
        "Supervision wins for strong users and short logs and stops at its floor; preference and cost learning keep "
        "falling as 1/n, as predicted.",
        _TRADEOFFS, _plain(suboptimality.curves), suboptimality.figure, suboptimality.caption,
    ),
    Entry(
        "tightness", "How loose the bounds are",
        "The bound of supervision comes within a factor of four of the data where the user is weak; that of "
        "preference learning stays a hundred thousand times above it, and no bound is violated.",
        _TRADEOFFS, lambda table, regime: ratios.numbers(table, regime.delta), ratios.figure, ratios.caption,
    ),
    Entry(
        "winners", "Who wins, over the size of the log and the strength of the user",
        "Theory names the winner: the predicted map is the measured one but for cells at the border of two regions.",
        _WHO_WINS, _plain(compare.winners), winners.figure, winners.caption,
    ),
    Entry(
        "late-ensemble", "Late ensembling: the largest gap of every method",
        "Each single learner fails somewhere; late ensembling with a small alpha has a smaller largest gap than any.",
        _LATE, lambda table, regime: online_gaps.numbers(table, _settings(regime)), online_gaps.figure,
        online_gaps.caption,
    ),
    Entry(
        "online-costs", "Late ensembling: edit cost against rounds",
        "Late ensembling moves to the best policy of each setting, whichever that is.",
        _LATE, _of_first_user(online_costs.numbers), online_costs.figure, online_costs.caption,
    ),
    Entry(
        "online-arms", "Late ensembling: which policies are played",
        "A small alpha settles within two hundred rounds, the alpha of theory is still exploring.",
        _LATE, _of_first_user(online_arms.numbers), online_arms.figure, online_arms.caption,
    ),
    Entry(
        "regret", "Regret of late ensembling against its bound",
        "Regret grows as log T and stays below its bound, which says nothing before the first thousand rounds; an "
        "alpha below theory's may get stuck.",
        _REGRET, _regret, online_regret.figure, online_regret.caption,
    ),
    Entry(
        "pure-online", "Learning online without a log",
        "Self-training has logarithmic regret while its epochs grow slowly and a power of T beyond; preferences need "
        "each record's own reference.",
        _PURE, _regret, online_regret.figure, online_regret.caption,
    ),
    Entry(
        "scaling", "How time and memory grow",
        "Worlds of a million responses fit into a few gigabytes; time grows with the log, not with the square of the "
        "responses.",
        Timings("scaling.csv"), lambda table, regime: table, scaling.figure, scaling.caption,
    ),
    Entry(
        "speed", "Fits per second beside other packages",
        "Batched fits of edit logs are two orders of magnitude faster than one call per log of general packages.",
        Timings("bench.json"), _plain(speed.numbers), speed.figure, speed.caption,
    ),
]  # fmt: skip

CATALOG = {entry.id: entry for entry in _ENTRIES}
"""Every figure by its id, in reading order."""
