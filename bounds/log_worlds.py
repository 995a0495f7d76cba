"""The attribute world nearest to one group of a log: its traits, their shares, and the user's kernel.

The reference's shares p, the optimum pi* and the kernel are the estimates.  What is fitted is the distance: planting
(docs/theory.md 2.1) needs pi_ref proportional to pi* exp(c / beta), and with the weight w_k of trait k in the distance

    logit p_k - logit pi*_k = w_k (a_k - b_k) / beta

so that the log decides w_k / beta.  beta is the unit of cost, by least squares (`temperature`).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from bounds.edit_forms import Form, likeliest, optimum_law
from sim import kernels
from sim.llm.estimates import Estimates, GroupEstimate, TraitEstimate
from sim.llm.trait_counts import Patterns
from sim.world import World, plant

MOST = 6
"""Traits of a world; the predictions work through all pairs of 2^K responses."""

RANGE = 10.0
"""A weight is at most this many times the median weight, and at least the median over this."""


@dataclass(frozen=True)
class LogWorld:
    """The world of one group, and what had to give way.

    Fields:
        world: of one context and K traits, 2^K responses in the order of `sim.kernels.attribute_table`.
        traits: their names, in order.
        left_out: relevant traits beyond the `MOST` that edits move most.
        form: of the kernel.
        forms: all that were tried, the best first.
        weights: w_k of the distance, (K,).
        shares: of the traits under the world's reference, (K,).
        moved: by trait, how far its share had to move from the log's, since no weight in range explains it.
    """

    world: World
    traits: tuple[str, ...]
    left_out: tuple[str, ...]
    form: Form
    forms: tuple[Form, ...]
    weights: np.ndarray
    shares: np.ndarray
    moved: dict[str, float]


@dataclass(frozen=True)
class Temperature:
    """beta, and how it was found.

    Fields:
        value: positive.
        fit: the share of the cost's dependence on the traits that beta explains, at most 1; None where `source` is
            not "slopes".
        source: "slopes" of the cost in the traits, "mean cost" where these do not give a positive one, or "unit".
    """

    value: float
    fit: float | None
    source: str


def leading(group: GroupEstimate) -> tuple[list[TraitEstimate], list[TraitEstimate], Patterns]:
    """The relevant traits of a world, those left out, and the rows in the former."""
    relevant = group.relevant
    flips = [int(trait.table[0, 1] + trait.table[1, 0]) for trait in relevant]
    chosen = sorted(sorted(range(len(relevant)), key=lambda k: -flips[k])[:MOST])
    rest = [trait for k, trait in enumerate(relevant) if k not in chosen]
    return [relevant[k] for k in chosen], rest, group.patterns.only(chosen)


def temperature(estimates: Estimates) -> Temperature:
    """beta of a log: over groups and their traits the least squares of

        (slope of the edit cost in trait k of the response) = beta (logit p_k - logit pi*_k)

    weighted by the groups' rows, as Eq. 1's optimum has it when the cost is linear in the traits.

    Args:
        estimates: of one log.

    Returns:
        beta; if the slopes give none above 0, the one that explains the mean cost; 1 without any relevant trait.

    Source: docs/from-logs.md 6.
    """
    products = squares = slopes = paid = moves = 0.0
    for group in (group for group in estimates.groups if group.relevant):
        traits, _, seen = leading(group)
        found, known = _slopes(seen)
        tilts = _tilts(traits)[known]
        products += group.weight * float(found[known] @ tilts)
        squares += group.weight * float(tilts @ tilts)
        slopes += group.weight * float(found[known] @ found[known])
        paid += group.weight * (group.mean_cost.value or 0.0)
        moves += group.weight * _mean_moves(likeliest(seen, *_numbers(traits))[0], traits)
    if squares > 0 and products > 0:
        return Temperature(products / squares, products**2 / (squares * slopes), "slopes")
    if paid > 0 and moves > 0:
        return Temperature(paid / moves, None, "mean cost")
    return Temperature(1.0, None, "unit")


def _slopes(seen: Patterns) -> tuple[np.ndarray, np.ndarray]:
    """The least-squares slopes of the mean cost in the response's traits, (K,), and which traits vary at all."""
    weights = seen.counts / seen.rows
    centred = seen.responses - weights @ seen.responses
    known = (weights @ centred**2) > 0
    roots = np.sqrt(weights)
    found = np.linalg.lstsq(roots[:, None] * centred, roots * (seen.costs - weights @ seen.costs), rcond=None)[0]
    return found, known


def _numbers(traits: list[TraitEstimate]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([t.strength.value for t in traits]), np.array([t.optimum.value for t in traits])


def _tilts(traits: list[TraitEstimate]) -> np.ndarray:
    """logit p - logit pi*, (K,)."""
    return logit(np.array([t.share.value for t in traits])) - logit(_numbers(traits)[1])


def _mean_moves(form: Form, traits: list[TraitEstimate]) -> float:
    """The mean cost of the world in units of beta."""
    shares = np.array([trait.share.value for trait in traits])
    off, on = form.rates * (1 - form.optimum), form.rates * form.optimum
    return float(_weights(form, _tilts(traits)) @ (shares * off + (1 - shares) * on))


def _weights(form: Form, tilts: np.ndarray) -> np.ndarray:
    """w_k / beta, positive and within `RANGE` of their median; 1 where nothing tells."""
    apart = form.rates * (1 - 2 * form.optimum)
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.where(np.abs(apart) > 0, tilts / apart, np.nan)
    typical = float(np.median(wanted[wanted > 0])) if (wanted > 0).any() else 1.0
    return np.clip(np.where(np.isfinite(wanted), wanted, typical), typical / RANGE, typical * RANGE)


def world_of(group: GroupEstimate, beta: float) -> LogWorld:
    """The world of one group.

    Args:
        group: with at least one relevant trait.
        beta: temperature, positive.

    Returns:
        The world, whose optimum and kernel are the estimates, and what had to give way.

    Source: docs/from-logs.md 5 and 6; docs/theory.md 2.1 and 2.2.
    """
    traits, rest, seen = leading(group)
    forms = likeliest(seen, *_numbers(traits))
    form, names = forms[0], tuple(trait.name for trait in traits)
    weights = beta * _weights(form, _tilts(traits))
    table = kernels.attribute_table(len(names))
    distance = np.abs(table[:, None] - table[None]) @ weights
    phi = (table - 0.5)[None]
    psi = np.concatenate([phi, np.ones((1, len(table), 1))], axis=2)
    world = plant(np.ones(1), optimum_law(form.optimum), form.kernel(), distance, beta, phi, psi)
    shares = np.asarray(world.reference)[0] @ table
    gaps = {
        trait.name: abs(float(share - (trait.share.value or 0.0))) for trait, share in zip(traits, shares, strict=True)
    }
    moved = {name: gap for name, gap in gaps.items() if gap > 1e-6}
    return LogWorld(world, names, tuple(t.name for t in rest), form, tuple(forms), weights, shares, moved)
