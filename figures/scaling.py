"""How time and memory grow with the size of a world and the number of logs, from the stored table."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from figures import panels, style
from figures.style import Look
from sim.record_logs import LARGEST_COUNTED

_OTHERS = {"build": Look("#7f7f7f", "v", ":"), "draw": Look("#000000", "x", "--")}
_WORDS = {"build": "build the world", "draw": "draw the logs", "sup": "fit sup", "pref": "fit pref", "cost": "fit cost"}
_AXES = {
    "attributes": "attributes",
    "contexts": "contexts",
    "features": "policy features",
    "seeds": "logs",
}
MEMORY = Look("#5D3A9B", "s", "-")


def save_all(table: pd.DataFrame, folder: Path) -> list[dict[str, Any]]:
    """Write scaling.svg and scaling.png.

    Args:
        table: a row per point: `axis`, `value`, STEP_seconds, `peak_mb`, `error`, `device`.
        folder: of the figure.

    Returns:
        Name (of the .svg and .png file) and caption.
    """
    style.apply()
    folder.mkdir(parents=True, exist_ok=True)
    panels.save(figure(table), folder, "scaling")
    return [{"name": "scaling", "caption": caption(table)}]


def steps(table: pd.DataFrame) -> list[str]:
    """What the table has warm times of, in its order."""
    times = [c for c in table.columns if c.endswith("_seconds") and not c.endswith("_first_seconds")]
    return [column.removesuffix("_seconds") for column in times]


def draw_times(here: pd.DataFrame, ax: Axes) -> Axes:
    """Seconds of each step, once compiled, against the size."""
    for step in steps(here):
        kind = _OTHERS.get(step) or style.look(step)
        seconds = here.dropna(subset=[f"{step}_seconds"])
        look = {"color": kind.colour, "marker": kind.marker, "linestyle": kind.dash}
        ax.plot(seconds["value"], seconds[f"{step}_seconds"], label=_WORDS.get(step, step), **look)
    return ax


def draw_memory(here: pd.DataFrame, ax: Axes) -> Axes:
    """The peak memory of the process of each point, which holds the libraries and their compiler too."""
    whole = here[here["error"].isna()]
    ax.plot(whole["value"], whole["peak_mb"], color=MEMORY.colour, marker=MEMORY.marker)
    return ax


def figure(table: pd.DataFrame) -> Figure:
    """A column of panels per axis: seconds of each step above the peak memory."""
    names = list(dict.fromkeys(table["axis"]))
    drawn, places = plt.subplots(
        2, len(names), figsize=(style.PAGE, 4.2), layout="constrained", squeeze=False, sharey="row", sharex="col",
        height_ratios=[1.6, 1],
    )  # fmt: skip
    for (top, below), name in zip(places.T, names, strict=True):
        here = table[table["axis"] == name].sort_values("value")
        draw_times(here, top)
        draw_memory(here, below)
        _size_axis(below, here, str(name))
        _mark_records(here, (top, below))
        _mark_failure(here, (top, below))
        top.set_title(_fixed(here), loc="left", fontsize=7)
    for ax in places.ravel():
        ax.set_yscale("log")
    places[0, 0].set_ylabel("seconds, compiled before")
    places[1, 0].set_ylabel("peak memory (MB)")
    places[1, 0].yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    places[1, 0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    places[1, 0].yaxis.set_minor_formatter(NullFormatter())
    drawn.align_ylabels()
    handles, labels = places[0, 0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return drawn


def _size_axis(ax: Axes, here: pd.DataFrame, name: str) -> None:
    """A linear axis of attributes, in which the number of responses is exponential; else a logarithmic one."""
    sizes = [int(value) for value in here["value"]]
    ax.set_xlabel(_AXES.get(name, name))
    if name == "attributes":
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlim(min(sizes) - 0.5, max(sizes) + 0.5)
        return
    ax.set_xscale("log")
    ax.set_xlim(min(sizes) / 1.4, max(sizes) * 1.4)
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.xaxis.set_minor_locator(NullLocator())


def _mark_records(here: pd.DataFrame, places: tuple[Axes, Axes]) -> None:
    """A line where logs cease to be tables of counts, and what they are at both sides."""
    known = here.dropna(subset=["responses"])
    records = known["responses"] > LARGEST_COUNTED
    if records.all() or not records.any():
        return
    middle = (float(known.loc[~records, "value"].max()) + float(known.loc[records, "value"].min())) / 2
    for ax in places:
        ax.axvline(middle, color="#777777", lw=0.8, ls=(0, (2, 3)), zorder=1)
    for words, ha, shift in (("counts", "right", -3), ("records", "left", 3)):
        places[0].annotate(
            words, xy=(middle, 0.03), xycoords=("data", "axes fraction"), xytext=(shift, 0), va="bottom",
            textcoords="offset points", ha=ha, fontsize=7, color="#555555",
        )  # fmt: skip


def _mark_failure(here: pd.DataFrame, places: tuple[Axes, Axes]) -> None:
    """Shade the sizes that could not be measured to the end, from the first that failed."""
    failed = here.loc[here["error"].notna(), "value"]
    if failed.empty:
        return
    for ax in places:
        ax.axvspan(float(failed.min()), ax.get_xlim()[1], color="#eeeeee", lw=0, zorder=0)
    look = {"ha": "right", "va": "center", "fontsize": 7, "rotation": 90, "color": "#555555"}
    places[1].annotate("not finished", xy=(0.98, 0.5), xycoords="axes fraction", **look)


def _fixed(here: pd.DataFrame) -> str:
    """What does not vary along this axis, as a title."""
    words = {"contexts": "contexts", "responses": "responses", "features": "features", "seeds": "logs"}
    known = here.dropna(subset=["responses"])
    fixed = [f"{int(known[key].iloc[0]):,} {word}" for key, word in words.items() if known[key].nunique() == 1]
    return "\n".join(fixed)


def caption(table: pd.DataFrame) -> str:
    """What the figure shows, on which device, and what could not be measured."""
    failed = table[table["error"].notna()].drop_duplicates("axis")
    reasons = "".join(
        f"  {row.axis} = {row.value}: {row.error}; larger ones were not tried." for row in failed.itertuples()
    )
    return (
        f"Seconds and peak memory of one process per point, on {table['device'].iloc[0]}; n = {table['n'].iloc[0]:,}."
        f"  Times are without compilation; memory includes it.{reasons}"
    )
