"""Edit kernels q(y'|x, y) as operators.

The rest of the code reaches a kernel only through the operations of an editor, so that a kernel that is never
written down as a matrix can take the place of a dense one without its callers changing:

* `push`: the law of the edited response when the response follows a policy, q∘pi;
* `pull`: the expectation of a function of the edited response, given the response;
* `expect`: the expectation of a function of the whole triple;
* `joint`, `dense`: the law of the triple and the kernel, where a table of them fits in memory.

A kernel is held as one matrix per context (`DenseEditor`), as 2 x 2 factors of independent attributes
(`ProductEditor`), or as a mixture of such products (`MixtureEditor`); the last two serve a million responses.

Kernels themselves are built in `sim/kernels.py`.
"""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sim import cubes
from sim.distances import AttributeDistance, Distance, require_table
from sim.pytrees import pytree


@pytree
@dataclass(frozen=True)
class DenseEditor:
    """An edit kernel held as one matrix per context: `kernel[x, y, e]` is q(e | x, y)."""

    kernel: Float[Array, "X A A"]

    def push(self, policy: Float[Array, "X A"]) -> Float[Array, "X A"]:
        """The edited policy, q∘pi(e|x) = sum_y q(e|x, y) pi(y|x)."""
        return jnp.einsum("xy,xye->xe", policy, self.kernel)

    def pull(self, values: Float[Array, "X A"]) -> Float[Array, "X A"]:
        """The conditional expectation E[values(x, e) | x, y] = sum_e q(e|x, y) values(x, e)."""
        return jnp.einsum("xye,xe->xy", self.kernel, values)

    def pull_pairs(self, table: Float[Array, "A A"]) -> Float[Array, "X A"]:
        """The conditional expectation E[table(y, e) | x, y] = sum_e q(e|x, y) table(y, e)."""
        return jnp.einsum("xye,ye->xy", self.kernel, table)

    def joint(self, weights: Float[Array, "X A"]) -> Float[Array, "X A A"]:
        """The table weights(x, y) q(e|x, y): the law of the triple when `weights` is the law of (x, y)."""
        return weights[:, :, None] * self.kernel

    def dense(self) -> np.ndarray:
        """The whole kernel (X, A, A), for what needs its rows."""
        return np.asarray(self.kernel)

    def expect(self, weights: Float[Array, "X A"], table: Float[Array, "X A A"]) -> Float[Array, ""]:
        """The expectation sum weights(x, y) q(e|x, y) table(x, y, e); impossible triples count zero."""
        law = self.joint(weights)
        return jnp.sum(law * jnp.where(law > 0, table, 0.0))


@jax.jit
def _apply(factors: Float[Array, "X K 2 2"], values: Float[Array, "X A"]) -> Float[Array, "X A"]:
    """The Kronecker product of the factors, applied to a function on {0, 1}^K: O(K 2^K)."""

    # Every step works on the leading attribute and puts it last: after K of them all are back in their place.
    def step(table: Array, factor: Array) -> tuple[Array, None]:
        turned = jnp.einsum("xab,xbr->xra", factor, table.reshape(len(table), 2, -1))
        return turned.reshape(table.shape), None

    return jax.lax.scan(step, values, jnp.swapaxes(factors, 0, 1))[0] if factors.shape[1] else values


_outer_sum = jax.jit(cubes.outer_sum)


class _OfAttributes:
    """What editors of attributes share: tables where they fit, and the cost of editing without one."""

    def flips(self) -> Float[Array, "X K 2"]:
        """The probability that attribute k is changed, given its value before."""
        raise NotImplementedError

    def dense(self) -> np.ndarray:
        """The whole kernel (X, A, A), where it fits."""
        raise NotImplementedError

    @property
    def kernel(self) -> Float[Array, "X A A"]:
        """The kernel as a table, where it fits."""
        return jnp.asarray(self.dense())

    def pull_pairs(self, table: Distance) -> Float[Array, "X A"]:
        """As `DenseEditor.pull_pairs`; of an attribute distance, the sum of what each attribute is expected to cost."""
        if isinstance(table, AttributeDistance):
            return table.scale * _outer_sum(self.flips())
        return DenseEditor(self.kernel).pull_pairs(table)

    def joint(self, weights: Float[Array, "X A"]) -> Float[Array, "X A A"]:
        """As `DenseEditor.joint`, where a table fits."""
        return DenseEditor(self.kernel).joint(weights)

    def expect(self, weights: Float[Array, "X A"], table: Float[Array, "X A A"]) -> Float[Array, ""]:
        """As `DenseEditor.expect`, where a table fits."""
        return DenseEditor(self.kernel).expect(weights, table)


@pytree
@dataclass(frozen=True)
class ProductEditor(_OfAttributes):
    """Attributes are edited independently: q(e|x, y) = prod_k factors[x, k, y_k, e_k] on {0, 1}^K.

    Responses are in the order of `kernels.attribute_table`, the first attribute the most significant.
    """

    factors: Float[Array, "X K 2 2"]

    @property
    def responses(self) -> int:
        """The number of responses, A = 2^K."""
        return 2 ** self.factors.shape[1]

    def push(self, policy: Float[Array, "X A"]) -> Float[Array, "X A"]:
        """As `DenseEditor.push`."""
        return _apply(jnp.swapaxes(self.factors, 2, 3), jnp.asarray(policy))

    def pull(self, values: Float[Array, "X A"]) -> Float[Array, "X A"]:
        """As `DenseEditor.pull`."""
        return _apply(self.factors, jnp.asarray(values))

    def flips(self) -> Float[Array, "X K 2"]:
        """The probability that attribute k is changed, given its value before."""
        return jnp.stack([self.factors[:, :, 0, 1], self.factors[:, :, 1, 0]], axis=2)

    def dense(self) -> np.ndarray:
        """The whole kernel (X, A, A), where it fits."""
        require_table("edit kernel", self.responses)
        factors = np.asarray(self.factors)
        kernel = np.ones((len(factors), 1, 1))
        for k in range(factors.shape[1]):
            size = 2 * kernel.shape[1]
            kernel = np.einsum("xab,xcd->xacbd", kernel, factors[:, k]).reshape(-1, size, size)
        return kernel


@pytree
@dataclass(frozen=True)
class MixtureEditor(_OfAttributes):
    """With probability weights[c] the edit is editors[c]'s, whatever the response: q = sum_c weights[c] q_c."""

    weights: Float[Array, " C"]
    editors: tuple[ProductEditor, ...]

    @property
    def responses(self) -> int:
        """The number of responses, A."""
        return self.editors[0].responses

    def push(self, policy: Float[Array, "X A"]) -> Float[Array, "X A"]:
        """As `DenseEditor.push`."""
        return self._mean(lambda editor: editor.push(policy))

    def pull(self, values: Float[Array, "X A"]) -> Float[Array, "X A"]:
        """As `DenseEditor.pull`."""
        return self._mean(lambda editor: editor.pull(values))

    def flips(self) -> Float[Array, "X K 2"]:
        """The probability that attribute k is changed, given its value before."""
        return self._mean(lambda editor: editor.flips())

    def dense(self) -> np.ndarray:
        """The whole kernel (X, A, A), where it fits."""
        return np.asarray(self._mean(lambda editor: editor.dense()))

    def _mean(self, of: Callable[[ProductEditor], Any]) -> Any:
        # One after the other: C tables at once would not fit.
        parts = zip(self.weights, self.editors, strict=True)
        return functools.reduce(operator.add, (weight * of(editor) for weight, editor in parts))


Editor = DenseEditor | ProductEditor | MixtureEditor
