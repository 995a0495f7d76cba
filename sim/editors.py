"""Edit kernels q(y'|x, y) as operators.

The rest of the code reaches a kernel only through the operations of an editor, so that a kernel that is never
written down as a matrix can take the place of a dense one without its callers changing:

* `push`: the law of the edited response when the response follows a policy, q∘pi;
* `pull`: the expectation of a function of the edited response, given the response;
* `expect`: the expectation of a function of the whole triple;
* `joint`: the law of the triple, where a table of it fits in memory.

Kernels themselves are built in `sim/kernels.py`.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

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
