"""The report of a run: what it says, that it holds all it shows, and how it stands in a real browser."""

import base64
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pages import Page, browser, shown, tiles

import sim
from bounds import compare
from bounds.compare import joined
from figures import (
    bound_figures,
    claims,
    report,
    report_parts,
    suboptimality,
    winners,
)
from figures import page as page_module
from sim import regimes
from sim.learners import Status
from sim.regimes import Regime

OVERRIDES = ["n=[30, 300]", "seeds=6", "world.strength=[1.0, 0.3]", "world.attributes=2"]


class Run:
    """A small run with its figures; `write` writes its report, with changes."""

    def __init__(self, folder: Path):
        self.folder, self.regime = folder, regimes.load("tradeoffs", OVERRIDES)
        self.table = joined(sim.run(self.regime, folder), self.regime)
        self.found = compare.compared(self.table, 0.05)
        self.drawn = [
            *winners.save_all(self.found.winners, folder / "figures"),
            *suboptimality.save_all(self.table, folder / "figures"),
            *bound_figures.save_all(self.table, folder / "figures", 0.05),
        ]

    def write(self, table: pd.DataFrame | None = None, regime: Regime | None = None, drawn: Any = None) -> str:
        rows = self.table if table is None else table
        found = self.found if table is None else compare.compared(rows, 0.05)
        written = report.write(self.folder, regime or self.regime, rows, drawn or self.drawn, found)
        return written.read_text()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def source(ran: Run) -> str:
    return ran.write()


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_the_page_is_well_formed_and_can_be_read_aloud(page: Page) -> None:
    assert page.all("html")[0].attributes["lang"] == "en" and len(page.all("h1")) == 1
    levels = [int(heading.tag[1]) for heading in page.all("h1", "h2", "h3")]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(levels))
    assert all(table.children[0].tag == "caption" and table.children[0].text for table in page.all("table"))
    assert all(head.attributes.get("scope") in {"col", "row", "rowgroup"} for head in page.all("th"))
    assert all(0 < len(image.attributes["alt"]) < 60 for image in page.all("img"))
    boxes = [box for box in page.all("div") if "scroll" in box.attributes.get("class", "").split()]
    assert boxes and all(box.attributes["tabindex"] == "0" and box.attributes["aria-label"] for box in boxes)


