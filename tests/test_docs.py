"""What the documents print is run: code of CONTRIBUTING as plugins of a regime, links and commands of the README."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import bounds
import sim
from bounds import registered
from sim import regimes, worldfile
from sim.online import RULES
from sim.online.tables import WITHOUT_LOG, settings_of

ROOT = Path(__file__).parent.parent
SHIPPED = [*RULES, *WITHOUT_LOG]
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/theory.md",
    "docs/regimes.md",
    "docs/large-runs.md",
    "notebooks/README.md",
]


def code_blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)


def test_the_extensions_of_contributing_work_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A bound that is registered speaks of every later run of this process.
    monkeypatch.setattr(registered, "_BOUNDS", {})
    blocks = code_blocks("CONTRIBUTING.md", "python")
    assert len(blocks) == 5
    for i, block in enumerate(blocks):
        (tmp_path / f"plugin{i}.py").write_text(block)
    (tmp_path / "mine.toml").write_text(
        'plugins = ["plugin0.py", "plugin1.py", "plugin2.py", "plugin3.py", "plugin4.py"]\n'
        'n = 50\nseeds = 3\nlearners = ["hinge", "sup"]\n'
        '[[world]]\nfamily = "two-answers"\n[[world]]\nfamily = "attributes"\nattributes = 2\n'
        '[user]\neditor = "hesitant"\n[online]\nrounds = 9\nrules = ["optimist"]\nweight = [1.0, 2.0]\n'
    )
    table = sim.run(str(tmp_path / "mine.toml"))
    online = sim.run_online(str(tmp_path / "mine.toml"))
    assert {"optimist (weight 1.0)", "optimist (weight 2.0)"} < set(online["method"])
    assert set(table["learner"]) == {"hinge", "sup"} and set(table["family"]) == {"two-answers", "attributes"}
    assert set(table["status"]) <= {"ok", "no_information", "separated"}
    table = bounds.joined(table, regimes.load(str(tmp_path / "mine.toml")))
    assert table["bound_ceiling_holds"].all() and (table["suboptimality"] <= table["bound_ceiling"]).all()


@pytest.mark.parametrize("block", code_blocks("docs/regimes.md", "toml"))
def test_regimes_of_the_docs_are_regimes(block: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(block)
    regime = regimes.load(str(tmp_path / "mine.toml"))
    assert regimes.cells(regime) and regimes.load(str(tmp_path / "mine.toml"), ["seeds=3"]).seeds == 3


def test_the_docs_name_every_rule_and_setting() -> None:
    text = (ROOT / "docs" / "regimes.md").read_text()
    for name in SHIPPED:
        assert f"`{name}`" in text
        assert all(f"`{setting}`" in text for setting in settings_of(name))


@pytest.mark.slow
@pytest.mark.parametrize("block", code_blocks("README.md", "python"))
def test_readme_code_runs(block: str) -> None:
    exec(compile(block, "README.md", "exec"), {})


def readme_commands() -> list[str]:
    # Fences alternate between opening and closing.
    parts = re.split(r"^```(.*)\n", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    blocks = [text for language, text in zip(parts[1::4], parts[2::4], strict=True) if language == ""]
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("medley ")]


@pytest.mark.slow
@pytest.mark.parametrize("command", readme_commands())
def test_readme_commands_run_at_their_smallest_setting(command: str, tmp_path: Path) -> None:
    worldfile.write(sim.world("tabular"), tmp_path / "FILE.npz")
    words = shlex.split(command)
    small = ["--set", "n=[20]", "--seeds", "2"] if words[1] == "run" else []
    medley = str(Path(sys.executable).parent / "medley")
    done = subprocess.run([medley, *words[1:], *small], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_readme_has_commands() -> None:
    assert len(readme_commands()) >= 6


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
