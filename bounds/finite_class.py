"""High-probability bounds on SubOpt for supervision and preference (docs/theory.md 4.0 to 4.3, 4.5, 4.6).

Each bound has a part that belongs to the world and the class, computed once, and a part that depends on n through
eps_n alone.  Shapes: X contexts, A responses, M policies of a list.  Contexts of probability zero play no part.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import expit

from bounds import contraction
from bounds.bound import Bound
from bounds.class_size import (
    ball_radius,
    chosen_ball,
    edited_policy,
    largest_feature,
    largest_gap,
    largest_log_ratio,
    largest_span,
    log_of,
    membership,
    outside_ball,
    seen,
)
from bounds.coverage import preference_coverage
from sim import checks
from sim.errors import BadInput, choose
from sim.policies import Mixture, PolicyClass, PolicyList
from sim.world import World

__all__ = [
    "BOUNDS", "ball_radius", "bounds_for", "epsilon", "pref", "pref_paper", "pref_set", "sup", "sup_paper", "sup_set",
    "sup_sharp", "values",
]  # fmt: skip

EDITED_IN_CLASS, OPTIMUM_IN_CLASS = "q∘pi_ref in the class", "pi* in the class"
EDITED_IN_BALL, OPTIMUM_IN_BALL = "theta of q∘pi_ref in the ball", "theta* in the ball"
STATIONARY, BALANCE = "pi* q = pi*", "balance"
NO_MIXTURE = "needs a finite list of policies or the log-linear class"
NO_LIST = "needs a finite list of policies"


class Part(NamedTuple):
    """A bound without its n: `value(eps_n)` gives the value and the terms that depend on n."""

    value: Callable[[float], tuple[float, dict[str, float]]]
    terms: dict[str, float]
    violations: dict[str, float]
    reason: str | None = None


Builder = Callable[[World, PolicyClass, float | None], Part]


def epsilon(policies: PolicyClass, n: int, delta: float, world: World, ball: float | None = None) -> float:
    """eps_n: with probability 1 - delta the mean D_H^2 of a maximum-likelihood choice to the truth is <= eps_n^2.

    List of M policies: eps_n^2 = 2 log(M / delta) / n.  Log-linear class, d = `policies.dimension`, Theta = `ball`,
    B = max |phi|:

        eps_n = sqrt((2 d log(1 + 4 B Theta n) + 2 log(1 / delta) + 1) / n) + 1 / n.

    Args:
        policies: a list or the log-linear class.
        n: triples of the log, unedited ones included, a whole number of at least 1.
        delta: the probability of failure, in (0, 1).
        world: gives the support, and the default of `ball`.
        ball: Theta >= 0, the largest |theta|; default `ball_radius(world)`.

    Raises:
        BadInput: n, delta or ball out of range; a mixture.

    Source: docs/theory.md 4.0 and 4.6.  The likelihood is maximised without a ridge (the learners' ridge r moves
    eps_n^2 by at most r Theta^2 / n) and, in the log-linear class, over the ball.
    """
    n, delta = checks.whole("n", n, 1), checks.chance("delta", delta)
    if isinstance(policies, PolicyList):
        return math.sqrt(2 * math.log(policies.log_policies.shape[0] / delta) / n)
    if isinstance(policies, Mixture):
        raise BadInput(f"policies: {NO_MIXTURE}, got a mixture")
    cover = (
        2
        * policies.dimension
        * math.log1p(4 * largest_feature(world, policies) * chosen_ball(world, policies, ball) * n)
    )
    return math.sqrt((cover + 2 * math.log(1 / delta) + 1) / n) + 1 / n


def sup_paper(world: World, policies: PolicyClass, n: int, delta: float, ball: float | None = None) -> Bound:
    """SubOpt(pi_SUP) <= beta B (min(1, eps_n) + max_x (1 - gamma_min(x)) D(pi_ref, pi*)), B = max span log(pi / pi*).

    The maximum B is over the class and x, D is the mean total variation.  Needs q∘pi_ref in the class, pi* q = pi*.

    Args:
        world, policies: the world and its policy class (a list or log-linear).
        n, delta, ball: as in `epsilon`.

    Raises:
        BadInput: as in `epsilon`, but a mixture gives value inf and a reason.

    Source: docs/theory.md 4.1; the paper's theorem for supervision, with constants.  For the log-linear class
    B = 2 max|phi| Theta + max_x span log pi* (4.6).
    """
    return _bound("sup_paper", world, policies, n, delta, ball)


def sup_sharp(world: World, policies: PolicyClass, n: int, delta: float, ball: float | None = None) -> Bound:
    """SubOpt(pi_SUP) <= SubOpt(q∘pi_ref) + beta (span0 eps_n + (2 + log V) eps_n^2).

    span0 = max_x span_y log(q∘pi_ref / pi*), V = max over the class of sup pi / (q∘pi_ref).  Needs q∘pi_ref in the
    class and nothing of the user.  Arguments and errors as in `sup_paper`.

    Source: docs/theory.md 4.2; not in the paper.  For the log-linear class log V is 2 max|phi| Theta + max_x span
    log q∘pi_ref (4.6).
    """
    return _bound("sup_sharp", world, policies, n, delta, ball)


def sup(world: World, policies: PolicyClass, n: int, delta: float, ball: float | None = None) -> Bound:
    """The smaller of `sup_paper` and `sup_sharp` among those whose assumptions hold; both values are in the terms.

    They hold on the same event, so the smaller holds with probability 1 - delta too.  Arguments as in `sup_paper`.

    Source: docs/theory.md 4.2.
    """
    return _bound("sup", world, policies, n, delta, ball)


def sup_set(world: World, policies: PolicyClass, n: int, delta: float, ball: float | None = None) -> Bound:
    """The largest SubOpt among the members pi of the list with mean D_H^2(pi, q∘pi_ref) <= eps_n^2.

    Needs q∘pi_ref in the list; never above `sup`.  Arguments as in `sup_paper`; inf with a reason without a list.

    Source: docs/theory.md 4.5; not in the paper.
    """
    return _bound("sup_set", world, policies, n, delta, ball)


def pref(world: World, policies: PolicyClass, n: int, delta: float, ball: float | None = None) -> Bound:
    """SubOpt(pi_PREF) <= beta 4 cosh(R / 2) sqrt(C_PREF) eps_n, for the link of scale 1 only.

    R = max over the class, x and pairs of |log pi/pi_ref (e) - log pi/pi_ref (y)|, C_PREF = `preference_coverage`.
    Needs pi* in the class and balance.  Arguments and errors as in `sup_paper`.

    Source: docs/theory.md 4.3; the paper's theorem for preferences with a sharper constant.  For the log-linear
    class R = 2 max|phi| Theta + max_x span log pi_ref, and C_PREF is its upper bound of 4.6.
    """
    return _bound("pref", world, policies, n, delta, ball)


def pref_paper(world: World, policies: PolicyClass, n: int, delta: float, ball: float | None = None) -> Bound:
    """SubOpt(pi_PREF) <= beta (2 + 2 cosh R) sqrt(C_PREF) eps_n: `pref` with the textbook constant.

    Source: docs/theory.md 4.3; the paper's theorem for preferences, with constants.
    """
    return _bound("pref_paper", world, policies, n, delta, ball)


def pref_set(world: World, policies: PolicyClass, n: int, delta: float, ball: float | None = None) -> Bound:
    """The largest SubOpt among the members pi with E_m D_H^2(Ber sigma(D_pi), Ber sigma(D_*)) <= eps_n^2.

    D_pi(y, e) = log pi/pi_ref (e) - log pi/pi_ref (y), m is the law of the log, ties count zero.  Needs pi* in the
    list and balance; never above `pref`.  Arguments as in `sup_paper`; inf with a reason without a list.

    Source: docs/theory.md 4.5; not in the paper.
    """
    return _bound("pref_set", world, policies, n, delta, ball)


BOUNDS: dict[str, tuple[str, Callable[..., Bound]]] = {
    "sup_paper": ("sup", sup_paper),
    "sup_sharp": ("sup", sup_sharp),
    "sup": ("sup", sup),
    "sup_set": ("sup", sup_set),
    "pref": ("pref", pref),
    "pref_paper": ("pref", pref_paper),
    "pref_set": ("pref", pref_set),
}
"""The learner that a bound speaks of, and the bound, by name."""


def bounds_for(learner_name: str, link: str = "balance") -> dict[str, Callable[..., Bound]]:
    """The bounds that speak of a learner, by name; none for preference learning with another link than "balance"."""
    if link != "balance" and learner_name == "pref":
        return {}
    return {name: function for name, (learner, function) in BOUNDS.items() if learner == learner_name}


def values(
    name: str, world: World, policies: PolicyClass, ns: Sequence[int], delta: float, ball: float | None = None
) -> list[Bound]:
    """One bound at several n: what belongs to the world is computed once.

    Raises:
        BadInput: an unknown name, else as in `epsilon`.
    """
    choose("bound", name, BOUNDS)
    ns, delta = [checks.whole("n", n, 1) for n in ns], checks.chance("delta", delta)
    if isinstance(policies, Mixture):
        return [Bound(math.inf, {}, {}, NO_MIXTURE) for _ in ns]
    part = _BUILDERS[name](world, policies, ball)
    return [_at(part, epsilon(policies, n, delta, world, ball)) for n in ns]


def _bound(name: str, world: World, policies: PolicyClass, n: int, delta: float, ball: float | None) -> Bound:
    return values(name, world, policies, [n], delta, ball)[0]


def _at(part: Part, eps: float) -> Bound:
    if part.reason is not None:
        return Bound(math.inf, {**part.terms, "eps_n": eps}, part.violations, part.reason)
    value, terms = part.value(eps)
    terms = {**part.terms, **terms, "eps_n": eps}
    if not terms.get("members", 1.0):
        return Bound(math.inf, terms, part.violations, "no member of the list is within eps_n of the truth")
    return Bound(value, terms, part.violations)


def _sup_paper(world: World, policies: PolicyClass, ball: float | None) -> Part:
    beta = float(world.temperature)
    worst = float(np.max(1 - contraction.gamma_min(world)[seen(world)]))
    distance = float(world.tv(world.reference, world.optimal))
    span = largest_span(world, policies, np.asarray(world.log_optimal), ball)
    # A product with a span of +inf is +inf, also where the factor is zero: nothing is known then.
    approximation = math.inf if math.isinf(span) else beta * span * worst * distance

    def value(eps: float) -> tuple[float, dict[str, float]]:
        statistical = beta * span * min(1.0, eps)
        return statistical + approximation, {"statistical": statistical}

    terms = {"approximation": approximation, "span": span, "contraction": worst, "tv_reference": distance}
    violations = _edited_in_class(world, policies, ball)
    return Part(value, terms, {**violations, STATIONARY: contraction.stationarity_violation(world)})


def _sup_sharp(world: World, policies: PolicyClass, ball: float | None) -> Part:
    beta = float(world.temperature)
    log_edited = log_of(edited_policy(world))
    span = largest_gap(world, log_edited, np.asarray(world.log_optimal))
    log_ratio = largest_log_ratio(world, policies, log_edited, ball)
    floor = float(_suboptimalities(world, jnp.asarray(log_edited)[None])[0])

    def value(eps: float) -> tuple[float, dict[str, float]]:
        statistical = beta * (span * eps + (2 + log_ratio) * eps**2)
        return floor + statistical, {"statistical": statistical}

    terms = {"approximation": floor, "span0": span, "log V": log_ratio}
    return Part(value, terms, _edited_in_class(world, policies, ball))


def _sup(world: World, policies: PolicyClass, ball: float | None) -> Part:
    parts = {"paper": _sup_paper(world, policies, ball), "sharp": _sup_sharp(world, policies, ball)}
    # The sharp form needs less: where it alone holds, it alone counts.
    if not _holds(parts["paper"]) and _holds(parts["sharp"]):
        usable = ["sharp"]
    else:
        usable = ["paper", "sharp"]

    def value(eps: float) -> tuple[float, dict[str, float]]:
        found = {name: part.value(eps) for name, part in parts.items()}
        best = min(usable, key=lambda name: found[name][0])
        both = {name: total for name, (total, _) in found.items()}
        return found[best][0], {**both, **found[best][1], "approximation": parts[best].terms["approximation"]}

    terms = {**parts["paper"].terms, **parts["sharp"].terms}
    return Part(value, terms, parts[usable[0]].violations)


def _holds(part: Part) -> bool:
    return Bound(0.0, {}, part.violations).holds


def _sup_set(world: World, policies: PolicyClass, ball: float | None) -> Part:
    violations = _edited_in_class(world, policies, ball)
    if not isinstance(policies, PolicyList):
        return Part(_nothing, {}, violations, NO_LIST)
    roots = np.exp(np.asarray(policies.log_policies) / 2) - np.sqrt(edited_policy(world))
    apart = np.sum(roots**2, axis=2) @ np.asarray(world.context_probs)
    return _set_part(world, policies, apart, violations)


def _pref(world: World, policies: PolicyClass, ball: float | None, textbook: bool = False) -> Part:
    radius = largest_span(world, policies, log_of(np.asarray(world.reference)), ball)
    cover = preference_coverage(world, policies)  # type: ignore[arg-type]
    with np.errstate(over="ignore"):
        constant = float(2 + 2 * np.cosh(radius) if textbook else 4 * np.cosh(radius / 2))
    infinite = math.isinf(constant) or math.isinf(cover)
    slope = math.inf if infinite else float(world.temperature) * constant * math.sqrt(cover)

    def value(eps: float) -> tuple[float, dict[str, float]]:
        return slope * eps, {"statistical": slope * eps}

    terms = {"approximation": 0.0, "R": radius, "coverage": cover, "cosh constant": constant}
    return Part(value, terms, _preference_assumptions(world, policies, ball))


def _pref_paper(world: World, policies: PolicyClass, ball: float | None) -> Part:
    return _pref(world, policies, ball, textbook=True)


def _pref_set(world: World, policies: PolicyClass, ball: float | None) -> Part:
    violations = _preference_assumptions(world, policies, ball)
    if not isinstance(policies, PolicyList):
        return Part(_nothing, {}, violations, NO_LIST)
    law = np.asarray(world.triple_law()) * ~np.eye(world.responses, dtype=bool)
    true = _margins(world, np.asarray(world.log_optimal))

    # One member at a time: the table of all pairs of all members would be M X A^2 numbers.
    apart = [_pair_distance(_margins(world, table), true, law) for table in np.asarray(policies.log_policies)]
    return _set_part(world, policies, np.array(apart), violations)


_BUILDERS: dict[str, Builder] = {
    "sup_paper": _sup_paper,
    "sup_sharp": _sup_sharp,
    "sup": _sup,
    "sup_set": _sup_set,
    "pref": _pref,
    "pref_paper": _pref_paper,
    "pref_set": _pref_set,
}


def _set_part(world: World, policies: PolicyList, apart: np.ndarray, violations: dict[str, float]) -> Part:
    subopts = np.asarray(_suboptimalities(world, policies.log_policies))

    def value(eps: float) -> tuple[float, dict[str, float]]:
        inside = subopts[apart <= eps**2]
        return float(inside.max(initial=0.0)), {"members": float(len(inside))}

    return Part(value, {}, violations)


@jax.jit
def _suboptimalities(world: World, log_policies: Float[Array, "M X A"]) -> Float[Array, " M"]:
    return jax.vmap(world.suboptimality)(jnp.exp(log_policies))


def _nothing(eps: float) -> tuple[float, dict[str, float]]:
    return math.inf, {}


def _margins(world: World, log_policy: np.ndarray) -> np.ndarray:
    """D(y, e) = r(e) - r(y) at [x, y, e], r = log(pi / pi_ref), 0 off the reference's support as in the learner."""
    supported = np.asarray(world.reference) > 0
    with np.errstate(invalid="ignore"):
        ratio = np.where(supported, log_policy - log_of(np.asarray(world.reference)), 0.0)
        return ratio[:, None, :] - ratio[:, :, None]


def _pair_distance(margins: np.ndarray, true: np.ndarray, law: np.ndarray) -> float:
    """E_m D_H^2(Ber sigma(margins), Ber sigma(true)); impossible pairs count zero."""
    won = (np.sqrt(expit(margins)) - np.sqrt(expit(true))) ** 2
    lost = (np.sqrt(expit(-margins)) - np.sqrt(expit(-true))) ** 2
    # Two responses that a policy never gives have no margin: the pair counts as apart as two laws can be.
    apart = np.where(np.isnan(won + lost), 2.0, won + lost)
    return float(np.sum(law * apart))


def _edited_in_class(world: World, policies: PolicyClass, ball: float | None) -> dict[str, float]:
    found = {EDITED_IN_CLASS: membership(world, policies, edited_policy(world))}
    return found | outside_ball(EDITED_IN_BALL, world, policies, edited_policy(world), ball)


def _preference_assumptions(world: World, policies: PolicyClass, ball: float | None) -> dict[str, float]:
    optimal = np.asarray(world.optimal)
    found = {OPTIMUM_IN_CLASS: membership(world, policies, optimal), BALANCE: contraction.balance_violation(world)}
    return found | outside_ball(OPTIMUM_IN_BALL, world, policies, optimal, ball)
