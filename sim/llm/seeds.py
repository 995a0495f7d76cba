"""One stream of random numbers per use, from the names of what it is used for."""

import zlib

import numpy as np


def number(*names: object) -> int:
    """A seed in [0, 2^31) that these names alone determine."""
    return zlib.crc32(repr(names).encode()) & 0x7FFFFFFF


def generator(*names: object) -> np.random.Generator:
    """NumPy's generator that these names alone determine."""
    return np.random.default_rng([zlib.crc32(repr(name).encode()) for name in names])
