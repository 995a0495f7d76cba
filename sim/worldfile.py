"""The `.npz` world file: one world as named arrays, no pickles.

Keys: `context_probs` (X,), `edit_kernel` (X, A, A), `edit_distance` (A, A), `temperature` (),
`policy_features` (X, A, d), optional `cost_features` (X, A, m) (default: an indicator of each (x, y)), and either
`optimal` (X, A), then the reference is planted, or `reference` (X, A), then the optimum follows from Eq. 1.  With
both, they must agree to 1e-8.
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from sim import checks
from sim.errors import BadInput, choose
from sim.files import atomic_file
from sim.world import World, from_reference, plant

REQUIRED = ("context_probs", "edit_kernel", "edit_distance", "temperature", "policy_features")
OPTIONAL = ("cost_features", "optimal", "reference")
AGREEMENT = 1e-8


def read(path: Path) -> World:
    """The world of a file.

    Args:
        path: of the file.

    Raises:
        BadInput: unreadable or truncated file, unknown or missing arrays, arrays that make no world.
    """
    arrays = _load(path)
    try:
        return _build(arrays)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def _load(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        raise BadInput(f"{path}: no such world file")
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no zip archive, or its end is missing")
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (
        OSError,
        ValueError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        KeyError,
        AttributeError,
        TypeError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{path}: not a readable .npz world file ({reason}); write it with numpy.savez") from None


def _build(arrays: dict[str, np.ndarray]) -> World:
    for name in arrays:
        choose("array", name, REQUIRED + OPTIONAL)
    missing = [name for name in REQUIRED if name not in arrays]
    if missing:
        raise BadInput(f"expected the array '{missing[0]}', which is missing; required: {', '.join(REQUIRED)}")
    common = {
        "context_probs": arrays["context_probs"],
        "kernel": arrays["edit_kernel"],
        "distance": arrays["edit_distance"],
        "temperature": checks.positive("temperature", arrays["temperature"]),
        "policy_features": arrays["policy_features"],
        "cost_features": arrays.get("cost_features"),
    }
    if "reference" in arrays:
        world = from_reference(reference=arrays["reference"], **common)
        if "optimal" in arrays:
            _require_agreement(world, plant(optimal=arrays["optimal"], **common))
        return world
    if "optimal" in arrays:
        return plant(optimal=arrays["optimal"], **common)
    raise BadInput("expected 'optimal' or 'reference' (both only if they agree), got neither")


def _require_agreement(world: World, planted: World) -> None:
    apart = float(np.abs(np.asarray(world.optimal) - np.asarray(planted.optimal)).max())
    if apart > AGREEMENT:
        raise BadInput(
            f"'optimal' and 'reference' disagree: Eq. 1 gives an optimum {apart:.3g} away, allowed {AGREEMENT:g};"
            " leave one of them out"
        )


def write(world: World, path: Path) -> None:
    """Write a world so that `read` gives it back; the file appears whole or not at all."""
    with atomic_file(path) as file:
        np.savez(
            file,
            context_probs=np.asarray(world.context_probs),
            edit_kernel=np.asarray(world.editor.kernel),
            edit_distance=np.asarray(world.distance),
            temperature=np.asarray(world.temperature),
            policy_features=np.asarray(world.policy_features.table),
            cost_features=np.asarray(world.cost_features.table),
            optimal=np.asarray(world.optimal),
            reference=np.asarray(world.reference),
        )
