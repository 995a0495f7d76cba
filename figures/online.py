"""The online phase: largest gaps as dots, running costs, arm shares, regret with its bound."""

import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from figures import claims, panels, style
from figures.labels import End, label_ends
from sim.online.gaps import MANY, gaps_by_round, in_order, kinds_of, max_gaps, ranks
from sim.online.settings import DRIFT
from sim.summary import LEVEL, means_and_intervals, where

SIDE_BY_SIDE = 6
"""More settings than this have no panels of their own."""

LONG = 1000
"""Runs of at least this many rounds show regret on logarithmic axes."""

Drawn = list[dict[str, Any]]


def save_all(
    online: pd.DataFrame, regret: pd.DataFrame, verdicts: pd.DataFrame, folder: Path, over: list[str] | None = None
) -> Drawn:
    """Write the figures of an online phase, and the plotted numbers as CSV.

    Args:
        online: from `sim.load(folder, "online.parquet")`.
        regret, verdicts: from `bounds.online`.
        folder: of the figures.
        over: the axes over whose points the largest gap is taken; default: all.

    Returns:
        What was written, in reading order: name (of the .svg and .png file) and caption.
    """
    style.apply()
    folder.mkdir(parents=True, exist_ok=True)
    verdicts.to_csv(folder / "online-verdicts.csv", index=False)
    drawn = _save_gaps(online, folder, over) if kinds_of(online).rules else []
    settings, users = list(dict.fromkeys(online["setting"])), list(dict.fromkeys(online["test_user"]))
    if len(settings) > SIDE_BY_SIDE:
        return drawn
    regret.to_csv(folder / "online-regret.csv", index=False)
    if kinds_of(online).rules and len(settings) > 1 and online["round"].max() >= LONG:
        drawn.append(_save_gaps_by_round(online, folder, over))
    for number, user in enumerate(users):
        suffix = f"-{number + 1}" if len(users) > 1 else ""
        here = online[online["test_user"] == user]
        if kinds_of(here).rules:
            drawn.append(_save_running(here, folder, f"online-costs{suffix}"))
            drawn.append(_save_shares(here, folder, f"online-arms{suffix}"))
        if online["round"].max() >= LONG:
            name = f"online-regret{suffix}"
            expected = verdicts[verdicts["test_user"] == user]
            drawn.append(_save_regret(regret[regret["test_user"] == user], expected, here, folder, name))
    return drawn


def looks(methods: list[str]) -> dict[str, style.Look]:
    """A look per method: that of the learner or of uniform play; other methods share out shades and dashes."""
    own = [method for method in methods if method.partition(" (")[0] in (*style.LEARNER_NAMES, "uniform")]
    others = [method for method in methods if method not in own]
    shades = mpl.colormaps["inferno"](np.linspace(0.0, 0.78, max(len(others), 1)))
    shared = {
        method: style.Look(to_hex(shade), "", ("-", "--", "-.", (0, (1, 1)))[i % 4])
        for i, (method, shade) in enumerate(zip(others, shades, strict=False))
    }
    return {method: shared.get(method) or style.look(method) for method in methods}


