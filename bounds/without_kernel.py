"""Predictions for worlds whose kernel has no table: what follows from the operators of attributes (docs/theory.md 5).

Supervision and cost learning need moments of the log that a product of attributes, or a mixture of them, has in closed
form.  Preference learning, early ensembling and the edit model need the joint law of a response and its edit.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bounds.bound import EXACT
from bounds.moments import Moments
from bounds.realizability import cube_parameters, linear_cost_residual, log_linear_residual
from sim import cubes
from sim.distances import AttributeDistance, as_table
from sim.editors import DenseEditor, MixtureEditor
from sim.features import AttributeFeatures
from sim.learners import Cost, Learner, Supervision
from sim.world import World

NO_KERNEL = "it needs a table of the edit kernel, which does not fit"
NOT_ALL = "a context of probability zero leaves directions free"


class Missing(Exception):
    """Why a prediction cannot be had."""


def expansion(learner: Learner, world: World) -> tuple[float, Moments]:
    """The limit S(theta_0) and the moments of its expansion, as `asymptotics.predict` has them from all triples.

    Raises:
        Missing: what cannot be had without the kernel.
    """
    if not np.all(np.asarray(world.context_probs) > 0):
        raise Missing(NOT_ALL)
    if isinstance(learner, Supervision):
        return _supervision(world)
    if isinstance(learner, Cost) and learner.cost_class == "linear" and learner.optimum == "tilted":
        return _cost(world)
    raise Missing(NO_KERNEL)


def _supervision(world: World) -> tuple[float, Moments]:
    """5.1: H = G = rho p (1 - p), one number per context and attribute, with p the probability of a one in q∘pi_ref.

    S(theta) = beta sum rho KL(Ber(sigma(theta)) || Ber(sigma(theta*))), and V = H^-1 makes the coefficient beta d / 2.
    """
    edited, optimal = np.asarray(world.edited(world.reference)), np.asarray(world.optimal)
    _require(log_linear_residual(world, edited), "the log-linear class misses q∘pi_ref by {:.3g}")
    _require(log_linear_residual(world, optimal), "the log-linear class misses the optimum by {:.3g}")
    features = world.policy_features
    if not isinstance(features, AttributeFeatures) or features.constant.size:
        raise Missing(NO_KERNEL)
    beta, rho = float(world.temperature), np.repeat(np.asarray(world.context_probs), features.centre.shape[1])
    theta = cube_parameters(features, np.log(edited))
    apart = theta - cube_parameters(features, np.asarray(world.log_optimal))
    skew, spread = -np.tanh(theta / 2), rho / (4 * np.cosh(theta / 2) ** 2)
    moments = Moments(
        slope=beta * spread * apart,
        bend=np.diag(beta * spread * (1 + skew * apart)),
        variance=np.diag(1 / spread),
        bias=-skew / (2 * spread),
        ridge_pull=np.asarray(beta * float(apart @ theta)),
    )
    return float(world.suboptimality(jnp.asarray(edited))), moments


def _cost(world: World) -> tuple[float, Moments]:
    """5.3: S has Hessian E_x Cov_{pi*}(psi) / beta at w*, and least squares has V = Sigma^-1 E[v psi psi^T] Sigma^-1.

    Sigma = E psi psi^T over rho and pi_ref, and v the variance of the observed cost given x and y.
    """
    _require(linear_cost_residual(world), "the cost class misses the cost by {:.3g}")
    rho, psi = world.context_probs[:, None], world.cost_features
    visited = rho * world.reference
    inverse = jnp.linalg.inv(psi.gram(visited))
    variance = inverse @ psi.gram(visited * noise_variance(world)) @ inverse
    bend = psi.centred(world.optimal).gram(rho * world.optimal) / world.temperature
    nothing = jnp.zeros(psi.dimension)
    return 0.0, Moments(nothing, bend, variance, nothing, jnp.zeros(()))


def _require(residual: float, reason: str) -> None:
    if residual > EXACT:
        raise Missing(reason.format(residual))


def noise_variance(world: World) -> Float[Array, "X A"]:
    """Var(Delta(y, e) | x, y): of a product, a sum over attributes; of a mixture, with the variance between its parts.

    With f_k the probability that attribute k changes, scale^2 sum_k f_k (1 - f_k).
    """
    editor, distance, cost = world.editor, world.distance, world.expected_cost
    if isinstance(editor, DenseEditor) or not isinstance(distance, AttributeDistance):
        return editor.pull_pairs(as_table(distance) ** 2) - cost**2
    products = editor.editors if isinstance(editor, MixtureEditor) else (editor,)
    weights = editor.weights if isinstance(editor, MixtureEditor) else jnp.ones(1)
    found = jnp.zeros_like(cost)
    for weight, part in zip(weights, products, strict=True):
        flips = part.flips()
        within = distance.scale**2 * cubes.outer_sum(flips * (1 - flips))
        found = found + weight * (within + (part.pull_pairs(distance) - cost) ** 2)
    return found
