"""Gradient descent on an objective: batches are drawn inside the compiled code, so that nothing waits for data."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from sim.llm.decoding import filled_batches
from sim.llm.objectives import Objective, Settings, Trainable
from sim.llm.transformer import FLOAT32, Transformer
from sim.llm.vocabulary import PAD

Data = dict[str, np.ndarray]
"""The examples: arrays with one leading axis, of all examples."""


class Schedule(NamedTuple):
    """How long and how fast.

    Fields:
        steps: of gradient descent, at least 1.
        learning_rate: of Adam at its peak, after a twentieth of the steps; then it falls as a cosine to a tenth.
        batch: examples of a step.
        together: steps of one compiled call.
        dtype: of the products.
    """

    steps: int
    learning_rate: float
    batch: int
    together: int = 10
    dtype: jnp.dtype = FLOAT32


class Run(NamedTuple):
    """Where training is.

    Fields:
        trainable: the weights.
        optimiser: the state of Adam, for the policy.
        step: steps done.
    """

    trainable: Trainable
    optimiser: Any
    step: Int[Array, ""]


LARGEST_GRADIENT = 1.0
"""Gradients of a larger norm are scaled down to it."""


def begin(policy: Transformer) -> Run:
    """Training from these weights, nothing done yet; the user is taken to re-draw half of the words."""
    trainable = Trainable(policy, jnp.zeros((), jnp.float32))
    return Run(trainable, _optimiser().init(eqx.filter(policy, eqx.is_array)), jnp.int32(0))


def train(
    run: Run,
    objective: Objective,
    settings: Mapping[str, float],
    data: Data,
    schedule: Schedule,
    seed: int,
    until: int | None = None,
) -> Iterator[tuple[Run, Float[np.ndarray, " S"]]]:
    """Train to the end of the schedule; a run that was stopped goes on as if it had not been.

    Args:
        run: where training is.
        objective: a loss per example.
        settings: of the objective.
        data: the examples, at least one.
        schedule: how long and how fast.
        seed: of the order of examples; step t draws with (seed, t).
        until: the step to stop at, where the rest of the schedule has other examples.

    Yields:
        After every compiled call the run and the mean losses of its steps.
    """
    arrays = {name: jnp.asarray(values) for name, values in data.items()}
    numbers = {name: jnp.float32(value) for name, value in settings.items()}
    key, done, until = jax.random.key(seed), int(run.step), schedule.steps if until is None else until
    while done < until:
        count = min(schedule.together, until - done)
        run, losses = _steps(
            run, objective, numbers, arrays, _rates(schedule, done, count), key, schedule.batch, schedule.dtype
        )
        done += count
        yield run, np.asarray(losses)


def mean_loss(
    trainable: Trainable,
    objective: Objective,
    settings: Mapping[str, float],
    data: Data,
    batch: int,
    dtype: jnp.dtype,
) -> float:
    """The mean of the objective over all examples."""
    rows = len(data["documents"])
    numbers = {name: jnp.float32(value) for name, value in settings.items()}
    total = 0.0
    for index, new in filled_batches(rows, batch):
        part = {name: jnp.asarray(values[index]) for name, values in data.items()}
        total += float(np.asarray(_losses(trainable, objective, numbers, part, dtype))[:new].sum())
    return total / rows


def _optimiser() -> optax.GradientTransformation:
    return optax.chain(
        optax.clip_by_global_norm(LARGEST_GRADIENT), optax.scale_by_adam(b1=0.9, b2=0.98), optax.scale(-1.0)
    )


def _rates(schedule: Schedule, done: int, count: int) -> Array:
    """The learning rates of the next steps."""
    warm = max(schedule.steps // 20, 1)
    steps = np.arange(done, done + count)
    falling = 0.55 + 0.45 * np.cos(np.pi * np.clip((steps - warm) / max(schedule.steps - warm, 1), 0, 1))
    return jnp.asarray(schedule.learning_rate * np.minimum((steps + 1) / warm, falling), jnp.float32)


@eqx.filter_jit
def _steps(
    run: Run,
    objective: Objective,
    settings: Settings,
    data: Any,
    rates: Array,
    key: Array,
    batch: int,
    dtype: jnp.dtype,
) -> tuple[Run, Array]:
    rows = data["documents"].shape[0]
    optimiser = _optimiser()

    def loss(trainable: Trainable, part: Any) -> Array:
        return jnp.mean(objective(trainable, part, settings, dtype))

    def one(run: Run, rate: Array) -> tuple[Run, Array]:
        index = jax.random.randint(jax.random.fold_in(key, run.step), (batch,), 0, rows)
        part = {name: values[index] for name, values in data.items()}
        value, gradient = jax.value_and_grad(loss)(run.trainable, part)
        moves, state = optimiser.update(gradient.policy, run.optimiser)
        policy = jax.tree.map(lambda weight, move: weight + rate * move, run.trainable.policy, moves)
        # The loss bends in the log-odds by at most 1/4 for a word: this step does not go too far.
        words = jnp.sum(part["edits"] != PAD, dtype=jnp.float32) / batch
        log_odds = run.trainable.log_odds_redrawn - 4 * gradient.log_odds_redrawn / words
        return Run(Trainable(policy, log_odds), state, run.step + 1), value

    return jax.lax.scan(one, run, rates)


@eqx.filter_jit
def _losses(trainable: Trainable, objective: Objective, settings: Settings, data: Any, dtype: jnp.dtype) -> Array:
    return objective(trainable, data, settings, dtype)
