"""A decoder-only transformer: RMSNorm, rotary positions, SwiGLU, tied embeddings.

Weights are 32-bit; products are computed in the dtype that is asked for, bfloat16 on a GPU.  Documents are padded on
the left and responses on the right, so that every response begins at position P of P + R.
"""

import operator
from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from sim.errors import BadInput
from sim.llm.vocabulary import PAD

FLOAT32 = jnp.dtype("float32")

NEVER = -1e9
"""Instead of an attention score where there is nothing to attend to."""

ZERO = np.int32(0)
"""Places are 32-bit, also where 64-bit numbers are switched on."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a transformer.

    Fields:
        vocabulary: tokens V.
        width: of the residual stream, D, a multiple of twice the heads.
        layers: L.
        heads: H, each of width D / H.
        hidden: of the feed-forward part, F.
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    hidden: int

    def __post_init__(self) -> None:
        if self.width % (2 * self.heads):
            raise BadInput(f"transformer: expected a width that is a multiple of {2 * self.heads}, got {self.width}")

    @property
    def parameters(self) -> int:
        """How many numbers are learned."""
        block = 4 * self.width**2 + 3 * self.width * self.hidden + 2 * self.width
        return self.vocabulary * self.width + self.layers * block + self.width

    def forward_flops(self, tokens: int, predicted: int) -> float:
        """Multiplications and additions of one sequence of so many tokens, of which some are predicted.

        Matrix products only, 2 per multiply-add: the blocks for all tokens, attention over the whole square (as it is
        computed; half of it is masked), the vocabulary for predicted tokens.
        """
        block = 4 * self.width**2 + 3 * self.width * self.hidden + 2 * tokens * self.width
        return 2.0 * (self.layers * block * tokens + self.vocabulary * self.width * predicted)


class Block(eqx.Module):
    """The weights of all layers, stacked."""

    attention_norm: Float[Array, "L D"]
    queries_keys_values: Float[Array, "L D 3 H K"]
    out: Float[Array, "L H K D"]
    mlp_norm: Float[Array, "L D"]
    gate_up: Float[Array, "L D 2 F"]
    down: Float[Array, "L F D"]


class Transformer(eqx.Module):
    """The policy's parameters."""

    embedding: Float[Array, "V D"]
    blocks: Block
    norm: Float[Array, " D"]


class Cache(NamedTuple):
    """Keys and values of the positions seen so far, an array per layer, and which of them hold a token."""

    keys: tuple[Float[Array, "B T H K"], ...]
    values: tuple[Float[Array, "B T H K"], ...]
    seen: Bool[Array, "B T"]


