"""The paper's tables from rows written by hand, what they show, and diffs of texts."""

import re

import numpy as np
import pandas as pd
import pytest
from llm_rows import COSTS, SETTINGS, T, episodes, online
from scipy import stats

from sim.errors import BadInput
from sim.llm import paper
from sim.llm.costs import edit_ratio, words
from sim.llm.diffs import diff
from sim.llm.findings import findings, text_tables
from sim.llm.tables import Table, half_interval, mean_over_seeds, notes, outcome, tables


def only(rows: pd.DataFrame) -> Table:
    (found,) = tables(rows)
    return found


def of_paper(noise: float, seeds: int = 4, **changed: tuple[float, ...]) -> Table:
    """The paper's own numbers with a little noise per log, some methods changed."""
    costs = {name: np.array(values) for name, values in (paper.COSTS | changed).items()}
    apart = noise * np.random.default_rng(0).standard_normal((seeds, len(costs), 4))
    rows = {
        name: [[float(own[s] + apart[n, m, s]) for n in range(seeds)] for s in range(4)]
        for m, (name, own) in enumerate(costs.items())
    }
    return only(online(episodes(rows, list(paper.SETTINGS))))


def test_means_and_intervals_by_hand() -> None:
    found = only(online(episodes()))
    assert found.methods == ["reference", "sup", "pref", "late"] and found.alone == ["reference", "sup", "pref"]
    assert found.settings == SETTINGS and found.seeds == [0, 1] and found.rounds == T and found.number == 1
    np.testing.assert_allclose(found.mean, [[0.8, 0.8], [0.3, 0.8], [0.5, 0.4], [0.3, 0.4]])
    # Two logs 0.2 apart: a standard error of 0.1, and Student's quantile with one degree of freedom.
    assert found.half[1, 0] == pytest.approx(0.1 * 12.706204736, rel=1e-9)
    assert found.half[3, 0] == pytest.approx(0.0, abs=1e-9)


def test_both_largest_gaps_by_hand() -> None:
    gaps = only(online(episodes())).gaps.set_index("method")
    # Of the means: the best are 0.3 and 0.4.  Within the logs: the best are 0.2, 0.3 and 0.2, 0.3.
    np.testing.assert_allclose(gaps["max_gap"], [0.5, 0.4, 0.2, 0.0], atol=1e-9)
    np.testing.assert_allclose(gaps["max_gap_by_seed"], [0.6, 0.55, 0.3, 0.15])
    half = (gaps["high_by_seed"] - gaps["low_by_seed"]) / 2
    # sup: 0.5 and 0.6, an error of 0.05.
    assert half["sup"] == pytest.approx(0.05 * 12.706204736, rel=1e-9)
    assert (gaps["low"] <= gaps["max_gap"]).all() and gaps["rank"].to_list() == [4, 3, 2, 1]


def test_intervals_are_students() -> None:
    values = np.random.default_rng(0).standard_normal((3, 5))
    low, high = stats.t.interval(0.95, 4, values.mean(axis=1), stats.sem(values, axis=1))
    np.testing.assert_allclose(half_interval(values), (high - low) / 2)
    values[1, 2:], values[2] = np.nan, np.nan
    assert mean_over_seeds(values)[1] == values[1, :2].mean() and np.isnan(mean_over_seeds(values)[2])
    assert half_interval(values)[1] == pytest.approx(stats.t.ppf(0.975, 1) * stats.sem(values[1, :2]))
    assert np.isnan(half_interval(values)[2]) and np.isnan(half_interval(values[:, :1])).all()


def test_the_order_of_rows_does_not_matter() -> None:
    rows = pd.concat([online(episodes(user="other")), online(episodes())])
    shuffled = rows.sample(frac=1, random_state=3)
    assert [one.test_user for one in tables(shuffled)] == ["strong", "other"]
    assert text_tables(shuffled) == text_tables(rows)


