"""A job in a fresh process, so that its peak memory is its own, and its end cannot take the parent with it."""

import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from sim.machine import peak_mb

Steps = Iterator[tuple[str, Any]]
"""What a job yields as it goes: names and values."""


def in_child(
    job: Callable[..., Steps], *arguments: Any, seconds: float, memory_mb: float | None = None
) -> dict[str, Any]:
    """Run a job in a new process.

    Args:
        job: a function of a module; what it yields is kept even if it does not come to its end.
        arguments: of the job.
        seconds: after which the process is stopped.
        memory_mb: what it may allocate; None for no limit.

    Returns:
        What the job yielded by name, `peak_mb` (None if unknown) and `error` (None if it came to its end).
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, job, arguments, memory_mb), daemon=True)
    process.start()
    theirs.close()
    try:
        found = _collect(ours, time.monotonic() + seconds, seconds)
    finally:
        process.kill()
        process.join()
        ours.close()
    if found["error"] == _GONE:
        found["error"] = f"the process ended with status {process.exitcode}: most likely out of memory"
    return found


_GONE = "gone"


def _collect(pipe: Connection, deadline: float, seconds: float) -> dict[str, Any]:
    found: dict[str, Any] = {"peak_mb": None, "error": None}
    while True:
        if not pipe.poll(max(deadline - time.monotonic(), 0.0)):
            return found | {"error": f"not done after {seconds:g} s"}
        try:
            values, more = pipe.recv()
        except (EOFError, ConnectionResetError):
            return found | {"error": _GONE}
        found |= values
        if not more:
            return found


def _work(pipe: Connection, job: Callable[..., Steps], arguments: tuple[Any, ...], memory_mb: float | None) -> None:
    if memory_mb is not None:
        limit = int(memory_mb * 2**20)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        for name, value in job(*arguments):
            pipe.send(({name: value, "peak_mb": peak_mb()}, True))
        error = None
    except Exception as problem:
        # The first line: some libraries add pages.
        error = f"{type(problem).__name__}: {(str(problem) or 'no message').splitlines()[0]}"
    pipe.send(({"error": error, "peak_mb": peak_mb()}, False))
