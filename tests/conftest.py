"""Strict numerics, and typed signatures checked at run time, in tests only; compiled code is shared and kept."""

from pathlib import Path

import jax
import pytest
from jaxtyping import install_import_hook

install_import_hook(["sim", "bounds", "figures"], "typechecker.checked")
# A shared check that fails shows its values, as one in a test module does.
pytest.register_assert_rewrite("bound_cases", "kernel_cases")

# Compiling is most of what the tests wait for: workers share what they compiled, and the next run starts with it.
jax.config.update("jax_compilation_cache_dir", str(Path(__file__).parent.parent / ".pytest_cache" / "compiled"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
