"""The figures and the report of a language-model run, from small tables written by hand."""

import re
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from llm_rows import COSTS, EVIL, SETTINGS, episodes, online, prediction, stored
from matplotlib.text import Text
from pages import Page, browser, shown, tiles

import sim
from bounds.asymptotics import predict
from bounds.from_logs_text import readable
from figures import (
    llm,
    llm_arms,
    llm_costs,
    llm_gaps,
    llm_predictions,
    llm_report,
    llm_samples,
    llm_theory,
    llm_training,
    panels,
    style,
)
from figures.catalog import as_csv, read_csv
from sim.errors import BadInput
from sim.learners import Early, Preference
from sim.llm import paper
from sim.llm.stored import Stored, read
from sim.llm.tables import tables


def both_users() -> pd.DataFrame:
    return pd.concat([episodes(user="other"), episodes()], ignore_index=True)


def numbers_of(kind: ModuleType, played: pd.DataFrame) -> pd.DataFrame:
    if kind is llm_gaps:
        return llm_gaps.numbers(tables(online(played)))
    return llm_costs.numbers(online(played)) if kind is llm_costs else llm_arms.numbers(played, [1, 4, 10])


def test_running_costs_by_hand() -> None:
    numbers = llm_costs.numbers(online(both_users()))
    assert numbers["test_user"].drop_duplicates().to_list() == ["strong", "other"]
    assert numbers["setting"].drop_duplicates().to_list() == [f"email, logs of the {user} user" for _, user in SETTINGS]
    row = numbers[(numbers["method"] == "sup") & (numbers["round"] == 5)].iloc[0]
    # Five rounds of 0.2 and of 0.4, the first 0.1 less.
    assert row["mean"] == pytest.approx(0.28) and row["high"] - row["mean"] == pytest.approx(0.1 * 12.706204736)
    assert row["alone"] and not numbers.loc[numbers["method"] == "late", "alone"].any()


def test_bands_wider_than_their_panel_are_left_out() -> None:
    numbers = llm_costs.numbers(online(episodes({"sup": [[0.2, 0.4]], "late": [[0.31, 0.3102]]}, SETTINGS[:1])))
    numbers = pd.concat([numbers, numbers[numbers["method"] == "sup"].assign(method="uniform", alone=False)])
    numbers = numbers.reset_index(drop=True)
    kept = llm_costs.legible(numbers).set_index("method")
    assert kept.loc["uniform", ["low", "high"]].isna().all(axis=None)
    assert kept.loc["late", ["low", "high"]].notna().all(axis=None) and kept["mean"].notna().all()
    assert "left out where they are wider" in llm_costs.caption(numbers)
    assert "left out where" not in llm_costs.caption(numbers[numbers["method"] == "late"])


def test_shares_of_rounds_by_hand() -> None:
    numbers = llm_arms.numbers(episodes(), [1, 4, 10])
    assert set(numbers["method"]) == {"late"} and len(numbers) == 6
    np.testing.assert_allclose(numbers["pref"], [1, 0.25, 0.1] * 2)
    np.testing.assert_allclose(numbers["sup"], [0, 0.75, 0.9] * 2)


def test_gaps_stand_beside_the_papers() -> None:
    found = llm_gaps.numbers(tables(online(both_users()))).set_index(["test_user", "method"])
    # Over these two settings the paper's printed means have other gaps than over its four.
    assert found.loc[("strong", "sup"), "paper"] == pytest.approx(0.4539 - 0.3368)
    assert np.isnan(found.loc[("other", "sup"), "paper"]) and found["paper_printed"].isna().all()
    four = {name: [[cost, cost + 0.1] for cost in own] for name, own in paper.COSTS.items()}
    whole = llm_gaps.numbers(tables(online(episodes(four, list(paper.SETTINGS))))).set_index("method")
    assert whole.loc["late", "paper_printed"] == 0.1586 and whole.loc["late", "paper"] == pytest.approx(0.0837)