def test_the_papers_numbers() -> None:
    settings = list(paper.SETTINGS)
    found = [paper.gap(name, settings) for name in paper.NAMES]
    np.testing.assert_allclose(np.array(found, float), [0.7363, 0.5718, 0.8698, 0.1496, 0.0837], atol=1e-9)
    assert paper.printed(1, "late", settings) == 0.1586 and paper.printed(2, "late", settings) == 0.0862
    assert paper.cost("sup", ("email", "weak")) == 0.4539 and paper.cost("cost", ("email", "weak")) is None
    # Over one setting alone the printed column says nothing.
    assert paper.printed(1, "late", settings[2:3]) is None
    assert paper.gap("late", settings[2:3]) == pytest.approx(0.4202 - 0.3365)
    assert paper.gap("late", [("poems", "strong")]) is None


def test_the_papers_findings_are_found_in_its_numbers() -> None:
    found = findings(of_paper(1e-3)).set_index("about")
    assert found.index.to_list() == ["reference", "sup", "pref", "late"]
    assert (found["verdict"] == "yes").all() and (found["paper"] == "yes").all()
    assert found["sentence"].str.endswith("yes, as in the paper.").all()
    # 0.9304 and 0.4539 with weak logs, 0.5377 and 0.4159 with strong ones.
    assert found.loc["sup", "value"] == pytest.approx((0.9304 + 0.4539 - 1.1 * (0.5377 + 0.4159)) / 2, abs=3e-3)
    assert found.loc["late", "value"] == pytest.approx(0.1496 - 0.0837, abs=3e-3)
    assert (found["low"] < found["value"]).all() and (found["value"] < found["high"]).all()


def test_what_does_not_come_out_is_said() -> None:
    found = findings(
        of_paper(
            1e-3,
            reference=(0.1, 0.1, 0.1, 0.1),
            sup=(0.5, 0.5, 0.4, 0.4),
            pref=(0.5, 0.9, 0.3, 0.4),
            late=(0.9, 0.9, 0.9, 0.9),
        )
    )
    assert found["about"].to_list() == ["reference", "sup", "pref", "late"]
    assert (found["verdict"] == "no").all() and found["sentence"].str.endswith("no, NOT as in the paper.").all()


def test_an_interval_over_the_bar_is_not_clear() -> None:
    found = findings(of_paper(0.5)).set_index("about")
    assert found.loc["late", "verdict"] == "not clear"
    assert found.loc["late", "low"] < 0 < found.loc["late", "high"]
    assert found.loc["late", "sentence"].endswith("not clear; in the paper yes.")


def test_findings_by_hand() -> None:
    found = findings(only(online(episodes()))).set_index("about")
    half = (found["high"] - found["low"]) / 2
    # Over settings the reference costs 0.85 and 0.75 by log, sup 0.45 and 0.65, pref 0.35 and 0.55: 0.85 - 0.9 * 0.45
    # and 0.75 - 0.9 * 0.65 are 0.28 apart, and two rivals leave 1.25% on either side of each interval.
    assert found.loc["reference", "value"] == pytest.approx((0.445 + 0.165) / 2)
    assert half["reference"] == pytest.approx(0.14 * 25.451699579, rel=1e-9)
    assert found.loc["reference", "verdict"] == "not clear"
    # 0.7 - 1.1 * 0.2 and 0.9 - 1.1 * 0.4; the costs with strong logs differ by log, and so does what a tenth is.
    assert found.loc["sup", "value"] == pytest.approx((0.48 + 0.46) / 2)
    assert half["sup"] == pytest.approx(0.01 * 12.706204736, rel=1e-9) and found.loc["sup", "verdict"] == "yes"
    # 1.1 * 0.5 - 0.2 and 1.1 * 0.5 - 0.6.
    assert found.loc["pref", "value"] == pytest.approx((0.35 - 0.05) / 2)
    # Gaps within the logs: pref 0.3 and 0.3, late 0.3 and 0.0; three rivals.
    assert found.loc["late", "value"] == pytest.approx(0.15)
    assert half["late"] == pytest.approx(0.15 * 38.188459297, rel=1e-9)
    sentences = found["sentence"]
    assert "worst single policy in 2 of 2; the costliest other, sup, costs 0.550" in sentences["reference"]
    assert "2 comparisons at once" in sentences["reference"] and "at once" not in sentences["sup"]


