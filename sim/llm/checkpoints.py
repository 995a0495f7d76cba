"""Weights on disk: safetensors files that appear whole or not at all, with the sizes of the model beside them."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sim.errors import BadInput
from sim.files import atomic_file


def write(path: Path, tree: Any, notes: dict[str, Any]) -> None:
    """Store the arrays of a pytree by their names, with notes that JSON can hold."""
    arrays = {name: np.asarray(leaf) for name, leaf in _named(tree)}
    with atomic_file(path) as file:
        file.write(save(arrays, {"notes": json.dumps(notes)}))


def read(path: Path, like: Any) -> tuple[Any, dict[str, Any]]:
    """What `write` stored, and its notes.

    Args:
        path: of the file.
        like: a pytree with the arrays that are expected (their shapes and dtypes are compared, their values are not).

    Raises:
        BadInput: no such file, no checkpoint, or one of another shape.
    """
    expected = _named(like)
    arrays, notes = _content(path)
    missing = [name for name, _ in expected if name not in arrays]
    if missing or len(arrays) != len(expected):
        named = f"{missing[0]} is missing" if missing else f"{len(arrays)} arrays for {len(expected)}"
        raise BadInput(f"{path}: expected a checkpoint of this model, but {named}; it is of another kind of model")
    for name, leaf in expected:
        if arrays[name].shape != leaf.shape or arrays[name].dtype != leaf.dtype:
            raise BadInput(
                f"{path}: expected {name} of shape {leaf.shape}, got {arrays[name].shape}; the checkpoint is of a model"
                " of another size, so use the preset that it was made with"
            )
    leaves = [jnp.asarray(arrays[name]) for name, _ in expected]
    return jax.tree.unflatten(jax.tree.structure(like), leaves), notes


def notes_of(path: Path) -> dict[str, Any]:
    """The notes of a checkpoint."""
    return _content(path)[1]


def _content(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    try:
        with safe_open(path, framework="numpy") as file:
            notes = json.loads((file.metadata() or {}).get("notes", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, notes
    except (OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(
            f"{path}: expected a checkpoint (safetensors), which cannot be read: {reason}; delete it, and --resume"
            " trains it again"
        ) from None


def _named(tree: Any) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]
