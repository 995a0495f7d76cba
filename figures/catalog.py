"""The catalog: every figure with its source, its claim, and the functions that draw it."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from bounds import compare, ladders
from bounds import online as online_theory
from figures import (
    balance,
    bound_figures,
    contraction,
    coverage,
    early_lambda,
    learners,
    link,
    online_arms,
    online_costs,
    online_gaps,
    online_regret,
    panels,
    scaling,
    speed,
    style,
    suboptimality,
    tightness,
    winners,
    winners_temperature,
)
from figures.sources import Run, Source, Timings, Truths
from sim import regimes
from sim.errors import BadInput, choose
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
        BadInput: an unknown id; a table that does not feed this figure.
    """
    choose("figure", name, CATALOG)
    style.apply()
    entry = CATALOG[name]
    return panels.finish(drawn(entry, numbers_of(entry, table, regime)))


def numbers_of(entry: Entry, table: pd.DataFrame, regime: Regime | None) -> pd.DataFrame:
    """The plotted numbers, as they read back from their CSV: what is drawn is what is written."""
    if regime is None:
        regime = regimes.load(entry.source.name if isinstance(entry.source, Run) else regimes.DEFAULT)
    with _refusing(entry):
        numbers = entry.numbers(table, regime)
    if numbers.empty:
        raise BadInput(f"figure '{entry.id}': nothing to draw; expected the table of {entry.source.name} with theory")
    return read_csv(as_csv(numbers))


def drawn(entry: Entry, numbers: pd.DataFrame) -> Figure:
    """The figure of the numbers, not yet laid out."""
    with _refusing(entry):
        return entry.figure(numbers)


