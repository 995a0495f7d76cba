"""The page of the text world shows what the code writes."""

from pathlib import Path

import numpy as np
import pytest

from sim.llm.documents import draw
from sim.llm.domains import DOMAINS
from sim.llm.responses import demonstrate
from sim.llm.users import make

PAGE = (Path(__file__).parent.parent / "docs" / "text-world.md").read_text()


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=list(DOMAINS))
def test_the_examples_are_what_the_code_writes(domain) -> None:
    document = draw(domain.task, 1, np.random.default_rng(0), domains=[domain.name])[0]
    response = demonstrate(document, np.random.default_rng(1))
    edits = [make(name).edit(document, response, np.random.default_rng(2)) for name in ("strong", "weak")]
    for text in (document.text, response, *edits):
        assert f"```text\n{text}\n```" in PAGE
    assert all(f"| {phrase} | " in PAGE for phrase in domain.traits)
