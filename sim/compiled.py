"""Compiled code on disk, so that the next run of the same shapes starts at once."""

import os
import warnings
from pathlib import Path

import jax


def cache_compiled_code() -> None:
    """Keep compiled code in the user's cache folder.

    What is there may be half-written, by another process or by one that was killed: it is compiled again.
    """
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache entry")
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    jax.config.update("jax_compilation_cache_dir", str(Path(base) / "medley" / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