@pytest.mark.parametrize("kind", [llm_costs, llm_arms, llm_gaps])
@pytest.mark.parametrize("played", [both_users(), episodes({"sup": [[0.2]], "late": [[0.3]]}, SETTINGS[:1])])
def test_figures_of_numbers_read_back_are_the_same(kind: ModuleType, played: pd.DataFrame, tmp_path: Path) -> None:
    style.apply()
    numbers = numbers_of(kind, played)
    numbers = numbers if kind is llm_gaps else numbers[numbers["test_user"] == "strong"]
    for name, one in (("a", numbers), ("b", read_csv(as_csv(numbers)))):
        figure = kind.figure(one)
        assert figure.get_size_inches()[0] <= style.PAGE
        words = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text().strip()]
        assert all(6.5 <= text.get_fontsize() <= 8.5 for text in words)
        panels.save(figure, tmp_path, name)
        assert "nan" not in kind.caption(one) and "None" not in kind.caption(one)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_variants_are_told_apart_in_areas() -> None:
    style.apply()
    played = episodes(COSTS | {"pref (link paper)": COSTS["pref"]})
    played.loc[(played["method"] == "late") & (played["round"] > 5), "arm"] = "pref (link paper)"
    figure = llm_arms.figure(llm_arms.numbers(played, [1, 10]))
    assert [patch.get_hatch() for patch in figure.legends[0].get_patches()] == ["", "", "////"]
    mpl.pyplot.close(figure)


class Run:
    """The hand-written run in a folder, with its figures."""

    def __init__(self, folder: Path):
        self.folder, self.stored = folder, stored(both_users())
        self.drawn = llm.save_all(self.stored, folder / "figures")
        self.predictions = [prediction("strong", sup=0.1, pref=0.3, cost=None), prediction("weak", sup=0.1, pref=0.2)]

    def write(self, changed: Stored | None = None, predictions: Any = None) -> str:
        steps = {"The same again": "medley llm --preset micro"}
        chosen = self.predictions if predictions is None else predictions
        return llm_report.write(self.folder, changed or self.stored, self.drawn, chosen, steps).read_text()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("llm"))


@pytest.fixture(scope="module")
def source(ran: Run) -> str:
    return ran.write()


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_every_figure_is_written_with_its_numbers(ran: Run) -> None:
    names = [one["name"] for one in ran.drawn]
    assert names == [
        "llm-gaps",
        *(f"{kind}-{user}" for kind in ("llm-costs", "llm-arms") for user in ("strong", "other")),
    ]
    for name in names:
        assert (ran.folder / "figures" / f"{name}.svg").exists() and (ran.folder / "figures" / f"{name}.png").exists()
    assert all((ran.folder / "figures" / f"{stem}.csv").exists() for stem in ("llm-gaps", "llm-costs", "llm-arms"))
    assert all(one["claim"] and one["caption"] for one in ran.drawn)


def test_the_page_is_well_formed_and_fetches_nothing(page: Page, source: str) -> None:
    assert page.all("html")[0].attributes["lang"] == "en" and len(page.all("h1")) == 1
    levels = [int(heading.tag[1]) for heading in page.all("h1", "h2", "h3", "h4")]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(table.children[0].tag == "caption" for table in page.all("table"))
    anchors = [section.attributes["id"] for section in page.all("section")]
    assert anchors == ["glance", "tables", "figures", "theory", "training", "speed", "samples", "run", "provenance"]
    assert [link.attributes["href"] for link in page.all("a")] == [f"#{anchor}" for anchor in anchors]
    for element in page.elements:
        for name in ("src", "href"):
            assert element.attributes.get(name, "#").startswith(("data:image/", "#"))
    assert not page.all("script", "link", "iframe", "object") and "url(" not in page.all("style")[0].text
    assert "default-src 'none'" in source and not re.search(r"\bnan\b", re.sub(r"base64,[^\"]*", "", source))


def test_facts_and_tiles(page: Page) -> None:
    facts = {
        d.children[0].text: d.children[1].text for d in page.all("div") if d.children and d.children[0].tag == "dt"
    }
    assert facts["preset"] == "micro" and facts["model"] == "1,234 parameters" and facts["wall time"] == "2 min 5 s"
    assert facts["logs per user and task"] == "2" and facts["device"] == "a processor" and facts["rounds"] == "10"
    found = tiles(page)
    assert found["smallest largest gap"].startswith("smallest largest gaplate0.000")
    assert "1 of 2" in found["predicted winner = measured"] and "sup, won pref" in found["predicted winner = measured"]
    assert "66.7%" in found["trainings that ended ok"] and "rounds without an edit" not in found


