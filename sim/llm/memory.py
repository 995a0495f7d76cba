"""What a study needs of the device's memory, before it starts: a rough count, and what would fit."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax

from sim import machine
from sim.errors import BadInput
from sim.llm.decoding import BATCH
from sim.llm.presets import Preset, Study
from sim.llm.transformer import Shape

WEIGHTS = 16
"""Bytes for a weight: itself, its gradient, and two averages of the optimiser."""

KEPT = 12
"""Numbers of the width of the residual stream that are kept for a token and layer until the gradient is taken."""


def needed_mb(settings: Preset, batch: int | None = None) -> float:
    """The memory of the largest step of a study, in MB (2^20 bytes): of training on pairs, or of reading responses.

    Weights with their gradient and optimiser, or as many bytes of other policies, and for every sequence what is kept
    of its tokens (states, the hidden part, attention, all in the dtype of the products but for attention) with three
    copies of the scores of its response.  Training on pairs keeps this for every layer of 2 `batch` sequences, reading
    for one layer of `decoding.BATCH` sequences, beside the keys and values of all layers, which writing needs.
    """
    s, batch = settings, settings.batch if batch is None else batch
    length, size = s.document + s.response, 4 if s.dtype == "float32" else 2
    weights = WEIGHTS * Shape(s.vocabulary, s.width, s.layers, s.heads, s.hidden).parameters
    of_layer = length * (size * (KEPT * s.width + 3 * s.hidden) + 8 * s.heads * length)
    scores, cache = 3 * 4 * s.vocabulary * s.response, length * s.layers * 2 * size * s.width
    training, reading = 2 * batch * (s.layers * of_layer + scores), BATCH * (of_layer + cache + scores)
    return (weights + max(training, reading)) / 2**20


def check(study: Study, limit_mb: float | None = None) -> None:
    """Refuse a study that does not fit.

    Args:
        study: to be run.
        limit_mb: the memory that is free; default: that of the device that computes.

    Raises:
        BadInput: it needs more, with the largest batch that would fit.
    """
    limit = free_mb() if limit_mb is None else limit_mb
    if limit is None or needed_mb(study.settings) <= limit:
        return
    raise BadInput(
        f"preset {study.preset}: expected about {needed_mb(study.settings):,.0f} MB of memory, the device has"
        f" {limit:,.0f} MB free; {_remedy(study.settings, limit)}"
    )


def free_mb() -> float | None:
    """The free memory of the device that computes, in MB; None where nobody says."""
    counted = jax.devices()[0].memory_stats() or {}
    if "bytes_limit" in counted:
        return (counted["bytes_limit"] - counted.get("bytes_in_use", 0)) / 2**20
    return machine.free_memory_mb()


@contextmanager
def told(study: Study) -> Iterator[None]:
    """Turn the device's own refusal of memory into one line."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        halved = max(study.settings.batch // 2, 1)
        raise BadInput(
            f"preset {study.preset}: the device's memory is not enough ({str(error).splitlines()[0][:200]}); in another"
            f" folder try --set batch={halved}, or a smaller preset"
        ) from None


def _remedy(settings: Preset, limit: float) -> str:
    batch = settings.batch
    while batch > 1 and needed_mb(settings, batch) > limit:
        batch //= 2
    if needed_mb(settings, batch) > limit:
        return "no batch of this preset fits; use a smaller preset in another folder"
    return f"--set batch={batch} would fit, in another folder"
