"""The transformer: cached decoding, padding, the law of what it says, and log-probabilities, on random weights."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim.errors import BadInput
from sim.llm import decoding
from sim.llm.transformer import FLOAT32, ZERO, Shape, Transformer, advance, empty_cache, hidden_states, initial, logits
from sim.llm.vocabulary import END, PAD

SHAPE = Shape(vocabulary=11, width=16, layers=3, heads=2, hidden=24)
BFLOAT16 = jnp.dtype("bfloat16")
# Step by step each of their operations is compiled for each shape.
states_of, advanced = eqx.filter_jit(hidden_states), eqx.filter_jit(advance)


@pytest.fixture(scope="module")
def model() -> Transformer:
    # Larger than at the start of training, so that differences would show.
    return jax.tree.map(lambda weight: 2 * weight, initial(SHAPE, jax.random.key(5)))


def tokens(rows: int, length: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(3, SHAPE.vocabulary, (rows, length)).astype(np.int32)


def padded(row: list[int], length: int, left: bool) -> np.ndarray:
    nothing = [PAD] * (length - len(row))
    return np.array([[*nothing, *row] if left else [*row, *nothing]], np.int32)


@pytest.mark.parametrize(("dtype", "tolerance"), [(FLOAT32, 1e-4), (BFLOAT16, 0.3)])
def test_cached_and_uncached_logits_agree(model: Transformer, dtype: jnp.dtype, tolerance: float) -> None:
    text = tokens(3, 9, 0)
    text[1, :4] = PAD
    whole = np.asarray(logits(model, states_of(model, jnp.asarray(text), dtype), dtype))
    cache, parts = empty_cache(SHAPE, 3, 9, dtype), []
    for start, stop in ((0, 5), (5, 6), (6, 7), (7, 9)):
        states, cache = advanced(model, cache, jnp.asarray(text[:, start:stop]), jnp.int32(start), dtype)
        parts.append(np.asarray(logits(model, states, dtype)))
    stepwise, real = np.concatenate(parts, axis=1), text != PAD
    assert np.abs(whole).max() > 3
    assert np.abs(stepwise - whole)[real].max() < tolerance


def test_no_state_depends_on_later_tokens_or_on_padding(model: Transformer) -> None:
    text = tokens(1, 6, 1)
    states = np.asarray(states_of(model, jnp.asarray(text)))
    changed = text.copy()
    changed[0, 4] = 3 if text[0, 4] != 3 else 4
    after = np.asarray(states_of(model, jnp.asarray(changed)))
    assert np.array_equal(states[:, :4], after[:, :4]) and np.abs(states[:, 4:] - after[:, 4:]).max() > 1e-2
    shifted = np.asarray(states_of(model, jnp.asarray(padded(text[0].tolist(), 9, left=True))))
    assert np.abs(shifted[:, 3:] - states).max() < 1e-4


def next_scores(model: Transformer, text: list[int]) -> np.ndarray:
    """The scores of the next token, from a run over nothing but what came before; padding, which does nothing, makes
    all texts equally long.
    """
    states = states_of(model, jnp.asarray(padded(text, 16, left=True)))
    scores = np.array(logits(model, states[:, -1], FLOAT32), np.float64)[0]
    scores[PAD] = -np.inf
    return scores


def slow_log_probability(model: Transformer, document: list[int], response: list[int]) -> float:
    """The sum of log softmax, token by token."""
    total = 0.0
    for i, token in enumerate(response):
        scores = next_scores(model, [*document, *response[:i]])
        total += scores[token] - np.log(np.exp(scores).sum())
    return total


def test_log_probabilities_are_those_of_the_definition(model: Transformer) -> None:
    documents, responses = [[4, 5, 1], [7, 1], [9, 9, 8, 3, 1]], [[6, 5, END], [END], [3, 4, 5, 6]]
    found = decoding.log_probabilities(
        model,
        np.concatenate([padded(x, 5, left=True) for x in documents]),
        np.concatenate([padded(y, 4, left=False) for y in responses]),
        batch=2,
    )
    slow = [slow_log_probability(model, x, y) for x, y in zip(documents, responses, strict=True)]
    assert np.allclose(found, slow, atol=1e-4)


@pytest.mark.parametrize("seed", [3, 4])
def test_what_is_drawn_has_the_law_of_the_policy(model: Transformer, seed: int) -> None:
    count, document = 4000, padded([4, 5, 1], 4, left=True)
    made = decoding.generate(model, np.repeat(document, count, axis=0), 3, seed, batch=1000)
    states = hidden_states(model, jnp.asarray([[4, 5, 1]], jnp.int32))
    law = np.asarray(jax.nn.softmax(logits(model, states[:, -1], FLOAT32).at[:, PAD].set(-np.inf))[0], float)
    seen = np.bincount(made.tokens[:, 0], minlength=SHAPE.vocabulary) / count
    assert seen[PAD] == 0
    assert np.all(np.abs(seen - law) <= 5 * np.sqrt(law * (1 - law) / count) + 1e-12)
    again = decoding.log_probabilities(model, np.repeat(document, count, axis=0), made.tokens)
    assert np.abs(again - made.log_probability).max() < 1e-3


def test_a_row_is_drawn_by_its_own_key_whatever_the_batch(model: Transformer) -> None:
    documents = tokens(7, 4, 2)
    together = decoding.generate(model, documents, 6, 1, batch=7)
    assert np.array_equal(decoding.generate(model, documents, 6, 1, batch=3).tokens, together.tokens)
    assert not np.array_equal(decoding.generate(model, documents, 6, 2).tokens, together.tokens)
    assert len(decoding.generate(model, documents[:0], 6, 1).tokens) == 0


def test_greedy_takes_the_likeliest_token_and_stops_at_the_end(model: Transformer) -> None:
    made = decoding.generate(model, tokens(20, 4, 6), 12, 0, greedy=True)
    for document, row in zip(tokens(20, 4, 6), made.tokens.tolist(), strict=True):
        text: list[int] = []
        while len(text) < 12 and END not in text:
            text.append(int(np.argmax(next_scores(model, [*document.tolist(), *text]))))
        assert row == [*text, *[PAD] * (12 - len(text))]


def test_generation_compiles_once_per_shape(model: Transformer) -> None:
    documents = tokens(5, 4, 3)
    decoding.generate(model, documents, 5, 0, batch=4)
    before = decoding._generate._cached._cache_size()
    decoding.generate(model, documents[::-1], 5, 9, batch=4)
    assert decoding._generate._cached._cache_size() == before


def test_parameters_and_products_are_counted(model: Transformer) -> None:
    assert SHAPE.parameters == sum(leaf.size for leaf in jax.tree.leaves(model))
    cost = jax.jit(lambda text: logits(model, hidden_states(model, text), FLOAT32)).lower(jnp.zeros((1, 32), jnp.int32))
    analysis = cost.compile().cost_analysis()
    # The compiler counts one layer of the loop; what is not a matrix product comes on top.
    one = Shape(SHAPE.vocabulary, SHAPE.width, 1, SHAPE.heads, SHAPE.hidden).forward_flops(32, 32)
    assert one < analysis["flops"] < 1.6 * one


def test_everything_is_in_32_bits_though_64_are_switched_on(model: Transformer) -> None:
    assert jnp.zeros(1).dtype == jnp.float64
    assert hidden_states(model, jnp.asarray(tokens(1, 3, 0))).dtype == jnp.float32
    assert hidden_states(model, jnp.asarray(tokens(1, 3, 0)), BFLOAT16).dtype == BFLOAT16
    states, cache = advance(model, empty_cache(SHAPE, 1, 3, FLOAT32), jnp.asarray(tokens(1, 3, 0)), ZERO, FLOAT32)
    assert states.dtype == cache.keys[0].dtype == jnp.float32


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(BadInput, match="expected a width that is a multiple of 4, got 18"):
        Shape(vocabulary=11, width=18, layers=1, heads=2, hidden=8)
