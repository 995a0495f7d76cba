"""Solving many small positive definite systems at once."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

TINY, SMALL = 6, 24
"""Systems up to the first size are factored entry by entry, up to the second eliminated, larger ones left to the
library: under vmap the first two are vectorised updates of all systems, where the library solves one by one.
"""


def solve_positive(
    matrix: Float[Array, "p p"], right: Float[Array, "p k"]
) -> tuple[Float[Array, "p k"], Float[Array, ""]]:
    """The solution of matrix @ solution = right and log det(matrix); NaN if the matrix is not positive definite."""
    size = matrix.shape[0]
    if size == 0:
        return right, jnp.zeros(())
    if size <= TINY:
        return _unrolled(matrix, right)
    if size <= SMALL:
        return _eliminate(matrix, right)
    factor = jnp.linalg.cholesky(matrix)
    solution = jax.scipy.linalg.cho_solve((factor, True), right)
    return solution, 2 * jnp.sum(jnp.log(jnp.diagonal(factor)))


def _unrolled(matrix: Array, right: Array) -> tuple[Array, Array]:
    """matrix = L D L^T with unit triangular L, every entry a number of its own."""
    size = matrix.shape[0]
    lower: list[list[Array]] = [[] for _ in range(size)]
    pivots: list[Array] = []
    for i in range(size):
        for j in range(i):
            scaled = sum((lower[i][m] * lower[j][m] * pivots[m] for m in range(j)), jnp.zeros(()))
            lower[i].append((matrix[i, j] - scaled) / pivots[j])
        pivot = matrix[i, i] - sum((lower[i][m] ** 2 * pivots[m] for m in range(i)), jnp.zeros(()))
        pivots.append(jnp.where(pivot > 0, pivot, jnp.nan))
    forward: list[Array] = []
    for i in range(size):
        forward.append(right[i] - sum((lower[i][m] * forward[m] for m in range(i)), jnp.zeros(())))
    solution = [forward[i] / pivots[i] for i in range(size)]
    for i in reversed(range(size)):
        solution[i] = solution[i] - sum((lower[m][i] * solution[m] for m in range(i + 1, size)), jnp.zeros(()))
    return jnp.stack(solution), sum((jnp.log(pivot) for pivot in pivots), jnp.zeros(()))


def _eliminate(matrix: Array, right: Array) -> tuple[Array, Array]:
    """Gauss-Jordan elimination, for which positive definite matrices need no pivoting."""
    size = matrix.shape[0]
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