def _grid(count: int, height: float = 3.0) -> tuple[Any, list[Axes]]:
    columns = min(count, 2)
    size = (4.9 * columns if count > 1 else 6.4, height * -(-count // columns))
    figure, places = plt.subplots(-(-count // columns), columns, figsize=size, layout="constrained", squeeze=False)
    for ax in places.ravel()[count:]:
        ax.axis("off")
    return figure, list(places.ravel()[:count])


def _caption_logs(online: pd.DataFrame) -> str:
    return f"{online['seed'].nunique()} logs"


def _save_gaps(online: pd.DataFrame, folder: Path, over: list[str] | None) -> Drawn:
    gaps = max_gaps(online, over)
    gaps.to_csv(folder / "online-gaps.csv", index=False)
    outer = list(gaps.columns)[: list(gaps.columns).index("method")]
    points = panels.points(gaps, outer)
    if len(points) > MANY:
        return [_save_ranks(gaps, folder)]
    methods = in_order(online[online["expected_cost"].notna()])
    figure, places = _grid(len(points), 0.24 * len(methods) + 1.1)
    for ax, point in zip(places, points, strict=True):
        draw_gaps(panels.at(gaps, point), ax, methods)
        user, others = point["test_user"], {axis: value for axis, value in point.items() if axis != "test_user"}
        ax.set_title(", ".join(part for part in (where(others), f"test user: {user}") if part), loc="left", fontsize=8)
        ax.set_xlim(0, gaps["high"].max() * 1.05 or 1.0)
    for ax in places[1::2]:
        ax.tick_params(labelleft=False)
    panels.save(figure, folder, "online-gaps")
    caption = (
        f"The largest gap in expected edit cost per round to the best method, over {online['setting'].nunique()} "
        f"settings, {int(online['round'].max())} rounds, {_caption_logs(online)}: dots are gaps of the means over logs "
        f"with {100 * LEVEL:g}% intervals, hollow diamonds the means of the gaps within each log."
    )
    return [{"name": "online-gaps", "claim": claims.of_gaps(gaps), "caption": caption}]


def draw_gaps(gaps: pd.DataFrame, ax: Axes, methods: list[str]) -> Axes:
    """One panel: a line per method, the least gap of all marked by a vertical line."""
    kinds = looks(methods)
    for y, method in enumerate(methods):
        row = gaps[gaps["method"] == method].iloc[0]
        colour = kinds[method].colour
        ax.plot([row["low"], row["high"]], [y, y], color=colour, lw=1.6)
        ax.plot(row["max_gap"], y, "o", color=colour, ms=5)
        ax.plot(row["max_gap_by_seed"], y, "D", mfc="white", color=colour, ms=4, zorder=1.5)
    ax.axvline(gaps["max_gap"].min(), color="#999999", lw=0.8, ls=":")
    ax.set_yticks(range(len(methods)), methods, fontsize=8)
    ax.set(ylim=(len(methods) - 0.5, -0.5), xlabel="largest gap in J")
    ax.grid(axis="y", visible=False)
    return ax


def _save_gaps_by_round(online: pd.DataFrame, folder: Path, over: list[str] | None) -> dict[str, Any]:
    gaps = gaps_by_round(online, over)
    gaps.to_csv(folder / "online-gaps-by-round.csv", index=False)
    users = list(dict.fromkeys(gaps["test_user"]))
    figure, places = _grid(len(users), 3.6)
    for ax, user in zip(places, users, strict=True):
        here, ends = gaps[gaps["test_user"] == user], []
        kinds = looks(in_order(online[online["expected_cost"].notna()]))
        ax.set_xscale("log")
        for method, look in kinds.items():
            own = here[here["method"] == method]
            ax.plot(own["round"], own["max_gap"], color=look.colour, ls=look.dash)
            ends.append(End(float(own["max_gap"].iloc[-1]), float(own["round"].iloc[-1]), method, look.colour))
        ax.set(xlabel="rounds, T", ylabel="largest gap in J", ylim=(0, None), xlim=(1, here["round"].max()))
        ax.set_title(f"test user: {user}", loc="left", fontsize=8)
        label_ends(ax, ends, lines=15)
    panels.save(figure, folder, "online-gaps-by-round")
    caption = (
        "The largest gap in mean edit cost to the best method over the settings, had the online phase ended after T "
        f"rounds; {_caption_logs(online)}."
    )
    return {"name": "online-gaps-by-round", "claim": "The largest gap against the number of rounds", "caption": caption}


def _save_ranks(gaps: pd.DataFrame, folder: Path) -> dict[str, Any]:
    found = ranks(gaps)
    methods = list(found["method"])
    kinds = looks(methods)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9.8, 0.3 * len(methods) + 1.2), layout="constrained", width_ratios=(1.3, 1)
    )
    values = [gaps.loc[gaps["method"] == method, "max_gap"].to_numpy() for method in methods]
    boxes = left.boxplot(
        values, orientation="horizontal", whis=(5, 95), showfliers=False, widths=0.6, patch_artist=True
    )
    for box, method in zip(boxes["boxes"], methods, strict=True):
        box.set(facecolor=kinds[method].colour, alpha=0.45)
    for line in boxes["medians"]:
        line.set(color="black")
    left.set_yticks(range(1, len(methods) + 1), methods, fontsize=8)
    left.set(xlabel="largest gap in J", ylim=(len(methods) + 0.5, 0.5))
    starts = np.zeros(len(methods))
    for name, colour in (("best", "#009E73"), ("second", "#56B4E9"), ("worst", "#D55E00")):
        right.barh(range(1, len(methods) + 1), found[name], left=starts, color=colour, label=name, height=0.6)
        starts = starts + found[name].to_numpy()
    right.set(xlabel=f"draws of {found['groups'].max()}", ylim=(len(methods) + 0.5, 0.5), yticks=[])
    right.set_axisbelow(True)
    right.legend(frameon=False, fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    panels.save(figure, folder, "online-ranks")
    caption = (
        f"The largest gap in J of every method over {found['groups'].max()} draws "
        "(boxes: quartiles and median, whiskers 5% to 95%), and how often it is the best, the second or the worst."
    )
    return {"name": "online-ranks", "claim": claims.of_ranks(found), "caption": caption}


def _save_running(online: pd.DataFrame, folder: Path, name: str) -> dict[str, Any]:
    settings = list(dict.fromkeys(online["setting"]))
    figure, places = _grid(len(settings))
    for ax, setting in zip(places, settings, strict=True):
        here = online[online["setting"] == setting]
        ax.set_xlim(1, here["round"].max())
        if online["round"].max() >= LONG:
            ax.set_xscale("log")
        draw_running(here, ax)
        ax.set_title(str(setting), loc="left")
    panels.save(figure, folder, name)
    caption = (
        f"Test user: {online['test_user'].iloc[0]}.  Expected edit cost per round, averaged from the first round to "
        f"the one shown, over {_caption_logs(online)}: policies played alone (thin), rules that pick among "
        f"them (thick, with {100 * LEVEL:g}% intervals)."
    )
    return {"name": name, "claim": claims.of_running(online), "caption": caption}


def draw_running(here: pd.DataFrame, ax: Axes) -> Axes:
    """One panel: the running mean of J against the round."""
    methods, alone, ends = in_order(here), kinds_of(here).alone, []
    kinds = looks(methods)
    for method in methods:
        own = here[(here["method"] == method) & here["expected_cost"].notna()]
        if own.empty:
            continue
        table = own.pivot(index="seed", columns="round", values="expected_cost")
        table = table / table.columns.to_numpy()
        means = means_and_intervals(table.to_numpy())
        thin = method in alone
        ax.plot(table.columns, means[:, 0], color=kinds[method].colour, ls=kinds[method].dash, lw=0.9 if thin else 2.0)
        if not thin:
            ax.fill_between(table.columns, means[:, 1], means[:, 2], color=kinds[method].colour, alpha=0.15, lw=0)
        ends.append(End(float(means[-1, 0]), float(table.columns[-1]), method, kinds[method].colour))
    _mark_changes(here, ax)
    ax.set(xlabel="round", ylabel="mean edit cost so far")
    label_ends(ax, ends, lines=15)
    return ax


def _mark_changes(here: pd.DataFrame, ax: Axes) -> None:
    """A vertical line where the test user changes."""
    for begin in re.findall(rf"{DRIFT} (\d+)", str(here["test_user"].iloc[0])):
        ax.axvline(int(begin), color="#555555", lw=0.9, ls=":")


def _save_shares(online: pd.DataFrame, folder: Path, name: str) -> dict[str, Any]:
    settings = list(dict.fromkeys(online["setting"]))
    kinds = kinds_of(online)
    rules = [rule for rule in in_order(online) if rule in kinds.rules and rule != "uniform"] or kinds.rules
    size = (max(2.5 * len(settings) + 0.6, 6.4), 1.45 * len(rules) + 1.2)
    figure, places = plt.subplots(
        len(rules), len(settings), figsize=size, layout="constrained", squeeze=False, sharex=True, sharey=True
    )
    listed = [method for method in in_order(online) if method in kinds.listed]
    for row, rule in zip(places, rules, strict=True):
        for ax, setting in zip(row, settings, strict=True):
            draw_shares(online[(online["setting"] == setting) & (online["method"] == rule)], ax, listed)
        row[0].set_ylabel(rule.replace(" (", "\n("), fontsize=7)
    for ax, setting in zip(places[0], settings, strict=True):
        ax.set_title(str(setting).replace(", ", "\n"), loc="left", fontsize=7)
    for ax in places[-1]:
        ax.set_xlabel("round")
    patches = [Patch(color=look.colour, label=arm) for arm, look in looks(listed).items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(listed), frameon=False, fontsize=8)
    panels.save(figure, folder, name)
    caption = (
        f"Test user: {online['test_user'].iloc[0]}.  The share of {_caption_logs(online)} in which each policy was "
        "played, by round."
    )
    return {"name": name, "claim": claims.of_shares(online), "caption": caption}


def draw_shares(here: pd.DataFrame, ax: Axes, listed: list[str]) -> Axes:
    """One panel: shares of the arms, stacked, by recorded round."""
    shares = pd.crosstab(here["round"], here["arm"].astype(str), normalize="index").reindex(
        columns=listed, fill_value=0
    )
    colours = [look.colour for look in looks(listed).values()]
    rounds = shares.index.to_numpy()
    ax.stackplot(rounds, shares.to_numpy().T, colors=colours, step="post", lw=0)
    ax.set(xlim=(1, max(rounds[-1], 2)), ylim=(0, 1), yticks=[0, 0.5, 1])
    if rounds[-1] >= LONG:
        ax.set_xscale("log")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    _mark_changes(here, ax)
    ax.grid(visible=False)
    return ax


def _save_regret(
    regret: pd.DataFrame, verdicts: pd.DataFrame, online: pd.DataFrame, folder: Path, name: str
) -> dict[str, Any]:
    alone = kinds_of(online).alone
    shown = regret[~regret["method"].isin(alone)]
    settings = list(dict.fromkeys(shown["setting"]))
    figure, places = _grid(len(settings), 3.6)
    for ax, setting in zip(places, settings, strict=True):
        draw_regret(shown[shown["setting"] == setting], verdicts[verdicts["setting"] == setting], ax)
        ax.set_title(str(setting) if len(settings) > 1 else "regret against rounds", loc="left")
    panels.save(figure, folder, name)
    caption = (
        f"Test user: {regret['test_user'].iloc[0]}.  Regret against rounds, mean over {_caption_logs(online)} with "
        f"{100 * LEVEL:g}% intervals; thin dotted lines of the same colour are bounds on the mean; "
        "grey: T times the largest gap, which no rule can exceed; thin dashed lines: the predicted growth, through the "
        "middle of the last two decades.  Of learners without a log it is the sum of their SubOpt, of the perceptron "
        "the utility that it missed."
    )
    return {"name": name, "claim": claims.of_regret(verdicts), "caption": caption}


def draw_regret(shown: pd.DataFrame, verdicts: pd.DataFrame, ax: Axes) -> Axes:
    """One panel, log-log: measured regret, its bound and its predicted growth where there are, the largest gap's."""
    methods, ends = list(dict.fromkeys(shown["method"])), []
    kinds = looks(methods)
    ax.set(xscale="log", yscale="log")
    for method in methods:
        own = shown[(shown["method"] == method) & (shown["regret"] > 0)]
        if own.empty:
            continue
        look = kinds[method]
        ax.plot(own["round"], own["regret"], color=look.colour, ls=look.dash, lw=1.6)
        ax.fill_between(
            own["round"], own["low"].clip(lower=panels.FLOOR), own["high"], color=look.colour, alpha=0.15, lw=0
        )
        ax.plot(own["round"], own["bound"].replace(np.inf, np.nan), color=look.colour, ls=":", lw=1.2)
        _draw_predicted(own, verdicts[verdicts["method"] == method], ax, look)
        ends.append(End(float(own["regret"].iloc[-1]), float(own["round"].iloc[-1]), method, look.colour))
    trivial = shown.dropna(subset="trivial").drop_duplicates("round")
    if not trivial.empty and (trivial["trivial"] > 0).all():
        ax.plot(trivial["round"], trivial["trivial"], color="#999999", lw=0.9)
        ends.append(End(float(trivial["trivial"].iloc[-1]), float(trivial["round"].iloc[-1]), "T x gap", "#777777"))
    _mark_changes(shown, ax)
    ax.set(xlabel="rounds, T", ylabel="regret")
    label_ends(ax, ends)
    return ax


def _draw_predicted(own: pd.DataFrame, verdict: pd.DataFrame, ax: Axes, look: style.Look) -> None:
    """The predicted slope in log T, or else the predicted power of T, through the measured regret at T / 10."""
    if verdict.empty or not np.isfinite(verdict["predicted_exponent"].iloc[0]):
        return
    late = own[own["round"] >= own["round"].max() / 100]
    rounds, middle = late["round"].to_numpy(float), late.iloc[len(late) // 2]
    slope, exponent = verdict["predicted_slope"].iloc[0], verdict["predicted_exponent"].iloc[0]
    if np.isfinite(slope):
        line = middle["regret"] + slope * np.log(rounds / middle["round"])
    elif exponent > 1e-6:
        line = middle["regret"] * (rounds / middle["round"]) ** exponent
    else:
        return
    ax.plot(rounds, line, color=look.colour, ls=(0, (6, 3)), lw=0.8)
