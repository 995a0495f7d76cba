"""What the documents print is run: code of CONTRIBUTING as plugins of a regime, code and commands of all."""

import re
import shlex
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import llm_runs
import pytest
import typer
import yaml

import bounds
import medley
import sim
from bounds import predictions, registered, truths
from sim import regimes, worldfile
from sim.online import RULES
from sim.online.tables import WITHOUT_LOG, settings_of

ROOT = Path(__file__).parent.parent
SHIPPED = [*RULES, *WITHOUT_LOG]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("docs/*.md"), *ROOT.glob("docs/api/*.md")])
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "notebooks/README.md", *PAGES]
RUN = ["README.md", "docs/guide.md"]
"""Documents whose Python is run; that of the others needs a cluster, or is run as plugins."""


def code_blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)


@pytest.mark.slow
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
@pytest.mark.parametrize("block", [block for name in RUN for block in code_blocks(name, "python")])
def test_python_of_the_documents_runs(block: str) -> None:
    exec(compile(block, "document", "exec"), {})


def fences(name: str) -> list[tuple[str, str]]:
    """The language and the text of every code block."""
    # Fences alternate between opening and closing.
    parts = re.split(r"^```(.*)\n", (ROOT / name).read_text(), flags=re.MULTILINE)
    return list(zip(parts[1::4], parts[2::4], strict=True))


def printed(program: str) -> list[str]:
    """Every command line that some document prints, once."""
    texts = [text for name in DOCUMENTS for language, text in fences(name) if language == ""]
    lines = [line.split("#")[0].strip() for text in texts for line in text.splitlines()]
    return list(dict.fromkeys(line for line in lines if line.startswith(f"{program} ")))


def mentioned(program: str) -> list[str]:
    """Every command in the running text of some document, once."""
    found = [code for name in DOCUMENTS for code in re.findall(rf"`({program} [^`]+)`", (ROOT / name).read_text())]
    return list(dict.fromkeys(found))


COMMANDS = typer.main.get_command(medley.app).commands  # type: ignore[attr-defined]


def smallest(words: list[str]) -> list[str]:
    """What makes a command as short as it can be."""
    return {"run": ["--set", "n=[20]", "--seeds", "2"], "figures": ["--quick"], "llm": llm_runs.WORDS}.get(words[1], [])


@pytest.mark.slow
@pytest.mark.parametrize("command", printed("medley"))
def test_printed_commands_run_at_their_smallest_setting(command: str, tmp_path: Path) -> None:
    worldfile.write(sim.world("tabular"), tmp_path / "FILE.npz")
    words = shlex.split(command)
    program = str(Path(sys.executable).parent / "medley")
    # An option that is given twice has its last value.
    words = [program, *words[1:], *smallest(words)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("line", [*printed("medley"), *mentioned("medley")])
def test_commands_are_what_the_program_takes(line: str) -> None:
    words = shlex.split(line)
    if words[1].isupper():
        return
    known = {option for parameter in COMMANDS[words[1]].params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known | {"--help"}
    regime = words[2] if words[1] == "run" and len(words) > 2 else "--none"
    if not regime.startswith("--") and not regime.split(".")[0].isupper():
        settings = [value for word, value in pairwise(words) if word == "--set"]
        assert regimes.cells(regimes.load(regime, settings))


def test_documents_print_commands() -> None:
    assert len(printed("medley")) >= 12 and len(mentioned("medley")) >= 20


def test_every_command_and_option_is_in_the_reference_of_commands() -> None:
    parts = re.split(r"^## medley (\w+)\n", (ROOT / "docs" / "commands.md").read_text(), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert set(COMMANDS) == set(sections)
    for name, command in COMMANDS.items():
        rows = re.findall(r"^\| (`.*?) \|", sections[name], flags=re.MULTILINE)
        listed = {option for row in rows for option in re.findall(r"`(--[\w-]+)", row)}
        assert listed == {o for p in command.params for o in p.opts if o.startswith("--")} - {"--help"}, name


@pytest.mark.slow
def test_json_keys_are_in_the_reference_of_commands() -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    world = sim.world("attributes", attributes=2)
    keys = {*truths(world), *predictions(sim.make("pref"), world, 100)}
    assert all(f"`{key.removesuffix('_interval')}`" in text for key in keys)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for line in [*printed("make"), *mentioned("make")]:
        assert re.search(rf"^{line.split()[1]}:", makefile, flags=re.MULTILINE), line


def test_shipped_regimes_are_listed() -> None:
    table = (ROOT / "docs" / "regimes.md").read_text().split("## Regimes that ship")[1]
    assert set(re.findall(r"^\| `([\w-]+)`", table, flags=re.MULTILINE)) == set(regimes.shipped())


def test_the_citation_is_one() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"cff-version", "message", "title", "authors"} <= set(cited) and cited["cff-version"] == "1.2.0"
    assert cited["type"] == "software" and all("name" in author for author in cited["authors"])
    assert cited["version"] == project["version"] and cited["license"] == project["license"]
    paper = cited["references"][0]
    assert {"type", "title", "authors"} <= set(paper)
    assert [author["family-names"] for author in paper["authors"]] == ["Misra", "Pacchiano", "Chi", "Gao"]
    assert paper["title"] in (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-E", str(ROOT / "docs"), "site"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    theory = (tmp_path / "site" / "theory.html").read_text().split("<article")[1].split("</article")[0]
    assert "$" not in theory and theory.count("<math") > 200
    page = (tmp_path / "site" / "api" / "sim.html").read_text()
    assert all(f'id="sim.{name}"' in page for name in sim.__all__)


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
