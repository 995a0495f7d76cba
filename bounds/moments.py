"""What the expansion of a learner's mean suboptimality needs at its limit (docs/theory.md 5)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int

ArrayLike = Array | np.ndarray


class Triples(NamedTuple):
    """The possible triples of a log, with their probabilities."""

    law: Float[Array, " N"]
    context: Int[Array, " N"]
    response: Int[Array, " N"]
    edited: Int[Array, " N"]


class Moments(NamedTuple):
    """What the expansion needs at the minimiser, in coordinates of the identified directions.

    `slope` and `bend` are gradient and Hessian of S, `variance` is V = H^-1 G H^-1, `bias` is b.
    """

    slope: Float[ArrayLike, " k"]
    bend: Float[ArrayLike, "k k"]
    variance: Float[ArrayLike, "k k"]
    bias: Float[ArrayLike, " k"]
    ridge_pull: Float[ArrayLike, ""]
