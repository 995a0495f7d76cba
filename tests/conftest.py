"""Strict numerics, and typed signatures checked at run time, in tests only."""

import pytest
from jaxtyping import install_import_hook

install_import_hook(["sim", "bounds", "figures"], "typechecker.checked")
# A shared check that fails shows its values, as one in a test module does.
pytest.register_assert_rewrite("bound_cases", "kernel_cases")
