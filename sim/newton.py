"""One damped Newton method for all smooth fits: compiled, batched by vmap, one function evaluation a step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from sim.linear_solve import solve_positive
from sim.while_each import while_each

MAX_ITERATIONS = 200
# Squared Newton decrement at which a fit stops.  The error it leaves in the objective is about half of this; the
# rounding error of the gradient is far below it.
TOLERANCE = 1e-18
# A step is not checked where the one before says that the decrement after it is this share of the tolerance: Newton's
# steps square their error, so that two decrements tell the next.
_SAFETY = 1e-4
# Share of the predicted decrease that a step must reach, and the rounding error that a comparison may carry.
_SUFFICIENT, _ROUNDING = 1e-4, 4e-15
# Relative shift of the Hessian's diagonal, so that a direction without curvature does not stop the rest.
_SHIFT = 1e-11


class Expansion(NamedTuple):
    """Value, gradient and Hessian of a function at a point."""

    value: Float[Array, ""]
    gradient: Float[Array, " p"]
    hessian: Float[Array, "p p"]


Function = Callable[[Float[Array, " p"]], Expansion]


class Minimum(NamedTuple):
    """Where a search ended: the point, its value, the steps taken, whether it converged and all numbers were finite,
    the Hessian there (of a search that settled: at the point before).
    """

    point: Float[Array, " p"]
    value: Float[Array, ""]
    iterations: Int[Array, ""]
    converged: Bool[Array, ""]
    finite: Bool[Array, ""]
    hessian: Float[Array, "p p"]


class _State(NamedTuple):
    """The best point so far with its expansion, the step from it, and the share of the step to try next.

    `settled` says that the step leads to the minimum and needs no check.
    """

    point: Array
    at: Expansion
    step: Array
    scale: Array
    decrement: Array
    iterations: Array
    settled: Array


def expansion(function: Callable[[Array], Array]) -> Function:
    """Value, gradient and Hessian of a function by automatic differentiation, in one pass."""

    def slope(point: Array) -> tuple[Array, tuple[Array, Array]]:
        value, gradient = jax.value_and_grad(function)(point)
        return gradient, (value, gradient)

    def expand(point: Array) -> Expansion:
        hessian, (value, gradient) = jax.jacfwd(slope, has_aux=True)(point)
        # A step so long that the derivatives overflow is refused like one that does not descend.
        finite = jnp.all(jnp.isfinite(gradient)) & jnp.all(jnp.isfinite(hessian))
        return Expansion(jnp.where(finite, value, jnp.inf), gradient, hessian)

    return expand


def ridged(function: Function, ridge: Float[Array, ""]) -> Function:
    """The function plus ridge |point|^2 / 2."""

    def with_ridge(point: Array) -> Expansion:
        value, gradient, hessian = function(point)
        return Expansion(
            value + 0.5 * ridge * point @ point,
            gradient + ridge * point,
            hessian + ridge * jnp.eye(len(point)),
        )

    return with_ridge


def minimise(function: Function, start: Float[Array, " p"], convex: bool = True) -> Minimum:
    """Minimise a smooth function from `start`.

    A step that does not decrease the value enough is halved and tried again; a step that does is followed by a
    full one.  For functions that are not convex the Hessian's eigenvalues are replaced by their absolute values, so
    that every step descends and saddle points are left.

    Args:
        function: the expansion at a point.
        start: where to begin, shape (p,).
        convex: whether the Hessian is positive semi-definite everywhere.

    Returns:
        The minimum; `converged` is False after `MAX_ITERATIONS` steps or when a number is not finite.
    """
    return _ended(jax.lax.while_loop(_unfinished, lambda now: _advance(function, now, convex), _begin(start)))


def minimise_each(function: Callable[[Any, Array], Expansion], data: Any, start: Float[Array, " p"]) -> Minimum:
    """Minimise a smooth convex function of many that differ by their data, as `minimise` does.

    It leaves out the evaluation at the end where the steps say how near it is, the Hessian being then that of the
    point before; and under `jax.vmap` the last few searches do not keep the rest (`while_each`).

    Args:
        function: the expansion, of the data and a point; what else it uses may not differ by search.
        data: a tree of arrays.
        start: where to begin, shape (p,).

    Returns:
        The minimum of function(data, .), as of `minimise`.
    """

    def advance(data: Any, now: _State) -> _State:
        return _advance(lambda point: function(data, point), now, convex=True, settle=True)

    return _ended(while_each(_unfinished, advance, data, _begin(start)))


def _begin(start: Array) -> _State:
    # The first round evaluates the start itself (a step of zero from an infinite value is accepted whatever it
    # finds), so that the function is compiled once.
    size = len(start)
    nowhere = Expansion(jnp.asarray(jnp.inf), jnp.zeros(size), jnp.zeros((size, size)))
    no = jnp.zeros((), bool)
    return _State(start, nowhere, jnp.zeros(size), jnp.ones(()), jnp.asarray(1.0), jnp.asarray(-1), no)


def _unfinished(state: _State) -> Array:
    moving = (state.decrement > TOLERANCE) & (state.scale > 1e-12)
    return moving & (state.iterations < MAX_ITERATIONS) & ~state.settled


def _advance(function: Function, state: _State, convex: bool, settle: bool = False) -> _State:
    point = state.point + state.scale * state.step
    at = function(point)
    wanted = state.at.value - _SUFFICIENT * state.scale * state.decrement
    accepted = at.value <= wanted + _ROUNDING * (1 + jnp.abs(state.at.value))
    step = _convex_direction(at) if convex else _saddle_free_direction(at)
    decrement = -(at.gradient @ step)
    settled = _settles(state, decrement) if settle else state.settled
    ahead = _State(point, at, step, jnp.ones(()), decrement, state.iterations + 1, settled)
    halved = state._replace(scale=state.scale / 2, iterations=state.iterations + 1)
    return jax.tree.map(lambda a, h: jnp.where(accepted, a, h), ahead, halved)


def _settles(state: _State, decrement: Array) -> Array:
    """Whether the step after a full one leads to the minimum; the first decrement has none before it."""
    next_ = (decrement / state.decrement) ** 2 * decrement
    return (state.iterations >= 0) & (state.scale == 1) & (decrement > 0) & (next_ < _SAFETY * TOLERANCE)


def _ended(last: _State) -> Minimum:
    finite = jnp.isfinite(last.at.value) & jnp.all(jnp.isfinite(last.at.hessian))
    converged = ((last.decrement <= TOLERANCE) | last.settled) & jnp.isfinite(last.at.value)
    # The last step of a settled search, with the decrease that Newton's model gives it.
    point = jnp.where(last.settled, last.point + last.step, last.point)
    value = jnp.where(last.settled, last.at.value - last.decrement / 2, last.at.value)
    return Minimum(point, value, last.iterations + last.settled, converged, finite, last.at.hessian)


def of_separate(minima: Minimum, point: Array, hessian: Array) -> Minimum:
    """The minimum of a sum of functions of separate parameters, from theirs (leading axis): `point` and `hessian` are
    the sum's.
    """
    return Minimum(
        point,
        jnp.sum(minima.value),
        jnp.max(minima.iterations),
        jnp.all(minima.converged),
        jnp.all(minima.finite),
        hessian,
    )


def _convex_direction(at: Expansion) -> Array:
    shift = _SHIFT * jnp.max(jnp.diagonal(at.hessian), initial=0.0)
    solution, _ = solve_positive(at.hessian + shift * jnp.eye(len(at.gradient)), at.gradient[:, None])
    return -solution[:, 0]


def _saddle_free_direction(at: Expansion) -> Array:
    values, vectors = jnp.linalg.eigh(at.hessian)
    size = jnp.maximum(jnp.abs(values), _SHIFT * jnp.max(jnp.abs(values), initial=0.0))
    return -vectors @ (vectors.T @ at.gradient / size)
