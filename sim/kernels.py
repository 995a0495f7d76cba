"""Edit kernels q(e|x, y), as arrays (X, A, A), built from a user's optimum mu (X, A).

The first part holds kernels reversible with respect to mu: mu(y) q(e|y) = mu(e) q(y|e) (the balance equation).
The second part holds what breaks it.  `docs/theory.md` section 2 says what each does to the assumptions.
"""

import itertools

import numpy as np

from sim.errors import BadInput


def attribute_table(attributes: int) -> np.ndarray:
    """The responses {0, 1}^K in order, shape (2^K, K); the first attribute is the most significant."""
    return np.array(list(itertools.product([0, 1], repeat=attributes)), dtype=np.int64).reshape(
        2**attributes, attributes
    )


def identity(optimal: np.ndarray) -> np.ndarray:
    """Nobody edits: q(e|y) = 1[e = y]."""
    return np.broadcast_to(np.eye(optimal.shape[1]), (*optimal.shape, optimal.shape[1])).copy()


def lazy(optimal: np.ndarray, strength: float, kernel: np.ndarray | None = None) -> np.ndarray:
    """With probability s edit by `kernel`, else leave the response: (1 - s) I + s q.

    Without `kernel` the edit is a fresh draw from the optimum, q(e|y) = mu(e).
    """
    edit = np.broadcast_to(optimal[:, None, :], identity(optimal).shape) if kernel is None else kernel
    return (1 - strength) * identity(optimal) + strength * edit


def redraw(optimal: np.ndarray, strength: float) -> np.ndarray:
    """Each attribute is re-drawn with probability s, independently; the re-drawn ones jointly given the rest.

    q = sum_S s^|S| (1 - s)^(K - |S|) q_S, with q_S the re-draw of the block S of `block_redraw`.  For a product
    optimum every attribute is re-drawn from its own Bernoulli law, and the attributes are independent.
    """
    attributes = _attributes_of(optimal)
    table = attribute_table(attributes)
    # Both marginals by summation: one minus the other would lose the digits of a small one.
    ones, zeros = optimal @ table, optimal @ (1 - table)
    if np.allclose(_product_law(ones, zeros), optimal, rtol=1e-12, atol=0):
        return _product_redraw(ones, zeros, strength)
    masks = table.astype(bool)
    weights = strength ** masks.sum(1) * (1 - strength) ** (~masks).sum(1)
    blocks = (w * block_redraw(optimal, mask) for w, mask in zip(weights, masks, strict=True) if w > 0)
    return sum(blocks, np.zeros(1))


def _product_law(ones: np.ndarray, zeros: np.ndarray) -> np.ndarray:
    """The product of Bernoulli laws with P(attribute k = 1) = ones[x, k] and P(= 0) = zeros[x, k], shape (X, 2^K)."""
    return np.prod(np.where(attribute_table(ones.shape[1]), ones[:, None], zeros[:, None]), axis=2)


def _product_redraw(ones: np.ndarray, zeros: np.ndarray, strength: float) -> np.ndarray:
    # The Kronecker product over attributes of the kernels (1 - s) I + s Bernoulli(p_k): 4^K work, not 8^K.
    contexts, attributes = ones.shape
    kernel = np.ones((contexts, 1, 1))
    for k in range(attributes):
        law = np.stack([zeros[:, k], ones[:, k]], axis=1)
        one = (1 - strength) * np.eye(2) + strength * law[:, None, :]
        size = 2 * kernel.shape[1]
        kernel = np.einsum("xab,xcd->xacbd", kernel, one).reshape(contexts, size, size)
    return kernel


def subset(optimal: np.ndarray, size: int) -> np.ndarray:
    """A uniformly random set of `size` attributes is re-drawn given the rest: the paper's weak user."""
    attributes = _attributes_of(optimal)
    if not 0 <= size <= attributes:
        raise BadInput(f"subset_size: expected a number in [0, {attributes}] (the attributes), got {size}")
    masks = [m for m in attribute_table(attributes).astype(bool) if m.sum() == size]
    return sum((block_redraw(optimal, mask) for mask in masks), np.zeros(1)) / len(masks)


