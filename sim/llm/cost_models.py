"""The pessimistic cost of a response: the largest value of an ensemble of linear models on the policy's own features.

The models are least squares (Eq. 5) on what the reference policy knows of a response, each on the log with its rows
drawn anew; the maximum over them stands for the maximum over the confidence set.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy import linalg

from sim.llm.costs import C_MAX
from sim.llm.decoding import BATCH, filled_batches
from sim.llm.transformer import FLOAT32, Transformer, hidden_states
from sim.llm.vocabulary import PAD

RIDGES = (1.0, 10.0, 100.0)
"""The candidates for the ridge, of which held-out edits choose."""


class CostModels(NamedTuple):
    """An ensemble of linear models.

    Fields:
        centre, scale: of the features of the log.
        weights: of each model, its constant last.
        ridge: the chosen one.
        held_out_error: mean squared error of the ensemble's mean on the held-out edits.
    """

    centre: Float[np.ndarray, " F"]
    scale: Float[np.ndarray, " F"]
    weights: Float[np.ndarray, "M F1"]
    ridge: float
    held_out_error: float

    def costs(self, features: Float[np.ndarray, "N F"]) -> Float[np.ndarray, "M N"]:
        """What each model says of each response."""
        return self.weights @ _with_constant((features - self.centre) / self.scale).T

    def pessimistic(self, features: Float[np.ndarray, "N F"], c_max: float) -> Float[np.ndarray, " N"]:
        """The largest cost that any model gives, within [0, c_max]."""
        return np.clip(self.costs(features).max(axis=0), 0.0, c_max)


def fit(
    features: Float[np.ndarray, "N F"],
    costs: Float[np.ndarray, " N"],
    held_out: tuple[Float[np.ndarray, "H F"], Float[np.ndarray, " H"]],
    models: int,
    rng: np.random.Generator,
) -> CostModels:
    """Fit the ensemble; its ridge is the one with the least error on held-out edits.

    Args:
        features: of the logged responses.
        costs: that were paid for them.
        held_out: features and costs of other examples.
        models: how many, at least 1.
        rng: draws the rows of each.
    """
    centre, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    rows = _with_constant((features - centre) / scale)
    draws = [np.bincount(rng.integers(len(rows), size=len(rows)), minlength=len(rows)) for _ in range(models)]
    found = []
    for ridge in RIDGES:
        weights = np.stack([_least_squares(rows, costs, draw, ridge) for draw in draws])
        made = CostModels(centre, scale, weights, ridge, np.nan)
        error = float(np.mean((made.costs(held_out[0]).mean(axis=0) - held_out[1]) ** 2))
        found.append(made._replace(held_out_error=error))
    return min(found, key=lambda one: one.held_out_error)


def accuracy(
    models: CostModels, features: Float[np.ndarray, "H F"], costs: Float[np.ndarray, " H"]
) -> dict[str, float]:
    """How good the ensemble is on held-out edits, by the names of columns.

    Returns:
        `cost_ridge`, the chosen ridge; `cost_rmse`, the root mean squared error of the ensemble's mean; `cost_spread`,
        the standard deviation of the costs, which is that error if nothing is known; `cost_covered`, the share of costs
        that the pessimistic cost is not below.
    """
    wrong = models.costs(features).mean(axis=0) - costs
    return {
        "cost_ridge": models.ridge,
        "cost_rmse": float(np.sqrt(np.mean(wrong**2))),
        "cost_spread": float(np.std(costs)),
        "cost_covered": float(np.mean(costs <= models.pessimistic(features, C_MAX))),
    }


def features_of(
    model: Transformer,
    documents: Int[np.ndarray, "N P"],
    responses: Int[np.ndarray, "N R"],
    batch: int = BATCH,
    dtype: jnp.dtype = FLOAT32,
) -> Float[np.ndarray, "N F"]:
    """What a policy knows of a response: its states averaged over the tokens, and its state at the end.  F = 2 D."""
    rows, width = len(documents), model.embedding.shape[1]
    found = np.zeros((rows, 2 * width))
    for index, new in filled_batches(rows, batch):
        values = _features(model, jnp.asarray(documents[index]), jnp.asarray(responses[index]), dtype)
        found[index[:new]] = values[:new]
    return found


@eqx.filter_jit
def _features(model: Transformer, documents: Array, responses: Array, dtype: jnp.dtype) -> Array:
    states = hidden_states(model, jnp.concatenate([documents, responses], axis=1), dtype).astype(jnp.float32)
    states, said = states[:, documents.shape[1] :], (responses != PAD).astype(jnp.float32)[..., None]
    count = jnp.maximum(said.sum(axis=1), 1.0)
    last = jnp.take_along_axis(states, count[:, None].astype(int) - 1, axis=1)[:, 0]
    return jnp.concatenate([(states * said).sum(axis=1) / count, last], axis=1)


def _with_constant(features: np.ndarray) -> np.ndarray:
    return np.column_stack([features, np.ones(len(features))])


def _least_squares(rows: np.ndarray, costs: np.ndarray, draws: np.ndarray, ridge: float) -> np.ndarray:
    weighted = rows * draws[:, None]
    penalty = np.diag(np.append(np.full(rows.shape[1] - 1, ridge), 1e-9))
    return linalg.solve(rows.T @ weighted + penalty, weighted.T @ costs, assume_a="pos")