def test_many_rivals_make_a_finding_less_sure() -> None:
    # 4.40 standard errors: beyond Student's 97.5% quantile of three degrees of freedom, 3.18, not beyond its 99.17%.
    apart = [0.08, 0.2, 0.3, 0.25]
    costs = {"sup": [apart, apart], "late": [[0.0] * 4] * 2}
    rows = episodes(costs).replace({"arm": {"pref": "sup"}})
    assert findings(only(online(rows))).set_index("about").loc["late", "verdict"] == "yes"
    costs |= {"reference": [[2.0] * 4] * 2, "pref": [[2.0] * 4] * 2}
    late = findings(only(online(episodes(costs)))).set_index("about").loc["late"]
    assert late["verdict"] == "not clear" and late["value"] == pytest.approx(0.2075)
    error = float(np.std(apart, ddof=1)) / 2
    assert late["value"] - late["low"] == pytest.approx(error * stats.t.ppf(1 - 0.025 / 3, 3), rel=1e-9)


def test_late_over_all_policies_is_its_own_question() -> None:
    costs = COSTS | {"edit-model": [[0.1, 0.1], [0.1, 0.1]], "late (all)": [[0.2, 0.2], [0.2, 0.2]]}
    rows = online(episodes(costs)).replace({"arm": {"late (all)": "edit-model"}})
    table = only(rows)
    assert table.methods == ["reference", "sup", "pref", "edit-model", "late", "late (all)"]
    found = findings(table).set_index("about")
    assert found.loc["late (all)", "value"] == pytest.approx(-0.1) and found.loc["late (all)", "paper"] == ""
    # The edit model is none of the paper's methods, so that late ensembling is not held against it there.
    assert found.loc["late", "value"] == pytest.approx(0.15)
    small = table.of_the_paper
    assert small is not None and small.gaps.set_index("method").loc["late", "max_gap"] == pytest.approx(0.0)
    assert table.gaps.set_index("method").loc["late", "max_gap"] == pytest.approx(0.3)
    assert "Max gap to the best of the paper's methods: reference 0.500, sup 0.400" in text_tables(rows)


def test_one_log_and_one_setting_have_no_interval() -> None:
    costs = {name: [own[0][:1]] for name, own in COSTS.items()}
    rows = online(episodes(costs, SETTINGS[:1]))
    found = only(rows)
    assert np.isnan(found.half).all() and found.gaps[["low", "high", "smallest"]].isna().all(axis=None)
    verdicts = findings(found)
    assert verdicts["about"].to_list() == ["reference", "late"] and (verdicts["verdict"] == "not clear").all()
    shown = text_tables(rows)
    assert "±" not in shown and "nan" not in shown and "One log has no interval." in shown
    line = next(line for line in shown.splitlines() if line.startswith("late "))
    assert line.split() == ["late", "0.300", "0.100", "-", "0.100"]


def test_a_missing_method_has_no_gap() -> None:
    rows = online(episodes())
    gone = rows[~((rows["method"] == "sup") & (rows["training_user"] == "weak") & (rows["seed"] == 1))]
    found = only(gone)
    assert found.whole == ["reference", "pref", "late"] and set(found.gaps["method"]) == set(found.whole)
    assert found.mean[1, 1] == pytest.approx(0.7) and np.isnan(found.half[1, 1])
    assert any(note.endswith("without a gap: sup.") for note in notes(found))
    line = next(line for line in text_tables(gone).splitlines() if line.startswith("sup "))
    assert line.split()[-3:] == ["-", "-", "-"]
    never = rows[~((rows["method"] == "sup") & (rows["training_user"] == "weak"))]
    assert np.isnan(only(never).mean[1, 1]) and "nan" not in text_tables(never)
    assert "sup" not in findings(only(never))["about"].to_list()


def test_gaps_are_over_the_logs_that_all_settings_have() -> None:
    rows = online(episodes())
    found = only(rows[~((rows["training_user"] == "weak") & (rows["seed"] == 1))])
    assert found.common.tolist() == [True, False] and "1 of 2 logs" in notes(found)[-1]
    np.testing.assert_allclose(found.gaps["max_gap"], [0.7, 0.5, 0.3, 0.3])
    apart = rows[(rows["training_user"] == "weak") == (rows["seed"] == 1)]
    assert only(apart).gaps.empty and "nan" not in text_tables(apart)


