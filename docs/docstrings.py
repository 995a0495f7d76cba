"""Docstrings of this project as reStructuredText: what they mean is what a reader of the source sees.

They are plain text with formulas: stars, bars and underscores are mathematics, names stand in single backquotes,
equations are indented lines, and `Args:`, `Raises:` and `Returns:` head lists.
"""

import re
import textwrap

HEADS = {"Args:": "param", "Raises:": "raises", "Returns:": "returns", "Fields:": "ivar"}
_THEORY = re.compile(r"docs/theory\.md(?: section)? (\d(?:\.\d)?)")
_ENTRY = re.compile(r"([\w.]+(?:, [\w.]+)*): (.*)", flags=re.DOTALL)


def to_rst(lines: list[str]) -> list[str]:
    """The docstring's lines, as autodoc gives them, in reStructuredText."""
    found: list[str] = []
    for block in re.split(r"\n\s*\n", textwrap.dedent("\n".join(lines)).strip("\n")):
        head = block.split("\n", 1)[0].strip()
        if head in HEADS:
            found += [*_fields(HEADS[head], textwrap.dedent(block.split("\n", 1)[1])), ""]
        elif block.startswith(" "):
            found += [".. code-block:: text", "", *textwrap.indent(textwrap.dedent(block), "    ").splitlines(), ""]
        else:
            found += [*inline(block).splitlines(), ""]
    return found


def _fields(kind: str, body: str) -> list[str]:
    """A field list from the entries under a head; lines that are indented further belong to the entry above."""
    if kind == "returns":
        return [f":returns: {inline(_joined(body))}"]
    entries = re.split(r"\n(?=\S)", body)
    return [line for entry in entries for line in _entry(kind, _joined(entry))]


def _entry(kind: str, entry: str) -> list[str]:
    matched = _ENTRY.fullmatch(entry)
    if matched is None:
        raise ValueError(f"expected 'name: what it is' in a docstring, got '{entry}'")
    return [f":{kind} {matched[1]}: {inline(matched[2])}"]


def _joined(text: str) -> str:
    return " ".join(text.split())


def inline(text: str) -> str:
    """Escaped, but for names in backquotes and what cites the theory page, which become code and links."""
    spans = re.split(r"(`[^`]+`)", text)
    return "".join(_code(span) if span.startswith("`") else _prose(span) for span in spans)


def _code(span: str) -> str:
    name = span.strip("`")
    # An object of the packages, as a link where the reference has it.
    if re.fullmatch(r"(?:sim|bounds|figures)(?:\.\w+)+|[A-Z]\w+", name):
        return rf"\ :py:obj:`{name}`\ "
    return rf"\ ``{name}``\ "


def _prose(text: str) -> str:
    parts = _THEORY.split(text)
    escaped = [re.sub(r"([\\*|_`])", r"\\\1", part) for part in parts[::2]]
    links = [rf"\ :ref:`theory {number} <theory-{number}>`\ " for number in parts[1::2]]
    return "".join(part + link for part, link in zip(escaped, [*links, ""], strict=True))
