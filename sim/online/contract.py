"""The one contract of all rules that pick among arms round by round.

A rule is a frozen dataclass of its settings and a pytree, like a learner.  It sees arms by number and the costs that
were paid, nothing else: the same rule drives the compiled loop over a world (`sim.online.protocol`) and rounds that
come one at a time from outside (`sim.online.session`).  To add one: subclass `Rule`.
"""

import abc
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Tally(NamedTuple):
    """What most rules remember.

    Fields:
        plays: of each arm, shape (K,); after a warm start it begins at pseudo-counts, so that it is no longer a count.
        paid: the summed cost of each arm, shape (K,).
        rounds: played so far.
    """

    plays: Float[Array, "*lanes K"]
    paid: Float[Array, "*lanes K"]
    rounds: Int[Array, "*lanes"]

    @property
    def means(self) -> Float[Array, "*lanes K"]:
        """The mean cost of each arm; -inf for an arm that was never played, so that it comes first."""
        return jnp.where(self.plays > 0, self.paid / jnp.where(self.plays > 0, self.plays, 1.0), -jnp.inf)

    def paying(self, arm: Int[Array, ""], cost: Float[Array, ""]) -> "Tally":
        """The tally after one more round."""
        return Tally(self.plays.at[arm].add(1.0), self.paid.at[arm].add(cost), self.rounds + 1)


class Diagnostics(NamedTuple):
    """Why an arm was chosen: the `scores` that the rule compares (the least wins), the `probabilities` it drew from."""

    scores: Float[Array, " K"]
    probabilities: Float[Array, " K"]


class Rule(abc.ABC):
    """How an agent picks an arm and learns from its cost.

    `start` gives the state before the first round, `choose` the arm of a round, `update` the state after its cost.
    The state is a pytree of arrays; diagnostics are a type of their own and never feed back.
    """

    name: ClassVar[str]
    warms: ClassVar[bool] = False
    """Whether `start` makes use of a warm start."""

    @abc.abstractmethod
    def start(self, arms: int, prior: Tally | None = None) -> Any:
        """The state before the first of `arms` arms is played; `prior` is a warm start, where the rule has one."""

    @abc.abstractmethod
    def choose(self, state: Any, key: Array) -> tuple[Int[Array, ""], Diagnostics]:
        """The arm to play; `key` is used once, and only by rules that draw."""

    @abc.abstractmethod
    def update(self, state: Any, arm: Int[Array, ""], cost: Float[Array, ""]) -> Any:
        """The state after the arm was played and cost this much."""


class TallyRule(Rule):
    """A rule whose state is a `Tally`: subclasses state how they choose."""

    warms: ClassVar[bool] = True

    def start(self, arms: int, prior: Tally | None = None) -> Tally:
        """Nothing played, or the pseudo-counts of a warm start."""
        return empty_tally(arms) if prior is None else prior

    def update(self, state: Tally, arm: Int[Array, ""], cost: Float[Array, ""]) -> Tally:
        """One more play of the arm."""
        return state.paying(arm, cost)


class IndexRule(TallyRule):
    """A rule that plays the arm with the least index, the first on ties; arms never played come first, in order."""

    @abc.abstractmethod
    def index(self, state: Tally) -> Float[Array, " K"]:
        """The index of every arm, where each was played."""

    def choose(self, state: Tally, key: Array) -> tuple[Int[Array, ""], Diagnostics]:
        """The arm with the least index."""
        scores = jnp.where(state.plays > 0, self.index(state), -jnp.inf)
        return least(scores)


def empty_tally(arms: int) -> Tally:
    """No arm was played."""
    return Tally(jnp.zeros(arms), jnp.zeros(arms), jnp.zeros((), int))


def least(scores: Float[Array, " K"]) -> tuple[Int[Array, ""], Diagnostics]:
    """The arm with the least score, the first on ties, for sure."""
    arm = jnp.argmin(scores)
    return arm, Diagnostics(scores, jnp.zeros(scores.shape).at[arm].set(1.0))
