"""Rules that pick among policies by the costs that they brought: Algorithm 1 of the paper, and its rivals.

Costs lie in [0, c_max], and less is better.  `t` is the number of the round, one in the first.
"""

from dataclasses import dataclass, field, is_dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from sim.errors import BadInput
from sim.online.contract import Diagnostics, IndexRule, Rule, Tally, TallyRule, empty_tally, least
from sim.pytrees import names_its_class, pytree

BISECTIONS = 24
"""Halvings of the interval in which an index of KL-UCB lies: its error is then c_max 1e-7."""


@pytree
@dataclass(frozen=True)
class UCB(IndexRule):
    """Algorithm 1: play each arm once, then the least C / N - alpha sqrt(log t / N).

    Args:
        alpha: at least 0; default c_max sqrt 2, for which docs/theory.md 6.1 bounds the regret.
        c_max: declared bound on the cost.

    Source: Algorithm 1 of the paper.
    """

    alpha: Array | float | None = None
    c_max: Array | float = 1.0
    name: ClassVar[str] = "ucb"

    def __post_init__(self) -> None:
        _at_least("ucb.alpha", self.alpha, 0)
        _positive("ucb.c_max", self.c_max)

    def index(self, state: Tally) -> Float[Array, " K"]:
        """C / N - alpha sqrt(log t / N)."""
        alpha = self.c_max * jnp.sqrt(2.0) if self.alpha is None else self.alpha
        return state.means - alpha * jnp.sqrt(jnp.log(state.rounds + 1.0) / _played(state.plays))


@pytree
@dataclass(frozen=True)
class KLUCB(IndexRule):
    """KL-UCB: play the arm with the least m in [0, mean] such that N kl(mean / c_max, m / c_max) <= log t.

    kl is the divergence of two Bernoulli laws; the index is found by bisection.

    Args:
        c_max: declared bound on the cost.

    Source: Garivier and Cappe (2011), for costs instead of rewards.
    """

    c_max: Array | float = 1.0
    name: ClassVar[str] = "kl-ucb"

    def __post_init__(self) -> None:
        _positive("kl-ucb.c_max", self.c_max)

    def index(self, state: Tally) -> Float[Array, " K"]:
        """The least mean cost that the plays so far leave plausible."""
        mean = jnp.clip(state.means / self.c_max, 0.0, 1.0)
        allowed = jnp.log(state.rounds + 1.0) / _played(state.plays)

        def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = ends
            middle = (low + high) / 2
            plausible = _bernoulli_kl(mean, middle) <= allowed
            return jnp.where(plausible, low, middle), jnp.where(plausible, middle, high)

        return self.c_max * jax.lax.fori_loop(0, BISECTIONS, halve, (jnp.zeros_like(mean), mean))[1]


@pytree
@dataclass(frozen=True)
class Thompson(TallyRule):
    """Thompson sampling with normal posteriors: play the least draw from N(C / N, scale^2 / N), each arm once first.

    Args:
        scale: of the observed cost, positive; default c_max / 2, at which it is sub-Gaussian.
        c_max: declared bound on the cost.
    """

    scale: Array | float | None = None
    c_max: Array | float = 1.0
    name: ClassVar[str] = "thompson"

    def __post_init__(self) -> None:
        _positive("thompson.scale", self.scale)
        _positive("thompson.c_max", self.c_max)

    def choose(self, state: Tally, key: Array) -> tuple[Int[Array, ""], Diagnostics]:
        """The arm with the least draw."""
        scale = self.c_max / 2 if self.scale is None else self.scale
        spread = scale / jnp.sqrt(_played(state.plays))
        draws = state.means + spread * jax.random.normal(key, state.plays.shape, float)
        return least(jnp.where(state.plays > 0, draws, -jnp.inf))


class Losses(NamedTuple):
    """The state of Exp3: estimated cost sums, and the rounds played."""

    estimates: Float[Array, " K"]
    rounds: Int[Array, ""]


