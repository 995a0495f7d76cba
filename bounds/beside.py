"""The theory of a run in a second process, beside the simulation: it depends on the regime alone, and on no log.

It is the same code on the same machine, so that the numbers are the same to the last bit.  Whatever goes wrong there
is not told: the theory is then worked out, and its error told, where the table is.
"""

import os
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax

from sim import machine, regimes, sweep
from sim.compiled import cache_compiled_code
from sim.regimes import Regime

Theory = list[tuple[dict[str, Any], dict[str, Any]]]
"""For every group of rows that differ in their seed only, what identifies it and the columns that theory adds."""

_CHILD = "import sys; sys.path[:] = sys.argv[2:]; from bounds import beside; beside.serve(sys.argv[1])"


@contextmanager
def theory_beside(regime: Regime) -> Iterator[Callable[[], Theory | None]]:
    """Work out the theory of a regime in a second process, which ends with the block, or with this process.

    The block gets a function that waits for the theory, for `bounds.joined`.  It returns None where there is none: no
    second core, an accelerator, which two processes cannot share, plug-ins, whose code runs in one process only, or a
    second process that failed.
    """
    process = _started(regime) if _is_worthwhile(regime) else None
    if process is None:
        yield lambda: None
        return
    with process:
        try:
            yield lambda: _answer(process)
        finally:
            process.kill()


def _is_worthwhile(regime: Regime) -> bool:
    return machine.cores() > 1 and not regime.plugins and jax.default_backend() == "cpu"


def _started(regime: Regime) -> subprocess.Popen[bytes] | None:
    command = [sys.executable, "-c", _CHILD, pickle.dumps(regime).hex(), *sys.path]
    try:
        # A group of its own: Ctrl-C is for this process, which then ends the other one.  Its input stays open as long
        # as this process lives.
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, process_group=0
        )
    except OSError:
        return None


def _answer(process: subprocess.Popen[bytes]) -> Theory | None:
    assert process.stdout is not None
    try:
        return pickle.loads(process.stdout.read())
    except (EOFError, pickle.UnpicklingError):
        return None


def serve(regime: str) -> None:
    """What the second process does: it writes the pickled theory of a regime, pickled too, to its standard output.

    Nothing where worlds are so large that both processes might not fit, or where there was a warning: the other
    process is to show it.
    """
    threading.Thread(target=_end_with_input, daemon=True).start()
    answer = os.dup(1)
    # What is printed is no part of the answer.
    os.dup2(2, 1)
    cache_compiled_code()
    with warnings.catch_warnings(record=True) as said:
        found = _theory(pickle.loads(bytes.fromhex(regime)))
    if found is not None and not said:
        with os.fdopen(answer, "wb") as output:
            pickle.dump(found, output)


def _theory(regime: Regime) -> Theory | None:
    from bounds.compare import of_regime

    if any(sweep.width_of(cell, online=False) < sweep.LANES for cell in regimes.cells(regime)):
        return None
    return list(of_regime(regime))


def _end_with_input() -> None:
    """End at once when the process at the other end of the standard input did."""
    os.read(0, 1)
    os._exit(1)
