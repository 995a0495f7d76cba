"""The few pieces of HTML that reports are made of; whatever is given as text is escaped."""

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Section(NamedTuple):
    """A part of a report: its anchor, heading and HTML; for the summary at the top tiles, and a paragraph (HTML)."""

    anchor: str
    title: str
    body: str
    tiles: str = ""
    lead: str = ""

    @property
    def page(self) -> str:
        """The section as HTML; nothing where it has no body."""
        if not self.body:
            return ""
        return f'<section id="{self.anchor}">\n<h2>{text(self.title)}</h2>\n{self.body}\n</section>\n'


TALL = 40
"""A table of more rows than this scrolls up and down too, also on a wide screen."""


def text(value: Any) -> str:
    """The value in words that no browser takes for markup."""
    return html.escape(str(value))


def cell(value: Any, kind: str = "") -> str:
    """One cell of a table, with its class."""
    return f"<td{_class(kind)}>{text(value)}</td>"


def words(value: Any, kind: str = "") -> str:
    """A cell that holds words and not a number."""
    return cell(value, f"words {kind}".strip())


def row_head(value: Any, kind: str = "") -> str:
    """The cell that says what a row is about."""
    return f'<th scope="row"{_class(kind)}>{text(value)}</th>'


def table(
    caption: str, head: Sequence[str], rows: Sequence[Sequence[str]] | Mapping[str, Sequence[Sequence[str]]]
) -> str:
    """A table that scrolls inside its own box, its head and first column staying in sight.

    Args:
        caption: what the table shows, in a few words.
        head: the titles of its columns.
        rows: cells as HTML; a mapping gives rows in groups, by the title of the group.
    """
    groups = rows if isinstance(rows, Mapping) else {"": rows}
    lines = [line for found in groups.values() for line in found]
    top = "".join(_head(name, [line[i] for line in lines if i < len(line)]) for i, name in enumerate(head))
    body = "".join(_group(title, found, len(head)) for title, found in groups.items())
    tall = " tall" if len(lines) > TALL else ""
    return (
        f'<div class="scroll{tall}" role="region" tabindex="0" aria-label="{text(caption)}">'
        f"<table><caption>{text(caption)}</caption><thead><tr>{top}</tr></thead>{body}</table></div>"
    )


def _head(name: str, cells: list[str]) -> str:
    """The title of a column, on the side of its cells."""
    kind = ' class="words"' if all('class="words' in one for one in cells) else ""
    return f'<th scope="col"{kind}>{text(name)}</th>'


def _group(title: str, rows: Sequence[Sequence[str]], columns: int) -> str:
    spoken = f'<th scope="rowgroup" colspan="{columns}"><span>{text(title)}</span></th>'
    opening = f'<tr class="group">{spoken}</tr>' if title else ""
    lines = "".join("<tr>" + "".join(row) + "</tr>" for row in rows)
    return f"<tbody>{opening}{lines}</tbody>"


def key(word: str, kind: str) -> str:
    """A word that explains what a colour in a table means, on that colour."""
    return f'<span class="key {text(kind)}">{text(word)}</span>'


def tile(label: str, figure: Any, note: str, kind: str = "") -> str:
    """A number of the summary with what it counts, and a line below it."""
    return (
        f'<div class="tile{f" {kind}" if kind else ""}"><p class="label">{text(label)}</p>'
        f'<p class="figure">{text(figure)}</p><p class="note">{text(note)}</p></div>'
    )


def pairs(found: Mapping[str, Any], kind: str = "facts") -> str:
    """Names and values side by side."""
    inner = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in found.items())
    return f'<dl class="{kind}">{inner}</dl>'


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 log", "1,200 logs"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(n: Any) -> str:
    """A size of the log in words that no line breaks: "n = 1,000"."""
    return f"n = {n:,}".replace(" ", "\u00a0")


def _class(kind: str) -> str:
    return f' class="{text(kind)}"' if kind else ""
