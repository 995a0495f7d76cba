"""Bounds on SubOpt for pessimistic cost learning (docs/theory.md 4.4).

With probability at least 1 - delta the ellipsoid of the learner contains w*, so that c <= f_bar <= c + (1 + r) alpha
|psi|_{Lambda^-1} with r = `radius` >= 1.  Then J_beta under c is at most J_beta under f_bar, which pi_RL minimises:
SubOpt(pi_RL) <= E_{pi*}[f_bar - c] <= (1 + r) alpha E_{pi*}|psi|_{Lambda^-1}, which is twice the bonus at r = 1.
"""

import math
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from bounds import realizability
from bounds.bound import Bound
from bounds.coverage import policy_concentrability
from sim import checks, record_logs
from sim.distances import AttributeDistance, largest
from sim.editors import DenseEditor, MixtureEditor, ProductEditor
from sim.learners.cost import Cost
from sim.learners.defaults import RIDGE
from sim.world import World

LINEAR, WEIGHTS, RADIUS = "cost linear in its features", "weight_bound >= |w*|", "radius >= 1"
RANGE, NOISE = "c_max >= largest paid distance", "noise_bound >= sub-Gaussian scale of the cost"
PRINTED = "the bound is on the minimiser of Eq. 6 and a squared confidence set, not on their printed forms"
NOT_PESSIMISTIC = "the plug-in estimate (radius 0) has no confidence set"


def population(
    world: World,
    n: int,
    delta: float,
    radius: float = 1.0,
    ridge: float = RIDGE,
    c_max: float | None = None,
    noise_bound: float | None = None,
    weight_bound: float | None = None,
) -> Bound:
    """(1 + radius) alpha E_{pi*}|psi|_{Lambda^-1} with Lambda = ridge I + n Sigma, Sigma = E_{rho, pi_ref} psi psi^T.

        alpha = noise_bound sqrt(2 log(1 / delta) + log det(Lambda / ridge)) + sqrt(ridge) weight_bound

    The log's Gram matrix is replaced by its mean: this is what `realised` is about at n, for curves and orders of
    growth, and not itself a statement with probability 1 - delta.  Terms hold the coarser
    (1 + radius) alpha sqrt(C* E_{pi_ref}|psi|^2_{Lambda^-1}) too, C* = `policy_concentrability`.

    Args:
        world: gives psi (X, A, m), pi_ref and pi*.
        n: triples of the log, a whole number of at least 1.
        delta: the probability of failure, in (0, 1).
        radius, ridge, c_max, noise_bound, weight_bound: the settings of the cost learner, with its defaults.

    Raises:
        BadInput: n, delta or a setting out of range.

    Source: docs/theory.md 4.4; the paper's theorem for cost learning with a linear cost class.
    """
    n, delta, ridge = checks.whole("n", n, 1), checks.chance("delta", delta), checks.positive("ridge", ridge)
    violations = _violations(world, radius, c_max, noise_bound, weight_bound)
    if radius == 0:
        return Bound(math.inf, {}, violations, NOT_PESSIMISTIC)
    visited = np.asarray(world.context_probs)[:, None] * np.asarray(world.reference)
    psi = world.cost_features
    gram = n * np.asarray(psi.gram(jnp.asarray(visited))) + ridge * np.eye(psi.dimension)
    log_det = float(np.linalg.slogdet(gram / ridge)[1])
    noise = _declared(world, c_max) / 2 if noise_bound is None else noise_bound
    weights = _weight_norm(world) if weight_bound is None else weight_bound
    alpha = noise * math.sqrt(2 * math.log(1 / delta) + log_det) + math.sqrt(ridge) * weights
    squared = np.maximum(np.asarray(psi.quadratic(jnp.asarray(np.linalg.inv(gram)))), 0.0)
    width = float(world.expect(world.optimal, jnp.asarray(np.sqrt(squared))))
    cover, spread = policy_concentrability(world), float(np.sum(visited * squared))
    coarse = (1 + radius) * alpha * math.sqrt(cover * spread) if math.isfinite(cover) else math.inf
    terms = {"alpha": alpha, "width": width, "coverage": cover, "log det": log_det, "coarse": coarse}
    return Bound((1 + radius) * alpha * width, terms, violations)


