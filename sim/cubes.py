"""Functions on the cube {0, 1}^K, one row per context, in the order of `kernels.attribute_table`.

A table has shape (X, 2^K), the first attribute being the most significant bit; `parts` (X, K, 2) holds one number per
context, attribute and value.  All take NumPy arrays and JAX arrays, traced ones too, and give back what they got.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np


def outer_sum(parts: Any) -> Any:
    """The additive function sum_k parts[x, k, y_k], shape (X, 2^K)."""
    return _outer(parts, operator.add, 0)


def outer_product(parts: Any) -> Any:
    """The product function prod_k parts[x, k, y_k], shape (X, 2^K): a product law, from its Bernoulli laws."""
    return _outer(parts, operator.mul, 1)


def _outer(parts: Any, combine: Callable[[Any, Any], Any], neutral: int) -> Any:
    contexts, attributes = parts.shape[:2]
    if attributes <= 1:
        return parts[:, 0] if attributes else parts.sum(axis=2).sum(axis=1, keepdims=True) * 0.0 + neutral
    # By halves: long rows at every step, which is what arrays are fast at.
    first, second = (
        _outer(half, combine, neutral) for half in (parts[:, : attributes // 2], parts[:, attributes // 2 :])
    )
    return combine(first[:, :, None], second[:, None, :]).reshape(contexts, -1)


def marginals(table: np.ndarray) -> np.ndarray:
    """The sums over all other attributes, shape (X, K, 2); O(2^K), attributes being summed out one by one."""
    contexts, found = len(table), []
    while table.shape[1] > 1:
        values = table.reshape(contexts, 2, -1)
        found.append(values.sum(axis=2))
        table = values[:, 0] + values[:, 1]
    return np.stack(found, axis=1) if found else np.zeros((contexts, 0, 2))


def product_parts(law: np.ndarray) -> np.ndarray | None:
    """The Bernoulli laws (X, K, 2) of a law (X, 2^K) that is a product, to nine digits everywhere; else None."""
    parts = marginals(law)
    near = np.allclose(outer_product(parts), law, rtol=1e-9, atol=1e-300)
    return parts if near else None


def halves(attributes: int) -> tuple[np.ndarray, np.ndarray]:
    """The values of the first K // 2 attributes (2^(K//2), K//2) and of the others: together the rows of the cube."""
    first = attributes // 2
    return _bits(first), _bits(attributes - first)


def _bits(attributes: int) -> np.ndarray:
    shifts = np.arange(attributes)[::-1]
    return (np.arange(2**attributes)[:, None] >> shifts & 1).astype(float)
