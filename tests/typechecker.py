"""The run-time type checker of the test suite: beartype, with int accepted where float is declared."""

import re
from pathlib import Path

from beartype import BeartypeConf, beartype
from beartype.claw import beartype_packages
from jaxtyping import install_import_hook

HOW = BeartypeConf(is_pep484_tower=True, claw_is_pep526=False)
checked = beartype(conf=HOW)

NEED_JAXTYPING = re.compile("jaxtyping|cached_property")
"""What tells a module with shapes, or with methods that beartype's own hook passes over."""


def check(*packages: str) -> None:
    """Check the types of every call into these packages; none of them may be imported before.

    Modules with shapes go through jaxtyping's hook, which also compares the shapes within a call.  It makes each call
    slower, which short functions of text feel, so the others have beartype alone, which checks fields of named tuples
    too.
    """
    beartype_packages(packages, conf=HOW)
    install_import_hook([name for package in packages for name in _with_shapes(package)], "typechecker.checked")


def _with_shapes(package: str) -> list[str]:
    root = Path(__file__).parent.parent
    modules = [path for path in sorted((root / package).rglob("*.py")) if NEED_JAXTYPING.search(path.read_text())]
    return [".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in modules]