def realised(
    world: World,
    confidence_radius: float,
    bonus: float,
    radius: float = 1.0,
    c_max: float | None = None,
    noise_bound: float | None = None,
    weight_bound: float | None = None,
) -> Bound:
    """(1 + 1 / radius) bonus, from the row of a fit: bonus = E_{pi*}[f_bar - f_hat] = radius alpha E_{pi*}|psi|.

    Twice the bonus at radius 1.  Holds with probability at least 1 - delta over the log, for a policy that minimises
    Eq. 6 over all policies (the log-linear class).  |psi| is in the norm of Lambda^-1, Lambda of that log.

    Args:
        world: the world of the log.
        confidence_radius, bonus: the notes of the fit (columns of its row), at least 0.
        radius, c_max, noise_bound, weight_bound: the settings of the fit.  delta is in its radius.

    Raises:
        BadInput: a negative number.

    Source: docs/theory.md 4.4; the paper's theorem for cost learning with a linear cost class.
    """
    confidence_radius = checks.in_range("confidence_radius", confidence_radius, 0, math.inf)
    bonus = checks.in_range("bonus", bonus, 0, math.inf)
    violations = _violations(world, radius, c_max, noise_bound, weight_bound)
    if radius == 0:
        return Bound(math.inf, {"bonus": bonus}, violations, NOT_PESSIMISTIC)
    width = bonus / confidence_radius if confidence_radius > 0 else 0.0
    terms = {"alpha": confidence_radius / radius, "width": width, "bonus": bonus}
    return Bound((1 + 1 / radius) * bonus, terms, violations)


def gap(world: World, pessimism_gap: float, learner: Cost) -> Bound:
    """E_{pi*}[f_bar - c], from the row of a fit, for either cost class: SubOpt(pi_RL) is at most that while f_bar >= c.

    Holds with probability at least 1 - delta over the log, for a policy that minimises Eq. 6 over all policies (the
    log-linear class).  It knows c, so that it serves to check the others; it is never above `realised`'s value.

    Args:
        world: the world of the log.
        pessimism_gap: the note of the fit (a column of its row).
        learner: that was fitted; the bound speaks of neither of the printed forms of docs/theory.md 8.

    Source: docs/theory.md 4.4.
    """
    if learner.optimum == "paper" or learner.confidence == "paper":
        return Bound(math.inf, {}, {}, PRINTED)
    if float(learner.radius) == 0:
        return Bound(math.inf, {}, {}, NOT_PESSIMISTIC)
    given = [None if v is None else float(v) for v in (learner.c_max, learner.noise_bound, learner.weight_bound)]
    violations = _violations(world, float(learner.radius), *given)
    if learner.cost_class == "list":
        # c is in the class, and the version space's radius is c_max's.
        declared = max(0.0, _largest_paid(world) - _declared(world, given[0]))
        violations = {RADIUS: violations[RADIUS], RANGE: declared}
    return Bound(pessimism_gap, {}, violations)


def _violations(
    world: World, radius: float, c_max: float | None, noise_bound: float | None, weight_bound: float | None
) -> dict[str, float]:
    radius = checks.in_range("radius", radius, 0, math.inf)
    weights = math.inf if weight_bound is None else checks.in_range("weight_bound", weight_bound, 0, math.inf)
    found = {
        LINEAR: realizability.linear_cost_residual(world),
        WEIGHTS: max(0.0, _weight_norm(world) - weights),
        RADIUS: max(0.0, 1 - radius),
    }
    if noise_bound is None:
        return found | {RANGE: max(0.0, _largest_paid(world) - _declared(world, c_max))}
    noise = checks.in_range("noise_bound", noise_bound, 0, math.inf)
    return found | {NOISE: _noise_violation(world, noise)}


