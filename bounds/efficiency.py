"""The efficiency floor: how well any estimator can do that knows the form of the user's kernel."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from bounds.bound import EXACT
from bounds.realizability import log_linear_residual
from bounds.without_kernel import NO_KERNEL
from sim import kernels, record_logs
from sim.errors import BadInput
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
    if record_logs.needed(world):
        return None, NO_KERNEL
    form = edit_form(world)
    if form is None:
        return None, "the user's kernel is neither a redraw nor a lazy one of the optimum"
    residual = log_linear_residual(world, np.asarray(world.optimal))
    if residual > EXACT:
        return None, f"the log-linear class misses the optimum by {residual:.3g}"
    if form[1] == 0:
        return None, "the user never edits"
    both = np.outer(_units(world), _units(world))
    fisher, information = _optimum_information(world) / both, edit_information(world, *form) / both
    inverse, identified = _inverse(information)
    missed = fisher - identified @ fisher @ identified
    if np.abs(missed).max(initial=0.0) > 1e-8 * np.abs(fisher).max(initial=1e-300):
        return None, "the edits do not identify the optimum"
    return float(world.temperature) / 2 * float(np.sum(fisher * inverse)), None


def edit_information(world: World, form: str, strength: float) -> np.ndarray:
    """I, shape (d, d): the information on theta in one triple, with s profiled out unless it is 1."""
    kernel, slope, bend = _derivatives(world, form, strength)
    law = np.asarray(world.triple_law())
    seen = law > 0
    scores = np.column_stack([slope[seen], bend[seen]]) / kernel[seen][:, None]
    information = scores.T @ (law[seen][:, None] * scores)
    if 1 - strength <= EXACT:
        return information[:-1, :-1]
    cross = information[-1, :-1]
    return information[:-1, :-1] - np.outer(cross, cross) / information[-1, -1]


def _derivatives(world: World, form: str, strength: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """q_{theta,s}(e|x, y) at theta*, its gradient in theta (last axis) and its derivative in s, at [x, y, e]."""
    optimal, centred = np.asarray(world.optimal), _centred(world)
    if form == "redraw":
        return _redraw_derivatives(optimal, centred, strength)
    stays = np.eye(optimal.shape[1])
    slope = strength * (optimal[:, :, None] * centred)[:, None]
    slope = np.broadcast_to(slope, (*optimal.shape, *slope.shape[2:]))
    return (1 - strength) * stays + strength * optimal[:, None], slope, optimal[:, None] - stays


def _redraw_derivatives(
    optimal: np.ndarray, centred: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Those of q(y xor D|y) = pi(y xor D) sum over blocks B that contain D of w_B / m_B.

    Sets of attributes are bits; m_B = sum of pi(y xor C) over C within B, w_B = s^|B| (1 - s)^(K - |B|).
    """
    sets = np.arange(optimal.shape[1])
    within = ((sets[:, None] & sets) == sets[:, None]).astype(float)
    weights, weight_slopes = _block_weights(np.array([int(block).bit_count() for block in sets]), strength)
    changed = sets[:, None] ^ sets
    law, moves = optimal[:, changed], centred[:, changed]
    mass = law @ within
    mass_slope = np.einsum("xyc,cb,xycd->xybd", law, within, moves, optimize=True)
    given_rest = (weights / mass) @ within.T
    shrink = np.einsum("xyb,xybd,cb->xycd", weights / mass**2, mass_slope, within, optimize=True)
    slope = law[..., None] * (moves * given_rest[..., None] - shrink)
    bend = law * ((weight_slopes / mass) @ within.T)
    # From the change y xor e back to e; the map is its own inverse.
    rows = sets[:, None]
    return (law * given_rest)[:, rows, changed], slope[:, rows, changed], bend[:, rows, changed]


def _block_weights(sizes: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """w_B and its derivative in s, for blocks of these sizes."""
    kept = sizes.max(initial=0) - sizes
    chosen, left = strength ** sizes.astype(float), (1 - strength) ** kept.astype(float)
    # Where an exponent is zero its derivative is, whatever the power below it.
    chosen_slope = sizes * strength ** np.maximum(sizes - 1.0, 0.0)
    left_slope = -kept * (1 - strength) ** np.maximum(kept - 1.0, 0.0)
    return chosen * left, chosen_slope * left + chosen * left_slope


def _optimum_information(world: World) -> np.ndarray:
    """F = E_x Cov_{pi*}(phi | x), shape (d, d)."""
    centred = _centred(world)
    weights = np.asarray(world.context_probs)[:, None] * np.asarray(world.optimal)
    return np.einsum("xa,xad,xae->de", weights, centred, centred, optimize=True)


def _centred(world: World) -> np.ndarray:
    """phi(x, y) - E_{pi*}[phi | x], shape (X, A, d)."""
    features = np.asarray(world.policy_features.table)
    return features - np.einsum("xa,xad->xd", np.asarray(world.optimal), features)[:, None]


def _units(world: World) -> np.ndarray:
    """Root mean square of each feature under pi*, one where it is zero: rank must not depend on their units."""
    weights = np.asarray(world.context_probs)[:, None] * np.asarray(world.optimal)
    size = np.sqrt(np.einsum("xa,xad->d", weights, np.asarray(world.policy_features.table) ** 2))
    return np.where(size > 0, size, 1.0)


def _inverse(information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pseudo-inverse, and the projection on the subspace on which it is an inverse."""
    values, vectors = np.linalg.eigh(information)
    kept = values > _RANK * values.max(initial=0.0)
    basis = vectors[:, kept]
    return basis / values[kept] @ basis.T, basis @ basis.T
