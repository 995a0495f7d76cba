"""Attribute worlds without a table of all pairs of responses: a million responses (docs/theory.md 2.2)."""

import jax.numpy as jnp
import numpy as np
from scipy.special import log_expit

from sim import cubes
from sim.distances import AttributeDistance
from sim.errors import BadInput
from sim.features import attribute_features
from sim.product_users import build_editor
from sim.settings import Setting
from sim.users import User, edit_rate
from sim.world import World, plant_law

LARGEST = 2**24
"""Contexts x responses of a world; each of its tables is then 128 MB."""


def attribute_world(logits: np.ndarray, setting: Setting, user: User) -> World:
    """The world of `families.attributes` with pi*(y|x) = prod_k Bernoulli(sigma(logits[x, k])), by operators alone.

    Args:
        logits: log-odds of the attributes of pi*, shape (X, K).
        setting: without a cost interaction.
        user: editor redraw, lazy or subset, whose kernel is a product or a mixture of products.

    Raises:
        BadInput: too many responses, an interaction, a user who needs a table of all pairs, laws that underflow.
    """
    contexts, attributes = logits.shape
    _require(contexts, attributes, setting)
    log_law = log_expit(np.stack([-logits, logits], axis=2))
    log_optimal = cubes.outer_sum(log_law)
    _require_positive(log_optimal, log_law)
    rate = edit_rate(user, setting.strength, attributes)
    return plant_law(
        np.full(contexts, 1 / contexts),
        log_optimal,
        build_editor(user, np.exp(log_law), setting.strength),
        AttributeDistance(jnp.asarray(setting.scaled(1.0, rate)), attributes),
        setting.temperature,
        attribute_features(contexts, attributes, constant=attributes == 0),
        attribute_features(contexts, attributes, constant=True),
        user.tempered,
    )


def _require(contexts: int, attributes: int, setting: Setting) -> None:
    if contexts * 2**attributes > LARGEST:
        raise BadInput(
            f"contexts, attributes: expected contexts x 2^attributes of at most {LARGEST}, got {contexts} x"
            f" {2**attributes}; lower one of them"
        )
    if setting.cost_interaction > 0:
        raise BadInput(
            f"cost_interaction: expected 0 with more than 10 attributes, got {setting.cost_interaction:g}; use at most"
            " 10 attributes"
        )


def _require_positive(log_optimal: np.ndarray, log_law: np.ndarray) -> None:
    if log_optimal.min() < np.log(np.finfo(float).tiny) or np.exp(log_law).min(initial=1.0) <= 0:
        raise BadInput(
            f"preference_scale: expected an optimum that gives every response positive probability, got"
            f" exp({log_optimal.min():.4g}), which underflows; lower preference_scale or attributes"
        )
