"""The reference of the site: every public symbol says what it is, is listed, and has a text that can be set."""

import dataclasses
import functools
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bounds
import figures
import sim
import sim.online

DOCS = Path(__file__).parent.parent / "docs"
sys.path.insert(0, str(DOCS))

import docstrings  # noqa: E402

PACKAGES = [sim, sim.online, bounds, figures]
# Written down in the class's own registry entry, the same for every rule and learner.
OF_EVERY_CLASS = {"name", "model_config"}


def names(package: Any) -> list[str]:
    return list(getattr(package, "__all__", ()))


SYMBOLS = [(package, name) for package in PACKAGES for name in names(package)]


def listed() -> dict[str, str]:
    """What each directive of the reference documents: full name and kind, with the module they stand under."""
    found: dict[str, str] = {}
    for page in sorted((DOCS / "api").glob("*.md")):
        module = ""
        for kind, argument in re.findall(r"^\.\. (\S+):: (\S+)", page.read_text(), flags=re.MULTILINE):
            if kind == "automodule":
                module = argument
                continue
            module = argument if kind == "py:currentmodule" else module
            found[f"{module}.{argument}"] = kind
    return found


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class of ours defines."""
    for name, value in vars(cls).items():
        if isinstance(value, classmethod | staticmethod):
            value = value.__func__
        elif isinstance(value, property):
            value = value.fget
        elif isinstance(value, functools.cached_property):
            value = value.func
        if not name.startswith("_") and inspect.isfunction(value):
            yield name, value


def fields(cls: type) -> list[str]:
    if dataclasses.is_dataclass(cls):
        return [field.name for field in dataclasses.fields(cls)]
    return list(getattr(cls, "_fields", getattr(cls, "model_fields", ())))


@pytest.mark.parametrize(("package", "name"), SYMBOLS)
def test_a_public_symbol_is_documented(package: Any, name: str) -> None:
    symbol = getattr(package, name)
    whole = {f"{package.__name__}.{name}", f"{getattr(symbol, '__module__', '')}.{name}"}
    automatic = any(re.search(rf"automodule:: {package.__name__}\n(?=   :members:\n)", text) for text in _pages())
    assert automatic or whole & set(listed()), f"{package.__name__}.{name} is on no page of docs/api"
    if inspect.isclass(symbol):
        own = dict(members(symbol))
        text = inspect.getdoc(symbol) or ""
        assert all(inspect.getdoc(method) for method in own.values()), own
        missing = {field for field in fields(symbol) if not re.search(rf"\b{field}\b", text)} - OF_EVERY_CLASS
        assert not missing, f"{name} does not say what these fields are: {missing}"
    if callable(symbol):
        assert symbol.__doc__ and symbol.__doc__.strip(), f"{package.__name__}.{name} has no docstring"


@pytest.mark.parametrize(("package", "name"), SYMBOLS)
def test_a_docstring_names_every_argument(package: Any, name: str) -> None:
    symbol = getattr(package, name)
    if not inspect.isfunction(symbol):
        return
    wanted = [p for p in inspect.signature(symbol).parameters]
    text = inspect.getdoc(symbol) or ""
    assert all(re.search(rf"\b{p}\b", text) for p in wanted), f"{name}: {wanted}"


def _pages() -> list[str]:
    return [page.read_text() for page in (DOCS / "api").glob("*.md")]


def test_what_the_reference_lists_exists() -> None:
    for name, kind in listed().items():
        if not kind.startswith("auto"):
            continue
        module, _, symbol = name.rpartition(".")
        assert hasattr(importlib.import_module(module), symbol), name


def test_docstrings_become_restructured_text() -> None:
    text = """pi*_ref proportional to |w|, see `counts[x]` and `sim.plant`.

    b = H^-1 * g_
      + 1

After docs/theory.md 5.4.

Args:
    first, second: of a_
        pair.

Raises:
    BadInput: none.
"""
    lines = docstrings.to_rst(text.splitlines())
    joined = "\n".join(lines)
    assert r"pi\*\_ref proportional to \|w\|" in joined and "``counts[x]``" in joined
    assert ":py:obj:`sim.plant`" in joined and ":ref:`theory 5.4 <theory-5.4>`" in joined
    assert ".. code-block:: text\n\n    b = H^-1 * g_\n      + 1\n" in joined
    assert r":param first, second: of a\_ pair." in lines and ":raises BadInput: none." in lines


def test_a_list_entry_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 'name: what it is'"):
        docstrings.to_rst(["Args:", "    what"])
