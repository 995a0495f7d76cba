"""Solving many small positive definite systems at once."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

SMALL = 24
"""Systems up to this size are eliminated, larger ones factored by the library."""


def solve_positive(
    matrix: Float[Array, "p p"], right: Float[Array, "p k"]
) -> tuple[Float[Array, "p k"], Float[Array, ""]]:
    """The solution of matrix @ solution = right and log det(matrix); NaN if the matrix is not positive definite."""
    if matrix.shape[0] > SMALL:
        factor = jnp.linalg.cholesky(matrix)
        solution = jax.scipy.linalg.cho_solve((factor, True), right)
        return solution, 2 * jnp.sum(jnp.log(jnp.diagonal(factor)))
    return _eliminate(matrix, right)


def _eliminate(matrix: Array, right: Array) -> tuple[Array, Array]:
    """Gauss-Jordan elimination, for which positive definite matrices need no pivoting.

    Under vmap each step is one vectorised update of all systems, which for small systems is faster to run and to
    compile than a library call per system.
    """
    size = matrix.shape[0]
    if size == 0:
        return right, jnp.zeros(())
    rows = jnp.arange(size)[:, None]

    def eliminate(k: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        table, log_det = state
        pivot = jnp.where(table[k, k] > 0, table[k, k], jnp.nan)
        row = table[k] / pivot
        reduced = jnp.where(rows == k, row, table - table[:, k][:, None] * row)
        return reduced, log_det + jnp.log(pivot)

    start = (jnp.concatenate([matrix, right], axis=1), jnp.zeros(()))
    table, log_det = jax.lax.fori_loop(0, size, eliminate, start)
    return table[:, size:], log_det