def initial(shape: Shape, key: Array) -> Transformer:
    """Random weights: normal with variance 1 / fan-in, what is added to the residual stream scaled down by depth."""
    d, layers, h, f = shape.width, shape.layers, shape.heads, shape.hidden
    keys = jax.random.split(key, 5)

    def normal(key: Array, fan_in: float, *size: int) -> Array:
        return jax.random.normal(key, size, jnp.float32) * jnp.float32(fan_in**-0.5)

    blocks = Block(
        attention_norm=jnp.ones((layers, d), jnp.float32),
        queries_keys_values=normal(keys[1], d, layers, d, 3, h, d // h),
        out=normal(keys[2], d * 2 * layers, layers, h, d // h, d),
        mlp_norm=jnp.ones((layers, d), jnp.float32),
        gate_up=normal(keys[3], d, layers, d, 2, f),
        down=normal(keys[4], f * 2 * layers, layers, f, d),
    )
    return Transformer(normal(keys[0], d, shape.vocabulary, d), blocks, jnp.ones(d, jnp.float32))


def shape_of(model: Transformer) -> Shape:
    """The sizes of a model."""
    _, _, _, heads, _ = model.blocks.queries_keys_values.shape
    layers, hidden, width = model.blocks.down.shape
    return Shape(model.embedding.shape[0], width, layers, heads, hidden)


def hidden_states(model: Transformer, tokens: Int[Array, "B T"], dtype: jnp.dtype = FLOAT32) -> Float[Array, "B T D"]:
    """What the model knows after each token; nothing of it depends on later tokens."""
    positions = jnp.arange(tokens.shape[1], dtype=jnp.int32)
    real = tokens != PAD
    visible = (positions[:, None] >= positions[None]) & real[:, None]

    def layer(x: Array, block: Block) -> tuple[Array, None]:
        queries, keys, values = _projected(x, block, positions, dtype)
        return _rest_of_block(x, block, _attended(queries, keys, values, visible), dtype), None

    x, _ = jax.lax.scan(layer, _embedded(model, tokens, dtype), model.blocks)
    return _normalised(x, model.norm)


def logits(model: Transformer, hidden: Float[Array, "*N D"], dtype: jnp.dtype) -> Float[Array, "*N V"]:
    """Scores of the next token, in 32 bits."""
    return jnp.matmul(hidden.astype(dtype), model.embedding.astype(dtype).T, preferred_element_type=jnp.float32)


def empty_cache(shape: Shape, batch: int, length: int, dtype: jnp.dtype) -> Cache:
    """A cache that has seen nothing."""
    size = (batch, length, shape.heads, shape.width // shape.heads)
    zeros = tuple(jnp.zeros(size, dtype) for _ in range(shape.layers))
    return Cache(zeros, zeros, jnp.zeros((batch, length), bool))


def advance(
    model: Transformer, cache: Cache, tokens: Int[Array, "B S"], start: Array | np.int32, dtype: jnp.dtype
) -> tuple[Float[Array, "B S D"], Cache]:
    """Read S more tokens at positions start to start + S - 1.

    Returns:
        The same states as `hidden_states` would have there, and the cache with these tokens.
    """
    positions = start + jnp.arange(tokens.shape[1], dtype=jnp.int32)
    seen = jax.lax.dynamic_update_slice(cache.seen, tokens != PAD, (ZERO, start))
    ahead = positions[:, None] >= jnp.arange(seen.shape[1], dtype=jnp.int32)[None]
    visible = ahead & seen[:, None]

    x, kept = _embedded(model, tokens, dtype), []
    # Layer by layer, not as a scan: so the cache is written in place instead of being copied for every token.
    for i, (keys, values) in enumerate(zip(cache.keys, cache.values, strict=True)):
        block = jax.tree.map(operator.itemgetter(i), model.blocks)
        queries, new_keys, new_values = _projected(x, block, positions, dtype)
        keys = jax.lax.dynamic_update_slice(keys, new_keys, (ZERO, start, ZERO, ZERO))
        values = jax.lax.dynamic_update_slice(values, new_values, (ZERO, start, ZERO, ZERO))
        x = _rest_of_block(x, block, _attended(queries, keys, values, visible), dtype)
        kept.append((keys, values))
    keys, values = zip(*kept, strict=True)
    return _normalised(x, model.norm), Cache(keys, values, seen)


def _embedded(model: Transformer, tokens: Array, dtype: jnp.dtype) -> Array:
    # Rows of the embedding have length 1, so that logits start out small: inputs are scaled back up.
    scale = jnp.asarray(model.embedding.shape[1] ** 0.5, dtype)
    return model.embedding.astype(dtype)[tokens] * scale


def _projected(x: Array, block: Block, positions: Array, dtype: jnp.dtype) -> tuple[Array, Array, Array]:
    normal = _normalised(x, block.attention_norm)
    all_three = jnp.einsum("btd,dshk->sbthk", normal, block.queries_keys_values.astype(dtype))
    return _rotated(all_three[0], positions), _rotated(all_three[1], positions), all_three[2]


def _attended(queries: Array, keys: Array, values: Array, visible: Array) -> Array:
    scores = jnp.einsum("bshk,bthk->bhst", queries, keys, preferred_element_type=jnp.float32)
    scores = jnp.where(visible[:, None], scores * jnp.float32(queries.shape[-1] ** -0.5), jnp.float32(NEVER))
    return jnp.einsum("bhst,bthk->bshk", jax.nn.softmax(scores).astype(values.dtype), values)


def _rest_of_block(x: Array, block: Block, attended: Array, dtype: jnp.dtype) -> Array:
    x = x + jnp.einsum("bshk,hkd->bsd", attended, block.out.astype(dtype))
    gated = jnp.einsum("btd,dgf->gbtf", _normalised(x, block.mlp_norm), block.gate_up.astype(dtype))
    return x + (jax.nn.silu(gated[0]) * gated[1]) @ block.down.astype(dtype)


def _normalised(x: Array, weight: Array) -> Array:
    wide = x.astype(jnp.float32)
    scale = jax.lax.rsqrt(jnp.mean(wide**2, axis=-1, keepdims=True) + jnp.float32(1e-6))
    return (wide * scale * weight).astype(x.dtype)


def _rotated(x: Array, positions: Array) -> Array:
    half = x.shape[-1] // 2
    speeds = jnp.float32(1e4) ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angles = positions[:, None].astype(jnp.float32) * speeds
    cos, sin = (part[:, None].astype(x.dtype) for part in (jnp.cos(angles), jnp.sin(angles)))
    first, second = x[..., :half], x[..., half:]
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
