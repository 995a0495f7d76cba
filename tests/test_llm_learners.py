"""What learners take from a log: gaps, examples without held-out rows, features, and the distance that chooses."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from sim.llm import cost_models, decoding, learners, vocabulary
from sim.llm.costs import edit_cost
from sim.llm.learners import Examples
from sim.llm.objectives import OBJECTIVES, Trainable
from sim.llm.presets import PRESETS, Preset
from sim.llm.transformer import FLOAT32, Shape, Transformer, initial
from sim.llm.vocabulary import PAD, Vocabulary

ROWS, HELD_OUT = 8, 3


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return vocabulary.trained(["dear all the end of it", "hello you"], 300, 12, 10)


@pytest.fixture(scope="module")
def model(words: Vocabulary) -> Transformer:
    return jax.tree.map(lambda w: 1.5 * w, initial(Shape(words.size, 16, 2, 2, 24), jax.random.key(2)))


@pytest.fixture(scope="module")
def settings() -> Preset:
    small = {"held_out": HELD_OUT, "cost_documents": 4, "cost_draws": 2, "cost_models": 2}
    return PRESETS["micro"].model_copy(update=small)


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    rows = [
        {"context": f"it {i}", "response": f"the end {i}", "edit": f"dear all {i}" if i % 2 else f"the end {i}",
         "cost": 0.5 * (i % 2), "logprob_response": 0.0, "logprob_edit": 0.0}
        for i in range(ROWS)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def known(log: pd.DataFrame, words: Vocabulary, model: Transformer) -> Examples:
    return learners.examples(log, words, model, jnp.dtype("float32"))


def test_the_gap_is_of_the_edit_over_the_response_under_the_agents_own_reference(
    known: Examples, model: Transformer
) -> None:
    of_edits, of_responses = (
        decoding.log_probabilities(model, known.documents, texts) for texts in (known.edits, known.responses)
    )
    assert np.allclose(known.reference_gap, of_edits - of_responses, atol=1e-5)
    assert np.all(known.reference_gap[::2] == 0) and np.abs(known.reference_gap[1::2]).min() > 0.1


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_at_the_reference_every_pair_costs_log_two(known: Examples, model: Transformer, scale: float) -> None:
    data = {name: jnp.asarray(getattr(known, name)) for name in ("documents", "responses", "edits", "reference_gap")}
    data["reference_gap"] = data["reference_gap"].astype(jnp.float32)
    losses = OBJECTIVES["pref"](Trainable(model, jnp.float32(0)), data, {"scale": jnp.float32(scale)}, FLOAT32)
    assert np.allclose(losses, np.log(2), atol=1e-4)


@pytest.mark.parametrize("name", ["sup", "pref", "early", "edit-model"])
def test_held_out_rows_never_reach_training(
    name: str, known: Examples, words: Vocabulary, model: Transformer, settings: Preset
) -> None:
    other = Examples(*(np.concatenate([a[:-HELD_OUT], np.roll(a, 1, axis=-1)[-HELD_OUT:]]) for a in known))
    learner = learners.learners(settings)[name]
    one, two = (learners.prepared(learner, rows, words, model, settings, 0) for rows in (known, other))
    trained, again = (found.data(0, model) for found in (one, two))
    assert len(trained["documents"]) == ROWS - HELD_OUT and len(one.held_out["documents"]) == HELD_OUT
    assert all(np.array_equal(trained[key], again[key]) for key in trained)
    assert not np.array_equal(one.held_out["edits"], two.held_out["edits"])


def test_padding_changes_no_feature(known: Examples, model: Transformer) -> None:
    short = cost_models.features_of(model, known.documents, known.responses)
    padded = np.pad(known.responses, ((0, 0), (0, 7)), constant_values=PAD)
    assert np.allclose(cost_models.features_of(model, known.documents, padded), short, atol=1e-4)
    assert np.abs(short[0] - short[1]).max() > 1e-3


def test_distance_is_the_mean_cost_from_the_likeliest_responses(
    log: pd.DataFrame, words: Vocabulary, model: Transformer, settings: Preset
) -> None:
    made = decoding.generate(model, words.documents(log["context"].tolist()), words.response, 0, greedy=True)
    said = words.texts(made.tokens)
    found = [learners.distance(model, log.assign(edit=edits), words, settings) for edits in (said, log["edit"])]
    assert found[0] == 0
    paid = [edit_cost(*pair) for pair in zip(said, log["edit"], strict=True)]
    assert found[1] == pytest.approx(sum(paid) / ROWS) and found[1] > 0
