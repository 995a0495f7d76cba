"""Objectives against their equations, gradient descent, checkpoints and the pessimistic cost."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from sim.errors import BadInput
from sim.llm import checkpoints, cost_models, decoding, training
from sim.llm.cost_steps import weights
from sim.llm.learners import Fit as LearnerFit
from sim.llm.learners import best, kept_tokens, learners
from sim.llm.objectives import OBJECTIVES, Trainable, supervision
from sim.llm.presets import PRESETS
from sim.llm.training import Schedule
from sim.llm.transformer import FLOAT32, Shape, Transformer, initial
from sim.llm.vocabulary import END

SHAPE = Shape(vocabulary=9, width=16, layers=2, heads=2, hidden=24)


@pytest.fixture(scope="module")
def model() -> Transformer:
    return jax.tree.map(lambda weight: 1.5 * weight, initial(SHAPE, jax.random.key(2)))


def row(*tokens: int) -> list[int]:
    return [*tokens, *[0] * (4 - len(tokens))]


@pytest.fixture(scope="module")
def batch() -> dict[str, np.ndarray]:
    return {
        "documents": np.array([[0, 5, 1], [6, 4, 1], [0, 0, 1]], np.int32),
        "responses": np.array([row(3, 4, END), row(END), row(5, 6, 7, END)], np.int32),
        "edits": np.array([row(3, 8, END), row(7, END), row(5, 6, 7, END)], np.int32),
        "kept": np.array([[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 1, 1]], bool),
        "reference_gap": np.array([0.3, -1.2, 0.0], np.float32),
        "weights": np.array([0.5, 2.0, 0.0], np.float32),
    }


def of(name: str, model: Transformer, batch: dict[str, np.ndarray], log_odds: float = 0.0, **settings: float) -> Any:
    numbers = {key: jnp.float32(value) for key, value in settings.items()}
    arrays = {key: jnp.asarray(value) for key, value in batch.items()}
    trainable = Trainable(model, jnp.float32(log_odds))
    return np.asarray(OBJECTIVES[name](trainable, arrays, numbers, FLOAT32), float)


def log_pi(model: Transformer, batch: dict[str, np.ndarray], which: str) -> np.ndarray:
    return decoding.log_probabilities(model, batch["documents"], batch[which]).astype(float)


def test_supervision_and_cost_are_their_equations(model: Transformer, batch: dict[str, np.ndarray]) -> None:
    assert np.allclose(of("sup", model, batch), -log_pi(model, batch, "edits"), atol=1e-4)
    assert np.allclose(of("cost", model, batch), -batch["weights"] * log_pi(model, batch, "edits"), atol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_preference_and_early_are_their_equations(
    model: Transformer, batch: dict[str, np.ndarray], scale: float
) -> None:
    edit, response = log_pi(model, batch, "edits"), log_pi(model, batch, "responses")
    margin = scale * (edit - response - batch["reference_gap"])
    loss = np.log1p(np.exp(-margin))
    assert np.abs(margin).max() > 0.1
    assert np.allclose(of("pref", model, batch, scale=scale), loss, atol=1e-4)
    assert np.allclose(of("early", model, batch, scale=scale, lam=0.7), loss - 0.7 * edit, atol=1e-4)


@pytest.mark.parametrize("strength", [0.3, 0.9])
def test_the_edit_model_is_its_equation(model: Transformer, batch: dict[str, np.ndarray], strength: float) -> None:
    found = of("edit-model", model, batch, float(np.log(strength / (1 - strength))))
    arrays = {key: jnp.asarray(value) for key, value in batch.items()}
    tokens = decoding.token_log_probabilities(model, arrays["documents"], arrays["edits"])
    expected = np.zeros(3)
    for i, said in enumerate(np.exp(np.asarray(tokens, float))):
        for token, probability, kept in zip(batch["edits"][i], said, batch["kept"][i], strict=True):
            if token != 0:
                expected[i] -= np.log(strength * probability + (1 - strength if kept else 0.0))
    assert np.allclose(found, expected, atol=1e-4)


def test_at_strength_one_the_edit_model_is_supervision(model: Transformer, batch: dict[str, np.ndarray]) -> None:
    assert np.allclose(of("edit-model", model, batch, 30.0), of("sup", model, batch), atol=1e-3)


def test_words_left_alone_teach_little_where_users_rarely_edit(
    model: Transformer, batch: dict[str, np.ndarray]
) -> None:
    arrays = {key: jnp.asarray(value) for key, value in batch.items()}

    @jax.jit
    def slope(policy: Transformer, kept: Any, log_odds: Any) -> Any:
        given = arrays | {"kept": jnp.full((3, 4), kept)}

        def loss(policy: Transformer) -> Any:
            return OBJECTIVES["edit-model"](Trainable(policy, log_odds), given, {}, FLOAT32).sum()

        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(jax.grad(loss)(policy))) ** 0.5

    def gradient(kept: bool, log_odds: float) -> float:
        return float(slope(model, jnp.asarray(kept), jnp.float32(log_odds)))

    assert gradient(True, -4.0) < 0.1 * gradient(False, -4.0)


def test_kept_tokens_are_those_of_an_alignment() -> None:
    before = np.array([[3, 4, 5, END, 0], [END, 0, 0, 0, 0], [3, 4, 5, 6, 7]], np.int32)
    after = np.array([[3, 8, 5, END, 0], [3, END, 0, 0, 0], [4, 5, 6, 7, END]], np.int32)
    expected = [[1, 0, 1, 1, 0], [0, 1, 0, 0, 0], [1, 1, 1, 1, 0]]
    assert kept_tokens(before, after).tolist() == [[bool(x) for x in one] for one in expected]


def schedule(steps: int, together: int = 5) -> Schedule:
    return Schedule(steps, 0.01, 2, together)


def test_training_goes_down_and_goes_on_as_if_never_stopped(
    model: Transformer, batch: dict[str, np.ndarray], tmp_path: Path
) -> None:
    data = {key: batch[key] for key in ("documents", "edits")}
    runs = [run for run, _ in training.train(training.begin(model), supervision, {}, data, schedule(30), 7)]
    assert [int(run.step) for run in runs] == [5, 10, 15, 20, 25, 30]
    first, last = (training.mean_loss(run.trainable, supervision, {}, data, 2, FLOAT32) for run in (runs[0], runs[-1]))
    assert last < 0.5 * first
    checkpoints.write(tmp_path / "state.safetensors", runs[2], {"step": 15})
    again, notes = checkpoints.read(tmp_path / "state.safetensors", runs[0])
    assert notes == {"step": 15}
    for resumed, _ in training.train(again, supervision, {}, data, schedule(30), 7):
        again = resumed
    pairs = zip(jax.tree.leaves(again), jax.tree.leaves(runs[-1]), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert all(leaf.dtype in (jnp.float32, jnp.int32) for leaf in jax.tree.leaves(again))


def test_a_step_compiles_once_whatever_its_numbers(model: Transformer, batch: dict[str, np.ndarray]) -> None:
    data = {key: batch[key] for key in ("documents", "edits", "responses", "reference_gap")}
    for scale, rate in ((1.0, 0.01), (0.1, 0.1)):
        settings = {"scale": scale}
        list(training.train(training.begin(model), OBJECTIVES["pref"], settings, data, Schedule(5, rate, 2, 5), 1))
        count = training._steps._cached._cache_size()
    list(training.train(training.begin(model), OBJECTIVES["pref"], {"scale": 3.0}, data, Schedule(5, 1.0, 2, 5), 2))
    assert training._steps._cached._cache_size() == count


def test_the_mean_loss_counts_every_example_once(model: Transformer, batch: dict[str, np.ndarray]) -> None:
    data = {key: batch[key] for key in ("documents", "edits")}
    values = of("sup", model, batch)
    for size in (1, 2, 3, 100):
        found = training.mean_loss(Trainable(model, jnp.float32(0)), supervision, {}, data, size, FLOAT32)
        assert found == pytest.approx(values.mean(), rel=1e-5)


def test_a_checkpoint_of_another_shape_is_refused_in_one_line(model: Transformer, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    checkpoints.write(path, model, {"task": "email"})
    assert checkpoints.notes_of(path) == {"task": "email"}
    other = initial(Shape(vocabulary=9, width=32, layers=2, heads=2, hidden=24), jax.random.key(0))
    with pytest.raises(BadInput, match=r"expected .*embedding of shape \(9, 32\), got \(9, 16\)"):
        checkpoints.read(path, other)
    with pytest.raises(BadInput, match="expected a checkpoint of this model"):
        checkpoints.read(path, training.begin(model))
    save_file({"x": np.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(BadInput, match="expected a checkpoint of this model"):
        checkpoints.read(tmp_path / "foreign.safetensors", model)
    for damaged in (path.read_bytes()[:-7], b"", b"nonsense" * 9):
        path.write_bytes(damaged)
        with pytest.raises(BadInput, match="which cannot be read"):
            checkpoints.read(path, model)
    with pytest.raises(BadInput, match="which cannot be read"):
        checkpoints.read(tmp_path / "absent.safetensors", model)


def test_the_pessimistic_cost_is_the_largest_of_the_ensemble_and_finds_a_linear_cost() -> None:
    rng = np.random.default_rng(0)
    features, truth = rng.normal(3.0, 2.0, (500, 4)), np.array([0.1, -0.05, 0.0, 0.02])
    costs = features @ truth + 0.5 + 0.05 * rng.normal(size=500)
    found = cost_models.fit(features[:400], costs[:400], (features[400:], costs[400:]), 6, rng)
    every = found.costs(features)
    assert every.shape == (6, 500) and found.ridge in cost_models.RIDGES
    assert found.held_out_error == pytest.approx(np.mean((every[:, 400:].mean(axis=0) - costs[400:]) ** 2))
    assert np.abs(every.mean(axis=0) - (features @ truth + 0.5)).max() < 0.05
    far = features + 30
    assert np.array_equal(found.pessimistic(far, 2.0), np.clip(found.costs(far).max(axis=0), 0, 2))
    spread = [(found.costs(x).max(axis=0) - found.costs(x).mean(axis=0)).mean() for x in (features, far)]
    assert spread[1] > 3 * spread[0]
    told = cost_models.accuracy(found, features[400:], costs[400:])
    assert told["cost_ridge"] == found.ridge and told["cost_rmse"] == pytest.approx(np.sqrt(found.held_out_error))
    assert told["cost_spread"] == pytest.approx(np.std(costs[400:])) and told["cost_rmse"] < 0.06 < told["cost_spread"]
    above = np.clip(every[:, 400:].max(axis=0), 0, 2) >= costs[400:]
    assert told["cost_covered"] == pytest.approx(above.mean()) and 0.5 < above.mean() < 1


def test_steps_of_mirror_descent_end_at_the_minimiser_of_eq_6() -> None:
    """On a law over six responses, where draws are its whole support with their probabilities as multiplicities."""
    rng = np.random.default_rng(3)
    reference, costs, beta, tau = rng.dirichlet(np.ones(6)), rng.uniform(0, 2, 6), 0.2, 0.5
    optimum = reference * np.exp(-costs / beta)
    optimum /= optimum.sum()
    policy = reference
    for step in range(1, 6):
        apart = np.log(policy / reference)
        policy = policy * weights(costs[None], apart[None], beta, tau)[0]
        policy = policy / policy.sum()
        left = reference * np.exp(-(1 - (1 - tau) ** step) * costs / beta)
        assert np.allclose(policy, left / left.sum())
    assert np.abs(np.log(policy / optimum)).max() < 0.05 * np.abs(np.log(reference / optimum)).max()
    # The minimiser itself is left alone.
    assert np.allclose(weights(costs[None], np.log(optimum / reference)[None], beta, tau), 1)


def test_weights_have_mean_one_and_do_not_overflow() -> None:
    found = weights(np.array([[0.0, 2.0, 1.0], [2.0, 2.0, 2.0]]), np.zeros((2, 3)), 1e-4, 1.0)
    assert np.allclose(found, [[3, 0, 0], [1, 1, 1]])


@pytest.mark.parametrize("strength", [0.1, 0.9])
def test_the_share_of_redrawn_words_is_found_in_few_steps(model: Transformer, strength: float) -> None:
    rng = np.random.default_rng(int(10 * strength))
    documents = np.tile(np.array([[0, 5, 1]], np.int32), (400, 1))
    drafts, fresh = rng.integers(3, SHAPE.vocabulary, (2, 400, 4)).astype(np.int32)
    redrawn = rng.random(drafts.shape) < strength
    edits = np.where(redrawn, fresh, drafts)
    data = {"documents": documents, "edits": edits, "kept": edits == drafts}
    run, schedule = training.begin(model), Schedule(50, 1e-3, 32)
    for now, _ in training.train(run, OBJECTIVES["edit-model"], {}, data, schedule, 1):
        run = now
    found = float(jax.nn.sigmoid(run.trainable.log_odds_redrawn))
    # Standard error 0.01; the rest is that the policy does not yet know the law of fresh words.
    assert found == pytest.approx(redrawn.mean(), abs=0.06)


def test_the_candidate_nearest_to_held_out_edits_is_chosen(model: Transformer) -> None:
    fits = [
        LearnerFit(model, 0.1, near, 9.0 - near, 0.5, status)
        for near, status in ((2.0, "ok"), (1.0, "ok"), (0.5, "not_finite"))
    ]
    assert best(fits) == 1 and best(fits[2:]) == 0


def test_every_learner_has_an_objective_and_both_links() -> None:
    found = learners(PRESETS["tiny"])
    assert {one.objective for one in found.values()} == set(OBJECTIVES)
    assert found["pref"].settings["scale"] == 1.0 and found["pref (link paper)"].settings["scale"] < 1
    assert json.dumps({name: dict(one.settings) for name, one in found.items()})
