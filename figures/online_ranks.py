"""Who does well over many draws of settings: the spread of the largest gaps, and who is best, second and worst."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style
from figures.online_parts import looks
from sim.online.gaps import ranks

_PLACES = {"best": "#009E73", "second": "#56B4E9", "worst": "#D55E00"}


def numbers(gaps: pd.DataFrame) -> pd.DataFrame:
    """The rows of `sim.online.gaps.ranks` with the quantiles that the boxes show.

    Args:
        gaps: from `sim.online.gaps.max_gaps`, of many groups of settings.
    """
    spread = gaps.groupby("method", sort=False)["max_gap"].quantile([0.05, 0.25, 0.75, 0.95]).unstack()
    spread.columns = ["gap_5", "gap_25", "gap_75", "gap_95"]
    return ranks(gaps).join(spread, on="method")


def figure(numbers: pd.DataFrame) -> Figure:
    """Boxes of the largest gaps beside the counts of best, second and worst."""
    size = (style.PAGE, 0.22 * len(numbers) + 0.8)
    drawn, (left, right) = plt.subplots(1, 2, figsize=size, layout="constrained", width_ratios=(1.3, 1), sharey=True)
    _draw_boxes(numbers, left)
    _draw_counts(numbers, right)
    return drawn


def _draw_boxes(numbers: pd.DataFrame, ax: Axes) -> None:
    kinds, names = looks(list(numbers["method"])), ("gap_5", "gap_25", "gap_50", "gap_75", "gap_95")
    keys = ("whislo", "q1", "med", "q3", "whishi")
    found = [{key: row[name] for key, name in zip(keys, names, strict=True)} for row in numbers.to_dict("records")]
    boxes = ax.bxp(found, orientation="horizontal", showfliers=False, widths=0.6, patch_artist=True)
    for box, look in zip(boxes["boxes"], kinds.values(), strict=True):
        box.set(facecolor=look.colour, alpha=0.45)
    for line in boxes["medians"]:
        line.set(color="black")
    ax.set_yticks(range(1, len(numbers) + 1), numbers["method"])
    ax.set(xlabel="largest gap in J (edit cost per round)", ylim=(len(numbers) + 0.5, 0.5))


def _draw_counts(numbers: pd.DataFrame, ax: Axes) -> None:
    places, left = range(1, len(numbers) + 1), pd.Series(0.0, index=numbers.index)
    for name, colour in _PLACES.items():
        ax.barh(places, numbers[name], left=left, color=colour, label=name, height=0.6)
        left = left + numbers[name]
    ax.set(xlabel=f"draws of {numbers['groups'].max()}")
    ax.tick_params(labelleft=False)
    ax.set_axisbelow(True)
    ax.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def caption(numbers: pd.DataFrame) -> str:
    """What the figure shows, over how many draws."""
    return (
        f"The largest gap in J of every method over {numbers['groups'].max()} draws "
        "(boxes: quartiles and median, whiskers 5% to 95%), and how often it is the best, the second or the worst."
    )