def _noise_violation(world: World, noise: float) -> float:
    """How far `noise` is below the noise scale; NaN where a world is too large to say."""
    if not _independent(world) and record_logs.needed(world):
        # The scale is at most half of the range.
        return 0.0 if noise >= _largest_paid(world) / 2 else math.nan
    return max(0.0, noise_scale(world) - noise)


def noise_scale(world: World) -> float:
    """The sub-Gaussian scale of the observed cost: max over x, y, t of sqrt(2 log E exp(t (Delta - c))) / |t|.

    Over a grid of t, fine enough for three digits; at t = 0 it is the standard deviation.  At most c_max / 2.

    Raises:
        BadInput: a world too large for a table of the kernel, unless its user edits attributes independently.
    """
    if _independent(world):
        return _noise_of_attributes(world)
    rows, costs = world.editor.dense(), np.asarray(world.expected_cost)
    gaps = np.asarray(world.distance)[None] - costs[:, :, None]
    seen = (np.asarray(world.context_probs)[:, None] > 0) & (np.asarray(world.reference) > 0)
    variance = float(np.sum(rows * gaps**2, axis=2)[seen].max())

    def log_moment(t: float) -> float:
        return float(np.log(np.sum(rows * np.exp(t * gaps * (rows > 0)), axis=2)[seen]).max())

    return _scale(log_moment, variance, float(np.abs(gaps[rows > 0]).max()))


def _noise_of_attributes(world: World) -> float:
    """`noise_scale` where the cost is a sum of independent costs of attributes: so are its variance and log moment,
    and the worst response is the worst of every attribute.
    """
    assert isinstance(world.editor, ProductEditor) and isinstance(world.distance, AttributeDistance)
    flips = np.asarray(world.editor.flips())[np.asarray(world.context_probs) > 0]
    unit = float(world.distance.scale)

    def worst(of_attribute: np.ndarray) -> float:
        return float(of_attribute.max(axis=2).sum(axis=1).max())

    def log_moment(t: float) -> float:
        return worst(np.log1p(flips * np.expm1(t * unit)) - t * unit * flips)

    upwards, downwards = worst((flips > 0) - flips), worst(flips - (flips == 1))
    return _scale(log_moment, unit**2 * worst(flips * (1 - flips)), unit * max(upwards, downwards))


def _scale(log_moment: Callable[[float], float], variance: float, largest_gap: float) -> float:
    if largest_gap == 0:
        return 0.0
    grid = np.geomspace(1e-2, 1e2, 81) / largest_gap
    moments = [2 * log_moment(sign * t) / t**2 for t in grid for sign in (-1.0, 1.0)]
    return math.sqrt(max(variance, *moments))


def _independent(world: World) -> bool:
    """Whether every response is given, and its attributes are edited, and paid for, independently."""
    of_attributes = isinstance(world.distance, AttributeDistance) and isinstance(world.editor, ProductEditor)
    return of_attributes and bool(np.all(np.asarray(world.reference) > 0))


def _largest_paid(world: World) -> float:
    if isinstance(world.distance, AttributeDistance) and np.all(np.asarray(world.reference) > 0):
        # Every response is given, and the attributes of a product that may change at all may change together.
        editor, seen = world.editor, np.asarray(world.context_probs) > 0
        assert not isinstance(editor, DenseEditor)
        products = editor.editors if isinstance(editor, MixtureEditor) else (editor,)
        most = [np.any(np.asarray(part.flips()) > 0, axis=2).sum(axis=1)[seen].max(initial=0) for part in products]
        return float(world.distance.scale) * float(max(most))
    paid = np.asarray(world.triple_law()) > 0
    return float(np.max(np.where(paid, np.asarray(world.distance), 0.0)))


def _declared(world: World, c_max: float | None) -> float:
    return float(largest(world.distance)) if c_max is None else checks.positive("c_max", c_max)


def _weight_norm(world: World) -> float:
    return float(np.linalg.norm(np.asarray(world.cost_weights)))
