"""The figures of bounds: their values beside what they bound, and how loose they are, over learners and the grid."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from bounds.compare import TYPICAL
from figures import claims, panels, style, tightness
from figures.labels import label_ends
from figures.panels import FLOOR
from sim.summary import where

COLUMNS = 4
"""Up to this many points of the grid stand side by side; where there are more, each has a figure of its own."""


def save_all(table: pd.DataFrame, folder: Path, delta: float) -> list[dict[str, Any]]:
    """Write the figures of the bounds that hold, and the numbers of all as bounds.csv.

    Returns:
        What was written, in reading order: name (of the .svg and .png file), claim and caption; nothing without bounds.
    """
    found = tightness.numbers(table, delta)
    if found.empty:
        return []
    style.apply()
    folder.mkdir(parents=True, exist_ok=True)
    found.to_csv(folder / "bounds.csv", index=False)
    points = panels.points(found, panels.axes_of(found))
    if len(points) == 1 or len(points) > COLUMNS:
        return _save_each(found, points, folder)
    written = [("bounds", figure_of_values, caption), ("tightness", figure_of_ratios, caption_of_ratios)]
    for name, figure, _ in written if found["drawn"].any() else []:
        panels.save(figure(found), folder, name)
    told = {"bounds": claims.of_bounds(found, {}), "tightness": claims.of_ratios(found)}
    return [
        {"name": name, "claim": told[name], "caption": words(found)}
        for name, _, words in written
        if found["drawn"].any()
    ]


def _save_each(found: pd.DataFrame, points: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    limits, written = _limits(found), []
    for number, point in enumerate(panels.drawable(points)):
        here = panels.at(found, point)
        if here["drawn"].any():
            name = panels.file_name("bounds", point, number)
            panels.save(figure_of_point(here, limits), folder, name)
            written.append({"name": name, "claim": claims.of_bounds(here, point), "caption": caption(here)})
    return written


def figure_of_point(here: pd.DataFrame, limits: list[tuple[float, float]]) -> Figure:
    """One point of the grid, a row per learner: its bounds, and right of them their tightness."""
    labels = style.ordered(here.loc[here["drawn"], "label"])
    figure, places = plt.subplots(
        len(labels), 2, figsize=(style.PAGE, 1.9 * len(labels) + 0.4), layout="constrained", squeeze=False,
        sharex=True, sharey="col", width_ratios=[1.4, 1],
    )  # fmt: skip
    for pair, label in zip(places, labels, strict=True):
        shown = here[here["label"] == label]
        for ax, ylim in zip(pair, limits, strict=True):
            panels.size_axis(ax, here["n"])
            ax.set(yscale="log", ylim=ylim)
        label_ends(pair[0], tightness.draw(shown, pair[0]), lines=13)
        pair[0].set_title(str(label), loc="left")
        tightness.draw_ratios(shown, pair[1])
    for ax in places[-1]:
        ax.set_xlabel("n, logged edits")
    return figure


def figure_of_values(numbers: pd.DataFrame) -> Figure:
    """The bounds beside the measured quantile, a row of panels per learner and a column per point of the grid."""
    return _grid(numbers, _limits(numbers)[0], tightness.draw, "SubOpt (edit cost)")


def figure_of_ratios(numbers: pd.DataFrame) -> Figure:
    """The bounds over the measured quantile, in the same places; at 1 the bound is the quantile."""
    return _grid(numbers, _limits(numbers)[1], tightness.draw_ratios, "bound / quantile")


def _grid(
    numbers: pd.DataFrame, limits: tuple[float, float], draw: Callable[[pd.DataFrame, Axes], list[Any]], words: str
) -> Figure:
    labels = style.ordered(numbers.loc[numbers["drawn"], "label"])
    points = panels.points(numbers, panels.axes_of(numbers))[:COLUMNS]
    drawn, places = plt.subplots(
        len(labels), len(points), figsize=(style.PAGE, 1.5 * len(labels) + 0.5), layout="constrained", squeeze=False,
        sharex=True, sharey=True,
    )  # fmt: skip
    panels.size_axis(places[0, 0], numbers["n"])
    places[0, 0].set(yscale="log", ylim=limits)
    for row, label in zip(places, labels, strict=True):
        own = numbers[numbers["label"] == label]
        ends = [draw(panels.at(own, point), ax) for ax, point in zip(row, points, strict=True)]
        label_ends(row[-1], ends[-1], lines=10)
        for ax in row[1:]:
            ax.set_ylabel("")
        row[0].set_ylabel(f"{label}\n{words}".replace(" (", "\n(", 1 if "(" in str(label) else 0))
    for ax, point in zip(places[0], points, strict=True):
        ax.set_title(where(point), loc="left")
    for ax in places[-1]:
        ax.set_xlabel("n, logged edits")
    if numbers["n"].max() >= 100 * numbers["n"].min():
        places[0, 0].xaxis.set_major_locator(LogLocator(base=100))
    return drawn


def _limits(found: pd.DataFrame) -> list[tuple[float, float]]:
    """The same vertical limits for every figure of a run: of suboptimality, and of tightness."""
    drawn = found[found["drawn"]]
    values = pd.concat([drawn["bound"], drawn["quantile"]])
    return [_around(values), _around(pd.concat([drawn["tightness"], pd.Series([0.5])]))]


def _around(values: pd.Series) -> tuple[float, float]:
    values = values[(values > FLOOR) & np.isfinite(values)]
    return (float(values.min()) / 2, float(values.max()) * 2) if len(values) else (FLOOR, 1.0)


def caption(numbers: pd.DataFrame) -> str:
    """What a figure of values shows, of how many logs, and how many fits were not ok."""
    points = panels.points(numbers, panels.axes_of(numbers))
    opening = f"{where(points[0])}: t" if len(points) == 1 and points[0] else "T"
    level = 1 - numbers["delta"].iloc[0]
    return (
        f"{opening}he measured {100 * level:g}% quantile of suboptimality over {numbers['logs'].max()} logs (markers) "
        f"and the bounds that hold with probability {level:g} (lines), against the size of the log"
        f"{'; beside them bound over quantile, where 1 is tight' if len(points) == 1 else ''}."
        f"{_typical(numbers)}{_left_out(numbers)}  {_counts(numbers)}"
    )


def caption_of_ratios(numbers: pd.DataFrame) -> str:
    """What a figure of ratios shows, of how many logs, and how many fits were not ok."""
    level = 1 - numbers["delta"].iloc[0]
    return (
        f"Each bound that holds with probability {level:g} over the measured {100 * level:g}% quantile of "
        f"suboptimality of {numbers['logs'].max()} logs, against the size of the log: at the black line the bound is "
        "the quantile, below it the bound would be violated.  Bounds whose assumptions fail are left out."
        f"{_typical(numbers)}  {_counts(numbers)}"
    )


def _typical(numbers: pd.DataFrame) -> str:
    drawn = dict.fromkeys(name for name in numbers.loc[numbers["drawn"], "name"] if name.endswith(TYPICAL))
    return f"  What {', '.join(drawn)} shows is typical of a bound and promises nothing itself." if drawn else ""


def _counts(numbers: pd.DataFrame) -> str:
    runs = numbers.drop_duplicates([*panels.axes_of(numbers), "label", "n"])
    return f"{runs['not_ok'].sum()} of {runs['logs'].sum()} fits were not ok and are included."


def _left_out(here: pd.DataFrame) -> str:
    """What is not drawn, and why."""
    finite = np.isfinite(here["bound"])
    reasons = {
        "because their assumptions fail here": ~here["holds"] & finite,
        "because they have no value here": ~here["holds"] & ~finite,
        "infinite": here["holds"] & ~finite,
        "because fewer than half of the fits are in the ball of which they speak": here["holds"]
        & finite
        & (here["share"] < tightness.MOST),
        "zero": here["holds"] & finite & (here["bound"] <= FLOOR),
    }
    named = {reason: _named(here, rows) for reason, rows in reasons.items()}
    notes = [f"  Not drawn, {reason}: {names}." for reason, names in named.items() if names]
    unseen = here["drawn"] & (here["quantile"] <= FLOOR)
    return "".join(notes) + ("  A quantile of zero is not drawn." if unseen.any() else "")


def _named(here: pd.DataFrame, which: pd.Series) -> str:
    """The bounds of some rows by name, with their n where it is not every n."""
    words = []
    for name, sizes in here[which].groupby("name")["n"].unique().items():
        every = set(here.loc[here["name"] == name, "n"]) == set(sizes)
        words.append(str(name) + ("" if every else f" (n = {', '.join(str(n) for n in sorted(sizes))})"))
    return ", ".join(words)
