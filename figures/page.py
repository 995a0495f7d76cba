"""The frame of every report: one self-contained page with a head, contents, sections and pictures."""

import base64
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from figures import style
from figures.markup import Section, pairs, text

SVG_UP_TO = 300_000
"""Drawings of more bytes than this are shown as pictures."""

_STYLE = Path(__file__).with_name("report.css")

# The browser itself then refuses whatever is not inside.
_NOTHING_FETCHED = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(title: str, head: str, sections: list[Section], warning: str = "") -> str:
    """The page as HTML: what the sections say in brief at a glance, then all of them.

    Args:
        title: of the document.
        head: from `head`.
        sections: in their order; one without a body is left out.
        warning: HTML that stands with the summary.
    """
    lead = "".join(f'<p class="lead">{part.lead}</p>' for part in sections if part.lead)
    tiles = "".join(part.tiles for part in sections)
    glance = f'{lead}{warning}<div class="tiles">{tiles}</div>'
    parts = [Section("glance", "At a glance", glance), *sections]
    return _frame(title, head + _contents(parts) + "".join(part.page for part in parts))


def _frame(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_NOTHING_FETCHED}">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)}</title>\n<style>\n{_STYLE.read_text()}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def head(command: str, name: str, title: str, claim: str, facts: Mapping[str, Any]) -> str:
    """The head of a page: which command made it of what, title, claim, and facts side by side."""
    kicker = f'<p class="kicker">{text(command)} <code>{text(name)}</code></p>'
    told = f'<p class="claim">{text(claim)}</p>' if claim else ""
    return f"<header>\n{kicker}\n<h1>{text(title)}</h1>\n{told}\n{pairs(facts)}\n</header>\n"


def _contents(sections: list[Section]) -> str:
    links = "".join(f'<li><a href="#{part.anchor}">{text(part.title)}</a></li>' for part in sections if part.body)
    return f'<nav aria-label="Contents"><ol>{links}</ol></nav>\n'


def figures_section(folder: Path, drawn: list[dict[str, Any]]) -> Section:
    """The figures of a run folder, each under its claim, with its caption."""
    shown = "".join(_figure(folder / "figures", figure, number) for number, figure in enumerate(drawn, start=1))
    note = "<p>Also in the folder <code>figures</code>, as .svg and .png; the plotted numbers are there as .csv.</p>"
    return Section("figures", "Figures", note + shown if shown else "")


def _figure(folder: Path, figure: dict[str, Any], number: int) -> str:
    name = str(figure["name"])
    claim = figure.get("claim") or name.replace("-", " ")
    return (
        f'<figure id="figure-{number}"><h3>{text(claim)}</h3>'
        f'<div class="scroll picture" role="region" tabindex="0" aria-label="Figure {number}">'
        f"{_picture(folder, name, number)}</div>"
        f"<figcaption>{text(figure['caption'])} <code>{text(name)}</code></figcaption></figure>\n"
    )


def _picture(folder: Path, name: str, number: int) -> str:
    """The drawing itself where it is small, else its picture; in an image, where its ids and fonts are its own."""
    drawing, picture = folder / f"{name}.svg", folder / f"{name}.png"
    if drawing.exists() and drawing.stat().st_size <= SVG_UP_TO:
        content, kind = drawing.read_bytes(), "svg+xml"
        width, height = _size_of_drawing(content.decode())
    else:
        content, kind = picture.read_bytes(), "png"
        width, height = _size_of_picture(content)
    data = base64.b64encode(content).decode()
    return (
        f'<img alt="Plot of figure {number}" width="{width}" height="{height}" style="--natural:{width}px" '
        f'src="data:image/{kind};base64,{data}">'
    )


def _size_of_drawing(svg: str) -> tuple[int, int]:
    """Width and height in pixels of the screen, from the box of an SVG in points."""
    *_, width, height = svg.partition('viewBox="')[2].partition('"')[0].split()
    return round(float(width) * 96 / 72), round(float(height) * 96 / 72)


def _size_of_picture(png: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", png[16:24])
    return round(width * 96 / style.DPI), round(height * 96 / style.DPI)
