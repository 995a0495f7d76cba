"""Numbers that are known exactly or to lie between two proved ends, one per context."""

from typing import NamedTuple

import numpy as np

SAME, ROUNDING = 1e-12, 1e-15
"""Ends nearer than this, relatively or in all, are one number up to rounding."""


class Interval(NamedTuple):
    """Proved ends of a number per context, (X,) each, or of a single one, () each: equal where it is known exactly, the
    upper one +inf where nothing is known.
    """

    lower: np.ndarray
    upper: np.ndarray

    @property
    def exact(self) -> bool:
        """Whether the number is known in every context."""
        close = self.upper - self.lower <= np.maximum(SAME * self.upper, ROUNDING)
        return bool(np.all(close & np.isfinite(self.upper)))


def exactly(values: np.ndarray | list[float]) -> Interval:
    """The interval of known numbers."""
    values = np.asarray(values, dtype=float)
    return Interval(values, values)
