"""Formulas of the pages as MathML: what comes out is well formed, and means what TeX means."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).parent.parent / "docs"
sys.path.insert(0, str(DOCS))

from mathml import mathml  # noqa: E402

FENCE = '<mo stretchy="false" lspace="0" rspace="0">'
BRACKETED = f"{FENCE}(</mo><mi>x</mi>{FENCE})</mo>"


@pytest.mark.parametrize(
    ("tex", "expected"),
    [
        ("x", "<math><mi>x</mi></math>"),
        ("12.5", "<math><mn>12.5</mn></math>"),
        (r"\tfrac12", '<math><mstyle displaystyle="false"><mfrac><mn>1</mn><mn>2</mn></mfrac></mstyle></math>'),
        (r"\pi^*_\beta", "<math><msubsup><mi>π</mi><mi>β</mi><mo>∗</mo></msubsup></math>"),
        (r"\pi_\text{ref}", "<math><msub><mi>π</mi><mi>ref</mi></msub></math>"),
        ("x^{12}", "<math><msup><mi>x</mi><mn>12</mn></msup></math>"),
        (r"\sqrt n", "<math><msqrt><mi>n</mi></msqrt></math>"),
        ("a - b", "<math><mrow><mi>a</mi><mo>−</mo><mi>b</mi></mrow></math>"),
        (r"\log x", '<math><mrow><mi>log</mi><mspace width="0.17em"/><mi>x</mi></mrow></math>'),
        (r"2\log(x)", '<math><mrow><mn>2</mn><mspace width="0.17em"/><mi>log</mi>' + BRACKETED + "</mrow></math>"),
        (r"\Delta", '<math><mi mathvariant="normal">Δ</mi></math>'),
        ("f'", "<math><msup><mi>f</mi><mo>′</mo></msup></math>"),
    ],
)
def test_by_hand(tex: str, expected: str) -> None:
    assert mathml(tex) == expected


def test_limits_stand_below_in_displays() -> None:
    text = mathml(r"\max_x f", display=True)
    assert text.startswith('<math display="block">') and "<munder>" in text and 'movablelimits="true"' in text


@pytest.mark.parametrize("tex", [r"\nosuch", "{x", "x_", "x}", r"\frac1"])
def test_what_is_not_known_is_refused(tex: str) -> None:
    with pytest.raises(ValueError, match=r"is not known|is missing|expected its end"):
        mathml(tex)


def formulas() -> list[str]:
    texts = [path.read_text() for path in [*DOCS.glob("*.md"), *DOCS.glob("api/*.md")]]
    return [found[0] or found[1] for text in texts for found in re.findall(r"\$\$([^$]+)\$\$|\$([^$]+)\$", text)]


def test_every_formula_of_the_pages_is_well_formed() -> None:
    found = formulas()
    assert len(found) > 200
    for tex in found:
        root = ElementTree.fromstring(mathml(tex))
        for element in root.iter():
            arity = {"msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2, "munderover": 3, "mfrac": 2}
            assert len(element) == arity.get(element.tag, len(element)), tex