@pytree
@dataclass(frozen=True)
class Exp3(Rule):
    """Exp3: draw arms with odds exp(-eta_t L), L the sums of cost / (c_max probability) of the rounds it was played.

    Args:
        rate: eta, constant and positive; default eta_t = sqrt(log K / (K t)), which needs no horizon.
        c_max: declared bound on the cost.

    Source: Auer et al. (2002); Bubeck and Cesa-Bianchi (2012), Theorem 3.1.
    """

    rate: Array | float | None = None
    c_max: Array | float = 1.0
    name: ClassVar[str] = "exp3"

    def __post_init__(self) -> None:
        _positive("exp3.rate", self.rate)
        _positive("exp3.c_max", self.c_max)

    def start(self, arms: int, prior: Tally | None = None) -> Losses:
        """No losses; a warm start is not used, because these sums are no means."""
        return Losses(jnp.zeros(arms), jnp.zeros((), int))

    def _log_odds(self, state: Losses) -> Array:
        arms = state.estimates.shape[0]
        eta = jnp.sqrt(jnp.log(float(max(arms, 2))) / (arms * (state.rounds + 1.0))) if self.rate is None else self.rate
        return jax.nn.log_softmax(-eta * state.estimates)

    def choose(self, state: Losses, key: Array) -> tuple[Int[Array, ""], Diagnostics]:
        """A draw from the weights."""
        log_odds = self._log_odds(state)
        return jax.random.categorical(key, log_odds), Diagnostics(-log_odds, jnp.exp(log_odds))

    def update(self, state: Losses, arm: Int[Array, ""], cost: Float[Array, ""]) -> Losses:
        """The played arm's loss, over its probability."""
        loss = cost / self.c_max / jnp.exp(self._log_odds(state)[arm])
        return Losses(state.estimates.at[arm].add(loss), state.rounds + 1)


@pytree
@dataclass(frozen=True)
class ExploreThenCommit(TallyRule):
    """Play every arm `each` times in turn, then for ever the one that had the least mean.

    Args:
        each: plays per arm, at least 1.
    """

    each: Array | int = 10
    name: ClassVar[str] = "explore-then-commit"
    warms: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _at_least("explore-then-commit.each", self.each, 1)

    def choose(self, state: Tally, key: Array) -> tuple[Int[Array, ""], Diagnostics]:
        """The arm in turn, or the one committed to."""
        exploring = state.rounds < self.each * state.plays.shape[0]
        return least(jnp.where(exploring, state.plays, state.means))

    def update(self, state: Tally, arm: Int[Array, ""], cost: Float[Array, ""]) -> Tally:
        """After the exploration only the round counts: the choice stands."""
        exploring = state.rounds < self.each * state.plays.shape[0]
        paid = state.paying(arm, cost)
        return Tally(
            jnp.where(exploring, paid.plays, state.plays), jnp.where(exploring, paid.paid, state.paid), paid.rounds
        )

    def start(self, arms: int, prior: Tally | None = None) -> Tally:
        """Nothing played; a warm start is not used, because exploration is what this rule is."""
        return empty_tally(arms)


@pytree
@dataclass(frozen=True)
class Uniform(TallyRule):
    """Play an arm at random, for ever: what exploring costs."""

    name: ClassVar[str] = "uniform"
    warms: ClassVar[bool] = False

    def choose(self, state: Tally, key: Array) -> tuple[Int[Array, ""], Diagnostics]:
        """Any arm."""
        arms = state.plays.shape[0]
        return jax.random.randint(key, (), 0, arms), Diagnostics(jnp.zeros(arms), jnp.full(arms, 1 / arms))


@pytree
@dataclass(frozen=True)
class Oracle(TallyRule):
    """Play the arm that is best in truth.

    Args:
        expected: the expected cost of every arm, shape (K,).
    """

    expected: Array
    name: ClassVar[str] = "oracle"

    def choose(self, state: Tally, key: Array) -> tuple[Int[Array, ""], Diagnostics]:
        """The arm with the least expected cost."""
        return least(jnp.asarray(self.expected, float))


