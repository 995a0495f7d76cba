"""How fast editing moves a policy towards the optimum: coefficients of the edit kernel, one per context."""

from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from bounds import dense_kernels, divergences, mixture_kernels, product_kernels
from bounds.bound import EXACT
from bounds.intervals import Interval
from sim.editors import DenseEditor, MixtureEditor, ProductEditor
from sim.world import World

_ANSWERS: dict[type, ModuleType] = {
    DenseEditor: dense_kernels,
    ProductEditor: product_kernels,
    MixtureEditor: mixture_kernels,
}


def interval(name: str, world: World) -> Interval:
    """Proved ends of a coefficient, equal where it is exactly known: one of the functions of `dense_kernels`."""
    return getattr(_ANSWERS[type(world.editor)], name)(world)


def coefficients(world: World) -> dict[str, Interval]:
    """Proved ends of gamma_min, doeblin, dobrushin and second_eigenvalue (3.1 to 3.3, 3.5)."""
    return {name: interval(name, world) for name in ("gamma_min", "doeblin", "dobrushin", "second_eigenvalue")}


def gamma_min(world: World) -> np.ndarray:
    """gamma_min(x) = min_y q(y*|x, y), y* = argmax pi*(.|x), shape (X,) (Assumption 1, docs/theory.md 3.1)."""
    return interval("gamma_min", world).lower


def doeblin(world: World) -> np.ndarray:
    """The mass common to all rows, sum_e min_y q(e|x, y), shape (X,); TV contracts by one minus it (3.2).

    Its lower end for a mixture of products, where it may not be known exactly: the contraction stays proved.
    """
    return interval("doeblin", world).lower


def dobrushin(world: World) -> np.ndarray:
    """tau(x) = max over y1, y2 of TV(q(.|x, y1), q(.|x, y2)), shape (X,); TV contracts by it (3.3).

    Its upper end for large products and for mixtures of them (`interval`): the contraction stays proved.
    """
    return interval("dobrushin", world).upper


def second_eigenvalue(world: World) -> np.ndarray:
    """The second largest singular value of q in L2(pi*), shape (X,), or its upper end (3.5).

    For a kernel reversible with respect to pi* it is the second largest absolute eigenvalue.  Responses of
    probability zero under pi* are left out; with one response left it is 0.
    """
    return interval("second_eigenvalue", world).upper


def balance_violation(world: World) -> float:
    """max |pi*(y) q(e|y) - pi*(e) q(y|e)| over contexts and pairs, or its upper end; 0 when Assumption 1's balance
    holds.
    """
    return float(interval("balance_violation", world).upper.max())


def stationarity_violation(world: World) -> float:
    """max |pi* q - pi*|; 0 when editing leaves the optimum as it is (weaker than balance)."""
    return float(np.abs(np.asarray(world.edited(world.optimal)) - np.asarray(world.optimal)).max())


def tensorised(world: World) -> np.ndarray | None:
    """max over attributes k of eta_KL(q_k), shape (X,), if q and pi* are products of binary parts; else None (3.6).

    The parts are those of the editor, or found in its table (`kl_search.binary_factors`): A = 2^K responses, the first
    attribute the most significant, each part (1 - s_k) I + s_k Pi_{p_k}; with one response it is 0.  Source:
    docs/theory.md 3.6.
    """
    return _ANSWERS[type(world.editor)].tensorised(world)