def test_only_the_papers_test_users_have_its_numbers() -> None:
    rows = pd.concat([online(episodes(user=user)) for user in ("mine", "other", "strong")])
    strong, other, mine = tables(rows)
    assert strong.title == "Table 1, test user: strong (the training user's model)"
    assert other.title == "Table 2, test user: other (another user's model)"
    assert mine.title == "Test user: mine (a user of one's own)" and mine.number is None
    shown = text_tables(rows[rows["test_user"] == "mine"])
    assert "paper," not in shown.replace("the paper's is not", "") and "Table" not in shown and "DPO" not in shown
    assert (findings(mine)["paper"] == "").all()
    mined = rows[rows["test_user"] == "mine"].replace({"training_user": {"strong": "mine"}})
    assert only(mined).title == "Test user: mine (the user of the logs)"


def test_a_log_of_ones_own_is_not_the_strong_users() -> None:
    found = only(online(episodes(settings=[("email", "log"), ("summarization", "log")])))
    assert found.title == "Table 1, test user: strong (a user of the text world; logs of: log)"


def test_notes_say_which_link_and_which_cap() -> None:
    told = " ".join(notes(only(online(episodes()))))
    assert "capped at 2 here, which the paper's is not" in told and "Eq. 4 as printed is pref (link paper)" in told
    without = {name: own for name, own in COSTS.items() if name != "pref"}
    rows = online(episodes(without)).replace({"arm": {"pref": "sup"}})
    assert "Eq. 4" not in " ".join(notes(only(rows)))


def test_rows_without_costs_are_refused() -> None:
    with pytest.raises(BadInput, match="methods that have a cost"):
        tables(online(episodes()).assign(expected_cost=np.nan))


def test_the_text_fits_a_terminal_and_has_the_papers_numbers() -> None:
    costs = COSTS | {"pref (link paper)": COSTS["pref"], "late (all)": COSTS["late"]}
    four = {name: [*own, *own] for name, own in costs.items()}
    played = pd.concat([episodes(four, list(paper.SETTINGS), user) for user in ("strong", "other")])
    shown = text_tables(online(played).replace({"arm": {"late (all)": "pref"}}))
    assert max(map(len, shown.splitlines())) <= 120
    assert re.search(r"LateEnsemble, paper +0\.2768 +0\.4403 +0\.4202 +0\.3739 +0\.0837 +0\.1586", shown)
    assert re.search(r"LateEnsemble, paper +- +- +- +- +- +0\.0862", shown)
    assert paper.SOURCE[1] in shown.replace("\n", " ") and paper.SOURCE[2] in shown.replace("\n", " ")


def test_costs_as_rows() -> None:
    rows = outcome(only(online(episodes())))
    row = rows[(rows["method"] == "pref") & (rows["training_user"] == "weak")].iloc[0]
    assert row["mean_cost"] == pytest.approx(0.4) and row["logs"] == 2
    assert row["high"] - row["mean_cost"] == pytest.approx(0.2 * 12.706204736) and len(rows) == 8


def test_a_diff_by_hand() -> None:
    found = [tuple(piece) for piece in diff("Dear Ann,\nsee you", "Hello Ann,\nsee you soon <b>")]
    assert found == [
        ("deleted", "Dear "), ("inserted", "Hello "), ("same", "Ann,\nsee you "), ("inserted", "soon <b>"),
    ]  # fmt: skip
    assert diff("", "") == [] and [tuple(piece) for piece in diff("", "new")] == [("inserted", "new")]
    assert [tuple(piece) for piece in diff("old\n", "")] == [("deleted", "old\n")]


def test_diffs_are_the_edit_that_is_counted() -> None:
    rng = np.random.default_rng(0)
    letters = np.array(["a", "bb", ".", "\n", "don't", "é", "1,000", "😀"])
    for _ in range(50):
        before, after = (" ".join(rng.choice(letters, rng.integers(0, 12))) for _ in range(2))
        found = diff(before, after)
        for kept, whole in (({"same", "deleted"}, before), ({"same", "inserted"}, after)):
            assert words(" ".join(piece.text for piece in found if piece.kind in kept)) == words(whole)
        # A stretch costs at least the larger of what went and what came there, and no more than both.
        counts = [(piece.kind, len(words(piece.text))) for piece in found]
        cost = edit_ratio(before, after) * len(words(before))
        changed = sum(count for kind, count in counts if kind != "same")
        if words(before):
            assert changed / 2 <= cost + 1e-9 and cost <= changed + 1e-9