class Candidates(NamedTuple):
    """The state of successive elimination: the tally, and the arms still in play."""

    tally: Tally
    active: Bool[Array, " K"]


@pytree
@dataclass(frozen=True)
class SuccessiveElimination(Rule):
    """Play the remaining arms in turn, and drop an arm once its mean less its radius exceeds another's plus its own.

    radius = c_max sqrt(log(4 K N^2 / delta) / (2 N)), for which no best arm is dropped with probability 1 - delta.

    Args:
        delta: in (0, 1).
        c_max: declared bound on the cost.

    Source: Even-Dar, Mannor and Mansour (2006).
    """

    delta: Array | float = 0.05
    c_max: Array | float = 1.0
    name: ClassVar[str] = "successive-elimination"

    def __post_init__(self) -> None:
        _positive("successive-elimination.c_max", self.c_max)
        if isinstance(self.delta, float | int) and not 0 < self.delta < 1:
            raise BadInput(f"successive-elimination.delta: expected a probability in (0, 1), got {self.delta!r}")

    def start(self, arms: int, prior: Tally | None = None) -> Candidates:
        """All arms; a warm start is not used, because its pseudo-counts would not have the radius's guarantee."""
        return Candidates(empty_tally(arms), jnp.ones(arms, bool))

    def choose(self, state: Candidates, key: Array) -> tuple[Int[Array, ""], Diagnostics]:
        """The remaining arm that was played least."""
        return least(jnp.where(state.active, state.tally.plays, jnp.inf))

    def update(self, state: Candidates, arm: Int[Array, ""], cost: Float[Array, ""]) -> Candidates:
        """The tally, less the arms that are now worse for sure."""
        tally = state.tally.paying(arm, cost)
        plays = _played(tally.plays)
        radius = self.c_max * jnp.sqrt(jnp.log(4 * plays.shape[0] * plays**2 / self.delta) / (2 * plays))
        radius = jnp.where(tally.plays > 0, radius, jnp.inf)
        means = jnp.where(tally.plays > 0, tally.means, 0.0)
        bar = jnp.min(jnp.where(state.active, means + radius, jnp.inf))
        return Candidates(tally, state.active & (means - radius <= bar))


@pytree
@dataclass(frozen=True)
class DiscountedUCB(IndexRule):
    """UCB that forgets: plays and costs shrink by `discount` every round, for users that drift.

    Index C / N - alpha sqrt(log(sum N) / N) with the discounted sums.

    Args:
        discount: in (0, 1]; 1 forgets nothing.
        alpha: at least 0; default c_max sqrt 2.
        c_max: declared bound on the cost.

    Source: Garivier and Moulines (2011).
    """

    discount: Array | float = 0.99
    alpha: Array | float | None = None
    c_max: Array | float = 1.0
    name: ClassVar[str] = "discounted-ucb"

    def __post_init__(self) -> None:
        _at_least("discounted-ucb.alpha", self.alpha, 0)
        _positive("discounted-ucb.c_max", self.c_max)
        if isinstance(self.discount, float | int) and not 0 < self.discount <= 1:
            raise BadInput(f"discounted-ucb.discount: expected a number in (0, 1], got {self.discount!r}")

    def index(self, state: Tally) -> Float[Array, " K"]:
        """The index, from discounted sums."""
        return _forgetful_index(state, self.alpha, self.c_max)

    def update(self, state: Tally, arm: Int[Array, ""], cost: Float[Array, ""]) -> Tally:
        """Everything shrinks, then the play is added."""
        return Tally(self.discount * state.plays, self.discount * state.paid, state.rounds).paying(arm, cost)


class Window(NamedTuple):
    """The state of sliding-window UCB: the tally of the window, and its rounds in a ring (arm -1: none yet)."""

    tally: Tally
    arms: Int[Array, " W"]
    costs: Float[Array, " W"]


