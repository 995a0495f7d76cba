"""The gallery's entries, from the catalog of figures and the pictures that lie in docs/gallery."""

import json
from pathlib import Path
from typing import Any

from figures.catalog import CATALOG

FOLDER = Path(__file__).parent / "gallery"


def entries() -> dict[str, Any]:
    """The catalog by figure id."""
    return CATALOG


def markdown() -> str:
    """All entries as the body of the gallery page.

    Raises:
        FileNotFoundError: a figure of the catalog has no picture, numbers or caption.
    """
    return "\n".join(_entry(entry) for entry in entries().values())


def _entry(entry: Any) -> str:
    for ending in ("svg", "csv", "json"):
        path = FOLDER / f"{entry.id}.{ending}"
        if not path.exists():
            raise FileNotFoundError(f"figure '{entry.id}' has no docs/gallery/{path.name}; draw it, or name it there")
    caption = json.loads((FOLDER / f"{entry.id}.json").read_text())["caption"]
    return (
        f"(figure-{entry.id})=\n## {entry.title}\n\n{plain(entry.claim)}\n\n"
        f"```\nmedley figures {entry.id}\n```\n\n"
        f"![{plain(entry.title)}](gallery/{entry.id}.svg)\n\n"
        f"*{plain(caption)}* [Numbers](gallery/{entry.id}.csv)\n"
    )


def plain(text: str) -> str:
    """Text in which nothing is markup."""
    escaped = "".join(f"\\{letter}" if letter in "\\*_`[]<>$|#" else letter for letter in text)
    return " ".join(escaped.split())