def test_the_table_has_the_papers_numbers_below_ours(page: Page) -> None:
    rows = page.table("Table 1, test user: strong (the training user's model)")
    assert rows[0] == ["method", "email, strong logs", "email, weak logs", "max gap", "95% interval", "by log"]
    at = {row[0]: row[1:] for row in rows}
    assert at["pref"][0].startswith("0.500") and at["pref"][2] == "0.200"
    assert at["DPO, the paper"] == ["0.3365", "0.3368", "0.0000", "", "-"]
    assert [row[0] for row in rows[3:5]] == ["sup", "SFT, the paper"]
    second = page.table("Table 2, test user: other (another user's model)")
    assert {row[0]: row[1:] for row in second}["DPO, the paper"] == ["-", "-", "-", "", "-"]
    questions = [heading.text for heading in page.all("h4")]
    assert "Is late ensembling's largest gap below that of every single policy?" in questions


def test_training_failures_are_listed(page: Page) -> None:
    rows = {row[0]: row for row in page.table("Trained policies")[1:]}
    assert rows["sup"][1:4] == ["2.000 (1.500 to 2.500)", "0.001 (1), 0.0003 (1)", "400"]
    assert rows["pref"][1] == "-" and rows["pref"][-1] == "not_finite (1)"
    failed = page.table("Trainings that did not end ok")[1:]
    assert [row[:2] for row in failed] == [["pref", "chosen run"], ["pref", "candidate"]]
    tried = page.table("Hyperparameters that were tried")[1:]
    assert ["sup", "0.0003", "400", "2.500", "0 of 1", "ok (1)"] in tried
    assert "Every round has its edit." in page.all("section")[4].text


def test_the_share_of_redrawn_words_is_the_edit_models_alone() -> None:
    run = stored().trained
    more = run.iloc[:2].assign(method="edit-model", strength=[0.7, 0.8], cut=[0.1, 0.2])
    trained = pd.concat([run.assign(strength=0.5), more], ignore_index=True)
    section = llm_training.training_section(trained, pd.DataFrame(), episodes())
    rows = Page(f"<main>{section.page}</main>").table("Trained policies")
    assert rows[0][2:5] == ["share re-drawn", "edits cut", "learning rate"]
    shown = {row[0]: row[2:4] for row in rows[1:] if row[1:]}
    assert shown == {"sup": ["-", "-"], "pref": ["-", "-"], "edit-model": ["0.750 (0.700 to 0.800)", "15.0%"]}
    cost = run.iloc[:2].assign(method="cost", cost_rmse=[0.2, 0.3], cost_spread=0.4, cost_covered=[0.8, 1.0])
    known = llm_training.training_section(pd.concat([run, cost], ignore_index=True), pd.DataFrame(), episodes())
    rows = Page(f"<main>{known.page}</main>").table("Trained policies")
    assert rows[0][2] == "error of the cost model"
    assert {row[0]: row[2] for row in rows[1:] if row[1:]} == {"sup": "-", "pref": "-", "cost": "0.250 of 0.400, 90%"}
    without = Page(f"<main>{llm_training.training_section(run, pd.DataFrame(), episodes()).page}</main>")
    assert "share re-drawn" not in without.table("Trained policies")[0]


def test_trainings_stand_in_the_order_of_the_tables() -> None:
    run = stored().trained
    mixed = pd.concat([run.iloc[[2, 0]].assign(training_user="weak"), run.iloc[[2, 0]]], ignore_index=True)
    body = llm_training.training_section(mixed, pd.DataFrame(), episodes()).page
    rows = [row[0] for row in Page(f"<main>{body}</main>").table("Trained policies")[1:]]
    assert rows == ["email, logs of the strong user", "sup", "pref", "email, logs of the weak user", "sup", "pref"]


def test_rounds_without_an_edit_are_counted() -> None:
    played = episodes()
    played.loc[[3, 4], "status"] = "no answer <in> time"
    found = llm_training.training_section(pd.DataFrame(), pd.DataFrame(), played)
    section = Page(f"<main>{found.tiles}{found.page}</main>")
    assert section.table("Rounds without an edit")[1] == ["reference", "no answer <in> time", "2"]
    assert "No policy was trained." in found.body and "2of 160" in tiles(section)["rounds without an edit"]


