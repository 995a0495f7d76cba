"""The efficiency floor: how well any estimator can do that knows the form of the user's kernel."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

from bounds.bound import EXACT
from bounds.realizability import log_linear_residual
from sim import kernels
from sim.errors import BadInput
from sim.learners.edit_model import kernel_of
from sim.policies import LogLinear, centred_regression, log_linear
from sim.world import World

_RANK = 1e-10
"""Eigenvalues below this share of the largest count as zero."""


def edit_form(world: World) -> tuple[str, float] | None:
    """The form ("redraw" or "lazy") and strength s in [0, 1] whose kernel at pi* is the world's, to 1e-9; else None.

    Forms are those of `sim.learners.EditModel`.  Where both hold (s = 0 or 1, one attribute) it is "redraw"
    (docs/theory.md 5.6).
    """
    optimal = np.asarray(world.optimal)
    builders: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {"redraw": kernels.redraw, "lazy": kernels.lazy}
    for form, build in builders.items():
        try:
            strength = _strength(world.editor.dense(), lambda s, build=build: build(optimal, s))
        except BadInput:
            # A number of responses, or an optimum with zeros, that this form does not have.
            continue
        if strength is not None:
            return form, strength
    return None


def _strength(kernel: np.ndarray, build: Callable[[float], np.ndarray]) -> float | None:
    """The s at which `build(s)` is the kernel: the share of unedited responses falls with s."""

    def surplus(strength: float) -> float:
        return float(np.trace(build(strength) - kernel, axis1=1, axis2=2).sum())

    most, least = surplus(0.0), surplus(1.0)
    strength = 0.0 if most <= EXACT else 1.0 if least >= -EXACT else None
    if strength is None:
        strength = float(brentq(surplus, 0.0, 1.0, xtol=1e-15, rtol=1e-14))  # type: ignore[arg-type]
    return strength if np.abs(build(strength) - kernel).max() <= EXACT else None


def efficiency_floor(world: World) -> tuple[float | None, str | None]:
    """The coefficient (beta / 2) tr(F I^-1) of 1/n below which no regular estimator from the edits has its E SubOpt.

    F = E_x Cov_{pi*}(phi | x), and I = E[g g^T], g = grad log q_{theta,s}(e|x, y) at theta* and the user's s, over
    the law of the log; s is profiled out (Schur complement), and known at s = 1, where it is on its boundary.  phi
    are the world's policy features.  Where I has not full rank the answer is on the subspace that it identifies.

    Returns:
        The coefficient and None, or None and the reason: a kernel of no known form, an optimum outside the
        log-linear class, a user who does not edit, or edits that leave a part of the optimum unidentified.

    Source: docs/theory.md 5.6.
    """
    form = edit_form(world)
    if form is None:
        return None, "the user's kernel is neither a redraw nor a lazy one of the optimum"
    residual = log_linear_residual(world, np.asarray(world.optimal))
    if residual > EXACT:
        return None, f"the log-linear class misses the optimum by {residual:.3g}"
    if form[1] == 0:
        return None, "the user never edits"
    fisher, information = _optimum_information(world), edit_information(world, *form)
    inverse, identified = _inverse(information)
    missed = fisher - identified @ fisher @ identified
    if np.abs(missed).max(initial=0.0) > 1e-8 * np.abs(fisher).max(initial=1e-300):
        return None, "the edits do not identify the optimum"
    return float(world.temperature) / 2 * float(np.sum(fisher * inverse)), None


def edit_information(world: World, form: str, strength: float) -> np.ndarray:
    """I, shape (d, d): the information on theta in one triple, with s profiled out unless it is 1."""
    policies, theta = log_linear(world), _optimal_parameters(world)
    known = 1 - strength <= EXACT
    logit = jnp.asarray(40.0 if known else np.log(strength / (1 - strength)))

    law = np.asarray(world.triple_law())
    scores = np.asarray(_scores(form, policies, jnp.append(theta, logit)))[law > 0]
    information = scores.T @ (law[law > 0][:, None] * scores)
    own = information[-1, -1]
    return information[:-1, :-1] - (0.0 if known else np.outer(information[-1, :-1], information[-1, :-1]) / own)


@functools.partial(jax.jit, static_argnums=0)
def _scores(form: str, policies: LogLinear, point: jax.Array) -> jax.Array:
    """grad log q_{theta,s}(e|x, y) at [x, y, e]; zero where the edit is impossible."""

    def log_kernel(point: jax.Array) -> jax.Array:
        kernel = kernel_of(form, policies.log_policy(point[:-1]), point[-1])
        return jnp.log(jnp.where(kernel > 0, kernel, 1.0))

    return jax.jacfwd(log_kernel)(point)


def _optimal_parameters(world: World) -> np.ndarray:
    rows, targets = centred_regression(world, np.asarray(world.optimal))
    return np.linalg.lstsq(rows, targets, rcond=None)[0]


def _optimum_information(world: World) -> np.ndarray:
    """F = E_x Cov_{pi*}(phi | x), shape (d, d)."""
    weights = world.context_probs[:, None] * world.optimal
    return np.asarray(world.policy_features.centred(world.optimal).gram(weights))


def _inverse(information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pseudo-inverse, and the projection on the subspace on which it is an inverse."""
    values, vectors = np.linalg.eigh(information)
    kept = values > _RANK * values.max(initial=0.0)
    basis = vectors[:, kept]
    return basis / values[kept] @ basis.T, basis @ basis.T
