"""The layers: sim <- bounds <- figures <- medley.py; each imports only what stands left of it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = ["sim", "bounds", "figures", "medley"]


def imported_packages(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


def sources(layer: str) -> list[Path]:
    return [ROOT / "medley.py"] if layer == "medley" else sorted((ROOT / layer).rglob("*.py"))


@pytest.mark.parametrize("layer", ORDER)
def test_a_layer_imports_nothing_right_of_it(layer: str) -> None:
    right = set(ORDER[ORDER.index(layer) + 1 :])
    assert sources(layer)
    for path in sources(layer):
        assert not imported_packages(path) & right, path


def test_the_check_sees_imports_inside_functions(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("def f():\n    from figures import style\n")
    assert imported_packages(path) == {"figures"}


@pytest.mark.parametrize("path", [p for layer in ORDER for p in sources(layer)], ids=str)
def test_modules_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
