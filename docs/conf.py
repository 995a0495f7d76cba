"""The documentation site: built, and read, without a network."""

import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent)]

import docstrings  # noqa: E402
import gallery  # noqa: E402
from mathml import mathml  # noqa: E402

project = "Medley"
author = "The Medley founders"
release = "0.1.0"
copyright = "2026, The Medley founders"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"
exclude_patterns = ["_build"]
suppress_warnings = ["myst.strikethrough"]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_class_signature = "separated"
autodoc_default_options = {"exclude-members": "__init__, __new__, model_config"}
python_maximum_signature_line_length = 90
add_module_names = False
# Types of other projects are words and no links, as are those inside the optimiser and the states of rules.
nitpick_ignore_regex = [
    ("py:.*", r"(?!sim\b|bounds\b|figures\b).*"),
    ("py:class", r"sim\.(objectives|log_linear_parts|pytrees)\.\w+"),
    ("py:class", r"sim\.online\.bandits\.(Window|Losses|Candidates)"),
]

highlight_language = "text"

html_theme = "furo"
html_title = "Medley"
html_static_path = ["_static"]
html_css_files = ["medley.css"]
html_copy_source = False
html_show_sphinx = False


def _docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = docstrings.to_rst(lines)


def _signature(app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None):
    if what == "class" and (signature or "").count(":") > 8:
        # Built by functions that the text names: the fields are in the text, with what they mean.
        return "", returns
    return (_short(signature), _short(returns))


def _short(annotations: str | None) -> str | None:
    return annotations and re.sub(r"~?\b(?:jax\.)?jaxlib\._jax\.Array", "Array", annotations)


def _skip(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    # Fields of named tuples have no text of their own.
    return True if type(obj).__name__ == "_tuplegetter" else None


def _source(app: Sphinx, page: str, source: list[str]) -> None:
    # A displayed formula may stand on lines of its own within a paragraph, and is a block all the same.
    source[0] = re.sub(r"^(\$\$.+?\$\$)$", r"\n\1\n", source[0], flags=re.MULTILINE | re.DOTALL)
    if page == "theory":
        # Every numbered statement is the target of links.
        numbered = re.compile(r"^(?=\*\*(\d\.\d)|## (\d)\.)", flags=re.MULTILINE)
        source[0] = numbered.sub(lambda found: f"(theory-{found[1] or found[2]})=\n", source[0])
    if page == "gallery":
        try:
            source[0] += gallery.markdown()
        except FileNotFoundError as error:
            raise ExtensionError(str(error)) from None


def _names(app: Sphinx, tree: nodes.document, page: str) -> None:
    """Code that names an object of the reference, or a figure on the map, becomes a link; in tables names may break."""
    for code in list(tree.findall(nodes.literal)):
        found = _target(app, code.astext(), page)
        if found is not None and not isinstance(code.parent, nodes.reference | addnodes.pending_xref):
            address = app.builder.get_relative_uri(page, found[0]) + f"#{found[1]}"
            link = nodes.reference("", "", internal=True, refuri=address)
            code.parent.replace(code, link)
            link += code
    for formula in list(tree.findall(nodes.math)):
        _keep_with_what_ends_it(formula)
    for entry in list(tree.findall(nodes.entry)):
        for code in list(entry.findall(nodes.literal)):
            _let_break(code)


def _target(app: Sphinx, name: str, page: str) -> tuple[str, str] | None:
    found = app.env.domains["py"].objects.get(name)  # pyright: ignore
    if found is not None:
        return found.docname, found.node_id
    return app.env.domains["std"].anonlabels.get(f"figure-{name}") if page == "map" else None  # pyright: ignore


def _keep_with_what_ends_it(formula: nodes.math) -> None:
    """No line begins with the comma after a formula."""
    after = formula.next_node(descend=False, siblings=True)
    ends = re.match(r"[,.;:)\]]+", after.astext()) if isinstance(after, nodes.Text) else None
    if ends is not None:
        whole = nodes.inline("", "", nodes.math(formula.rawsource, formula.astext()), nodes.Text(ends[0]))
        whole["classes"] = ["whole"]
        formula.parent.replace(after, nodes.Text(after.astext()[ends.end() :]))
        formula.parent.replace(formula, whole)


def _let_break(code: nodes.literal) -> None:
    """Where a long name may go on in the next line: after its dots, colons, strokes and underscores."""
    parts = re.findall(r".+?(?:[._/]|::|$)", code.astext())
    code.clear()
    for part in parts:
        code += [nodes.Text(part), nodes.raw("", "<wbr>", format="html")]


def _inline_formula(writer: Any, node: nodes.Element) -> None:
    _formula(writer, node, False)


def _displayed_formula(writer: Any, node: nodes.Element) -> None:
    _formula(writer, node, True)


def _formula(writer: Any, node: nodes.Element, display: bool) -> None:
    try:
        text = mathml(node.astext(), display)
    except ValueError as error:
        raise ExtensionError(str(error)) from None
    writer.body.append(f'<div class="formula">{text}</div>' if display else text)
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Connect what turns docstrings and pages of this project into what Sphinx reads."""
    app.add_html_math_renderer("mathml", (_inline_formula, None), (_displayed_formula, None))
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)
    app.connect("source-read", _source)
    app.connect("doctree-resolved", _names)