def kl_coefficient_interval(world: World, tau: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends (X,), (X,) of eta_KL(pi*, q) = sup_p KL(q∘p || q∘pi*) / KL(p || pi*) (docs/theory.md 3.4).

    For product kernels both ends are the value of 3.6.  Else the supremum is not concave: the upper end, Dobrushin's
    tau, is proved, and the lower end is what a search found, never a bound.  q∘pi* is pi* when editing keeps it.
    """
    exact = tensorised(world)
    if exact is not None:
        return exact, exact
    upper = dobrushin(world) if tau is None else tau
    return np.minimum(_ANSWERS[type(world.editor)].kl_searched(world), upper), upper


def kl_coefficient(world: World) -> np.ndarray:
    """The smallest proved bound on eta_KL(pi*, q), shape (X,): its value for product kernels, else tau (3.4, 3.6)."""
    exact = tensorised(world)
    return dobrushin(world) if exact is None else exact


def measured(world: World, policy: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """How much one edit contracts: D(q∘pi, pi*) / D(pi, pi*) per context, shape (X,), for D in tv, kl, chi2.

    `policy` is pi (X, A), default pi_ref.  NaN where the denominator is zero, or both are infinite.
    """
    start = world.reference if policy is None else jnp.asarray(policy)
    before = _divergences(world, np.asarray(start))
    after = _divergences(world, np.asarray(world.edited(start)))
    with np.errstate(all="ignore"):
        return {name: np.where(before[name] > 0, after[name] / before[name], np.nan) for name in before}


def _divergences(world: World, policy: np.ndarray) -> dict[str, np.ndarray]:
    optimal, log_optimal = np.asarray(world.optimal), np.asarray(world.log_optimal)
    return {
        "tv": divergences.tv(policy, optimal),
        "kl": divergences.kl(policy, log_optimal),
        "chi2": divergences.chi2(policy, optimal),
    }


class Rung(NamedTuple):
    """One contraction coefficient of q and the bound on SubOpt(q∘pi_ref) that follows from it.

    `coefficient` (X,) multiplies `divergence` (tv, kl or chi2; None where the kernel has no such coefficient),
    `measured` (X,) is what pi_ref contracts by; `subopt_bound` is None, with a `reason`, where there is no bound.
    """

    name: str
    divergence: str
    coefficient: np.ndarray | None
    measured: np.ndarray
    subopt_bound: float | None
    reason: str | None = None


def ladder(world: World, known: dict[str, Interval] | None = None) -> list[Rung]:
    """The coefficients of 3.1 to 3.6, what pi_ref really contracts by, and the bounds on SubOpt(q∘pi_ref).

    tv (3.1-3.3, with 1.3): beta E_x[a_x TV(pi_ref, pi*)_x span_y log(q∘pi_ref / pi*)_x], a_x the coefficient;
    kl (3.4, 3.6): beta E_x[a_x KL(pi_ref || pi*)_x]; chi2 (3.5): beta E_x log(1 + a_x chi2(pi_ref || pi*)_x),
    a_x = lambda_2^2.  They need pi* q = pi*; without it none has a bound.  Where a coefficient is only known to lie
    between two ends, the end that proves the bound takes its place.  `known` are the `coefficients`, where they are at
    hand.  Source: docs/theory.md 3.
    """
    seen, known = measured(world), known or coefficients(world)
    tau = known["dobrushin"].upper
    named: dict[str, tuple[str, np.ndarray | None]] = {
        "gamma_min": ("tv", 1 - known["gamma_min"].lower),
        "doeblin": ("tv", 1 - known["doeblin"].lower),
        "dobrushin": ("tv", tau),
        "dobrushin_kl": ("kl", tau),
        "tensorised": ("kl", tensorised(world)),
        "second_eigenvalue": ("chi2", known["second_eigenvalue"].upper ** 2),
    }
    excess = _edited_excess(world, tau)
    violation = stationarity_violation(world)
    moved = None if violation <= EXACT else f"editing moves the optimum: max |pi* q - pi*| = {violation:.3g}"
    rungs = []
    for name, (divergence, coefficient) in named.items():
        reason = moved or (
            None if coefficient is not None else "the kernel or the optimum is no product of binary parts"
        )
        value = None if reason or coefficient is None else excess(divergence, coefficient)
        rungs.append(Rung(name, divergence, coefficient, seen[divergence], value, reason))
    return rungs


def _edited_excess(world: World, tau: np.ndarray) -> Callable[[str, np.ndarray], float]:
    """The function (divergence, coefficient) -> bound on SubOpt(q∘pi_ref) of `ladder`."""
    before = _divergences(world, np.asarray(world.reference))
    edited = np.asarray(world.edited(world.reference))
    span = divergences.log_span(edited, np.asarray(world.log_optimal))
    rho = np.asarray(world.context_probs)

    def bound(divergence: str, coefficient: np.ndarray) -> float:
        # Infinity shrinks to zero only where all rows of q are equal: there q∘pi_ref is pi*.
        gap = before[divergence]
        with np.errstate(all="ignore"):
            shrunk = np.where(np.isinf(gap), np.where(tau > 0, np.inf, 0.0), coefficient * gap)
            shrunk = np.where(shrunk > 0, shrunk * span, 0.0) if divergence == "tv" else shrunk
            terms = np.log1p(shrunk) if divergence == "chi2" else shrunk
            return float(world.temperature) * float(np.where(rho > 0, rho * terms, 0.0).sum())

    return bound


def smallest(world: World) -> tuple[str | None, float | None]:
    """The name and the value of the smallest bound on SubOpt(q∘pi_ref); (None, None) if there is none."""
    return smallest_of(ladder(world))


def smallest_of(rungs: list[Rung]) -> tuple[str | None, float | None]:
    """As `smallest`, of a ladder at hand; the first on ties."""
    bounds = [(rung.subopt_bound, rung.name) for rung in rungs if rung.subopt_bound is not None]
    if not bounds:
        return None, None
    value, name = min(bounds, key=lambda pair: pair[0])
    return name, value