def test_speed_says_why_a_number_is_missing() -> None:
    body = llm_training.speed_section(stored().speed).body
    assert "<dd>1,234</dd>" in body and "<dd>none: no peak is known of &lt;this&gt; processor</dd>" in body
    assert "<dd>19.4 per second</dd>" in body and "<dd>37.8 GFLOP per second</dd>" in body
    assert "reasons" not in body and "none: not measured" not in body
    assert "Measured on a processor." in body and llm_training.speed_section({}).body == ""
    assert "<dd>34.5%</dd>" in llm_training.speed_section({"model_flop_utilisation": 0.345}).body


def test_theory_beside_what_won(page: Page) -> None:
    said = page.table("What the logs say")
    assert said[1][:4] == ["email, strong logs", "300", "0.812 (0.78 to 0.84)", "0.5"] and "-" in said[1]
    won = page.table("Predicted and measured winners")[1:]
    assert [row[:4] for row in won] == [
        ["email, strong logs", "sup", "sup", "1 of 2"],
        ["email, weak logs", "sup", "pref", "2 of 2"],
    ]
    both = {row[0]: row[1:] for row in page.table("Predicted suboptimality and measured cost")}
    assert (
        both["cost (plug-in)"] == ["-", "-", "-", "-"]
        and both["pref"][0] == "0.3"
        and both["pref"][1].startswith("0.500")
    )
    assert "too <few> edits" in page.all("section")[3].text


def test_theory_predicts_the_learners_of_the_run() -> None:
    settings = {"preset": "tiny", "settings": {"lam": 0.02, "link_scale": 0.1}}
    found = llm_predictions.learners(settings)
    assert list(found) == ["reference", "sup", "pref", "pref (link paper)", "early", "cost", "edit-model"]
    assert isinstance(early := found["early"], Early) and float(early.lam) == 0.02
    paper_link = found["pref (link paper)"]
    assert isinstance(paper_link, llm_predictions.ScaledPreference) and paper_link.scale == 0.1
    unknown = llm_predictions.learners({})["pref (link paper)"]
    assert type(unknown) is Preference and unknown.link == "paper"
    assert llm_predictions.names(settings) == {"cost": "cost (plug-in)", "early": "early (lam 0.02)"}
    assert "early" not in llm_predictions.names({})


def test_a_given_scale_is_that_of_the_link_in_fits_and_predictions() -> None:
    world = sim.world("attributes", attributes=2, contexts=1, temperature=0.4)
    logs = sim.sample(world, 400, 3)
    for scale, link in ((0.4, "paper"), (1.0, "balance")):
        given, named = llm_predictions.ScaledPreference(scale=scale), Preference(link=link)
        found, wanted = (sim.fit(learner, logs, world).parameters for learner in (given, named))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)
        ours, theirs = predict(given, world), predict(named, world)
        assert ours.limit == pytest.approx(theirs.limit, abs=1e-9)
        assert ours.coefficient == pytest.approx(theirs.coefficient, rel=1e-9)


def test_both_links_have_their_predictions_and_costs() -> None:
    own = "pref (link paper)"
    table = tables(online(episodes(COSTS | {own: [[0.4, 0.4], [0.1, 0.1]]})))[0]
    one = prediction("strong", sup=0.3, early=0.2, **{"pref": 0.2, own: 0.1})
    page = Page(f"<main>{llm_theory.section([one], table, {'early': 'early (lam 0.02)'}).page}</main>")
    rows = {row[0]: row[1:] for row in page.table("Predicted suboptimality and measured cost")}
    assert rows[own][0] == "0.1" and rows[own][1].startswith("0.400") and rows["early (lam 0.02)"] == ["0.2", "-"]
    assert page.table("Predicted and measured winners")[1][1:4] == [own, "sup", "2 of 3"]


def test_the_text_names_what_is_predicted() -> None:
    one = prediction("strong", early=0.2, sup=0.3) | {"n": 100.0}
    told = readable([one], names={"early": "early (lam 0.02)"})
    assert "predicted at n = 100: early (lam 0.02) 0.2, sup 0.3" in told and "early 0.2" in readable([one])


