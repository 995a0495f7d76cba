"""Users who edit attributes independently, or by a mixture of ways to do so: the kernels of `sim/users.py` without a
table of all pairs of responses.

A kernel is a list of `Part`s: with its weight, each edits attribute k by factors[x, k] (2, 2), whatever the others do.
Laws are Bernoulli laws (X, K, 2) of independent attributes.
"""

import functools
import itertools
from collections.abc import Callable
from math import comb
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from sim.editors import MixtureEditor, ProductEditor
from sim.errors import BadInput
from sim.users import User

LARGEST_MIXTURE = 256
"""Products that one kernel may mix: each costs a pass over the table of a policy."""


class Part(NamedTuple):
    """One product in a mixture: its weight, and its factors (X, K, 2, 2)."""

    weight: float
    factors: np.ndarray


Kernel = list[Part]


def lazy(law: np.ndarray, strength: float) -> Kernel:
    """As `kernels.lazy`: all attributes are re-drawn together, or none."""
    return [Part(1 - strength, _kept(law)), Part(strength, _redrawn(law))]


def redraw(law: np.ndarray, strength: float) -> Kernel:
    """As `kernels.redraw` of a product: each attribute is re-drawn with probability s, independently."""
    return [Part(1.0, (1 - strength) * _kept(law) + strength * _redrawn(law))]


def subset(law: np.ndarray, strength: float, size: int) -> Kernel:
    """As `kernels.subset`, with probability s: a random set of `size` attributes is re-drawn."""
    attributes = law.shape[1]
    if not 0 <= size <= attributes:
        raise BadInput(f"subset_size: expected a number in [0, {attributes}] (the attributes), got {size}")
    _require_size("subset_size", comb(attributes, size) + 1)
    chosen = np.array(list(itertools.combinations(range(attributes), size)), dtype=int)
    masks = np.zeros((len(chosen), attributes, 1, 1), dtype=bool)
    masks[np.arange(len(chosen))[:, None], chosen] = True
    blocks = [Part(strength / len(masks), np.where(mask, _redrawn(law), _kept(law))) for mask in masks]
    return [Part(1 - strength, _kept(law)), *blocks]


def _kept(law: np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.eye(2), (*law.shape, 2))


def _redrawn(law: np.ndarray) -> np.ndarray:
    return np.broadcast_to(law[:, :, None, :], (*law.shape, 2))


EDITORS: dict[str, Callable[[np.ndarray, User, float], Kernel]] = {
    "redraw": lambda law, user, strength: redraw(law, strength),
    "lazy": lambda law, user, strength: lazy(law, strength),
    "subset": lambda law, user, strength: subset(law, strength, user.subset_size),
}


def build_editor(user: User, law: np.ndarray, strength: float) -> ProductEditor | MixtureEditor:
    """The kernel of a user whose optimum is the product of `law` (X, K, 2), as `users.build_kernel` builds its table.

    Raises:
        BadInput: an editor or a dial that is no mixture of products, or one of too many of them.
    """
    _require_products(user, law.shape[1])
    wanted = _wanted(user, law)
    kernel = EDITORS[user.editor](wanted, user, strength)
    if user.compose != "none":
        second = EDITORS[user.second_editor](wanted, user, strength)
        mixed = user.compose == "mixture"
        kernel = _mixture(kernel, second, user.second_weight) if mixed else _composed([kernel, second, kernel])
    kernel = _power(kernel, user.power)
    if user.harmful > 0:
        opposite = (1 / wanted) / (1 / wanted).sum(axis=2, keepdims=True)
        kernel = _mixture(kernel, EDITORS[user.editor](opposite, user, strength), user.harmful)
    return _editor(kernel)


def _require_products(user: User, attributes: int) -> None:
    second = [user.second_editor] if user.compose != "none" else []
    unknown = [f"editor '{name}'" for name in (user.editor, *second) if name not in EDITORS]
    for what in unknown + (["dial 'cyclic'"] if user.cyclic > 0 else []):
        raise BadInput(
            f"{what} needs a table of all pairs of responses, which {attributes} attributes are too many for; use at"
            f" most 10 attributes, or editor {', '.join(EDITORS)} without it"
        )


def _require_size(what: str, products: int) -> None:
    if products > LARGEST_MIXTURE:
        raise BadInput(
            f"{what}: the kernel would be a mixture of {products} products of attributes, expected at most"
            f" {LARGEST_MIXTURE}; use at most 10 attributes, or editor redraw"
        )


def _wanted(user: User, law: np.ndarray) -> np.ndarray:
    # The order of the responses is changed as in `users.build_kernel`: by flipping attributes, from the same draw.
    attributes = law.shape[1]
    if user.other_optimum == 0 or attributes == 0:
        return law
    flips = int(np.random.default_rng(user.user_seed).integers(1, 2**attributes))
    flipped = (flips >> np.arange(attributes)[::-1] & 1).astype(bool)
    other = np.where(flipped[:, None], law[:, :, ::-1], law)
    logits = (1 - user.other_optimum) * np.log(law) + user.other_optimum * np.log(other)
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    return weights / weights.sum(axis=2, keepdims=True)


def _mixture(first: Kernel, second: Kernel, weight: float) -> Kernel:
    left = [Part((1 - weight) * part.weight, part.factors) for part in first]
    return left + [Part(weight * part.weight, part.factors) for part in second]


def _composed(kernels: list[Kernel]) -> Kernel:
    """First edit by the first kernel, then by the next: every choice of parts is a part."""
    present = [_present(kernel) for kernel in kernels]
    _require_size("compose, power", int(np.prod([float(len(kernel)) for kernel in present])))
    return [
        Part(
            float(np.prod([part.weight for part in parts])),
            functools.reduce(np.matmul, [part.factors for part in parts]),
        )
        for parts in itertools.product(*present)
    ]


def _power(kernel: Kernel, times: int) -> Kernel:
    kernel = _present(kernel)
    if len(kernel) == 1:
        return [Part(1.0, np.linalg.matrix_power(kernel[0].factors, times))]
    if times == 0:
        return [Part(1.0, _kept(kernel[0].factors[..., 0]))]
    return _composed([kernel] * times)


def _present(kernel: Kernel) -> Kernel:
    return [part for part in kernel if part.weight > 0]


def _editor(kernel: Kernel) -> ProductEditor | MixtureEditor:
    kernel = _present(kernel)
    products = tuple(ProductEditor(jnp.asarray(part.factors)) for part in kernel)
    return products[0] if len(kernel) == 1 else MixtureEditor(jnp.asarray([p.weight for p in kernel]), products)
