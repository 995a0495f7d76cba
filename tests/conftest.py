"""Strict numerics, and typed signatures checked at run time, in tests only; compiled code is shared and kept."""

import os
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
import typechecker

typechecker.check("sim", "bounds", "figures")

from sim.compiled import cache_compiled_code  # noqa: E402  (after the hook, which does not see what was imported before)

# A shared check that fails shows its values, as one in a test module does.
pytest.register_assert_rewrite("bound_cases", "kernel_cases", "llm_runs")

# Compiling is most of what the tests wait for: workers and the programs that they start share what they compiled, and
# the next run begins with it.
os.environ["XDG_CACHE_HOME"] = str(Path(__file__).parent.parent / ".pytest_cache")
cache_compiled_code()

MAPPED = 30_000
"""Memory maps of a process from which on compiled code is dropped; Linux allows 65,530, and beyond it JAX crashes."""


@pytest.fixture(scope="module", autouse=True)
def compiled_code_is_dropped() -> Iterator[None]:
    """A process that runs thousands of tests keeps no more compiled code than the system lets it map."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MAPPED:
        jax.clear_caches()
