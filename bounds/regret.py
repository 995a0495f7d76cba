"""Regret of the online phase: the bound on late ensembling, and predictions for pure online learning."""

import numpy as np
from jaxtyping import Float

from bounds.contraction import balance_violation, second_eigenvalue
from bounds.realizability import log_linear_residual
from sim.errors import BadInput
from sim.world import World


def ucb_regret(gaps: Float[np.ndarray, " K"], rounds: float, c_max: float) -> float:
    """A bound on the expected cost regret of Algorithm 1 with alpha = c_max sqrt 2, after T rounds.

    min( sum over gap_k > 0 of 8 c_max^2 log T / gap_k + (1 + pi^2 / 3) gap_k,
         4 sqrt 2 c_max sqrt(K T log T) + (1 + pi^2 / 3) sum gap_k )

    Args:
        gaps: J of each policy less the best one's, shape (K,), at least 0.
        rounds: T, the first plays of every arm included.
        c_max: costs lie in [0, c_max].

    Raises:
        BadInput: T below the number of arms, negative gaps.

    Source: docs/theory.md 6.1; Auer, Cesa-Bianchi and Fischer (2002), Theorem 1, for costs in [0, c_max].
    """
    gaps = np.asarray(gaps, float)
    if gaps.min(initial=0.0) < 0:
        raise BadInput(f"gaps: expected none below 0, got {gaps.min():g}")
    if rounds < len(gaps):
        raise BadInput(f"rounds: expected at least one per arm ({len(gaps)}), got {rounds:g}")
    positive, log = gaps[gaps > 0], np.log(rounds)
    once = (1 + np.pi**2 / 3) * positive.sum()
    of_gaps = float((8 * c_max**2 * log / positive).sum() + once)
    of_arms = float(4 * np.sqrt(2) * c_max * np.sqrt(len(gaps) * rounds * log) + once)
    return min(of_gaps, of_arms)


def informative_from(gaps: Float[np.ndarray, " K"], c_max: float, most: float = 1e15) -> float | None:
    """The smallest T at which `ucb_regret` is below T times the largest gap; None if there is none up to `most`.

    Below it, playing the worst policy for ever would not violate the bound.
    """
    largest = float(np.max(gaps, initial=0.0))
    if largest == 0:
        return None

    def vacuous(rounds: float) -> bool:
        return bool(ucb_regret(gaps, rounds, c_max) >= rounds * largest)

    low, high = float(len(gaps)), most
    if vacuous(high):
        return None
    # T max gap - bound, once positive, stays so: both branches grow slower than T.
    while high - low > 0.5:
        middle = (low + high) / 2
        low, high = (middle, high) if vacuous(middle) else (low, middle)
    return float(np.ceil(high)) if vacuous(float(np.floor(high))) else float(np.floor(high))


def self_training_exponent(world: World, growth: float) -> float:
    """The exponent of T in the regret of self-training, with epochs growing by `growth` >= 1 (docs/theory.md 6.2).

    1 for epochs that do not grow, whose sampling error stays; 0 (logarithms of T) while growth <= 1 / eta, log^2 T at
    growth = 1 / eta; and 1 - log(1 / eta) / log(growth) beyond.  eta is the local KL
    contraction, the square of the second eigenvalue (3.5, the largest over contexts): policies near pi* are what
    late epochs play.
    """
    if growth < 1:
        raise BadInput(f"growth: expected at least 1, got {growth:g}")
    if growth == 1:
        return 1.0
    most = critical_growth(world)
    return 0.0 if growth <= most else float(1 - np.log(most) / np.log(growth))


def critical_growth(world: World) -> float:
    """1 / eta: self-training whose epochs grow by less has logarithmic regret (docs/theory.md 6.2)."""
    return 1 / max(float(np.max(second_eigenvalue(world))) ** 2, 1e-300)


def speaks_of(world: World) -> bool:
    """Whether 6.2 speaks of a world: balance, pi* and q o pi_ref in the log-linear class (up to 1e-8)."""
    in_class = [log_linear_residual(world, np.asarray(law)) for law in (world.optimal, world.edited(world.reference))]
    return balance_violation(world) < TOLERANCE and max(in_class) < TOLERANCE


TOLERANCE = 1e-8


def self_training_slope(world: World, growth: float) -> float:
    """The predicted slope in log T of the regret of self-training; NaN unless growth < 1 / eta (docs/theory.md 6.2).

    g beta d / (2 (1 - eta g) log g): in late epochs SubOpt is the sampling error beta d / (2 n_e) of each fit, which
    shrinks by eta, the local KL contraction, with every epoch that follows.  Where directions contract differently
    it is an upper value: eta is that of the slowest.

    Args:
        world: whose user edits.
        growth: g of the epochs, above 1.
    """
    eta = 1 / critical_growth(world)
    if not 1 < growth < 1 / eta:
        return float("nan")
    step = float(world.temperature) * world.policy_features.dimension / 2
    return float(growth * step / ((1 - eta * growth) * np.log(growth)))


def online_preference_slope(world: World, growth: float = 1.0) -> float:
    """The predicted slope in log T of the regret of online preferences, each record with its own reference.

    2 beta tr(F M^-1) (g - 1) / log g, with F the covariance of phi under pi* and M = E_{pi* q} psi psi^T, psi =
    phi(e) - phi(y); the last factor, 1 as g -> 1, is what playing a policy for a whole epoch costs.  In attribute
    worlds 2 tr(F M^-1) = d / s.

    Args:
        world: whose user edits; its log-linear class, in which pi* must lie.
        growth: g of the epochs, at least 1.

    Source: docs/theory.md 6.2.
    """
    phi, optimal = np.asarray(world.policy_features.table), np.asarray(world.optimal)
    weights = np.asarray(world.context_probs)[:, None] * optimal
    centred = phi - np.einsum("xa,xad->xd", optimal, phi)[:, None]
    fisher = np.einsum("xa,xai,xaj->ij", weights, centred, centred)
    pairs = weights[:, :, None] * world.editor.dense()
    difference = phi[:, None, :, :] - phi[:, :, None, :]
    information = np.einsum("xye,xyei,xyej->ij", pairs, difference, difference)
    waiting = (growth - 1) / np.log(growth) if growth > 1 else 1.0
    return float(2 * world.temperature * np.trace(np.linalg.pinv(information) @ fisher) * waiting)
