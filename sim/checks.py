"""Checks of user input: each returns the value as a float64 array (or float) or raises `BadInput`."""

from typing import Any

import numpy as np

from sim.errors import BadInput

SUM_TOLERANCE, SINGLE_TOLERANCE, ROUNDING = 1e-8, 1e-3, 1e-14


def array(name: str, value: Any, ndim: int) -> np.ndarray:
    """A finite float64 array with `ndim` axes, none of them empty."""
    try:
        result = np.asarray(value)
    except ValueError:
        raise BadInput(
            f"{name}: expected numbers, an array of real ones, got a ragged {type(value).__name__}"
        ) from None
    if result.dtype.kind not in "buif":
        raise BadInput(f"{name}: expected numbers, an array of real ones, got {result.dtype}")
    result = result.astype(np.float64)
    if result.ndim != ndim:
        raise BadInput(f"{name}: expected {ndim} axes, got shape {result.shape}")
    if not np.all(np.isfinite(result)):
        raise BadInput(f"{name}: expected finite numbers, got {np.sum(~np.isfinite(result))} that are not")
    return result


def probabilities(
    name: str, value: Any, ndim: int, contexts: int | None = None, responses: int | None = None
) -> np.ndarray:
    """Non-negative entries whose last axis sums to one; rescaled where rounding shows."""
    result = array(name, value, ndim)
    wanted = {1: (contexts,), 2: (contexts, responses), 3: (contexts, responses, responses)}[ndim]
    _shape(name, result, wanted)
    if result.size == 0:
        raise BadInput(f"{name}: expected at least one entry per axis, got shape {result.shape}")
    if result.min() < 0:
        where = tuple(int(i) for i in np.unravel_index(result.argmin(), result.shape))
        raise BadInput(f"{name}: expected probabilities, got {result.min():.6g} at {where}")
    sums = result.sum(axis=-1)
    worst = np.unravel_index(np.abs(sums - 1).argmax(), sums.shape)
    single = np.asarray(value).dtype in (np.float32, np.float16)
    if abs(sums[worst] - 1) > (SINGLE_TOLERANCE if single else SUM_TOLERANCE):
        row = "" if ndim == 1 else f" in row {tuple(int(i) for i in worst)}"
        raise BadInput(f"{name}: expected entries that sum to 1, got {sums[worst]:.9g}{row}; normalise it")
    # Rows that sum to one up to rounding stay as they are, so that a world that is stored reads back the same.
    off = np.abs(sums - 1)[..., None] > ROUNDING
    return np.where(off, result / sums[..., None], result)


def _shape(name: str, value: np.ndarray, wanted: tuple[int | None, ...]) -> None:
    if any(w is not None and w != got for w, got in zip(wanted, value.shape, strict=True)):
        expected = "(" + ", ".join("any" if w is None else str(w) for w in wanted) + ")"
        raise BadInput(f"{name}: expected shape {expected}, got {value.shape}")


def distances(name: str, value: Any, responses: int) -> np.ndarray:
    """A distance table: shape (responses, responses), zero exactly on the diagonal, positive elsewhere."""
    result = array(name, value, 2)
    _shape(name, result, (responses, responses))
    diagonal = np.diag(result)
    if np.any(diagonal != 0):
        raise BadInput(
            f"{name}: expected a zero diagonal (no edit costs nothing), got {diagonal[diagonal != 0][0]:.6g}"
        )
    off = result[~np.eye(responses, dtype=bool)]
    if off.size and off.min() <= 0:
        raise BadInput(f"{name}: expected positive distances off the diagonal, got {off.min():.6g}")
    return result


def features(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A feature table of shape (*shape, d), d >= 1."""
    result = array(name, value, 3)
    _shape(name, result, (*shape, None))
    if result.shape[-1] == 0:
        raise BadInput(f"{name}: expected at least one feature, got shape {result.shape}")
    return result


def positive(name: str, value: Any) -> float:
    """A finite number above zero."""
    number = scalar(name, value)
    if number <= 0:
        raise BadInput(f"{name}: expected a number above 0, got {number:g}")
    return number


def in_range(name: str, value: Any, low: float, high: float) -> float:
    """A number in [low, high]."""
    number = scalar(name, value)
    if not low <= number <= high:
        raise BadInput(f"{name}: expected a number in [{low:g}, {high:g}], got {number:g}")
    return number


def scalar(name: str, value: Any) -> float:
    """A finite number."""
    result = np.asarray(value)
    if result.shape != () or result.dtype.kind not in "iuf":
        raise BadInput(f"{name}: expected one number, got {value!r}".replace("\n", " ")[:300])
    if not np.isfinite(result):
        raise BadInput(f"{name}: expected a finite number, got {value}")
    return float(result)


def whole(name: str, value: Any, least: int = 0) -> int:
    """A whole number of at least `least`."""
    number = scalar(name, value)
    if number != int(number) or number < least:
        raise BadInput(f"{name}: expected a whole number, at least {least}, got {value}")
    return int(value)


def chance(name: str, value: Any) -> float:
    """A number in (0, 1)."""
    number = scalar(name, value)
    if not 0 < number < 1:
        raise BadInput(f"{name}: expected a number between 0 and 1, both excluded, got {number:g}")
    return number


def unique(name: str, values: list[Any]) -> None:
    """Raise `BadInput` for an empty list, or a value that is given twice."""
    if not values:
        raise BadInput(f"{name}: expected at least one value, got an empty list")
    if any(value in values[:i] for i, value in enumerate(values)):
        raise BadInput(f"{name}: expected no value twice, got {values}")
