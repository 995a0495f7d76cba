"""Pessimistic cost learning: KL-regularised steps of the policy towards the minimiser of Eq. 6.

The minimiser of E[f_bar] + beta KL(pi, pi_ref) over all policies is pi_ref exp(-f_bar / beta), normalised.  A step of
mirror descent of size tau from pi_k,

    pi_{k+1} proportional to pi_k exp(-tau (f_bar / beta + log pi_k / pi_ref)),

leaves that policy alone and goes the share tau of the way in log-probabilities.  It is taken by weighting draws of
pi_k; weighting draws of pi_ref once by exp(-f_bar / beta) instead could raise no response more than M-fold with M
draws for a document.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from sim.llm import decoding
from sim.llm.cost_models import CostModels, features_of
from sim.llm.costs import C_MAX
from sim.llm.presets import Preset
from sim.llm.training import Data
from sim.llm.transformer import Transformer

ROUNDS = 5
"""Steps of mirror descent, with fresh draws each: what is left of the way is (1 - tau)^5 = 3%."""

TAU = 0.5
"""The size of a step."""


class Costed(NamedTuple):
    """What the steps need of a log.

    Fields:
        models: the ensemble of cost models.
        documents: of the log, as tokens.
        reference: pi_ref, whose states the models read.
        response: the most tokens of a response.
        settings: draws for a document, temperature, dtype.
        seed: of the draws.
        rounds: between which the documents are shared out.
    """

    models: CostModels
    documents: Int[np.ndarray, "N P"]
    reference: Transformer
    response: int
    settings: Preset
    seed: int
    rounds: int = ROUNDS

    def draws(self, step: int, policy: Transformer, tau: float = TAU) -> Data:
        """Draws of a policy for the documents of a step, with the weights of the next."""
        s, dtype = self.settings, jnp.dtype(self.settings.dtype)
        chosen = np.array_split(np.arange(len(self.documents)), self.rounds)[step]
        documents = np.repeat(self.documents[chosen], s.cost_draws, axis=0)
        made = decoding.generate(policy, documents, self.response, self.seed + step, dtype=dtype)
        own = decoding.log_probabilities(policy, documents, made.tokens, dtype=dtype)
        apart = own - decoding.log_probabilities(self.reference, documents, made.tokens, dtype=dtype)
        features = features_of(self.reference, documents, made.tokens, dtype=dtype)
        paid = self.models.pessimistic(features, C_MAX)
        shape = (len(chosen), s.cost_draws)
        found = weights(paid.reshape(shape), apart.reshape(shape), s.temperature, tau)
        return {"documents": documents, "edits": made.tokens, "weights": found.ravel().astype(np.float32)}


def weights(
    costs: Float[np.ndarray, "N M"], apart: Float[np.ndarray, "N M"], temperature: float, tau: float
) -> Float[np.ndarray, "N M"]:
    """exp(-tau (cost / beta + log pi_k / pi_ref)) over its mean among the draws of the same document.

    Args:
        costs: f_bar of M draws of pi_k for each of N documents.
        apart: their log pi_k / pi_ref.
        temperature: beta, positive.
        tau: the size of the step, in (0, 1].
    """
    exponent = -tau * (costs / temperature + apart)
    odds = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return odds / odds.mean(axis=1, keepdims=True)
