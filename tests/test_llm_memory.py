"""A study that does not fit is refused before it starts, and says what would."""

import jax
import pytest

from sim.errors import BadInput
from sim.llm import memory
from sim.llm.presets import PRESETS, study


def test_larger_studies_need_more() -> None:
    needs = [memory.needed_mb(PRESETS[name]) for name in ("micro", "tiny", "small")]
    assert needs == sorted(needs) and needs[0] < 400 and 2_000 < needs[2] < 80_000
    small = PRESETS["small"]
    assert memory.needed_mb(small, 2 * small.batch) < 2 * memory.needed_mb(small)
    assert memory.needed_mb(small) < memory.needed_mb(small.model_copy(update={"dtype": "float32"}))


def test_reading_whole_batches_needs_memory_too() -> None:
    small = PRESETS["small"]
    # The scores of 256 responses, three times: no smaller batch of training makes them fewer.
    assert (
        memory.needed_mb(small, 1)
        == memory.needed_mb(small, 2)
        > 256 * 3 * 4 * small.vocabulary * small.response / 2**20
    )
    assert memory.needed_mb(small) > memory.needed_mb(small, 1)


def test_what_does_not_fit_is_refused_with_what_would() -> None:
    small = study("small")
    memory.check(small, memory.needed_mb(small.settings))
    with pytest.raises(
        BadInput, match=r"expected about .* MB of memory, the device has 8,000 MB free; --set batch="
    ) as error:
        memory.check(small, 8000)
    batch = int(str(error.value).split("batch=")[1].split()[0])
    assert str(error.value).endswith(f"--set batch={batch} would fit, in another folder")
    memory.check(study("small", overrides=[f"batch={batch}"]), 8000)
    with pytest.raises(BadInput, match="no batch of this preset fits; use a smaller preset in another folder"):
        memory.check(small, 10)


def test_the_device_says_how_much_is_free() -> None:
    free = memory.free_mb()
    assert free is None or free > 100


def test_the_devices_own_refusal_is_one_line() -> None:
    with pytest.raises(
        BadInput, match=r"the device's memory is not enough .RESOURCE_EXHAUSTED.*; in another folder try --set batch=16"
    ):
        with memory.told(study("tiny")):
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.\nmore")
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"), memory.told(study("tiny")):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")