def test_nothing_is_fetched(page: Page, source: str) -> None:
    for element in page.elements:
        for name, value in element.attributes.items():
            assert "//" not in value or value.startswith("data:image/"), (element.tag, name, value[:80])
            if name in ("src", "href"):
                assert value.startswith(("data:image/", "#")), value[:80]
    assert not page.all("script", "link", "iframe", "object")
    style = page.all("style")[0].text
    assert "url(" not in style and "@import" not in style
    policy = next(m for m in page.all("meta") if m.attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.attributes["content"].startswith("default-src 'none'")
    assert len(source.encode()) < 3e6


def test_the_contents_lead_to_every_section(page: Page) -> None:
    anchors = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(anchors) == len(set(anchors))
    sections = [section.attributes["id"] for section in page.all("section")]
    assert sections == ["glance", "winners", "theory", "figures", "fits", "run", "provenance"]
    assert [link.attributes["href"] for link in page.all("a")] == [f"#{anchor}" for anchor in sections]


def test_the_facts_of_the_run_stand_at_the_top(ran: Run, page: Page) -> None:
    facts = {
        d.children[0].text: d.children[1].text for d in page.all("div") if d.children and d.children[0].tag == "dt"
    }
    bad = int((ran.table["status"] != "ok").sum())
    assert facts["logs per cell"] == "6" and facts["cells"] == "4 (2 grid points × 2 sizes)"
    assert facts["learners"] == "9, of them 2 baselines" and facts["fits"] == str(len(ran.table))
    assert facts["not ok"].startswith(f"{bad} (")
    provenance = json.loads((ran.folder / "provenance.json").read_text())
    both = pd.concat([ran.table, ran.table.assign(family="tabular")], ignore_index=True)
    assert "<dd>9, of them 2 baselines</dd>" in report_parts.head(ran.regime, both, provenance)
    assert facts["version"] == provenance["version"] and facts["device"].startswith(provenance["device"])


def test_every_figure_is_inside_under_its_claim(ran: Run, page: Page) -> None:
    figures = page.all("figure")
    assert len(figures) == len(ran.drawn) == 4
    for figure, drawn, image in zip(figures, ran.drawn, page.all("img"), strict=True):
        assert figure.children[0].tag == "h3" and figure.children[0].text == drawn["claim"]
        assert drawn["caption"] in figure.text
        kind, data = image.attributes["src"].removeprefix("data:image/").split(";base64,")
        assert kind == "svg+xml"
        assert base64.b64decode(data) == (ran.folder / "figures" / f"{drawn['name']}.svg").read_bytes()
        assert 300 < int(image.attributes["width"]) < 2000 and 100 < int(image.attributes["height"]) < 2000


def test_a_large_drawing_is_shown_as_its_picture(ran: Run, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "SVG_UP_TO", 10)
    pictures = Page(ran.write(drawn=ran.drawn[:1])).all("img")
    data = base64.b64decode(pictures[0].attributes["src"].removeprefix("data:image/png;base64,"))
    assert data == (ran.folder / "figures" / "winners.png").read_bytes()
    for side in ("width", "height"):
        assert int(pictures[0].attributes[side]) == pytest.approx(int(page.all("img")[0].attributes[side]), abs=1)


def test_a_figure_without_a_claim_has_its_name_for_one(ran: Run) -> None:
    plain = [{"name": "bounds", "caption": "A caption."}]
    assert Page(ran.write(drawn=plain)).all("figure")[0].children[0].text == "bounds"


def test_every_bound_has_its_verdict(ran: Run, page: Page) -> None:
    rows = {row[0]: row[1:] for row in page.table("Verdict per bound")}
    brief = compare.bounds_in_brief(ran.found.verdicts)
    assert len(rows) == len(brief) + 1 > 5
    for bound in brief.to_dict("records"):
        assert rows[bound["bound"]][:2] == [bound["label"], bound["verdict"]]
    promised = brief[~brief["bound"].str.endswith("_population") & (brief["cells"] > 0)]
    told = f"{(promised['verdict'] == 'valid').sum()} of {len(promised)}"
    assert told in tiles(page)["bounds valid"] and len(promised) < (brief["cells"] > 0).sum()


def test_a_violated_bound_is_pointed_out(ran: Run) -> None:
    broken = ran.table.assign(bound_sup=ran.table["bound_sup"].where(ran.table["bound_sup"].isna(), -1.0))
    tile = tiles(Page(ran.write(broken)))["bounds valid"]
    assert "violated: sup" in tile


def test_the_table_of_means_has_every_cell(ran: Run, page: Page) -> None:
    rows = page.table("Mean suboptimality by cell and learner")
    head, groups = rows[0], [row[0] for row in rows if len(row) == 1]
    assert groups == ["strength = 0.3", "strength = 1"] and len(rows) == 1 + 2 + 4
    means = ran.table[(ran.table.learner == "sup") & (ran.table.n == 300)].groupby("strength")["suboptimality"].mean()
    shown_means = [row[head.index("sup")].removeprefix("≈ ") for row in rows if row[0] == "300"]
    assert shown_means == [f"{means[strength]:.3g}" for strength in (0.3, 1.0)]


def test_statuses_sum_to_the_number_of_fits(ran: Run, page: Page) -> None:
    rows = page.table("Fits by status")[1:]
    assert [row[0] for row in rows] == [status.name for status in Status] and all(row[1] for row in rows)
    assert sum(int(row[2].replace(",", "")) for row in rows) == len(ran.table)
    where = page.table("Fits not ok by learner and n")[1:]
    counted = sum(int(cell.partition(" of ")[0]) for row in where for cell in row[2:])
    assert counted == (ran.table["status"] != "ok").sum() > 0
    assert "No task failed." in page.all("section")[4].text


def test_statuses_that_are_not_ours_are_counted_too(ran: Run) -> None:
    table = ran.table.assign(status="ok")
    assert "All fits are ok." in ran.write(table)
    table.loc[:9, "status"] = "gave_up"
    rows = {row[0]: row[2] for row in Page(ran.write(table)).table("Fits by status")}
    assert rows["gave_up"] == "10" and rows["ok"] == str(len(table) - 10)


def test_most_fits_not_ok_is_said_at_the_top(ran: Run, source: str) -> None:
    assert 'class="warning"' not in source
    assert '<p class="warning">100% of the fits are not ok' in ran.write(ran.table.assign(status="iteration_limit"))


def test_failed_tasks_are_listed(ran: Run) -> None:
    cell = {"family": "attributes", "world": {"strength": 1.0, "attributes": 2}, "user": {}, "policy": {}, "n": 30}
    other = cell | {"world": {"strength": 0.5, "attributes": 2}}
    failures = [{"cell": c, "seeds": [3], "error": "ValueError: the <disk> is on fire"} for c in (cell, other)]
    file = ran.folder / "failures.json"
    kept = file.read_text()
    try:
        file.write_text(json.dumps(failures))
        page = Page(ran.write())
    finally:
        file.write_text(kept)
    rows = page.table("Failed tasks")[1:]
    assert [row[0] for row in rows] == [f"family = attributes, strength = {s}, n = 30" for s in ("1", "0.5")]
    assert rows[0][1:] == ["3", "ValueError: the <disk> is on fire"]
    assert "2 tasks failed" in tiles(page)["fits that ended ok"]


def test_what_users_name_is_text_and_not_markup(ran: Run) -> None:
    evil = "<script>alert('&')</script>"
    regime = ran.regime.model_copy(update={"title": evil, "claim": evil, "name": evil})
    table = ran.table.assign(learner=ran.table["learner"].replace("sup", evil))
    drawn = [ran.drawn[0] | {"claim": evil, "caption": evil}]
    source = ran.write(table, regime, drawn)
    page = Page(source)
    assert "<script" not in source and page.all("h1")[0].text == page.all("title")[0].text == evil
    assert page.all("figure")[0].children[0].text == evil and evil in page.table("Fits not ok by learner and n")[-1][0]


def test_the_same_run_gives_the_same_page(ran: Run, source: str) -> None:
    assert ran.write() == source


def test_the_page_says_how_to_run_it_again(ran: Run, page: Page) -> None:
    commands = [pre.text for pre in page.all("pre")]
    assert "medley run FOLDER/regime.toml --out NEW_FOLDER" in commands
    assert "medley run --resume --out FOLDER" in commands
    assert commands[-1] == (ran.folder / "regime.toml").read_text() and "details" in page.all("pre")[-1].inside
    as_shipped = report_parts.what_was_run(regimes.load("link"), ran.folder).body
    assert "medley run link --out NEW_FOLDER" in as_shipped


def test_provenance_is_a_table_with_packages(ran: Run, page: Page) -> None:
    provenance = json.loads((ran.folder / "provenance.json").read_text())
    rows = dict(row for row in page.table("What made the table") if len(row) == 2)
    assert rows["jax"] == provenance["packages"]["jax"] and rows["root seed"] == "0"
    assert rows["finished"] == provenance["finished"] and rows["Medley"] == provenance["version"]


def test_claims_by_hand(ran: Run) -> None:
    numbers = pd.DataFrame(
        [(s, label, n, mean) for s in (0.5, 1.0) for n in (10, 100)
         for label, mean in (("edited", 0.0), ("sup", s / n), ("pref", 0.75 / n))],
        columns=["strength", "label", "n", "mean"],
    )  # fmt: skip
    assert claims.of_curves(numbers) == (
        "At n = 100 the least mean suboptimality is that of sup (strength = 0.5), of pref (strength = 1)"
    )
    assert claims.of_curves(numbers[numbers["strength"] == 1]) == (
        "strength = 1: at n = 100 pref has the least mean suboptimality"
    )
    assert claims.of_curves(numbers.assign(mean=np.nan)) == "Suboptimality against the size of the log"
    bounds = pd.DataFrame({"name": ["a", "b"], "n": [10, 100], "tightness": [3.0, 1.5], "drawn": True})
    assert claims.of_bounds(bounds, {}) == (
        "no bound is below the measured quantile; the closest, b, is 1.5 times it at n = 100"
    )
    assert claims.of_bounds(bounds.assign(tightness=0.5), {"strength": 1.0}).endswith("quantile somewhere: a, b")
    clear = ran.found.winners["clear"]
    assert f"of {clear.sum()} clear cells" in claims.of_winners(ran.found.winners)


def _luminance(colour: str) -> float:
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("scheme", [0, 1])
def test_contrast_is_enough_to_read(scheme: int) -> None:
    """WCAG 2.2, success criterion 1.4.3: 4.5 to 1 for text, in both colour schemes."""
    block = re.findall(r":root \{(.*?)\}", Path(report.__file__).with_name("report.css").read_text(), re.S)[scheme]
    colours = {name: _luminance(value) for name, value in re.findall(r"--(\w+): (#\w{6});", block)}
    pairs = [(ink, ground) for ink in ("ink", "soft", "link") for ground in ("paper", "panel")]
    pairs += [("ink", ground) for ground in ("good", "fair", "poor")]
    for ink, ground in pairs:
        dark, light = sorted((colours[ink], colours[ground]))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


needs_browser = pytest.mark.skipif(browser() is None, reason="no chromium or chrome executable on this machine")


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_a_laptop_and_a_phone(source: str, width: int, tmp_path: Path) -> None:
    found, console = shown(source, width, tmp_path)
    assert console == []
    assert found["inner"] == width and found["scroll"] <= found["inner"] and found["out"] == []
    assert len(found["pictures"]) == 4 and all(found["pictures"]) and found["words"] > 2000
    assert set(found["boxes"]) == {"auto"} and set(found["heads"]) == {"sticky"}


@pytest.mark.slow
@needs_browser
def test_the_browser_would_see_what_is_wide_and_what_is_fetched(source: str, tmp_path: Path) -> None:
    wide = '<p style="width:3000px">wide</p><img alt="" src="http://127.0.0.1:9/x.png"></main>'
    found, console = shown(source.replace("</main>", wide), 390, tmp_path)
    assert found["scroll"] > found["inner"] and "P." in found["out"] and not all(found["pictures"])
    assert any("Content Security Policy" in line for line in console)