def block_redraw(optimal: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The attributes in `mask` (K,) are re-drawn from the optimum given the others: q(e|y) = mu(e_S | y_rest)."""
    require_positive(optimal)
    table = attribute_table(len(mask))
    rest = table[:, ~mask]
    same = np.all(rest[:, None, :] == rest[None, :, :], axis=2)
    joint = np.where(same, optimal[:, None, :], 0.0)
    return joint / joint.sum(axis=2, keepdims=True)


def metropolis(optimal: np.ndarray, proposal: np.ndarray) -> np.ndarray:
    """Metropolis-Hastings: propose e ~ `proposal` (A, A), symmetric; accept with min(1, mu(e) / mu(y))."""
    require_positive(optimal)
    return _accepted(proposal, np.minimum(1.0, optimal[:, None, :] / optimal[:, :, None]))


def barker(optimal: np.ndarray, proposal: np.ndarray) -> np.ndarray:
    """Barker: propose e ~ `proposal` (A, A), symmetric; accept with mu(e) / (mu(y) + mu(e))."""
    require_positive(optimal)
    return _accepted(proposal, optimal[:, None, :] / (optimal[:, :, None] + optimal[:, None, :]))


def power(kernel: np.ndarray, times: int) -> np.ndarray:
    """The kernel applied `times` times, q^m; m = 0 is the identity."""
    return np.linalg.matrix_power(kernel, times)


def palindrome(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """q1 q2 q1: reversible when both are, which q1 q2 is not."""
    return outer @ inner @ outer


def mixture(first: np.ndarray, second: np.ndarray, weight: float) -> np.ndarray:
    """(1 - w) q1 + w q2, with a weight that does not depend on the response."""
    return (1 - weight) * first + weight * second


# What breaks balance: each keeps rows that sum to one.


def cyclic(optimal: np.ndarray) -> np.ndarray:
    """A flow around the cycle y -> y + 1: stationary for mu, and not reversible for three responses or more.

    From y move to the next response with probability min(mu) / mu(y), else stay.
    """
    require_positive(optimal)
    move = optimal.min(axis=1, keepdims=True) / optimal
    following = np.roll(np.eye(optimal.shape[1]), 1, axis=1)
    return move[:, :, None] * following + (1 - move)[:, :, None] * np.eye(optimal.shape[1])


def opposite(optimal: np.ndarray) -> np.ndarray:
    """The law proportional to 1 / mu: the optimum of a user who wants the contrary."""
    require_positive(optimal)
    inverse = optimal.min(axis=1, keepdims=True) / optimal
    return inverse / inverse.sum(axis=1, keepdims=True)


def flip_proposal(attributes: int) -> np.ndarray:
    """Propose to flip one attribute, uniformly chosen: symmetric, local."""
    table = attribute_table(attributes)
    apart = np.abs(table[:, None] - table[None]).sum(axis=2)
    return (apart == 1) / max(attributes, 1)


def uniform_proposal(responses: int) -> np.ndarray:
    """Propose any other response, uniformly: symmetric."""
    return (1 - np.eye(responses)) / max(responses - 1, 1)


def _accepted(proposal: np.ndarray, acceptance: np.ndarray) -> np.ndarray:
    responses = len(proposal)
    off = proposal * ~np.eye(responses, dtype=bool) * acceptance
    # The sum of what leaves can exceed one by rounding.
    return off + np.maximum(1 - off.sum(axis=2), 0.0)[:, :, None] * np.eye(responses)


def _attributes_of(optimal: np.ndarray) -> int:
    attributes = int(np.log2(optimal.shape[1]))
    if 2**attributes != optimal.shape[1]:
        raise BadInput(f"this editor re-draws attributes: expected 2^K responses, got {optimal.shape[1]}")
    return attributes


def require_positive(optimal: np.ndarray) -> None:
    """Refuse an optimum with zeros: a reversible kernel divides by its probabilities."""
    if optimal.min() <= 0:
        x, y = np.unravel_index(optimal.argmin(), optimal.shape)
        raise BadInput(
            f"edit kernel: expected an optimum that gives every response positive probability, got 0 for response {y}"
            f" in context {x}; lower the scale of the preferences or leave the response out"
        )
