"""The agent before it learns from edits: its vocabulary, and the reference policy with its pre-training."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sim.errors import BadInput
from sim.files import write_text
from sim.llm import checkpoints, training, vocabulary
from sim.llm.documents import draw
from sim.llm.objectives import supervision
from sim.llm.presets import Study
from sim.llm.responses import demonstrate
from sim.llm.seeds import generator, number
from sim.llm.training import Schedule
from sim.llm.transformer import Shape, Transformer, initial
from sim.llm.vocabulary import Vocabulary

SAMPLE = 4000
"""Documents whose words make the vocabulary."""

SAVED_EVERY = 200
"""Steps of pre-training between two checkpoints."""


class Agent(NamedTuple):
    """The reference policy of a task.

    Fields:
        vocabulary: its tokens.
        reference: pi_ref.
    """

    vocabulary: Vocabulary
    reference: Transformer


def agent(study: Study, task: str, folder: Path, told: Callable[[int], None] | None = None) -> Agent:
    """The agent of a task: read from the folder, or trained and stored there; training that was stopped goes on.

    Args:
        study: its sizes.
        task: whose documents it reads.
        folder: of the models of the task.
        told: hears how many steps were done since it was last told.

    Raises:
        BadInput: pre-training whose loss is not finite; nothing is stored as the reference then.
    """
    words = _vocabulary(study, task, folder / "vocabulary.json")
    policy = initial(shape(study, words), jax.random.key(number("weights", task)))
    stored, state = folder / "reference.safetensors", folder / "reference-training.safetensors"
    if stored.exists():
        return Agent(words, checkpoints.read(stored, policy)[0])
    policy, loss = _pretrained(study, task, words, policy, state, told)
    checkpoints.write(stored, policy, {"task": task, "steps": study.settings.pretraining_steps, "loss": loss})
    state.unlink(missing_ok=True)
    return Agent(words, policy)


def shape(study: Study, words: Vocabulary) -> Shape:
    """The sizes of the agent's transformer."""
    s = study.settings
    return Shape(words.size, s.width, s.layers, s.heads, s.hidden)


def pretraining_texts(study: Study, task: str, count: int) -> tuple[list[str], list[str]]:
    """Documents and responses whose traits do not depend on the domain: the law that pi_ref imitates."""
    rng = generator("pretraining", task)
    documents = draw(task, count, rng, study.domains(task), study.settings.facts)
    return [one.text for one in documents], [demonstrate(one, rng) for one in documents]


def _vocabulary(study: Study, task: str, path: Path) -> Vocabulary:
    s = study.settings
    if not path.exists():
        documents, responses = pretraining_texts(study, task, min(SAMPLE, s.pretraining_documents))
        made = vocabulary.trained([*documents, *responses], s.vocabulary, s.document, s.response)
        write_text(path, made.tokenizer.to_str())
    try:
        return vocabulary.read(path.read_text(encoding="utf-8"), s.document, s.response)
    # The library has no narrower error.
    except Exception as error:
        raise BadInput(
            f"{path}: expected a stored vocabulary, which cannot be read ({error}); delete it, and --resume makes it"
            " again"
        ) from None


def _pretrained(
    study: Study, task: str, words: Vocabulary, policy: Transformer, state: Path, told: Callable[[int], None] | None
) -> tuple[Transformer, float]:
    """The reference policy, and the mean loss of its last steps."""
    s = study.settings
    documents, responses = pretraining_texts(study, task, s.pretraining_documents)
    data: dict[str, np.ndarray] = {"documents": words.documents(documents), "edits": words.responses(responses)}
    run, loss = training.begin(policy), float("nan")
    if state.exists():
        run, notes = checkpoints.read(state, run)
        loss = notes.get("loss", loss)
        if told:
            told(int(run.step))
    schedule = Schedule(s.pretraining_steps, s.pretraining_rate, s.batch, dtype=jnp.dtype(s.dtype))
    for now, losses in training.train(run, supervision, {}, data, schedule, number("order", task)):
        run, loss = now, _finite(losses, s.pretraining_rate, int(now.step))
        if told:
            told(len(losses))
        if int(run.step) % SAVED_EVERY < len(losses):
            checkpoints.write(state, run, {"step": int(run.step), "loss": loss})
    return run.trainable.policy, loss


def _finite(losses: np.ndarray, rate: float, step: int) -> float:
    """The mean of the losses.

    Raises:
        BadInput: one that is not finite.
    """
    if not np.isfinite(losses).all():
        raise BadInput(
            f"pre-training: expected finite losses, got {losses[~np.isfinite(losses)][0]} by step {step}; in another"
            f" folder try --set pretraining_rate={rate / 3:.1g}"
        )
    return float(losses.mean())
