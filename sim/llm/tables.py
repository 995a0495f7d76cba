"""The paper's Tables 1 and 2 from the rows of a run: mean costs, largest gaps, the paper's own numbers beside them."""

import math
import textwrap
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import stats

from sim.errors import BadInput
from sim.llm import paper
from sim.llm.costs import C_MAX
from sim.online.gaps import Costs, gaps_of, in_order, kinds_of
from sim.summary import LEVEL

Setting = tuple[str, str]

SHORT = {"summarization": "summ."}
"""Tasks as the heads of columns call them."""

NUMBERS = {"strong": 1, "other": 2}
"""Test users of the paper's two tables."""

FEW = 10
"""With fewer logs than this a bootstrap interval covers less than it says."""

WIDTH = 118
_CELL = 14


@dataclass(frozen=True)
class Table:
    """One of the two tables: mean edit costs per round, one per method, setting and seed.

    Fields:
        test_user: "strong" (Table 1), "other" (Table 2), or one's own, whom the paper does not have.
        methods: in the order of every table.
        alone: those of them that are a policy played alone.
        settings: (task, training user).
        seeds: of the logs.
        rounds: over which costs are averaged.
        cost: shape (M, S, N); nan where a method has no rows.
    """

    test_user: str
    methods: list[str]
    alone: list[str]
    settings: list[Setting]
    seeds: list[int]
    rounds: int
    cost: np.ndarray

    @property
    def number(self) -> int | None:
        """Which of the paper's tables has this layout; None for a test user of one's own, whom neither has."""
        return NUMBERS.get(self.test_user)

    @property
    def title(self) -> str:
        """The table and its test user in words."""
        begin = "Test user" if self.number is None else f"Table {self.number}, test user"
        return f"{begin}: {self.test_user} ({self._who})"

    @property
    def _who(self) -> str:
        """The test user, as seen from the logs."""
        trained = {user for _, user in self.settings}
        if self.number is None:
            return "the user of the logs" if self.test_user in trained else "a user of one's own"
        if trained <= {"strong", "weak"}:
            return "the training user's model" if self.number == 1 else "another user's model"
        return "a user of the text world; logs of: " + ", ".join(sorted(trained))

    @property
    def mean(self) -> np.ndarray:
        """Mean cost over seeds, (M, S); nan without rows."""
        return mean_over_seeds(self.cost)

    @property
    def half(self) -> np.ndarray:
        """Half of the interval around each mean, (M, S); nan for fewer than two seeds."""
        return half_interval(self.cost)

    @cached_property
    def common(self) -> np.ndarray:
        """Which seeds have rows in every setting, (N,)."""
        return np.asarray(np.isfinite(self.cost).any(axis=0).all(axis=0))

    @cached_property
    def whole(self) -> list[str]:
        """The methods with rows in every setting and seed: those that have a largest gap."""
        if not self.common.any():
            return []
        return [
            name for name, own in zip(self.methods, self.cost, strict=True) if np.isfinite(own[:, self.common]).all()
        ]

    @cached_property
    def gaps(self) -> pd.DataFrame:
        """The rows of `sim.online.gaps.max_gaps` for `whole`, with the interval of the second way of averaging.

        Columns beside those of `max_gaps`: `low_by_seed` and `high_by_seed`.  Intervals are nan for one seed.
        """
        names = [f"{task}, {user}" for task, user in self.settings]
        cost = self.cost[self.rows(self.whole)][:, :, self.common]
        if not self.whole:
            return pd.DataFrame(columns=_GAP_COLUMNS)
        alone = [method for method in self.alone if method in self.whole]
        found = gaps_of(Costs({}, self.test_user, self.whole, alone, names, cost, np.full_like(cost, np.nan)))
        seeds = cost.shape[2]
        half = found["error_by_seed"] * _quantile(seeds)
        found = found.assign(low_by_seed=found["max_gap_by_seed"] - half, high_by_seed=found["max_gap_by_seed"] + half)
        if seeds == 1:
            found[["low", "high", "smallest", "below_alone"]] = np.nan
        return found[_GAP_COLUMNS]

    def rows(self, methods: list[str]) -> list[int]:
        """Where these methods stand on the first axis of `cost`."""
        return [self.methods.index(method) for method in methods]

    def only(self, methods: list[str]) -> "Table":
        """The table of some of its methods: their gaps are to the best of these."""
        kept = [method for method in self.methods if method in methods]
        alone = [method for method in self.alone if method in methods]
        return replace(self, methods=kept, alone=alone, cost=self.cost[self.rows(kept)])

    @property
    def of_the_paper(self) -> "Table | None":
        """The paper's methods alone; None where there are no others, or fewer than two of these."""
        kept = [method for method in self.methods if method in paper.NAMES]
        return self.only(kept) if 1 < len(kept) < len(self.methods) else None


