"""Edit distances that are never written down as a table of all pairs of responses.

`World.distance` is an array (A, A), or an operator that answers what is asked of one: `distance[y, e]` for arrays of
indices, `largest(distance)`, and `np.asarray(distance)` where the table fits.
"""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sim.errors import BadInput
from sim.pytrees import pytree

LARGEST_TABLE = 4096
"""Responses up to which a table of all pairs is written down."""


def require_table(what: str, responses: int) -> None:
    """Refuse a table of all pairs of responses that does not fit."""
    if responses > LARGEST_TABLE:
        raise BadInput(
            f"{what}: a table of all pairs of {responses} responses does not fit, expected at most {LARGEST_TABLE};"
            " lower attributes, or ask for what needs no table"
        )


@pytree
@dataclass(frozen=True)
class AttributeDistance:
    """scale * the number of attributes in which two responses of {0, 1}^K differ (docs/theory.md 2.2)."""

    scale: Float[Array, ""]
    attributes: int = field(metadata={"static": True})

    @property
    def shape(self) -> tuple[int, int]:
        """That of the table, (A, A)."""
        return (2**self.attributes, 2**self.attributes)

    def between(self, responses: Any, edited: Any) -> Float[Array, "..."]:
        """The distances of pairs of responses, given by their indices, numbers or arrays."""
        return self.scale * jax.lax.population_count(jnp.bitwise_xor(responses, edited))

    def __getitem__(self, pairs: tuple[Any, Any]) -> Array:
        """As an array's: `distance[responses, edited]`."""
        return self.between(*pairs)

    def table(self) -> np.ndarray:
        """All distances (A, A), where they fit."""
        require_table("edit distance", self.shape[0])
        index = np.arange(self.shape[0])
        return float(self.scale) * np.bitwise_count(index[:, None] ^ index).astype(float)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The table, for `np.asarray`."""
        return self.table() if dtype is None else self.table().astype(dtype)


Distance = Float[Array, "A A"] | AttributeDistance


def largest(distance: Distance) -> Float[Array, ""]:
    """The largest distance of two responses."""
    if isinstance(distance, AttributeDistance):
        return distance.scale * distance.attributes
    return jnp.max(distance)


def as_table(distance: Distance) -> Float[Array, "A A"]:
    """All distances, where they fit; of traced numbers too."""
    if isinstance(distance, AttributeDistance):
        require_table("edit distance", distance.shape[0])
        index = jnp.arange(distance.shape[0])
        return distance[index[:, None], index]
    return jnp.asarray(distance)
