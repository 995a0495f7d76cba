"""The run-time type checker of the test suite: beartype, with int accepted where float is declared."""

from pathlib import Path

from beartype import BeartypeConf, beartype
from beartype.claw import beartype_packages
from jaxtyping import install_import_hook

HOW = BeartypeConf(is_pep484_tower=True, claw_is_pep526=False)
checked = beartype(conf=HOW)


def check(*packages: str) -> None:
    """Check every call of functions of these packages, which are not yet imported.

    Shapes are checked where a module declares some: that is slow, and text is handled by many short functions.
    """
    beartype_packages(packages, conf=HOW)
    install_import_hook([name for package in packages for name in _of_shapes(package)], "typechecker.checked")


def _of_shapes(package: str) -> list[str]:
    root = Path(__file__).parent.parent
    modules = [path for path in sorted((root / package).rglob("*.py")) if "jaxtyping" in path.read_text()]
    return [".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in modules]
