"""The gallery page: one entry per figure of the catalog, and a build that stops where a picture is missing."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "docs"))

import gallery


def test_an_entry_shows_claim_command_picture_and_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = SimpleNamespace(id="link", title="The link", claim="pi*_ref stays at |0.074|.")
    monkeypatch.setattr(gallery, "FOLDER", tmp_path)
    monkeypatch.setattr(gallery, "entries", lambda: {"link": entry})
    with pytest.raises(FileNotFoundError, match=r"link\.svg"):
        gallery.markdown()
    (tmp_path / "link.svg").write_text("")
    (tmp_path / "link.csv").write_text("")
    (tmp_path / "link.json").write_text(json.dumps({"caption": "Means."}))
    page = gallery.markdown()
    assert "(figure-link)=\n## The link" in page and r"pi\*\_ref stays at \|0.074\|." in page
    assert "medley figures link\n" in page and "![The link](gallery/link.svg)" in page
    assert "*Means.* [Numbers](gallery/link.csv)" in page
