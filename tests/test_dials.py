"""Dials: sliders in a notebook, one drawing and a line elsewhere; a drawing that fails is never swallowed."""

import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest

from figures import dials
from sim.errors import BadInput

ROOT = Path(__file__).parent.parent

CELL = """
from figures.dials import dial

def draw(strength=0.5, contexts=3):
    print(f"drawn with {strength} and {contexts}")

dial(draw, strength=[0.1, 0.5, 1.0], contexts=[3, 1000])
"""


def run_cell(source: str) -> nbformat.NotebookNode:
    """The notebook of one cell, executed, with the state of its widgets."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    client = nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3")
    return client.execute(cwd=str(ROOT))


def test_without_a_notebook_it_draws_once_with_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    drawn = []

    def draw(strength: float = 0.5, contexts: int = 3, *, other: str = "as it is") -> None:
        drawn.append((strength, contexts, other))

    dials.dial(draw, strength=[0.1, 0.5], contexts=[3, 4])
    assert drawn == [(0.5, 3, "as it is")]
    assert "strength = 0.5, contexts = 3" in (said := capsys.readouterr().out) and "ipywidgets" in said


def test_an_argument_without_a_default_begins_at_its_first_value(capsys: pytest.CaptureFixture[str]) -> None:
    drawn = []
    dials.dial(lambda n: drawn.append(n), n=[1000, 10])
    assert drawn == [1000] and "n = 1,000" in capsys.readouterr().out


def test_importing_it_imports_no_widgets() -> None:
    source = "import sys, figures.dials; sys.exit('ipywidgets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", source], cwd=ROOT).returncode == 0


def test_in_a_notebook_every_argument_has_a_slider() -> None:
    executed = run_cell(CELL)
    widgets = executed.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"].values()
    sliders = {w["state"]["description"]: w["state"] for w in widgets if w["model_name"] == "SelectionSliderModel"}
    assert list(sliders) == ["strength", "contexts"]
    assert list(sliders["contexts"]["_options_labels"]) == ["3", "1,000"] and sliders["strength"]["index"] == 1
    (shown,) = [w["state"]["outputs"] for w in widgets if w["model_name"] == "OutputModel"]
    assert shown[0]["text"] == "drawn with 0.5 and 3\n"


def test_in_a_notebook_without_widgets_it_draws_once() -> None:
    executed = run_cell("import sys; sys.modules['ipywidgets'] = None\n" + CELL)
    (output,) = executed.cells[0].outputs
    assert output["text"].startswith("drawn with 0.5 and 3\nDrawn once")


def test_a_first_drawing_that_fails_fails_the_cell() -> None:
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="of mine"):
        run_cell(CELL.replace("print(", "raise ZeroDivisionError('of mine') #("))


@pytest.mark.parametrize("values", [{"b": [1]}, {"a": []}, {"a": [2, 3]}])
def test_what_cannot_be_turned_is_refused(values: dict[str, list[int]]) -> None:
    def draw(a: int = 1) -> None:
        raise AssertionError("drawn")

    with pytest.raises(BadInput):
        dials.dial(draw, **values)
