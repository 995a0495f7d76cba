"""Which policies late ensembling plays: the share of its rounds so far that each was played in."""

import pandas as pd
from matplotlib.figure import Figure

from figures import online_arms
from figures.llm_costs import with_titles
from figures.online_parts import distinct, users
from sim.online.gaps import in_order, kinds_of


def numbers(episodes: pd.DataFrame, rounds: list[int]) -> pd.DataFrame:
    """A row per test user, setting, rule and round, a column of shares for each policy on the rules' list.

    Args:
        episodes: the rows of episodes.parquet.
        rounds: at which the shares are taken.
    """
    kinds, order = kinds_of(episodes), in_order(episodes)
    rules = [rule for rule in order if rule in kinds.rules and rule != "uniform"] or kinds.rules
    rows = with_titles(episodes[episodes["method"].isin(rules)]).astype({"arm": str})
    listed = [method for method in order if method in set(rows["arm"])]
    keys = ["test_user", "setting", "method", "round"]
    frames = [_shares(rows[rows["round"] <= at].assign(round=at), keys, listed) for at in rounds]
    found = pd.concat(frames, ignore_index=True).assign(logs=episodes["seed"].nunique())
    places = {key: distinct(rows[key]) for key in ("test_user", "setting")} | {"method": rules}
    in_place = found.sort_values(keys, key=lambda c: c.map(places[c.name].index) if c.name in places else c)
    return in_place.reset_index(drop=True)


def _shares(rows: pd.DataFrame, keys: list[str], listed: list[str]) -> pd.DataFrame:
    shares = pd.crosstab([rows[key] for key in keys], rows["arm"], normalize="index")
    return shares.reindex(columns=listed, fill_value=0.0).reset_index().rename_axis(columns=None)


def figure(numbers: pd.DataFrame) -> Figure:
    """A row of panels per rule, a panel per setting, of one test user."""
    return online_arms.figure(numbers, "share of rounds so far")


def caption(numbers: pd.DataFrame) -> str:
    """What the figure shows, of how many logs."""
    logs = int(numbers["logs"].max())
    return (
        f"{users(numbers)}  The share of the rounds up to the one shown in which each policy was played, over {logs} "
        f"log{'' if logs == 1 else 's'}."
    )
