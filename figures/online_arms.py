"""Which policies the rules pick: the share of logs in which each was played, against the round."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from figures import style
from figures.online_parts import LONG, counts_of, distinct, looks, mark_changes, not_ok, title, users
from sim.online.gaps import in_order, kinds_of


def numbers(online: pd.DataFrame) -> pd.DataFrame:
    """A row per test user, setting, rule and recorded round, a column of shares for each policy on the rules' list.

    Args:
        online: from `sim.load(folder, "online.parquet")`.
    """
    kinds, order = kinds_of(online), in_order(online)
    # Uniform play has the same shares at all rounds.
    rules = [rule for rule in order if rule in kinds.rules and rule != "uniform"] or kinds.rules
    listed = [method for method in order if method in kinds.listed]
    rows = online[online["method"].isin(rules)].astype(dict.fromkeys(["test_user", "setting", "method", "arm"], str))
    keys = ["test_user", "setting", "method", "round"]
    shares = pd.crosstab([rows[key] for key in keys], rows["arm"], normalize="index").reindex(
        columns=listed, fill_value=0.0
    )
    places = {"setting": distinct(online["setting"]), "test_user": distinct(online["test_user"]), "method": rules}
    found = shares.reset_index().assign(logs=online["seed"].nunique(), **counts_of(online)).rename_axis(columns=None)
    in_place = found.sort_values(keys, key=lambda c: c.map(places[c.name].index) if c.name in places else c)
    return in_place.reset_index(drop=True)


def listed(numbers: pd.DataFrame) -> list[str]:
    """The policies that rules choose from: the columns of shares."""
    columns = list(numbers.columns)
    return columns[columns.index("round") + 1 : columns.index("logs")]


def figure(numbers: pd.DataFrame, share: str = "share of logs") -> Figure:
    """A row of panels per rule, a panel per setting, of one test user.

    Args:
        numbers: from `numbers`.
        share: what the vertical axis is called.
    """
    settings, rules = distinct(numbers["setting"]), distinct(numbers["method"])
    size = (style.PAGE if len(settings) > 1 else style.COLUMN, (0.95 if len(settings) > 1 else 0.7) * len(rules) + 0.9)
    drawn, places = plt.subplots(
        len(rules), len(settings), figsize=size, layout="constrained", squeeze=False, sharex=True, sharey=True
    )
    for row, rule in zip(places, rules, strict=True):
        for ax, setting in zip(row, settings, strict=True):
            draw(numbers[(numbers["setting"] == setting) & (numbers["method"] == rule)], ax)
        row[0].set_ylabel(rule.replace(" (", "\n(").replace(", ", ",\n"), fontsize=7)
    for ax, setting in zip(places[0], settings, strict=True):
        ax.set_title(title(setting).replace(", ", "\n"), loc="left", fontsize=7)
    for ax in places[-1]:
        ax.set_xlabel("round")
    drawn.supylabel(share, fontsize=8)
    names = listed(numbers)
    faces = zip(names, looks(names).values(), _hatches(names), strict=True)
    patches = [Patch(fc=look.colour, ec="white", lw=0, hatch=hatch, label=arm) for arm, look, hatch in faces]
    lines = -(-len(patches) // (6 if len(settings) > 1 else 5))
    drawn.legend(handles=patches, loc="outside lower center", ncols=-(-len(patches) // lines), frameon=False)
    return drawn


def _hatches(names: list[str]) -> list[str]:
    """Stripes for variants of a learner, whose areas have its colour."""
    colours = [look.colour for look in looks(names).values()]
    return ["////" if colour in colours[:i] else "" for i, colour in enumerate(colours)]


def draw(here: pd.DataFrame, ax: Axes) -> Axes:
    """One panel: the shares of the policies, stacked."""
    names, rounds = listed(here), here["round"].to_numpy()
    colours = [look.colour for look in looks(names).values()]
    areas = ax.stackplot(rounds, here[names].to_numpy().T, colors=colours, step="post", lw=0)
    for area, hatch in zip(areas, _hatches(names), strict=True):
        if hatch:
            area.set(hatch=hatch, edgecolor="white")
    ax.set(xlim=(1, max(rounds[-1], 2)), ylim=(0, 1), yticks=[0, 0.5, 1])
    if rounds[-1] >= LONG:
        ax.set_xscale("log")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    mark_changes(ax, str(here["test_user"].iloc[0]))
    ax.grid(visible=False)
    return ax


def caption(numbers: pd.DataFrame) -> str:
    """What the figure shows, of how many logs."""
    return (
        f"{users(numbers)}  The share of {numbers['logs'].max()} logs in which each policy was played, by round."
        f"{not_ok(numbers)}"
    )