_GAP_COLUMNS = ["test_user", "method", "max_gap", "low", "high", "smallest", "below_alone", "max_gap_by_seed",
                "error_by_seed", "low_by_seed", "high_by_seed", "rank"]  # fmt: skip


def mean_over_seeds(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis of what is not nan; nan where all is."""
    known = np.isfinite(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def half_interval(values: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Half of Student's interval for the mean over the last axis, of what is not nan; nan for fewer than two."""
    known = np.isfinite(values)
    count = known.sum(axis=-1)
    apart = np.where(known, values - mean_over_seeds(values)[..., None], 0.0)
    error = np.sqrt((apart**2).sum(axis=-1) / np.maximum(count - 1, 1) / np.maximum(count, 1))
    return np.where(count > 1, error * _quantile(count, level), np.nan)


def _quantile(count: np.ndarray | int, level: float = LEVEL) -> np.ndarray | float:
    """Student's quantile of so many seeds."""
    return stats.t.ppf((1 + level) / 2, np.maximum(np.asarray(count) - 1, 1))


def tables(online: pd.DataFrame) -> list[Table]:
    """A table per test user, the paper's two first.

    Args:
        online: the rows of `online.parquet`; the cost of a method is its summed cost at the last round.

    Raises:
        BadInput: rows without a cost.
    """
    last = online[(online["round"] == online["round"].max()) & online["expected_cost"].notna()]
    if last.empty:
        raise BadInput("online table: expected rows of methods that have a cost, got none")
    users = sorted(last["test_user"].astype(str).unique(), key=lambda user: (NUMBERS.get(user, 3), user))
    return [_table(last[last["test_user"].astype(str) == user], user) for user in users]


def _table(rows: pd.DataFrame, test_user: str) -> Table:
    methods, rounds = in_order(rows), int(rows["round"].iloc[0])
    alone = [method for method in methods if method in kinds_of(rows).alone]
    settings, seeds = settings_of(rows), sorted(int(seed) for seed in rows["seed"].unique())
    cost = np.full((len(methods), len(settings), len(seeds)), np.nan)
    for row in rows.astype({"method": str, "task": str, "training_user": str}).to_dict("records"):
        place = (row["method"], (row["task"], row["training_user"]), int(row["seed"]))
        cost[methods.index(place[0]), settings.index(place[1]), seeds.index(place[2])] = row["expected_cost"] / rounds
    return Table(test_user, methods, alone, settings, seeds, rounds, cost)


def settings_of(rows: pd.DataFrame) -> list[Setting]:
    """The pairs of task and training user, in the paper's order, others after them."""
    known = rows[["task", "training_user"]].astype(str).drop_duplicates()
    found: list[Setting] = list(zip(known["task"], known["training_user"], strict=True))
    places = {setting: i for i, setting in enumerate(paper.SETTINGS)}
    return sorted(found, key=lambda setting: (places.get(setting, len(places)), setting))


def outcome(table: Table) -> pd.DataFrame:
    """The mean costs of a table as rows: task, training_user, method, mean_cost, low, high, logs.

    The ends of the interval are nan for one log.
    """
    mean, half = table.mean, table.half
    rows = [
        (*setting, method, mean[m, s], mean[m, s] - half[m, s], mean[m, s] + half[m, s],
         int(np.isfinite(table.cost[m, s]).sum()))
        for s, setting in enumerate(table.settings) for m, method in enumerate(table.methods)
        if np.isfinite(mean[m, s])
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["task", "training_user", "method", "mean_cost", "low", "high", "logs"])


def short(setting: Setting) -> str:
    """A setting as the head of a column: "summ. strong"."""
    return f"{SHORT.get(setting[0], setting[0])} {setting[1]}"


def notes(table: Table) -> list[str]:
    """What a reader must know of the numbers of a table, a sentence each; some depend on what is there."""
    seeds = int(table.common.sum())
    found = [
        f"Mean edit cost per round over {table.rounds:,} rounds and {_logs(len(table.seeds))}; max gap: the largest "
        "excess over the best method of a setting, of the means over logs, and by log: the mean of the largest gaps "
        "within each log.",
        f"The cost of a round is capped at {C_MAX:g} here, which the paper's is not.",
    ]
    if "pref" in table.methods and table.number:
        found.append(
            "DPO, paper, stands beside pref, whose link of scale 1 balance implies; Eq. 4 as printed is "
            "pref (link paper)."
        )
    if seeds < 2:
        found.append("One log has no interval.")
    else:
        found.append(
            f"± is half of Student's {100 * LEVEL:g}% interval over logs; that of max gap is a bootstrap over logs"
            + (f", and with {seeds} of them covers less than it says." if seeds < FEW else ".")
        )
    if left := [method for method in table.methods if method not in table.whole]:
        found.append(f"Without rows in some setting or log, and so without a gap: {', '.join(left)}.")
    if not table.common.all():
        found.append(f"Gaps are over the {seeds} of {len(table.seeds)} logs that have rows in every setting.")
    return found


def _logs(count: int) -> str:
    return f"{count} log" if count == 1 else f"{count} logs"


def number(value: float | None, half: float | None = None, digits: int = 3) -> str:
    """A number with half of its interval, "0.945 ± 0.012"; "-" for what there is not."""
    if value is None or math.isnan(value):
        return "-"
    told = f"{value:.{digits}f}"
    return told if half is None or math.isnan(half) else f"{told} ± {half:.{digits}f}"


def interval(low: float, high: float) -> str:
    """An interval in words; "-" for none."""
    return "-" if math.isnan(low) or math.isnan(high) else f"{low:.3f} to {high:.3f}"


def text_table(table: Table) -> str:
    """The table for a terminal of 120 columns: a line per method, below it the paper's own numbers."""
    first = max(len(name) for name in [*table.methods, *(f"  {name}, paper" for name in paper.NAMES.values())]) + 1
    heads = [short(setting).rjust(_CELL) for setting in table.settings]
    lines = [
        table.title,
        "".join([" " * first, *heads, "max gap".rjust(8), "interval".rjust(15), "by log".rjust(_CELL)]),
    ]
    gaps = table.gaps.set_index("method")
    for name, means, halves in zip(table.methods, table.mean, table.half, strict=True):
        cells = [number(mean, half).rjust(_CELL) for mean, half in zip(means, halves, strict=True)]
        lines.append(name.ljust(first) + "".join(cells) + _gap_cells(gaps, name))
        lines += [_paper_line(table, name, table.number, first)] if name in paper.NAMES and table.number else []
    said = [*notes(table), *([_paper_note(table.number)] if table.number else [])]
    return "\n".join([*lines, *_among_the_papers(table), *wrapped(" ".join(said))])


def _gap_cells(gaps: pd.DataFrame, name: str) -> str:
    if name not in gaps.index:
        return "-".rjust(8) + "-".rjust(15) + "-".rjust(_CELL)
    row = gaps.loc[name]
    by_seed = number(row["max_gap_by_seed"], row["high_by_seed"] - row["max_gap_by_seed"])
    return number(row["max_gap"]).rjust(8) + interval(row["low"], row["high"]).rjust(15) + by_seed.rjust(_CELL)


def _paper_line(table: Table, method: str, which: int, first: int) -> str:
    costs = [paper.cost(method, setting) if which == 1 else None for setting in table.settings]
    gap = paper.gap(method, table.settings) if which == 1 else None
    told = paper.printed(which, method, table.settings)
    cells = "".join(number(cost, digits=4).rjust(_CELL) for cost in costs)
    name = f"  {paper.NAMES[method]}, paper".ljust(first)
    return name + cells + number(gap, digits=4).rjust(8) + " " * 15 + number(told, digits=4).rjust(_CELL)


def _among_the_papers(table: Table) -> list[str]:
    """The gaps to the best of the paper's methods, where the table has others too."""
    small = table.of_the_paper
    if small is None or small.gaps.empty:
        return []
    told = ", ".join(f"{row['method']} {row['max_gap']:.3f}" for row in small.gaps.to_dict("records"))
    return wrapped(f"Max gap to the best of the paper's methods: {told}.")


def _paper_note(which: int) -> str:
    return (
        f"Below: {paper.SOURCE[which]}; its max gap from its printed means over these settings, under 'by log' "
        "its printed max SubOpt, which is another number."
    )


def wrapped(words: str, indent: str = "") -> list[str]:
    """Lines of at most `WIDTH` letters."""
    return textwrap.wrap(words, WIDTH, subsequent_indent=indent)