def test_theory_without_predictions_or_measurements() -> None:
    table = tables(online(episodes()))[0]
    assert llm_theory.section([], table).page == ""
    nowhere = prediction("strong", sup=0.1) | {"task": "poems"}
    found = llm_theory.section([nowhere], table)
    assert "No log has both a prediction and measured costs." in found.body
    alone = llm_theory.section([prediction("strong", sup=0.1, best=0.2)], table)
    assert "fewer than two learners are both predicted and measured" in alone.body


def test_samples_show_their_edits_and_nothing_is_markup(page: Page, source: str) -> None:
    samples = next(section for section in page.all("section") if section.attributes["id"] == "samples")
    assert "<script" not in source and EVIL in samples.text and "(no edit)" in samples.text
    assert "Not shown." not in samples.text and "A paper." in samples.text
    assert [element.text for element in page.all("del")][1:] == ["Dear"]
    assert [element.text for element in page.all("ins")][1:] == ["Hello", "<b>now</b>"]
    heads = [dt.text for dt in page.all("dt") if "dl" in dt.inside[-1:] and dt.text.startswith(("sup", "reference "))]
    assert heads == ["reference ", "sup cost 0.75"]


def test_marks_show_line_breaks_and_control_letters() -> None:
    assert llm_samples.marked("a\nb c", "a b c") == "a <del>↵ </del>b c"
    assert llm_samples.marked("a", "a\u0007") == "a<ins>\ufffd</ins>"
    assert llm_samples.marked("", "") == "<em>(nothing)</em>"
    assert '<span class="break">↵</span>\n' in llm_samples.marked("a\r\nb", "a\r\nb")
    assert len(llm_samples.marked("x " * 10**5, "x " * 10**5)) < 5000


def test_names_of_users_and_tasks_are_text(ran: Run) -> None:
    played = episodes().replace({"task": {"email": EVIL}})
    changed = stored(played, settings={"preset": EVIL}, settings_text=EVIL)
    written = ran.write(changed, [prediction("strong", sup=0.1) | {"task": EVIL}])
    assert "<script" not in written and Page(written)


def test_the_same_run_gives_the_same_page(ran: Run, source: str) -> None:
    assert ran.write() == source


def test_a_run_of_one_log_and_one_setting_without_the_rest(tmp_path: Path) -> None:
    small = episodes({"sup": [[0.2]], "late": [[0.3]]}, SETTINGS[:1])
    empty: dict[str, Any] = dict.fromkeys(("samples", "trained", "candidates"), pd.DataFrame())
    run = stored(small, **empty, speed={}, provenance={}, settings={}, settings_text="")
    written = llm_report.write(tmp_path, run, llm.save_all(run, tmp_path / "figures"), [prediction("strong", sup=0.1)])
    page = Page(written.read_text())
    assert "One log has no interval." in page.all("section")[1].text
    sections = [section.attributes["id"] for section in page.all("section")]
    assert "samples" not in sections and "speed" not in sections


def test_a_folder_is_read_as_it_was_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"found no episodes\.parquet"):
        read(tmp_path)
    run = stored()
    for name in ("episodes", "online", "trained"):
        getattr(run, name).to_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "settings.toml").write_text(run.settings_text)
    (tmp_path / "speed.json").write_text('{"device": "x"}')
    found = read(tmp_path)
    pd.testing.assert_frame_equal(found.online, run.online)
    assert found.samples.empty and found.settings == {"preset": "micro"} and found.speed == {"device": "x"}
    assert found.provenance == {} and found.settings_text == run.settings_text


@pytest.mark.slow
@pytest.mark.skipif(browser() is None, reason="no chromium or chrome executable on this machine")
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_a_laptop_and_a_phone(source: str, width: int, tmp_path: Path) -> None:
    found, console = shown(source, width, tmp_path)
    assert console == [] and found["inner"] == width
    assert found["scroll"] <= found["inner"] and found["out"] == []
    assert len(found["pictures"]) == 5 and all(found["pictures"]) and set(found["boxes"]) == {"auto"}
