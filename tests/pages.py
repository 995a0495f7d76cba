"""Reading a page as a browser would: its elements, and how wide it is in a real one."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

VOID = {"meta", "img", "br", "link", "hr", "input"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    inside: list[str]
    text: str = ""
    children: list["Element"] = field(default_factory=list)


class Page(HTMLParser):
    """The elements of a page in their order; a tag that is not closed where it should be is an error."""

    def __init__(self, source: str):
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(source)
        self.close()
        assert not self._open, [element.tag for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Element(tag, {name: value or "" for name, value in attrs}, [element.tag for element in self._open])
        self.elements.append(made)
        if self._open:
            self._open[-1].children.append(made)
        if tag not in VOID:
            self._open.append(made)

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1].tag == tag, (tag, [element.tag for element in self._open])
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, *tags: str) -> list[Element]:
        return [element for element in self.elements if element.tag in tags]

    def table(self, caption: str) -> list[list[str]]:
        """The cells of the table with this caption, a list per row, its head first."""
        found = next(t for t in self.all("table") if t.children[0].text == caption)
        rows = [row for part in found.children[1:] for row in part.children]
        return [[cell.text for cell in row.children] for row in rows]


def browser() -> str | None:
    """A browser that can be run without a screen, if there is one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


_MEASURE = """
<script>
const frame = document.querySelector("iframe");
frame.addEventListener("load", () => {
  const page = frame.contentDocument, width = frame.contentWindow.innerWidth;
  const out = [...page.body.querySelectorAll("*")].filter(e =>
    !e.parentElement.closest(".scroll, pre, details") && e.getBoundingClientRect().right > width + 0.5);
  const style = (e, name) => frame.contentWindow.getComputedStyle(e)[name];
  document.body.dataset.found = JSON.stringify({
    inner: width, scroll: page.documentElement.scrollWidth, client: page.documentElement.clientWidth,
    out: out.map(e => e.tagName + "." + e.className), words: page.body.innerText.length,
    pictures: [...page.images].map(e => e.complete && e.naturalWidth > 0),
    boxes: [...page.querySelectorAll(".scroll")].map(e => style(e, "overflowX")),
    heads: [...page.querySelectorAll("thead th")].map(e => style(e, "position")),
  });
});
</script>
"""


def shown(page: str, width: int, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """What a real browser makes of a page this wide: its measures, and the lines on its console.

    The page stands in a frame, as windows cannot be as narrow as a phone.
    """
    program = browser()
    assert program is not None
    frame = f'<iframe style="border:0;width:{width}px;height:844px" srcdoc="{html.escape(page)}"></iframe>'
    file = folder / f"frame-{width}.html"
    file.write_text(f'<!doctype html><html lang="en"><meta charset="utf-8"><body>{frame}{_MEASURE}</body></html>')
    command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,900"]
    command += [f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--virtual-time-budget=20000"]
    done = subprocess.run([*command, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=120)
    found = re.search(r'data-found="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found[1])), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def tiles(page: Page) -> dict[str, str]:
    found = [div for div in page.all("div") if div.attributes.get("class", "").startswith("tile ")]
    found += [div for div in page.all("div") if div.attributes.get("class") == "tile"]
    return {div.children[0].text: div.text for div in found}
