"""A loop that many searches share: under `jax.vmap` the last few are finished apart from the rest."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

MANY, SHARE = 256, 16
"""Of at least so many searches, one in so many may be left when the rest has ended."""

State = TypeVar("State")
Data = Any
Unfinished = Callable[[Any], Bool[Array, ""]]
Step = Callable[[Data, Any], Any]


def while_each(unfinished: Unfinished, advance: Step, data: Data, state: State) -> State:
    """`while unfinished(state): state = advance(data, state)`.

    Under `jax.vmap` a loop runs for all until the last has ended, and a few searches often need more steps than the
    rest.  Here, of `MANY` searches or more, those few are gathered once the rest has ended, and go on in a loop of
    their own.  Who is left depends on all searches of the batch, and so do the last bits of what is found.

    Args:
        unfinished: whether a search goes on; of its state alone.
        advance: the next state.  What it uses beside its arguments may not differ by search.
        data: a tree of arrays, what differs by search and does not change.
        state: a tree of arrays, where the search begins.

    Returns:
        The state in which the search ended.
    """

    def step(data: Data, now: Any) -> Any:
        going = unfinished(now)
        return jax.tree.map(lambda new, old: jnp.where(going, new, old), advance(data, now), now)

    return _run(unfinished, step, data, state)


def _run(unfinished: Unfinished, step: Step, data: Data, state: Any) -> Any:
    """The loop of a step that leaves alone what has ended, so that searches can share it."""

    @jax.custom_batching.custom_vmap
    def run(data: Data, state: Any) -> Any:
        return jax.lax.while_loop(unfinished, lambda now: step(data, now), state)

    @run.def_vmap
    def _(size: int, batched: list[Any], data: Data, state: Any) -> tuple[Any, Any]:  # pyright: ignore[reportUnusedFunction]
        axes = jax.tree.map(lambda own: 0 if own else None, batched[0])
        state = jax.tree.map(lambda own, leaf: leaf if own else jnp.repeat(leaf[None], size, 0), batched[1], state)
        every = jax.vmap(step, in_axes=(axes, 0))
        going = jax.vmap(unfinished)
        if size < MANY:
            ended = _run(lambda now: jnp.any(going(now)), every, data, state)
        else:
            ended = _in_two(going, every, batched[0], data, state, size // SHARE)
        return ended, jax.tree.map(lambda _: True, ended)

    return run(data, state)


def _in_two(going: Callable[[Any], Array], every: Step, own: Any, data: Data, state: Any, few: int) -> Any:
    """The loop of all until at most `few` go on, then that of these; `own` says what of the data differs by search."""
    most = jax.lax.while_loop(lambda now: jnp.sum(going(now)) > few, lambda now: every(data, now), state)
    size = len(jax.tree.leaves(state)[0])
    # A place beyond the last one stands for nobody: it is computed, and not kept.
    left = jnp.nonzero(going(most), size=few, fill_value=size)[0]
    data = jax.tree.map(lambda apart, leaf: leaf.at[left].get(mode="clip") if apart else leaf, own, data)
    begin = jax.tree.map(lambda leaf: leaf.at[left].get(mode="clip"), most)
    last = jax.lax.while_loop(lambda now: jnp.any(going(now)), lambda now: every(data, now), begin)
    return jax.tree.map(lambda leaf, part: leaf.at[left].set(part, mode="drop"), most, last)
