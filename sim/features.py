"""Feature maps phi(x, y) as operators, so that callers never need the whole table at once."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from sim.pytrees import pytree


@pytree
@dataclass(frozen=True)
class DenseFeatures:
    """Features held as a table: `table[x, y]` is phi(x, y), a vector of length d."""

    table: Float[Array, "X A d"]

    @property
    def dimension(self) -> int:
        """The number of features, d."""
        return self.table.shape[-1]

    def pull(self, parameters: Float[Array, " d"]) -> Float[Array, "X A"]:
        """The linear function <parameters, phi(x, y)>."""
        return self.table @ parameters

    def push(self, weights: Float[Array, "X A"]) -> Float[Array, " d"]:
        """The weighted sum of features, sum_xy weights(x, y) phi(x, y)."""
        return jnp.einsum("xa,xad->d", weights, self.table)

    def centred(self, policy: Float[Array, "X A"]) -> "DenseFeatures":
        """The features less their mean under the policy, phi(x, y) - E_pi[phi | x]."""
        return DenseFeatures(self.table - jnp.einsum("xa,xad->xd", policy, self.table)[:, None])

    def gram(self, weights: Float[Array, "X A"]) -> Float[Array, "d d"]:
        """The second moment sum_xy weights(x, y) phi(x, y) phi(x, y)^T."""
        flat = self.table.reshape(-1, self.dimension)
        return flat.T @ (weights.reshape(-1, 1) * flat)

    def pair_gram(self, weights: Float[Array, "X A A"]) -> Float[Array, "d d"]:
        """The mixed moment sum_xye weights(x, y, e) phi(x, y) phi(x, e)^T."""
        right = jnp.einsum("xye,xed->xyd", weights, self.table)
        return jnp.einsum("xyd,xyf->df", self.table, right)

    def quadratic(self, matrix: Float[Array, "d d"]) -> Float[Array, "X A"]:
        """The quadratic form phi(x, y)^T matrix phi(x, y)."""
        return jnp.sum((self.table @ matrix) * self.table, axis=-1)

    def pair_quadratic(self, matrix: Float[Array, "d d"]) -> Float[Array, "X A A"]:
        """The quadratic form of differences, psi^T matrix psi with psi = phi(x, e) - phi(x, y), matrix symmetric."""
        inner = jnp.einsum("xyd,xed->xye", self.table @ matrix, self.table)
        own = self.quadratic(matrix)
        return own[:, :, None] + own[:, None, :] - 2 * inner


def indicator_features(contexts: int, responses: int) -> DenseFeatures:
    """One feature per pair (x, y): d = contexts * responses."""
    return DenseFeatures(jnp.eye(contexts * responses).reshape(contexts, responses, -1))
