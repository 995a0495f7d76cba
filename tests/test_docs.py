"""What the documents print is run: code of CONTRIBUTING as plugins of a regime, links and commands of the README."""

import re
from pathlib import Path

import pytest

import sim

ROOT = Path(__file__).parent.parent
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "docs/theory.md"]


def code_blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)


def test_the_extensions_of_contributing_work_together(tmp_path: Path) -> None:
    blocks = code_blocks("CONTRIBUTING.md", "python")
    assert len(blocks) == 3
    for i, block in enumerate(blocks):
        (tmp_path / f"plugin{i}.py").write_text(block)
    (tmp_path / "mine.toml").write_text(
        'plugins = ["plugin0.py", "plugin1.py", "plugin2.py"]\nn = 50\nseeds = 3\nlearners = ["hinge", "sup"]\n'
        '[[world]]\nfamily = "two-answers"\n[[world]]\nfamily = "attributes"\nattributes = 2\n'
        '[user]\neditor = "hesitant"\n'
    )
    table = sim.run(str(tmp_path / "mine.toml"))
    assert set(table["learner"]) == {"hinge", "sup"} and set(table["family"]) == {"two-answers", "attributes"}
    assert set(table["status"]) <= {"ok", "no_information", "separated"}


@pytest.mark.parametrize("block", code_blocks("README.md", "python"))
def test_readme_code_runs(block: str) -> None:
    exec(compile(block, "README.md", "exec"), {})


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_and_named_files_exist(name: str) -> None:
    text = (ROOT / name).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    files = re.findall(r"`((?:sim|bounds|figures|docs|tests)/[\w./-]*\w\.(?:py|md|toml))`", text)
    for target in [*links, *files]:
        base = ROOT if target in files else (ROOT / name).parent
        assert (base / target).exists(), target


def test_sections_that_docstrings_cite_exist() -> None:
    theory = (ROOT / "docs" / "theory.md").read_text()
    known = set(re.findall(r"\*\*(\d\.\d)", theory)) | set(re.findall(r"^## (\d)", theory, flags=re.MULTILINE))
    cited = set()
    for path in [*(ROOT / "sim").rglob("*.py"), *(ROOT / "bounds").rglob("*.py"), *(ROOT / "figures").rglob("*.py")]:
        cited |= set(re.findall(r"docs/theory\.md(?: section)? (\d(?:\.\d)?)", path.read_text()))
    assert cited and cited <= known
