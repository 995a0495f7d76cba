"""The map from theorem to figure is whole, and everything it names exists."""

import importlib
import re
from pathlib import Path

import pytest

from figures.catalog import CATALOG

ROOT = Path(__file__).parent.parent
PAPER = [
    *(f"Eq. {k}" for k in (1, 2, 3, 4, 5, 7)),
    *("Protocol 1", "Algorithm 1", "Assumption 1", "Assumption 2", "Lemma 1"),
    *("Theorem 1", "Theorem 2", "Theorem 3", "Appendix A", "Tables 1 and 2"),
]


def rows() -> list[list[str]]:
    lines = (ROOT / "docs" / "map.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [row for row in cells if row[0] != "statement" and not row[0].startswith("---")]


def named(column: int) -> list[str]:
    return [name for row in rows() for name in re.findall(r"`([^`]+)`", row[column])]


def test_every_statement_is_mapped() -> None:
    theory = (ROOT / "docs" / "theory.md").read_text()
    numbered = set(re.findall(r"\*\*(\d\.\d)", theory))
    found = [row[0] for row in rows()]
    assert numbered <= {statement.split()[0] for statement in found}
    assert all(any(statement.startswith(known) for statement in found) for known in PAPER)
    assert all(len(row) == 4 and all("`" in cell for cell in row[1:]) for row in rows())


@pytest.mark.parametrize("name", sorted(set(named(1))))
def test_functions_exist(name: str) -> None:
    parts = name.split(".")
    value = importlib.import_module(parts[0])
    for depth, part in enumerate(parts[1:], start=2):
        if not hasattr(value, part):
            importlib.import_module(".".join(parts[:depth]))
        value = getattr(value, part)
    assert callable(value)


@pytest.mark.parametrize("name", sorted(set(named(2))))
def test_tests_exist(name: str) -> None:
    file, _, test = name.partition("::")
    assert re.search(rf"^def {test}\(", (ROOT / file).read_text(), flags=re.MULTILINE)


def test_figures_exist() -> None:
    figures = {name for name in named(3) if not name.startswith("medley ")}
    assert figures == set(CATALOG)
