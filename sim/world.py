"""A finite world of learning from edits, and every quantity of it exactly.

A context x is drawn from rho, the reference policy answers y, the user edits it to e ~ q(.|x, y) and pays the
distance Delta(y, e).  Everything below is arithmetic on arrays; nothing is estimated.  Shapes: X contexts,
A responses.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import special

from sim import checks
from sim.distances import Distance
from sim.editors import DenseEditor, Editor
from sim.errors import BadInput
from sim.features import DenseFeatures, Features, indicator_features
from sim.pytrees import pytree

Policy = Float[Array, "X A"]
Scalar = Float[Array, ""]


@pytree
@dataclass(frozen=True)
class World:
    """One world: the arrays, and the exact functionals of a policy in it.

    Build it with `plant` (from an optimal policy; `plant_law` without tables of pairs) or `from_reference` (from a
    reference policy); all check their input.  A policy is a table of probabilities pi(y|x), shape (X, A).

    Fields:
        context_probs: rho, shape (X,).
        reference: pi_ref, shape (X, A).
        optimal: pi*_beta, the minimiser of Eq. 1, shape (X, A).
        log_optimal: its logarithm, finite where pi* underflows.
        expected_cost: c(x, y) = sum_e q(e|x, y) Delta(y, e), shape (X, A).
        editor: q, as a table or as operators.
        distance: Delta, shape (A, A), or the rule that gives its entries.
        temperature: beta > 0.
        policy_features: phi, shape (X, A, d).
        cost_features: psi, shape (X, A, m).
        cost_weights: w*, shape (m,): c by least squares on psi, of least norm.
    """

    context_probs: Float[Array, " X"]
    reference: Policy
    optimal: Policy
    log_optimal: Policy
    expected_cost: Float[Array, "X A"]
    editor: Editor
    distance: Distance
    temperature: Scalar
    policy_features: Features
    cost_features: Features
    cost_weights: Float[Array, " m"]

    @property
    def contexts(self) -> int:
        """The number of contexts, X."""
        return self.reference.shape[0]

    @property
    def responses(self) -> int:
        """The number of responses, A."""
        return self.reference.shape[1]

    def expect(self, policy: Policy, values: Float[Array, "X A"]) -> Scalar:
        """E over x ~ rho, y ~ policy of values(x, y); impossible pairs count zero, whatever their value."""
        weights = self.context_probs[:, None] * policy
        return jnp.sum(weights * jnp.where(weights > 0, values, 0.0))

    def cost(self, policy: Policy) -> Scalar:
        """J(pi) = E c(x, y) over x ~ rho, y ~ pi: the expected edit cost of `policy`."""
        return self.expect(policy, self.expected_cost)

    def regularised_cost(self, policy: Policy) -> Scalar:
        """J_beta(pi) = E[c(x, y) + beta log(pi(y|x) / pi_ref(y|x))] (Eq. 1) of `policy`; +inf where pi_ref is 0 and pi
        is not."""
        return self.cost(policy) + self.temperature * self.kl(policy, self.reference)

    def suboptimality(self, policy: Policy) -> Scalar:
        """SubOpt(pi) = J_beta(pi) - J_beta(pi*_beta) = beta E_x KL(pi || pi*_beta) of `policy` (Eq. 2).

        Never negative; +inf where pi_ref is 0 and pi is not.  Evaluated as docs/theory.md 1.1 says.
        """
        return self.temperature * self._kl(policy, self.log_optimal)

    def kl(self, policy: Policy, other: Policy) -> Scalar:
        """E over x of KL(policy || other); +inf where `policy` leaves the support of `other`."""
        return self._kl(policy, jnp.log(other))

    def _kl(self, policy: Policy, log_other: Policy) -> Scalar:
        terms = divergence_terms(policy, log_other)
        return jnp.sum(jnp.where(self.context_probs > 0, self.context_probs * jnp.sum(terms, 1), 0.0))

    def tv(self, policy: Policy, other: Policy) -> Scalar:
        """D(pi, pi') = E over x of the total variation distance of `policy` and `other`, half the L1 one; in [0, 1]."""
        return 0.5 * self.context_probs @ jnp.sum(jnp.abs(policy - other), axis=1)

    def jeffreys(self, policy: Policy, other: Policy) -> Scalar:
        """E over x of KL(policy || other) + KL(other || policy) = sum (pi - pi') log(pi / pi')."""
        return self.kl(policy, other) + self.kl(other, policy)

    def edited(self, policy: Policy) -> Policy:
        """q∘pi(e|x) = sum_y q(e|x, y) pi(y|x), shape (X, A): the law of the edited response when y follows `policy`."""
        return self.editor.push(policy)

    def expect_triples(self, table: Float[Array, "X A A"]) -> Scalar:
        """E over the law of the log, x ~ rho, y ~ pi_ref, e ~ q, of table(x, y, e)."""
        return self.editor.expect(self.context_probs[:, None] * self.reference, table)

    def triple_law(self) -> Float[Array, "X A A"]:
        """The law of one logged triple, rho(x) pi_ref(y|x) q(e|x, y), shape (X, A, A)."""
        return self.editor.joint(self.context_probs[:, None] * self.reference)

    @cached_property
    def logged_law(self) -> np.ndarray:
        """`triple_law` as logs are drawn from it, its sum one; kept, so that drawing computes nothing."""
        law = np.asarray(self.triple_law())
        return law / law.sum()


def divergence_terms(policy: Float[Array, "..."], log_other: Float[Array, "..."]) -> Float[Array, "..."]:
    """Terms, none negative, whose sum over a law is KL(policy || other); +inf where other is 0 and policy is not."""
    # As sum other * (r log r - r + 1) with r = policy / other: the summands are non-negative, so rounding cannot
    # make the result negative or lose a small one.
    other = jnp.exp(log_other)
    supported = log_other > -jnp.inf
    excess = jnp.where(other > 0, (policy - other) / jnp.where(other > 0, other, 1.0), 0.0)
    entropy = (1 + excess) * jnp.log1p(jnp.where(excess > -1, excess, 0.0))
    terms = jnp.maximum(other * (entropy - excess), 0.0)
    # Far above one, where nothing cancels, a form in logarithms that neither overflows nor needs `other` > 0.
    logs = jnp.log(jnp.where(policy > 0, policy, 1.0)) - jnp.where(supported, log_other, 0.0)
    terms = jnp.where((policy > 0) & (logs > 10.0), policy * logs - policy + other, terms)
    return jnp.where(supported | (policy <= 0), terms, jnp.inf)


def log_optimum_of(reference: Policy, expected_cost: Float[Array, "X A"], temperature: Scalar | float) -> Policy:
    """The logarithm of the minimiser of Eq. 1, pi*_beta(y|x) proportional to pi_ref(y|x) exp(-c(x, y) / beta)."""
    return jax.nn.log_softmax(jnp.log(reference) - expected_cost / temperature, axis=1)


def plant(
    context_probs: np.ndarray,
    optimal: np.ndarray,
    kernel: np.ndarray,
    distance: np.ndarray,
    temperature: float,
    policy_features: np.ndarray,
    cost_features: np.ndarray | None = None,
    tempering: float = 0.0,
) -> World:
    """The world whose optimum is `optimal`, for any kernel: the reference policy follows.

        c(x, y) = sum_e q(e|x, y) Delta(y, e),    pi_ref proportional to pi* exp(c / beta)

    is the one reference policy for which Eq. 1 has its minimum at pi*.

    Args:
        context_probs: rho, shape (X,).
        optimal: pi*, shape (X, A), rows sum to one.
        kernel: q, shape (X, A, A), `kernel[x, y, e]` = q(e|x, y).
        distance: Delta, shape (A, A), zero exactly on the diagonal.
        temperature: beta > 0.
        policy_features: phi, shape (X, A, d).
        cost_features: psi, shape (X, A, m); default one indicator per (x, y).
        tempering: t in [0, 1], breaks balance: the kernel keeps `optimal` =: mu, but pi_ref is proportional to
            mu exp(c ((1 - t) / beta + t)), so that the optimum becomes mu exp(c t (1 - 1 / beta)).

    Raises:
        BadInput: shapes, rows that are not probabilities, a bad distance or temperature, a pi_ref that underflows.

    Source: docs/theory.md 2.1.  Not in the paper, which takes a world as given.
    """
    context_probs = checks.probabilities("context_probs", context_probs, 1)
    optimal = checks.probabilities("optimal", optimal, 2, contexts=len(context_probs))
    editor, delta, temperature = _editing(kernel, distance, temperature, optimal.shape)
    with np.errstate(divide="ignore"):
        log_mu = np.log(optimal)
    phi, psi = _features(policy_features, cost_features, optimal.shape)
    return plant_law(context_probs, log_mu, editor, delta, temperature, phi, psi, tempering)


def plant_law(
    context_probs: np.ndarray,
    log_optimal: np.ndarray,
    editor: Editor,
    distance: Any,
    temperature: float,
    policy_features: Features,
    cost_features: Features | None = None,
    tempering: float = 0.0,
) -> World:
    """As `plant`, from the logarithm of pi* (X, A) and operators instead of tables of pairs.

    Raises:
        BadInput: a bad temperature or tempering, a reference that underflows.
    """
    temperature = checks.positive("temperature", temperature)
    tempering = checks.in_range("tempering", tempering, 0, 1)
    # NumPy, because every new operation of JAX is compiled, and a world is often all that is asked for.
    cost = np.asarray(editor.pull_pairs(distance))
    reference = special.softmax(log_optimal + cost * ((1 - tempering) / temperature + tempering), axis=1)
    if np.any((reference == 0) & (log_optimal > -np.inf)):
        raise BadInput(
            f"temperature: {temperature:g} is so low against costs of up to {float(cost.max()):g} that the planted"
            " reference policy underflows to zero; raise the temperature or scale the distance down"
        )
    if tempering > 0:
        log_optimal = np.asarray(log_optimum_of(jnp.asarray(reference), jnp.asarray(cost), temperature))
    return _world(
        context_probs, reference, log_optimal, cost, editor, distance, temperature, policy_features, cost_features
    )


def from_reference(
    context_probs: np.ndarray,
    reference: np.ndarray,
    kernel: np.ndarray,
    distance: np.ndarray,
    temperature: float,
    policy_features: np.ndarray,
    cost_features: np.ndarray | None = None,
) -> World:
    """The world whose reference policy is `reference`: pi* proportional to pi_ref exp(-c / beta) follows (Eq. 1).

    Args:
        context_probs: rho, shape (X,).
        reference: pi_ref, shape (X, A), rows sum to one.
        kernel: q, shape (X, A, A), `kernel[x, y, e]` = q(e|x, y).
        distance: Delta, shape (A, A), zero exactly on the diagonal.
        temperature: beta > 0.
        policy_features: phi, shape (X, A, d).
        cost_features: psi, shape (X, A, m); default one indicator per (x, y).

    Raises:
        BadInput: shapes, rows that are not probabilities, a bad distance or temperature.

    Source: Eq. 1.  Its display in the paper carries pi_ref twice (docs/theory.md 8).
    """
    context_probs = checks.probabilities("context_probs", context_probs, 1)
    reference = checks.probabilities("reference", reference, 2, contexts=len(context_probs))
    editor, delta, temperature = _editing(kernel, distance, temperature, reference.shape)
    cost = np.asarray(editor.pull_pairs(delta))
    log_optimal = np.asarray(log_optimum_of(jnp.asarray(reference), jnp.asarray(cost), temperature))
    if np.any(np.isnan(log_optimal)):
        raise BadInput(f"temperature: {temperature:g} is so low against the costs that c / temperature overflows")
    phi, psi = _features(policy_features, cost_features, reference.shape)
    return _world(context_probs, reference, log_optimal, cost, editor, delta, temperature, phi, psi)


def _editing(
    kernel: np.ndarray, distance: np.ndarray, temperature: float, shape: tuple[int, ...]
) -> tuple[DenseEditor, Array, float]:
    contexts, responses = shape
    kernel = checks.probabilities("edit_kernel", kernel, 3, contexts=contexts, responses=responses)
    distance = checks.distances("edit_distance", distance, responses)
    return (
        DenseEditor(jnp.asarray(kernel)),
        jnp.asarray(distance),
        checks.positive("temperature", temperature),
    )


def _features(
    policy_features: np.ndarray, cost_features: np.ndarray | None, shape: tuple[int, ...]
) -> tuple[DenseFeatures, DenseFeatures | None]:
    named = (("policy_features", policy_features), ("cost_features", cost_features))
    checked = [None if v is None else DenseFeatures(jnp.asarray(checks.features(n, v, shape))) for n, v in named]
    assert checked[0] is not None
    return checked[0], checked[1]


def _world(
    context_probs: np.ndarray,
    reference: np.ndarray,
    log_optimal: np.ndarray,
    cost: np.ndarray,
    editor: Editor,
    distance: Any,
    temperature: float,
    phi: Features,
    psi: Features | None,
) -> World:
    # Indicators fit every cost: their weights are the costs, with nothing to solve.
    weights = cost.ravel() if psi is None else psi.least_squares(cost)
    return World(
        jnp.asarray(context_probs),
        jnp.asarray(reference),
        # JAX's own exponential, as in `World.suboptimality`: that of the optimum is then zero to the last bit.
        jnp.exp(jnp.asarray(log_optimal)),
        jnp.asarray(log_optimal),
        jnp.asarray(cost),
        editor,
        distance,
        jnp.asarray(temperature),
        phi,
        indicator_features(*reference.shape) if psi is None else psi,
        jnp.asarray(weights),
    )
