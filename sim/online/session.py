"""A rule driven from outside, one round at a time: for a language model, or a deployment."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from sim.errors import BadInput
from sim.online.contract import Diagnostics, Rule, Tally


class Session:
    """Rounds that come one at a time: `choose` names the arm, `pay` reports what it cost, `skip` that nothing is known.

    Args:
        rule: any `Rule`.
        arms: how many there are, at least 1.
        c_max: declared bound on the cost.
        seed: of the rule's own draws.
        prior: the rule's warm start.

    Raises:
        BadInput: no arms; a cost that is not a number or outside [0, c_max], naming the round and the arm; choosing
            twice without paying, or paying for nothing or skipping it.
    """

    def __init__(self, rule: Rule, arms: int, c_max: float, seed: int = 0, prior: Tally | None = None) -> None:
        if arms < 1:
            raise BadInput(f"arms: expected at least one policy, got {arms}")
        self.rule, self.c_max, self.round = rule, c_max, 0
        self.diagnostics: Diagnostics | None = None
        self._key, self._state, self._arm = jax.random.key(seed), rule.start(arms, prior), None

    @property
    def waiting(self) -> bool:
        """Whether an arm was chosen whose cost is not known yet."""
        return self._arm is not None

    def choose(self) -> int:
        """The arm of this round, counted from 0."""
        if self._arm is not None:
            raise BadInput(f"round {self.round + 1}: arm {self._arm} was chosen and not paid for yet")
        arm, self.diagnostics = _choose(self.rule, self._state, jax.random.fold_in(self._key, self.round))
        self._arm = int(arm)
        return self._arm

    def pay(self, cost: float) -> None:
        """What the chosen arm cost."""
        if self._arm is None:
            raise BadInput(f"round {self.round + 1}: no arm was chosen, so there is nothing to pay for")
        if not (math.isfinite(cost) and 0 <= cost <= self.c_max):
            raise BadInput(
                f"round {self.round + 1}, arm {self._arm}: expected a cost in [0, {self.c_max:g}], got {cost!r}"
            )
        self._state = _update(self.rule, self._state, jnp.asarray(self._arm), jnp.asarray(cost, float))
        self.round, self._arm = self.round + 1, None

    def skip(self) -> None:
        """The chosen arm brought no cost: nothing is learned from this round, and the next one has its own draws."""
        if self._arm is None:
            raise BadInput(f"round {self.round + 1}: no arm was chosen, so there is nothing to skip")
        self.round, self._arm = self.round + 1, None


@jax.jit
def _choose(rule: Rule, state: Any, key: Any) -> tuple[Any, Diagnostics]:
    return rule.choose(state, key)


@jax.jit
def _update(rule: Rule, state: Any, arm: Any, cost: Any) -> Any:
    return rule.update(state, arm, cost)