@pytree
@dataclass(frozen=True)
class SlidingWindowUCB(Rule):
    """UCB on the last `window` rounds only, for users that drift.

    Args:
        window: rounds, at least 1.
        alpha: at least 0; default c_max sqrt 2.
        c_max: declared bound on the cost.

    Source: Garivier and Moulines (2011).
    """

    window: int = field(default=100, metadata={"static": True})
    alpha: Array | float | None = None
    c_max: Array | float = 1.0
    name: ClassVar[str] = "sliding-window-ucb"

    def __post_init__(self) -> None:
        _at_least("sliding-window-ucb.alpha", self.alpha, 0)
        _positive("sliding-window-ucb.c_max", self.c_max)
        _at_least("sliding-window-ucb.window", self.window, 1)

    def start(self, arms: int, prior: Tally | None = None) -> Window:
        """An empty window; a warm start is not used, because it would have to leave the window again."""
        return Window(empty_tally(arms), jnp.full(self.window, -1), jnp.zeros(self.window))

    def choose(self, state: Window, key: Array) -> tuple[Int[Array, ""], Diagnostics]:
        """The arm with the least index; arms that the window has lost come first."""
        # What was added and taken away again need not sum to zero exactly.
        plays = jnp.round(state.tally.plays)
        tally = state.tally._replace(plays=plays)
        return least(jnp.where(plays > 0, _forgetful_index(tally, self.alpha, self.c_max), -jnp.inf))

    def update(self, state: Window, arm: Int[Array, ""], cost: Float[Array, ""]) -> Window:
        """The oldest round leaves, the new one enters."""
        place = state.tally.rounds % self.window
        left = state.arms[place]
        gone = jnp.where(left >= 0, 1.0, 0.0)
        plays = state.tally.plays.at[left].add(-gone)
        paid = state.tally.paid.at[left].add(-gone * state.costs[place])
        tally = Tally(plays, paid, state.tally.rounds).paying(arm, cost)
        return Window(tally, state.arms.at[place].set(arm), state.costs.at[place].set(cost))


RULES: dict[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        UCB, KLUCB, Thompson, Exp3, ExploreThenCommit, SuccessiveElimination, DiscountedUCB, SlidingWindowUCB, Uniform,
    )
}  # fmt: skip


def register(rule: type[Rule]) -> None:
    """Make a rule available to `[online]` by its `name`; its dataclass fields are settings, `c_max` is filled in."""
    if not (isinstance(rule, type) and issubclass(rule, Rule) and is_dataclass(rule) and names_its_class(rule)):
        raise BadInput(f"rule: expected a dataclass derived from sim.online.Rule, under sim.pytree, got {rule!r}")
    RULES[rule.name] = rule


def _forgetful_index(state: Tally, alpha: Any, c_max: Any) -> Array:
    alpha = c_max * jnp.sqrt(2.0) if alpha is None else alpha
    effective = jnp.maximum(jnp.sum(state.plays), 1.0)
    return state.means - alpha * jnp.sqrt(jnp.log(effective) / _played(state.plays))


def _played(plays: Array) -> Array:
    """Plays as a divisor: one where there was none, whose arm comes first anyway."""
    return jnp.where(plays > 0, plays, 1.0)


def _bernoulli_kl(p: Array, q: Array) -> Array:
    """KL(Bernoulli(p) || Bernoulli(q)), with 0 log 0 = 0 and +inf where q excludes what p has."""
    return jax.scipy.special.rel_entr(p, q) + jax.scipy.special.rel_entr(1 - p, 1 - q)


def _positive(name: str, value: Any) -> None:
    if isinstance(value, float | int) and not 0 < value < float("inf"):
        raise BadInput(f"{name}: expected a positive number, got {value!r}")


def _at_least(name: str, value: Any, least_value: float) -> None:
    if isinstance(value, float | int) and not least_value <= value < float("inf"):
        raise BadInput(f"{name}: expected a number of at least {least_value:g}, got {value!r}")
