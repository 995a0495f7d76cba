"""Feature maps phi(x, y) as operators, so that callers never need the whole table at once."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sim import cubes
from sim.errors import BadInput
from sim.pytrees import pytree

LARGEST_TABLE = 2**24
"""Numbers up to which a table of features is written down."""


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

    def least_squares(self, values: np.ndarray) -> np.ndarray:
        """The weights (d,) of least norm that minimise sum_xy (values(x, y) - <weights, phi(x, y)>)^2."""
        rows = np.asarray(self.table).reshape(-1, self.dimension)
        return np.linalg.lstsq(rows, values.ravel(), rcond=None)[0]


@pytree
@dataclass(frozen=True)
class AttributeFeatures:
    """Attributes less a centre, with parameters of their own in each context, then at most one constant for all.

    phi(x, y) has y_k - centre[x, k] at x K + k and zero at other contexts, then `constant` (1,), or (0,) for none:
    d = X K + len(constant).  Made by `attribute_features`.  All operations work on two halves of the attributes, with
    tables of 2^(K/2) rows.
    """

    centre: Float[Array, "X K"]
    constant: Float[Array, " c"]

    @property
    def dimension(self) -> int:
        """The number of features, d."""
        return self.centre.size + self.constant.size

    @property
    def table(self) -> Float[Array, "X A d"]:
        """As `DenseFeatures.table`, where it fits."""
        contexts, attributes = self.centre.shape
        size = contexts * 2**attributes * self.dimension
        if size > LARGEST_TABLE:
            raise BadInput(
                f"features: a table of {contexts} x {2**attributes} x {self.dimension} numbers does not fit, expected"
                f" at most {LARGEST_TABLE}; lower attributes or contexts, or ask for what needs no table"
            )
        first, second = (jnp.asarray(half) for half in cubes.halves(attributes))
        rows = [jnp.repeat(first, len(second), axis=0), jnp.tile(second, (len(first), 1))]
        values = jnp.concatenate(rows, axis=1) - self.centre[:, None, :]
        blocks = jnp.einsum("xz,xak->xazk", jnp.eye(contexts), values).reshape(contexts, 2**attributes, -1)
        constants = jnp.broadcast_to(self.constant, (*blocks.shape[:2], self.constant.size))
        return jnp.concatenate([blocks, constants], axis=2)

    def pull(self, parameters: Float[Array, " d"]) -> Float[Array, "X A"]:
        """As `DenseFeatures.pull`."""
        (first, second), (left, right) = self._halves, self._split(self._slopes(parameters))
        by_half = jnp.einsum("xak,xk->xa", first, left), jnp.einsum("xak,xk->xa", second, right)
        return _on_cube(*by_half) + self.constant @ parameters[self.centre.size :]

    def push(self, weights: Float[Array, "X A"]) -> Float[Array, " d"]:
        """As `DenseFeatures.push`."""
        (first, second), table = self._halves, self._as_matrix(weights)
        left = jnp.einsum("xa,xak->xk", table.sum(axis=2), first)
        right = jnp.einsum("xb,xbk->xk", table.sum(axis=1), second)
        slopes = jnp.concatenate([left, right], axis=1).ravel()
        return jnp.concatenate([slopes, self.constant * jnp.sum(weights)])

    def centred(self, policy: Float[Array, "X A"]) -> "AttributeFeatures":
        """As `DenseFeatures.centred`, of a policy whose rows sum to one: the constant becomes zero."""
        means = self.push(policy)[: self.centre.size].reshape(self.centre.shape)
        return AttributeFeatures(self.centre + means, jnp.zeros_like(self.constant))

    def second_moments(self, weights: Float[Array, "X A"]) -> Float[Array, "X K K"]:
        """sum_y weights(x, y) (y_j - centre_xj) (y_k - centre_xk): the blocks of `gram`."""
        (first, second), table = self._halves, self._as_matrix(weights)
        upper = jnp.einsum("xa,xaj,xak->xjk", table.sum(axis=2), first, first)
        lower = jnp.einsum("xb,xbj,xbk->xjk", table.sum(axis=1), second, second)
        mixed = jnp.einsum("xaj,xak->xjk", first, jnp.einsum("xab,xbk->xak", table, second))
        return jnp.block([[upper, mixed], [jnp.swapaxes(mixed, 1, 2), lower]])

    def gram(self, weights: Float[Array, "X A"]) -> Float[Array, "d d"]:
        """As `DenseFeatures.gram`."""
        contexts, slopes = len(self.centre), self.centre.size
        blocks = jnp.einsum("xz,xjk->xjzk", jnp.eye(contexts), self.second_moments(weights)).reshape(slopes, slopes)
        border = jnp.outer(self.push(weights)[:slopes], self.constant)
        corner = jnp.outer(self.constant, self.constant) * jnp.sum(weights)
        return jnp.block([[blocks, border], [border.T, corner]])

    def quadratics(self, matrices: Float[Array, "X K K"]) -> Float[Array, "X A"]:
        """(y - centre_x)^T matrices[x] (y - centre_x), matrices symmetric."""
        first, second = self._halves
        cut = first.shape[2]
        upper, mixed, lower = matrices[:, :cut, :cut], matrices[:, :cut, cut:], matrices[:, cut:, cut:]
        own = jnp.sum((first @ upper) * first, axis=2), jnp.sum((second @ lower) * second, axis=2)
        crossed = (first @ mixed) @ jnp.swapaxes(second, 1, 2)
        return _on_cube(*own) + 2 * crossed.reshape(len(first), -1)

    def quadratic(self, matrix: Float[Array, "d d"]) -> Float[Array, "X A"]:
        """As `DenseFeatures.quadratic`, matrix symmetric."""
        (contexts, attributes), slopes = self.centre.shape, self.centre.size
        blocks = matrix[:slopes, :slopes].reshape(contexts, attributes, contexts, attributes)
        own = self.quadratics(jnp.einsum("xjxk->xjk", blocks))
        crossed = self.pull(jnp.concatenate([2 * matrix[:slopes, slopes:] @ self.constant, 0 * self.constant]))
        return own + crossed + self.constant @ matrix[slopes:, slopes:] @ self.constant

    def pair_gram(self, weights: Float[Array, "X A A"]) -> Float[Array, "d d"]:
        """As `DenseFeatures.pair_gram`, where a table fits."""
        return DenseFeatures(self.table).pair_gram(weights)

    def pair_quadratic(self, matrix: Float[Array, "d d"]) -> Float[Array, "X A A"]:
        """As `DenseFeatures.pair_quadratic`, where a table fits."""
        return DenseFeatures(self.table).pair_quadratic(matrix)

    def least_squares(self, values: np.ndarray) -> np.ndarray:
        """As `DenseFeatures.least_squares`, for features as made: centred at 1/2, all of them are orthogonal."""
        sizes = np.full(self.dimension, values.shape[1] / 4)
        sizes[self.centre.size :] = values.size
        return np.asarray(self.push(jnp.asarray(values))) / sizes

    @property
    def _halves(self) -> tuple[Array, Array]:
        first, second = (jnp.asarray(half) for half in cubes.halves(self.centre.shape[1]))
        left, right = self._split(self.centre)
        return first - left[:, None, :], second - right[:, None, :]

    def _split(self, values: Array) -> tuple[Array, Array]:
        cut = self.centre.shape[1] // 2
        return values[:, :cut], values[:, cut:]

    def _slopes(self, parameters: Array) -> Array:
        return parameters[: self.centre.size].reshape(self.centre.shape)

    def _as_matrix(self, weights: Array) -> Array:
        contexts, attributes = self.centre.shape
        return weights.reshape(contexts, 2 ** (attributes // 2), -1)


def _on_cube(first: Array, second: Array) -> Array:
    """The function first(x, y of the first half) + second(x, y of the second), shape (X, A)."""
    return (first[:, :, None] + second[:, None, :]).reshape(len(first), -1)


def attribute_features(contexts: int, attributes: int, constant: bool = False) -> AttributeFeatures:
    """y - 1/2 per context and attribute (d = X K), and a constant 1 for all contexts if asked for."""
    return AttributeFeatures(jnp.full((contexts, attributes), 0.5), jnp.ones(int(constant)))


Features = DenseFeatures | AttributeFeatures


def indicator_features(contexts: int, responses: int) -> DenseFeatures:
    """One feature per pair (x, y): d = contexts * responses."""
    return DenseFeatures(jnp.eye(contexts * responses).reshape(contexts, responses, -1))
