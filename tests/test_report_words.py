"""What the report says in sentences: who wins, the online phase in brief, shares and times in words."""

import re

import pandas as pd
import pytest
from pages import Page, tiles

from figures import claims, online_costs, online_tables, report_fits, report_parts, report_winners
from sim.online.gaps import max_gaps, ranks
from sim.summary import Contest


def _contest(strength: float, n: int, winner: str, gap: float = 1.0) -> Contest:
    return Contest({"strength": strength}, n, {"a": 1.0, "b": 2.0} | {winner: 1.0}, winner, "b", gap, 0.1, 0, 5)


def _plain(sentence: str) -> str:
    return re.sub("<[^>]*>", "", sentence).replace("\u00a0", " ")


def test_who_wins_where_in_a_sentence() -> None:
    found = [_contest(s, n, "a" if s == 1 or n < changes else "b", gap=0.1 if n == 10 else 1.0)
             for s, changes in ((0.1, 1000), (0.2, 100), (1.0, 0)) for n in (10, 100, 1000)]  # fmt: skip
    assert _plain(report_winners.sentence(found)) == (
        "Least mean suboptimality: a, then b from n = 100 to 1,000 on (strength = 0.1, 0.2); "
        "a at every n (strength = 1). The lead is clear in 6 of 9 cells."
    )
    one = report_winners.sentence([_contest(1.0, 10, "<a>", gap=0.1)])
    assert one == "Least mean suboptimality: <b>&lt;a&gt;</b>. The lead is not clear."


def test_many_patterns_of_winners_are_counted() -> None:
    found = [_contest(s, n, "ab"[(s * n) % 3 % 2]) for s in range(1, 9) for n in range(1, 9)]
    wins = sum(contest.winner == "a" for contest in found)
    told = _plain(report_winners.sentence(found))
    assert told.startswith(f"Least mean suboptimality: a in {wins}, b in {64 - wins} of 64 cells.")


def _online(worlds: int) -> pd.DataFrame:
    """Two logs, two settings of every world: alone, pref is 3 off in the second, sup 1 in the first, late 0.5."""
    costs = {"sup": (2.0, 1.0), "pref": (1.0, 4.0), "late": (1.5, 1.5)}
    rows = [
        {"setting": f"world = {w}, task = {task}", "test_user": "<strong>", "world": w, "task": task, "method": method}
        | {"seed": seed, "round": 10, "arm": "pref" if method == "late" else method}
        | {"expected_cost": 10 * cost[task], "regularised_cost": 10 * cost[task]}
        for w in range(worlds) for task in (0, 1) for method, cost in costs.items() for seed in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_online_phase_in_brief_and_as_tables() -> None:
    found = online_tables.section(_online(1), "late: below <its> bound", None)
    page = Page(f"<main>{found.lead}{found.tiles}{found.page}</main>")
    assert _plain(found.lead).endswith("to the best method: late, 0.500 per round.")
    assert tiles(page)["smallest largest gap"].startswith("smallest largest gaplate0.500")
    rows = page.table("Mean cost per round and largest gap; test user: <strong>")
    gap = rows[0].index("max_gap")
    assert {row[0]: row[gap] for row in rows[1:]} == {"sup": "1.000", "pref": "3.000", "late": "0.500"}
    assert page.all("p")[-1].text == "late: below <its> bound"


def test_many_online_comparisons_are_summed_up() -> None:
    found = online_tables.section(_online(7), "", ["task"])
    rows = Page(found.page).table("Over 7 draws: largest gaps, and how often best, second and worst")
    assert {row[0]: row[-3:] for row in rows[1:]}["late"] == ["7", "0", "0"]
    assert "late</b> in 7 of 7 comparisons, 0.500 per round" in found.lead


def test_an_online_phase_without_rules_is_told_by_its_first_verdict() -> None:
    alone = _online(1)
    found = online_tables.section(alone[alone["method"] != "late"], "first <b>\nsecond", None)
    assert found.lead == "first &lt;b&gt;" and found.body == "<p>first &lt;b&gt;</p><p>second</p>" and not found.tiles


def test_claims_of_the_online_phase_by_hand() -> None:
    one, many = max_gaps(_online(1), None), max_gaps(_online(7), ["task"])
    assert claims.of_gaps(one) == "late has the smallest largest gap: 0.5"
    assert claims.of_gaps(many) == "late has the smallest largest gap in all 7 panels"
    assert claims.of_ranks(ranks(many)) == (
        "late is best most often (7 of 7 draws), late has the least median gap; never the worst: sup, late"
    )
    assert (
        claims.of_running(online_costs.numbers(_online(1)))
        == "Cheapest over 10 rounds, of 2 settings: pref in 1, sup in 1"
    )
    regret = pd.DataFrame({"method": ["a", "a", "b", "b", "c"], "regret": [1.0, 2.0, 1.0, 2.1, 9.0]}).assign(
        setting="all", test_user="u", least=[1.0, 2.0, 1.0, 2.0, None]
    )
    assert claims.of_regret(regret) == "Mean regret is below its bound at every round in 1 of 2 cases"
    assert claims.of_regret(regret[4:]) == "Regret against the number of rounds"


@pytest.mark.parametrize(
    ("number", "of", "expected"), [(0, 9, "0%"), (9, 9, "100%"), (1, 10**6, "0.1%"), (999_999, 10**6, "99.9%")]
)
def test_shares_are_not_rounded_to_all_or_none(number: int, of: int, expected: str) -> None:
    assert report_fits.share(number, of) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.04, "0.0 s"), (59.96, "1 min 0 s"), (125.2, "2 min 5 s"), (11_040.0, "3 h 4 min")]
)
def test_times_in_words(seconds: float, expected: str) -> None:
    assert report_parts.duration(seconds) == expected
