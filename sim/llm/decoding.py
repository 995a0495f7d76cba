"""Responses of a policy: batched generation in one compiled loop, and log-probabilities of given responses."""

from collections.abc import Iterator
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from sim.llm.transformer import FLOAT32, ZERO, Cache, Transformer, advance, empty_cache, hidden_states, logits, shape_of
from sim.llm.vocabulary import END, PAD

BATCH = 256
"""Rows that are computed together."""


class Generated(NamedTuple):
    """Responses with their log-probabilities under the policy at temperature 1, greedy or not."""

    tokens: Int[np.ndarray, "N R"]
    log_probability: Float[np.ndarray, " N"]


class _State(NamedTuple):
    place: Array
    tokens: Array
    log_probability: Array
    done: Array
    hidden: Array
    cache: Cache


def generate(
    model: Transformer,
    documents: Int[np.ndarray, "N P"],
    length: int,
    seed: int,
    greedy: bool = False,
    batch: int = BATCH,
    dtype: jnp.dtype = FLOAT32,
) -> Generated:
    """A response to each document.

    Args:
        model: the policy.
        documents: from `Vocabulary.documents`.
        length: the most tokens of a response, R.
        seed: of the draws; row i draws with (seed, i) alone, whatever the batch.
        greedy: the likeliest token each time, as in the paper, instead of a draw at temperature 1.
        batch: rows that are generated together; the last batch is filled up.
        dtype: of the products.
    """
    key, rows = jax.random.key(seed), len(documents)
    tokens, logs = np.zeros((rows, length), np.int32), np.zeros(rows, np.float32)
    for index, new in filled_batches(rows, batch):
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(index))
        made = _generate(model, jnp.asarray(documents[index]), keys, length, greedy, dtype)
        tokens[index[:new]], logs[index[:new]] = made[0][:new], made[1][:new]
    return Generated(tokens, logs)


def filled_batches(rows: int, batch: int) -> Iterator[tuple[Int[np.ndarray, " B"], int]]:
    """The rows of each batch, all of one size, and how many of them are new: the last is filled up from the first rows.

    Args:
        rows: in all; 0 gives no batch.
        batch: the most rows of one.
    """
    batch = min(batch, max(rows, 1))
    for start in range(0, rows, batch):
        yield np.arange(start, start + batch) % rows, min(batch, rows - start)


@eqx.filter_jit
def _generate(
    model: Transformer, documents: Array, keys: Array, length: int, greedy: bool, dtype: jnp.dtype
) -> tuple[Array, Array]:
    batch, prompt = documents.shape
    cache = empty_cache(shape_of(model), batch, prompt + length, dtype)
    hidden, cache = advance(model, cache, documents, ZERO, dtype)

    def going_on(state: _State) -> Array:
        return (state.place < length) & ~jnp.all(state.done)

    def one(state: _State) -> _State:
        law = jax.nn.log_softmax(logits(model, state.hidden, dtype).at[:, PAD].set(-jnp.inf))
        token = _next(law, keys, state.place, greedy)
        gained = jnp.where(state.done, 0.0, jnp.take_along_axis(law, token[:, None], 1)[:, 0])
        token = jnp.where(state.done, PAD, token).astype(jnp.int32)
        hidden, cache = advance(model, state.cache, token[:, None], jnp.int32(prompt) + state.place, dtype)
        return _State(
            state.place + 1,
            jax.lax.dynamic_update_slice(state.tokens, token[:, None], (ZERO, state.place)),
            state.log_probability + gained.astype(jnp.float32),
            state.done | (token == END),
            hidden[:, 0],
            cache,
        )

    start = _State(
        jnp.int32(0),
        jnp.full((batch, length), PAD, jnp.int32),
        jnp.zeros(batch, jnp.float32),
        jnp.zeros(batch, bool),
        hidden[:, -1],
        cache,
    )
    end = jax.lax.while_loop(going_on, one, start)
    return end.tokens, end.log_probability


def _next(law: Array, keys: Array, place: Array, greedy: bool) -> Array:
    if greedy:
        return jnp.argmax(law, axis=1)
    return jax.vmap(jax.random.categorical)(jax.vmap(jax.random.fold_in, (0, None))(keys, place), law)


def token_log_probabilities(
    model: Transformer, documents: Int[Array, "B P"], responses: Int[Array, "B R"], dtype: jnp.dtype = FLOAT32
) -> Float[Array, "B R"]:
    """log pi(y_t | x, y_<t) of every token of a response; 0 where it has ended."""
    hidden = hidden_states(model, jnp.concatenate([documents, responses], axis=1), dtype)
    scores = logits(model, hidden[:, documents.shape[1] - 1 : -1], dtype).at[..., PAD].set(-jnp.inf)
    # The mark of nothing is never said: it is no token of any response.
    chosen = jnp.take_along_axis(scores, responses[..., None], axis=-1)[..., 0]
    return jnp.where(responses == PAD, 0.0, chosen - jax.nn.logsumexp(scores, axis=-1))


def log_probabilities(
    model: Transformer,
    documents: Int[np.ndarray, "N P"],
    responses: Int[np.ndarray, "N R"],
    batch: int = BATCH,
    dtype: jnp.dtype = FLOAT32,
) -> Float[np.ndarray, " N"]:
    """log pi(y | x) of each response, the mark of its end included."""
    found, rows = np.zeros(len(documents), np.float32), len(documents)
    for index, new in filled_batches(rows, batch):
        values = _log_probabilities(model, jnp.asarray(documents[index]), jnp.asarray(responses[index]), dtype)
        found[index[:new]] = values[:new]
    return found


@eqx.filter_jit
def _log_probabilities(model: Transformer, documents: Array, responses: Array, dtype: jnp.dtype) -> Array:
    return jnp.sum(token_log_probabilities(model, documents, responses, dtype), axis=1)
