"""The notebooks: stripped of outputs, each with its promise, exercises and hidden answers; and all of them run."""

import re
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
CELL_SECONDS = 300
"""No cell takes a tenth of this on two idle cores."""


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def test_they_are_numbered_without_gaps() -> None:
    assert [path.name.split("-")[0] for path in NOTEBOOKS] == [str(i + 1) for i in range(8)]


def test_the_readme_lists_them() -> None:
    named = re.findall(r"\]\((\S+\.ipynb)\)", (FOLDER / "README.md").read_text())
    assert named == [path.name for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestNotebook:
    def test_it_is_valid_and_stripped(self, path: Path) -> None:
        notebook = read(path)
        nbformat.validate(notebook)
        assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
        assert notebook.metadata.kernelspec.name == "python3" and "widgets" not in notebook.metadata
        for cell in notebook.cells:
            if cell.cell_type == "code":
                assert cell.outputs == [] and cell.execution_count is None

    def test_its_cells_have_ids_of_their_own(self, path: Path) -> None:
        # What nbformat fills in for cells without an id is random.
        ids = re.findall(r'^   "id": "([\w-]+)",$', path.read_text(), flags=re.MULTILINE)
        assert len(ids) == len(set(ids)) == len(read(path).cells)
        assert all(one.startswith(path.stem.partition("-")[2]) for one in ids)

    def test_it_opens_with_what_one_will_learn(self, path: Path) -> None:
        opening = read(path).cells[0]
        assert opening.cell_type == "markdown" and opening.source.startswith(f"# {path.name[0]}. ")
        assert "**What you will learn**" in opening.source

    def test_every_exercise_has_an_answer_that_is_hidden(self, path: Path) -> None:
        cells = read(path).cells
        exercises = [i for i, cell in enumerate(cells) if re.search(r"^\*\*\d\.\*\*", cell.source, flags=re.MULTILINE)]
        answers = [i for i, cell in enumerate(cells) if "answer" in cell.metadata.get("tags", [])]
        assert exercises and answers == [i + 1 for i in exercises]
        for i in answers:
            assert cells[i].cell_type == "code" and "hide-cell" in cells[i].metadata.tags
            assert cells[i].metadata.jupyter.source_hidden

    def test_it_names_no_place_of_one_machine(self, path: Path) -> None:
        assert not re.search(r"/(home|tmp|root|Users|work)/|[A-Z]:\\\\", path.read_text())

    @pytest.mark.slow
    def test_it_runs(self, path: Path) -> None:
        client = nbclient.NotebookClient(read(path), timeout=CELL_SECONDS, kernel_name="python3")
        executed = client.execute(cwd=str(FOLDER))
        pictures = [
            o for c in executed.cells if c.cell_type == "code" for o in c.outputs if "image/png" in o.get("data", {})
        ]
        assert pictures
