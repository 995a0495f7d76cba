"""The damped Newton method against SciPy, a second library and closed forms."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optimistix
import pytest
from scipy.optimize import minimize, root
from scipy.special import expit

import sim  # noqa: F401  (switches to 64-bit floats)
from sim.newton import MAX_ITERATIONS, Expansion, minimise, ridged

# A fit stops at a squared decrement of 1e-18, so at 1e-9 in the norm of the Hessian.
STOP = 1e-9


def differentiated(value):
    """The expansion of a scalar function by automatic differentiation."""
    return lambda point: Expansion(value(point), jax.grad(value)(point), jax.hessian(value)(point))


def signed_points(dimension, seed, separable=False):
    """41 points times their signs; separable if one direction has every sign right."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(41, dimension))
    signs = np.sign(points[:, 0]) if separable else rng.choice([-1.0, 1.0], size=41)
    return signs[:, None] * points


def logistic(theta, rows, ridge=0.0):
    """The mean logistic loss of signed points plus a ridge."""
    return jnp.mean(jax.nn.softplus(-(rows @ theta))) + 0.5 * ridge * theta @ theta


@partial(jax.jit, static_argnames="convex")
def fit_logistic(rows, ridge=0.0, convex=True):
    return minimise(differentiated(lambda theta: logistic(theta, rows, ridge)), jnp.zeros(rows.shape[1]), convex)


def quadratic(dimension, seed):
    """A random convex quadratic with its minimiser."""
    rng = np.random.default_rng(seed)
    root, centre = rng.normal(size=(dimension, dimension)), rng.normal(size=dimension)
    matrix = jnp.asarray(root @ root.T + 0.1 * np.eye(dimension))
    return (lambda theta: 3.0 + 0.5 * (theta - centre) @ matrix @ (theta - centre)), centre


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("dimension", [1, 2, 7, 13])
def test_logistic_regression_agrees_with_scipy(dimension, separable):
    ridge, rows = 1e-3, signed_points(dimension, dimension, separable)
    weights, slope = np.zeros(dimension), jax.jit(jax.grad(logistic))

    def value(theta):
        return np.mean(np.logaddexp(0, -rows @ theta)) + 0.5 * ridge * theta @ theta

    def gradient(theta):
        return -rows.T @ expit(-rows @ theta) / len(rows) + ridge * theta

    near = minimize(value, weights, jac=gradient, method="BFGS", options={"gtol": 1e-6}).x
    expected = root(gradient, near, tol=1e-15).x
    found = fit_logistic(rows, ridge)
    assert found.converged
    # Strong convexity: a squared decrement of STOP^2 leaves at most STOP / sqrt(ridge) in the point.
    np.testing.assert_allclose(found.point, expected, rtol=0, atol=STOP / ridge**0.5)
    np.testing.assert_allclose(found.value, value(expected), rtol=1e-14)
    np.testing.assert_allclose(slope(found.point, rows, ridge), 0, atol=STOP)


@pytest.mark.parametrize("dimension", [1, 7])
def test_logistic_regression_agrees_with_optimistix(dimension):
    rows = signed_points(dimension, 5)
    solver = optimistix.BFGS(rtol=1e-11, atol=1e-11)
    other = optimistix.minimise(
        lambda theta, _: logistic(theta, rows, 1e-2), solver, jnp.zeros(dimension), max_steps=1000
    )
    found = fit_logistic(rows, 1e-2)
    np.testing.assert_allclose(found.point, other.value, rtol=0, atol=1e-8)
    assert found.value <= logistic(other.value, rows, 1e-2) + 1e-15


@pytest.mark.parametrize("convex", [True, False])
@pytest.mark.parametrize("dimension", [1, 2, 5, 11])
def test_a_quadratic_takes_a_step_and_its_correction(dimension, convex):
    function, centre = quadratic(dimension, dimension)
    found = minimise(differentiated(function), jnp.asarray(centre) + 2.0, convex)
    np.testing.assert_allclose(found.point, centre, rtol=0, atol=STOP / 0.1**0.5)
    np.testing.assert_allclose(found.value, 3.0, rtol=1e-14)
    np.testing.assert_allclose(found.hessian, jax.hessian(function)(found.point), rtol=1e-12)
    assert found.converged and found.iterations <= 3


@pytest.mark.parametrize("convex", [True, False])
def test_without_parameters_the_value_is_the_minimum(convex):
    found = minimise(differentiated(lambda theta: 2.5 + jnp.sum(theta)), jnp.zeros(0), convex)
    assert (found.point.shape, found.hessian.shape) == ((0,), (0, 0))
    assert (float(found.value), int(found.iterations), bool(found.converged)) == (2.5, 0, True)


def root_of_squares(theta):
    """Convex; from |theta| > 1 the undamped method runs away."""
    return jnp.sum(jnp.sqrt(1 + theta**2))


def test_damping_ends_an_overshoot():
    undamped = jnp.full(3, 1.5)
    for _ in range(5):
        undamped = undamped - jax.grad(root_of_squares)(undamped) / jnp.diagonal(jax.hessian(root_of_squares)(undamped))
    assert jnp.abs(undamped).min() > 1e6
    found = minimise(differentiated(root_of_squares), jnp.full(3, 1.5))
    assert found.converged
    np.testing.assert_allclose(found.point, 0, atol=STOP)


