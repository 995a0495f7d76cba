"""Strict numerics, and typed signatures checked at run time, in tests only."""

from jaxtyping import install_import_hook

install_import_hook(["sim", "bounds", "figures"], "typechecker.checked")
