"""`report.html`: one self-contained page about one run."""

import base64
import struct
from pathlib import Path
from typing import Any

import pandas as pd

from bounds.compare import Comparison
from figures import report_fits, report_parts, report_winners, style, theory
from figures.markup import Section, text
from sim.files import write_text
from sim.regimes import Regime
from sim.summary import any_learner, contests

SVG_UP_TO = 300_000
"""Drawings of more bytes than this are shown as pictures."""

_STYLE = Path(__file__).with_name("report.css")

# The browser itself then refuses whatever is not inside.
_NOTHING_FETCHED = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write(
    folder: Path,
    regime: Regime,
    table: pd.DataFrame,
    drawn: list[dict[str, Any]],
    found: Comparison,
    online: Section | None = None,
) -> Path:
    """Write the report of a run folder; pictures are inside, nothing is fetched.

    Args:
        folder: of the run, with its regime.toml and provenance.json.
        regime: that was run.
        table: its rows.
        drawn: the figures, from `save_all` of each kind: `name`, `caption`, and where there is one a `claim`.
        found: theory beside the measurements, from `bounds.compared`.
        online: the section about the online phase; None where there is none.
    """
    path, provenance = folder / "report.html", report_parts.read_provenance(folder)
    won = contests(table) if any_learner(table) else []
    sections = [
        *([online] if online else []),
        *([report_winners.section(won), theory.section(found, regime.delta)] if won else []),
        _figures(folder, drawn),
        report_fits.section(table, report_fits.failed_tasks(folder)),
        report_parts.what_was_run(regime, folder),
        report_parts.provenance_section(provenance),
    ]
    lead = "".join(f'<p class="lead">{part.lead}</p>' for part in sections if part.lead)
    tiles = "".join(part.tiles for part in sections)
    glance = f'{lead}{report_fits.warning(table)}<div class="tiles">{tiles}</div>'
    parts = [Section("glance", "At a glance", glance), *sections]
    body = report_parts.head(regime, table, provenance) + report_parts.contents(parts)
    write_text(path, _page(regime.title or regime.name, body + "".join(part.page for part in parts)))
    return path


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_NOTHING_FETCHED}">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)}</title>\n<style>\n{_STYLE.read_text()}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _figures(folder: Path, drawn: list[dict[str, Any]]) -> Section:
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
