"""The part of a language-model report that shows what was generated, and how the users edited it."""

import re
from typing import Any

import pandas as pd

from figures.markup import Section, count, text
from sim.llm.diffs import Piece, diff

CONTEXTS = 2
"""So many documents of every setting are shown."""

LONGEST = 4000
"""A text of more letters than this is cut."""

_TAGS = {"deleted": "del", "inserted": "ins"}


def section(samples: pd.DataFrame, order: list[str]) -> Section:
    """Some documents of every setting, each with the generations of all methods and their edits.

    Args:
        samples: the rows of samples.parquet.
        order: the methods as tables have them.
    """
    if samples.empty:
        return Section("samples", "Generations and their edits", "")
    user = "strong" if (samples["test_user"] == "strong").any() else str(samples["test_user"].iloc[0])
    here = samples[samples["test_user"] == user]
    settings = here.groupby(["task", "training_user"], sort=False, observed=True)
    parts = [
        _setting(f"{task}, learned from logs of the {training_user} user", rows, order, number == 0)
        for number, ((task, training_user), rows) in enumerate(settings)
    ]
    note = (
        f"<p>Test user: {text(user)}. <del>Struck</del> words were deleted by the user, <ins>underlined</ins> ones "
        "inserted; ↵ is a line break. samples.parquet holds "
        f"{text(count(len(samples), 'sample'))}.</p>"
    )
    return Section("samples", "Generations and their edits", note + "".join(parts))


def _setting(title: str, rows: pd.DataFrame, order: list[str], unfolded: bool) -> str:
    met = rows.groupby("context", sort=False)["method"].nunique().sort_values(ascending=False, kind="stable")
    shown = "".join(
        _document(str(context), rows[rows["context"] == context], order) for context in met.index[:CONTEXTS]
    )
    return f"<details{' open' if unfolded else ''}><summary>{text(title)}</summary>{shown}</details>"


def _document(context: str, rows: pd.DataFrame, order: list[str]) -> str:
    # One log's sample of each method: more would say the same.
    first = rows.drop_duplicates("method").to_dict("records")
    place = {method: i for i, method in enumerate(order)}
    first.sort(key=lambda row: place.get(str(row["method"]), len(place)))
    samples = "".join(_sample(row) for row in first)
    document = f'<p class="text" dir="auto">{_plain(context)}</p>'
    return f'<div class="document">{document}<dl class="samples">{samples}</dl></div>'


def _sample(row: dict[str, Any]) -> str:
    cost = "" if pd.isna(row["cost"]) else f"cost {row['cost']:.2f}"
    head = f"<dt>{text(row['method'])} <span>{cost}</span></dt>"
    return f'{head}<dd class="text" dir="auto">{marked(row["response"], row["edit"])}</dd>'


def marked(response: Any, edit: Any) -> str:
    """A response with the marks of its edit, as HTML; just the response where there is no edit."""
    before = "" if pd.isna(response) else _cut(str(response))
    if pd.isna(edit):
        return f"{_plain(before)} <em>(no edit)</em>"
    return "".join(_piece(piece) for piece in diff(before, _cut(str(edit)))) or "<em>(nothing)</em>"


def _piece(piece: Piece) -> str:
    if piece.kind == "same":
        return _plain(piece.text)
    tag, words = _TAGS[piece.kind], piece.text.rstrip(" \t")
    # What was deleted breaks no line of what is there.
    inside = _visible(words).replace("\n", "↵ ") if piece.kind == "deleted" else _plain(words)
    return f"<{tag}>{inside}</{tag}>{piece.text[len(words) :]}"


def _plain(words: str) -> str:
    return _visible(_cut(words)).replace("\n", '<span class="break">↵</span>\n')


def _visible(words: str) -> str:
    """The words as HTML, line breaks as one letter, other control letters as a sign that something was there."""
    lines = words.replace("\r\n", "\n").replace("\r", "\n")
    return text(re.sub(r"[^\S\n ]", " ", re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]", "\ufffd", lines)))


def _cut(words: str) -> str:
    return words if len(words) <= LONGEST else f"{words[:LONGEST]} ... ({len(words):,} letters)"
