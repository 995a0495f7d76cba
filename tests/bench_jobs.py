"""Jobs for the tests of child processes, in a module that a child imports quickly."""

import os
import time

import numpy as np

from sim.bench.child import Steps


def counting(upto: int, then: str) -> Steps:
    for i in range(upto):
        yield f"step_{i}", i
    if then == "raise":
        raise ValueError("a reason\nand its details")
    if then == "sleep":
        time.sleep(60)
    if then == "die":
        os._exit(3)


def allocating(mb: int) -> Steps:
    kept = np.ones(mb * 2**17)
    yield "size", kept.nbytes
