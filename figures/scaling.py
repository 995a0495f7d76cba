"""How time and memory grow with the size of a world and the number of logs, from the stored table."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from figures import panels, style
from figures.style import Look

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
    panels.save(_figure(table), folder, "scaling")
    return [{"name": "scaling", "caption": _caption(table)}]


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


def _figure(table: pd.DataFrame) -> Figure:
    names = list(dict.fromkeys(table["axis"]))
    figure, places = plt.subplots(
        2, len(names), figsize=(2.9 * len(names), 5.4), layout="constrained", squeeze=False, sharey="row", sharex="col",
        height_ratios=[1.6, 1],
    )  # fmt: skip
    for (top, below), name in zip(places.T, names, strict=True):
        here = table[table["axis"] == name].sort_values("value")
        draw_times(here, top)
        draw_memory(here, below)
        _size_axis(below, here, str(name))
        _mark_failure(here, (top, below))
        top.set_title(_fixed(here), loc="left", fontsize=8)
    for ax in places.ravel():
        ax.set_yscale("log")
    places[0, 0].set_ylabel("seconds, compiled before")
    places[1, 0].set_ylabel("peak memory of the process (MB)")
    handles, labels = places[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def _size_axis(ax: Axes, here: pd.DataFrame, name: str) -> None:
    """A logarithmic axis, whose ticks are the sizes where these are few decades apart."""
    ax.set_xscale("log")
    low, high = here["value"].min(), here["value"].max()
    ax.set_xlim(low / 1.25, high * 1.25)
    if high / low < 100:
        ticks = [value for value in (1, 2, 3, 5, 10, 20, 32, 64) if low <= value <= high]
        ax.set_xticks(ticks, [str(tick) for tick in ticks])
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.xaxis.set_major_locator(LogLocator(numticks=8))
    ax.set_xlabel(_AXES.get(name, name))


def _mark_failure(here: pd.DataFrame, places: tuple[Axes, Axes]) -> None:
    """Shade the sizes that could not be measured, from the first that failed."""
    failed = here[here["error"].notna()]
    for ax in places if len(failed) else ():
        ax.axvspan(failed["value"].min() / 1.04, here["value"].max() * 1.25, color="#eeeeee", lw=0, zorder=0)
    if len(failed):
        middle = (float(failed["value"].min()) * float(here["value"].max()) * 1.2) ** 0.5
        look = {"ha": "center", "va": "center", "fontsize": 7, "rotation": 90, "color": "#555555"}
        places[1].annotate("not measured", xy=(middle, 0.5), xycoords=("data", "axes fraction"), **look)


def _fixed(here: pd.DataFrame) -> str:
    """What does not vary along this axis, as a title."""
    words = {"contexts": "contexts", "responses": "responses", "features": "features", "seeds": "logs"}
    known = here.dropna(subset=["responses"])
    fixed = [f"{int(known[key].iloc[0]):,} {word}" for key, word in words.items() if known[key].nunique() == 1]
    return ", ".join(fixed)


def _caption(table: pd.DataFrame) -> str:
    failed = table[table["error"].notna()]
    reasons = "".join(f"  {row.axis} = {row.value}: {row.error}." for row in failed.itertuples())
    return (
        f"Seconds and peak memory of one process per point, on {table['device'].iloc[0]}; n = {table['n'].iloc[0]:,}."
        f"  Times are of the second call, without compilation; memory includes it.{reasons}"
    )
