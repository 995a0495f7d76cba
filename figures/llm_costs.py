"""The mean edit cost so far of every method, against the round: the paper's Figure 2."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from figures import online_costs
from figures.online_parts import INTERVAL, users
from sim.llm.tables import NUMBERS, half_interval, mean_over_seeds, settings_of

EARLY = 0.05
"""The part of the rounds at the beginning whose means of a few episodes do not set the vertical axis."""


def numbers(online: pd.DataFrame) -> pd.DataFrame:
    """A row per test user, setting, method and recorded round: the mean over logs with Student's interval.

    Args:
        online: the rows of online.parquet; methods without a cost are left out.
    """
    return online_costs.numbers(with_titles(online), _intervals)


def with_titles(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order of the tables, settings named as panels name them: "email, logs of the weak user"."""
    order = settings_of(rows)
    settings = [*zip(rows["task"].astype(str), rows["training_user"].astype(str), strict=True)]
    # Stable, so that the rows of a method stay in their order.
    place = [
        (NUMBERS.get(user, 3), user, order.index(at)) for user, at in zip(rows["test_user"], settings, strict=True)
    ]
    named = rows.assign(setting=[f"{task}, logs of the {user} user" for task, user in settings])
    return named.iloc[sorted(range(len(place)), key=place.__getitem__)].reset_index(drop=True)


def _intervals(table: np.ndarray) -> np.ndarray:
    mean, half = mean_over_seeds(table.T), half_interval(table.T)
    return np.column_stack([mean, mean - half, mean + half])


def figure(numbers: pd.DataFrame) -> Figure:
    """A panel per setting of one test user."""
    return online_costs.figure(legible(numbers), _limits)


def legible(numbers: pd.DataFrame) -> pd.DataFrame:
    """The numbers without the intervals of a method, in a setting, that mostly fill more than half of its panel."""
    kept = numbers.copy()
    for _, here in numbers.groupby(["test_user", "setting"], sort=False):
        least, most = _limits(here)
        width = (here["high"] - here["low"]).groupby(here["method"]).median()
        wide = here["method"].isin(width.index[width > (most - least) / 2])
        kept.loc[here.index[wide], ["low", "high"]] = np.nan
    return kept


def _limits(numbers: pd.DataFrame) -> tuple[float, float]:
    settled = numbers[numbers["round"] >= EARLY * numbers["round"].max()]
    low, high = float(settled["mean"].min()), float(settled["mean"].max())
    room = 0.06 * (high - low) or 0.1
    return max(0.0, low - room), high + room


def caption(numbers: pd.DataFrame) -> str:
    """What the figure shows, of how many logs."""
    logs = int(numbers["logs"].max())
    bands = f", thick with Student's {INTERVAL} intervals over logs" if logs > 1 else ", thick"
    if logs > 1 and (legible(numbers)["low"].isna() & numbers["low"].notna() & ~numbers["alone"]).any():
        bands += ", left out where they are wider than half of the panel"
    return (
        f"{users(numbers)}  Edit cost per round, averaged from the first round to the one shown, mean over {logs} "
        f"log{'' if logs == 1 else 's'}: policies played alone (thin), rules that pick among them ({bands[2:]}).  "
        "Early rounds, means of a few edits, may lie outside."
    )
