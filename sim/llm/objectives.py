"""What each learner minimises over logged edits, as one loss per example of a batch of token sequences.

The equations are those of the theory's learners, with pi a transformer: log pi(y | x) is the sum over tokens.  A loss
takes the trainable weights, a batch and the settings, which are numbers, so that a new setting compiles nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sim.llm.decoding import token_log_probabilities
from sim.llm.transformer import Transformer

Batch = Mapping[str, Array]
Settings = Mapping[str, Array]


class Trainable(NamedTuple):
    """What an objective trains.

    Fields:
        policy: pi.
        log_odds_redrawn: log s / (1 - s) of the strength s with which a user re-draws a word; used by `edit_model`
            alone.
    """

    policy: Transformer
    log_odds_redrawn: Float[Array, ""]


Objective = Callable[[Trainable, Batch, Settings, jnp.dtype], Float[Array, " B"]]


def supervision(trainable: Trainable, batch: Batch, settings: Settings, dtype: jnp.dtype) -> Float[Array, " B"]:
    """-log pi(y'|x): Eq. 3.  The batch holds `documents` x and `edits` y'."""
    return -_log_probability(trainable.policy, batch, "edits", dtype)


def preference(trainable: Trainable, batch: Batch, settings: Settings, dtype: jnp.dtype) -> Float[Array, " B"]:
    """-log sigma(scale (log pi/pi_ref (y') - log pi/pi_ref (y))): Eq. 4.

    The batch holds also the `responses` y and `reference_gap` = log pi_ref(y') - log pi_ref(y).  `scale` is beta in
    the paper's link and 1 in the link that balance implies (docs/theory.md 1).
    """
    return _preference(trainable.policy, batch, settings["scale"], dtype)[0]


def early(trainable: Trainable, batch: Batch, settings: Settings, dtype: jnp.dtype) -> Float[Array, " B"]:
    """The preference loss plus `lam` times the supervision loss: Eq. 7."""
    loss, of_edit = _preference(trainable.policy, batch, settings["scale"], dtype)
    return loss - settings["lam"] * of_edit


def cost(trainable: Trainable, batch: Batch, settings: Settings, dtype: jnp.dtype) -> Float[Array, " B"]:
    """-w log pi(y|x) over draws y of the policy so far: one step towards the minimiser of Eq. 6.

    The batch holds the draws as `edits`, and the `weights` of `sim.llm.cost_steps.weights`.
    """
    return -batch["weights"] * _log_probability(trainable.policy, batch, "edits", dtype)


def edit_model(trainable: Trainable, batch: Batch, settings: Settings, dtype: jnp.dtype) -> Float[Array, " B"]:
    """-log q(y'|x, y), where the user keeps each word of y with probability 1 - s or else draws it from pi.

    For tokens of y' that stand in y too (`kept`, by the alignment of the two) the likelihood is
    (1 - s) + s pi(y'_t | x, y'_<t), for the others s pi(y'_t | x, y'_<t): words that a user left alone teach little.
    Source: docs/theory.md 5.6, with a word for an attribute.  What was deleted adds nothing of its own.
    """
    tokens = token_log_probabilities(trainable.policy, batch["documents"], batch["edits"], dtype)
    redrawn = jax.nn.log_sigmoid(trainable.log_odds_redrawn) + tokens
    either = jnp.logaddexp(jax.nn.log_sigmoid(-trainable.log_odds_redrawn), redrawn)
    likelihood = jnp.where(batch["kept"], either, redrawn)
    return -jnp.sum(jnp.where(batch["edits"] == 0, 0.0, likelihood), axis=1)


OBJECTIVES: dict[str, Objective] = {
    "sup": supervision,
    "pref": preference,
    "early": early,
    "cost": cost,
    "edit-model": edit_model,
}


def _preference(policy: Transformer, batch: Batch, scale: Array, dtype: jnp.dtype) -> tuple[Array, Array]:
    """The preference loss, and log pi(y'|x)."""
    both = {"documents": jnp.concatenate([batch["documents"]] * 2), "edits": _edits_and_responses(batch)}
    of_edit, of_response = jnp.split(_log_probability(policy, both, "edits", dtype), 2)
    return -jax.nn.log_sigmoid(scale * (of_edit - of_response - batch["reference_gap"])), of_edit


def _edits_and_responses(batch: Batch) -> Array:
    return jnp.concatenate([batch["edits"], batch["responses"]])


def _log_probability(policy: Transformer, batch: Mapping[str, Any], which: str, dtype: jnp.dtype) -> Array:
    return jnp.sum(token_log_probabilities(policy, batch["documents"], batch[which], dtype), axis=1)