@contextmanager
def _refusing(entry: Entry) -> Iterator[None]:
    """What a table of another kind makes go wrong, in one line."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise BadInput(
            f"figure '{entry.id}': this table cannot be drawn ({reason}); expected that of {entry.source.name}"
        ) from error


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
    return online_regret.numbers(regret, online_theory.verdicts(regret, regime), table)


def _settings(regime: Regime) -> list[str] | None:
    return regime.online["settings"] or None


def _at_half_strength(table: pd.DataFrame, regime: Regime) -> pd.DataFrame:
    """The numbers of the user whose strength is nearest 0.5."""
    nearest = (table["strength"] - 0.5).abs()
    return learners.numbers(table[nearest == nearest.min()], regime.delta)


_TRADEOFFS = Run("tradeoffs", ("n=[100, 1000, 10000]", "seeds=40", "world.strength=[0.2, 0.5, 1.0]"))
_WHO_WINS = Run("who-wins", ("n=[100, 1000, 10000]", "seeds=40"))
_WHO_WINS_TEMPERATURE = Run(
    "who-wins-temperature",
    ("n=[300]", "seeds=20", "world.attributes=[1, 2]", "world.temperature=[0.25, 1.0]"),
)
_LINK = Run("link", ("n=[10000]", "seeds=20", "world.temperature=[0.5, 1.0, 2.0]"))
_EARLY = Run(
    "early-lambda",
    ("n=[300, 3000]", "seeds=20", "world.strength=0.5", "early.lam=[0.001, 0.01, 0.1, 1.0]"),
)
_BALANCE = Run("broken-balance", ("n=[1000, 10000]", "seeds=20"))
_LATE = Run("late-ensemble", ("seeds=20", "online.rounds=50"), online=True)
_REGRET = Run("regret", ("seeds=10", "online.rounds=3000"), online=True)
_PURE = Run("pure-online", ("seeds=10", "online.rounds=10000"), online=True)

_ENTRIES = [
    Entry(
        "suboptimality", "Suboptimality against the size of the log",
        "Supervision is best for the user who re-draws all that she sees; for weaker ones it stops at the "
        "suboptimality of her edits, and preference learning is best from 3,000 edits on, as predicted.",
        _TRADEOFFS, _plain(suboptimality.curves), suboptimality.figure, suboptimality.caption,
    ),
    Entry(
        "learners", "Each learner beside its theory",
        "Predictions meet the measured means as n grows, and bounds stay above them, from a factor of three to ten "
        "orders of magnitude.",
        _TRADEOFFS, _at_half_strength, learners.figure, learners.caption,
    ),
    Entry(
        "tightness", "How loose the bounds are",
        "No bound is violated: that of supervision comes within a factor of four of the data where the user is weak, "
        "that of preference learning stays more than ten thousand times above it.",
        _TRADEOFFS, lambda table, regime: tightness.numbers(table, regime.delta), bound_figures.figure_of_ratios,
        bound_figures.caption_of_ratios,
    ),
    Entry(
        "winners", "Who wins, over the size of the log and the strength of the user",
        "Theory names the winner: the predicted map is the measured one but for cells at the border of two regions.",
        _WHO_WINS, _plain(compare.winners), winners.figure, winners.caption,
    ),
    Entry(
        "winners-temperature", "Who wins, over the temperature and the number of attributes",
        "Cost learning wins where the temperature is high and preference learning where it is low; theory says so in "
        "every clear cell of the longer log, and misses some of the shorter.",
        _WHO_WINS_TEMPERATURE, _plain(winners_temperature.numbers), winners_temperature.figure,
        winners_temperature.caption,
    ),
    Entry(
        "contraction-strength", "How an edit contracts, over the strength of the user",
        "The coefficient of the paper vanishes long before the user does; the dimension-free one follows what her "
        "edits really remove.",
        Truths("contraction-strength", ladders.over_strength), _plain(contraction.numbers), contraction.figure,
        contraction.caption,
    ),
    Entry(
        "contraction-attributes", "The collapse of gamma_min with the number of attributes",
        "From 1 to 13 attributes gamma_min falls from 0.27 to a millionth, while the share of the divergence that an "
        "edit removes stays above 0.65.",
        Truths("contraction-attributes", ladders.over_attributes), _plain(contraction.numbers), contraction.figure,
        contraction.caption,
    ),
    Entry(
        "coverage", "Coverage over the strength of the user",
        "The coverage that preference learning needs grows as the user weakens; that of cost learning does not move, "
        "yet its rate worsens too.",
        Truths("coverage", ladders.coverage_over), _plain(coverage.numbers), coverage.figure, coverage.caption,
    ),
    Entry(
        "link", "The error of the printed link over the temperature",
        "Preference learning with Eq. 4 as printed stops at an error of its own, except at temperature 1; with the "
        "consistent link it does not.",
        _LINK, _plain(link.numbers), link.figure, link.caption,
    ),
    Entry(
        "early-lambda", "Early ensembling over its weight",
        "Some weight of supervision is at least as good as both ends, and theory finds it; the best weight falls as "
        "the log grows.",
        _EARLY, _plain(early_lambda.numbers), early_lambda.figure, early_lambda.caption,
    ),
    Entry(
        "balance", "What breaks when balance breaks",
        "Preference learning gets a floor however balance is broken, cost learning only from cyclic edits, as "
        "predicted.",
        _BALANCE, _plain(balance.numbers), balance.figure, balance.caption,
    ),
    Entry(
        "late-ensemble", "Late ensembling: the largest gap of every method",
        "Each single learner fails somewhere; late ensembling with a small alpha has a smaller largest gap than any.",
        _LATE, lambda table, regime: online_gaps.numbers(table, _settings(regime)), online_gaps.figure,
        online_gaps.caption,
    ),
    Entry(
        "online-costs", "Late ensembling: edit cost against rounds",
        "Late ensembling with a small alpha ends below uniform play in every setting, and with a warm start from the "
        "log near the best policy.",
        _LATE, _of_first_user(online_costs.numbers), online_costs.figure, online_costs.caption,
    ),
    Entry(
        "online-arms", "Late ensembling: which policies are played",
        "Where one policy is better than the rest, a small alpha plays it in most logs after two hundred rounds; with "
        "the alpha of theory, and no warm start, all are still played.",
        _LATE, _of_first_user(online_arms.numbers), online_arms.figure, online_arms.caption,
    ),
    Entry(
        "regret", "Regret of late ensembling against its bound",
        "The mean regret of Algorithm 1 with the alpha of theory grows as log T and stays below its bound, which says "
        "nothing before the first thousand rounds; a smaller alpha may get stuck.",
        _REGRET, _regret, online_regret.figure, online_regret.caption,
    ),
    Entry(
        "pure-online", "Learning online without a log",
        "Self-training has slowly growing regret while its epochs grow by at most a factor of four, and a power of T "
        "beyond; preferences need each record's own reference.",
        _PURE, _regret, online_regret.figure, online_regret.caption,
    ),
    Entry(
        "scaling", "How time and memory grow",
        "Tables of counts grow with the square of the responses; records, from 12 attributes on, reach a million "
        "responses with 1.2 GB and seconds per fit.",
        Timings("scaling.csv"), lambda table, regime: table, scaling.figure, scaling.caption,
    ),
    Entry(
        "speed", "Fits per second beside other packages",
        "Batched fits of edit logs are about 80 to 240 times faster than one call per log of general packages.",
        Timings("bench.json"), _plain(speed.numbers), speed.figure, speed.caption,
    ),
]  # fmt: skip

CATALOG = {entry.id: entry for entry in _ENTRIES}
"""Every figure by its id, in reading order."""
