"""Dataclasses as pytrees: the fields are leaves, those with metadata `static=True` are part of the structure."""

import dataclasses
from typing import Any, TypeVar

import jax

T = TypeVar("T")
_REGISTERED: set[type] = set()


def pytree(cls: type[T]) -> type[T]:
    """Register the dataclass `cls` as a pytree whose structure names its class.

    `jax.tree_util.register_dataclass` gives two classes with equally many leaves structures that compare equal, so
    that a compiled function may, depending on how they hash, run one class's code on the other.
    """
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    leaves = tuple(field.name for field in fields if not field.metadata.get("static", False))
    statics = tuple(field.name for field in fields if field.metadata.get("static", False))

    def flatten(value: Any) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
        keyed = [(jax.tree_util.GetAttrKey(name), getattr(value, name)) for name in leaves]
        return keyed, (cls, *(getattr(value, name) for name in statics))

    def unflatten(structure: tuple[Any, ...], children: Any) -> T:
        # Without the checks of __init__: children may be tracers, or no arrays at all.
        made = object.__new__(cls)
        for name, child in [*zip(statics, structure[1:], strict=True), *zip(leaves, children, strict=True)]:
            object.__setattr__(made, name, child)
        return made

    jax.tree_util.register_pytree_with_keys(cls, flatten, unflatten)
    _REGISTERED.add(cls)
    return cls


def names_its_class(cls: type) -> bool:
    """Whether `pytree` registered the class."""
    return cls in _REGISTERED
