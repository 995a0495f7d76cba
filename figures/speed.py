"""Fits per second beside other packages, from the stored output of `medley bench`."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style

_RIVALS = {"sklearn": "scikit-learn", "scipy": "SciPy"}
_LEARNERS = {"preference": "pref", "supervision": "sup"}


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """A row per learner and package: `fits_per_second`, and `ratio`, Medley's rate over the package's.

    Args:
        table: one row, the keys of bench.json as columns.
    """
    row, rows = table.iloc[0], []
    shared = {key: row[key] for key in ("device", "n", "logs", "separated_logs")}
    for task in _LEARNERS:
        ours = float(row[f"{task}_fits_per_second"])
        rows.append(shared | {"learner": task, "package": "Medley", "fits_per_second": ours, "ratio": 1.0})
        for key, package in _RIVALS.items():
            rate = row.get(f"{task}_fits_per_second_{key}")
            if rate is not None and not pd.isna(rate):
                version = row["versions"][package.lower()]
                named = {"package": f"{package} {version}", "fits_per_second": float(rate), "ratio": ours / float(rate)}
                rows.append(shared | {"learner": task} | named)
    return pd.DataFrame(rows)


def figure(numbers: pd.DataFrame) -> Figure:
    """A panel per learner: a bar per package on one logarithmic axis."""
    tasks = list(dict.fromkeys(numbers["learner"]))
    counts = [(numbers["learner"] == task).sum() for task in tasks]
    drawn, places = plt.subplots(
        len(tasks), 1, figsize=(style.COLUMN, 0.24 * len(numbers) + 0.9), layout="constrained", squeeze=False,
        sharex=True, height_ratios=counts,
    )  # fmt: skip
    for ax, task in zip(places[:, 0], tasks, strict=True):
        draw(numbers[numbers["learner"] == task], ax)
        ax.set_title(task, loc="left")
    places[0, 0].set_xlim(numbers["fits_per_second"].min() / 3, numbers["fits_per_second"].max() * 8)
    places[-1, 0].set_xlabel("fits per second")
    return drawn


def draw(here: pd.DataFrame, ax: Axes) -> Axes:
    """One panel: the bars with their rates, and how many times faster Medley is."""
    colour = style.look(_LEARNERS[str(here["learner"].iloc[0])]).colour
    ax.set_xscale("log")
    for y, row in enumerate(here.to_dict("records")):
        rate, ours = row["fits_per_second"], row["package"] == "Medley"
        ax.barh(y, rate, color=colour if ours else "#aaaaaa", height=0.7)
        words = f"{rate:,.0f}" + ("" if ours else f"  (Medley: {row['ratio']:,.0f} times)")
        ax.annotate(words, (rate, y), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7)
    ax.set_yticks(range(len(here)), list(here["package"]))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set_axisbelow(True)
    return ax


def caption(numbers: pd.DataFrame) -> str:
    """What was timed, on which device."""
    row = numbers.iloc[0]
    return (
        f"Fits per second of the same logs of the default world, n = {row['n']:,}, on {row['device']}: Medley fits "
        f"{row['logs']:,} logs in batches on all cores, the other packages one log at a time on one, with their best "
        f"settings; all get aggregated counts, and estimates agree to 1e-6.  {row['separated_logs']:,} logs separated."
    )
