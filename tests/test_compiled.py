"""Compiled code on disk: what is damaged there does no harm."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
from sim.compiled import cache_compiled_code
cache_compiled_code()
import jax
print(jax.jit(lambda x: 3 * x + 1)(2.0))
"""


def call(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"XDG_CACHE_HOME": str(folder)}
    return subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=120)


def test_half_written_code_is_compiled_again_without_a_word(tmp_path: Path) -> None:
    done = call(tmp_path)
    stored = [path for path in (tmp_path / "medley" / "compiled").iterdir() if path.stat().st_size > 100]
    assert done.returncode == 0 and stored
    for size in (50, 0):
        for path in stored:
            path.write_bytes(path.read_bytes()[:size])
        again = call(tmp_path)
        assert (again.returncode, again.stdout, again.stderr) == (0, done.stdout, "")