def double_well(theta):
    """Minima at (1, 0) and (-1, 0) of value -1/4, a saddle at the origin."""
    return theta[0] ** 4 / 4 - theta[0] ** 2 / 2 + theta[1] ** 2 / 2


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_without_convexity_a_saddle_is_left(side):
    start = jnp.asarray([1e-3 * side, 0.7])
    newton_step = start - jnp.linalg.solve(jax.hessian(double_well)(start), jax.grad(double_well)(start))
    assert jnp.abs(newton_step).max() < 1e-8  # where the plain method goes: the saddle
    found = minimise(differentiated(double_well), start, convex=False)
    assert found.converged
    np.testing.assert_allclose(found.point, [side, 0.0], atol=STOP)
    np.testing.assert_allclose(found.value, -0.25, rtol=1e-15)


def test_the_saddle_free_direction_needs_no_axes():
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(2, 2)))[0]
    start = jnp.asarray(turn.T @ [1e-3, 0.7])
    found = minimise(differentiated(lambda theta: double_well(turn @ theta)), start, convex=False)
    np.testing.assert_allclose(turn @ found.point, [1.0, 0.0], atol=1e-8)


def test_a_convex_search_says_that_a_concave_start_did_not_converge():
    assert not minimise(differentiated(double_well), jnp.asarray([1e-3, 0.7])).converged


NOT_FINITE = {
    "start": (lambda theta: theta @ theta, [jnp.nan, 1.0]),
    "infinite start": (lambda theta: theta @ theta, [jnp.inf, 1.0]),
    "value": (lambda theta: jnp.sum(jnp.log(theta)) + theta @ theta, [-1.0, 1.0]),
    "infinite value": (lambda theta: jnp.sum(-jnp.log(theta)), [0.0, 1.0]),
}


@pytest.mark.parametrize("convex", [True, False])
@pytest.mark.parametrize("name", NOT_FINITE)
def test_a_start_that_is_not_finite_is_not_converged(name, convex):
    function, start = NOT_FINITE[name]
    found = minimise(differentiated(function), jnp.asarray(start), convex)
    assert not found.converged
    assert not jnp.isfinite(found.value)


def test_an_undefined_value_with_a_flat_slope_is_not_converged():
    undefined = Expansion(jnp.asarray(jnp.nan), jnp.zeros(2), jnp.eye(2))
    assert not minimise(lambda theta: undefined, jnp.zeros(2)).converged


def test_a_step_into_an_undefined_region_is_halved():
    # The full step from 2.5 leads to -1.25, where the logarithm is not defined.
    found = minimise(differentiated(lambda theta: jnp.sum(theta - jnp.log(theta))), jnp.asarray([2.5]))
    assert found.converged
    np.testing.assert_allclose(found.point, 1.0, rtol=STOP)


def test_a_function_without_a_minimum_ends_at_the_limit():
    found = minimise(differentiated(lambda theta: -jnp.sum(jnp.log(theta))), jnp.ones(2))
    assert not found.converged
    assert found.iterations == MAX_ITERATIONS


@pytest.mark.parametrize("dimension", [5, 31, 97])
def test_directions_that_change_nothing_do_not_stop_the_rest(dimension):
    rank = max(2, dimension // 3)
    narrow = np.stack([signed_points(rank, [dimension, seed]) for seed in range(11)])
    narrow = np.concatenate([narrow, -0.5 * narrow], axis=1)  # so that no log is separable
    spread = np.random.default_rng(dimension).normal(size=(11, rank, dimension))
    full, singular = (jax.vmap(fit_logistic)(rows) for rows in (narrow, narrow @ spread))
    assert full.converged.all()
    assert singular.converged.all()
    scores = np.einsum("sir,srd,sd->si", narrow, spread, singular.point)
    np.testing.assert_allclose(scores, np.einsum("sir,sr->si", narrow, full.point), rtol=0, atol=1e-6)


def test_ridge_adds_half_the_square_of_the_norm():
    rows, point = signed_points(3, 4), jnp.asarray([0.3, -1.0, 2.0])
    stated = ridged(differentiated(lambda theta: logistic(theta, rows)), jnp.asarray(0.7))(point)
    expected = differentiated(lambda theta: logistic(theta, rows, 0.7))(point)
    for one, other in zip(stated, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-14)


@pytest.mark.parametrize("convex", [True, False])
def test_a_batch_gives_what_each_gives_alone(convex):
    # From tame to nearly separable: the lanes need different numbers of steps.
    ridges = jnp.asarray([10.0, 1e-1, 1e-3, 1e-6])
    rows = signed_points(5, 6, separable=True)
    together = jax.vmap(lambda ridge: fit_logistic(rows, ridge, convex))(ridges)
    assert len(set(together.iterations.tolist())) > 1
    for i, ridge in enumerate(ridges):
        alone = fit_logistic(rows, ridge, convex)
        assert together.converged[i] and alone.converged
        assert together.iterations[i] == alone.iterations
        np.testing.assert_allclose(together.point[i], alone.point, rtol=0, atol=STOP / float(ridge) ** 0.5)
        np.testing.assert_allclose(together.value[i], alone.value, rtol=1e-13)


def test_a_lane_that_fails_leaves_the_others_alone():
    starts = jnp.asarray([[jnp.nan], [3.0], [-1.0]])
    found = jax.vmap(lambda start: minimise(differentiated(root_of_squares), start))(starts)
    assert found.converged.tolist() == [False, True, True]
    np.testing.assert_allclose(found.point[1:], 0, atol=STOP)
