"""The learners of a language model: which objective on which arrays, and hyperparameters chosen on held-out edits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from rapidfuzz.distance import Levenshtein

from sim.llm import cost_models, decoding, training
from sim.llm.cost_steps import ROUNDS, Costed
from sim.llm.costs import edit_cost
from sim.llm.objectives import OBJECTIVES, Trainable
from sim.llm.presets import Preset
from sim.llm.training import Data, Schedule
from sim.llm.transformer import Transformer
from sim.llm.vocabulary import PAD, Vocabulary


class Learner(NamedTuple):
    """An objective and its settings.

    Fields:
        objective: its name in `sim.llm.objectives`.
        settings: its numbers.
    """

    objective: str
    settings: Mapping[str, float]


class Examples(NamedTuple):
    """Logged edits as tokens.

    Fields:
        documents: x.
        responses: y.
        edits: y'.
        costs: of the edits, in [0, c_max].
        reference_gap: log pi_ref(y'|x) - log pi_ref(y|x).
        kept: which tokens of y' stand in y too.
    """

    documents: Int[np.ndarray, "N P"]
    responses: Int[np.ndarray, "N R"]
    edits: Int[np.ndarray, "N R"]
    costs: Float[np.ndarray, " N"]
    reference_gap: Float[np.ndarray, " N"]
    kept: Bool[np.ndarray, "N R"]


class Fit(NamedTuple):
    """A trained policy and how it came about.

    Fields:
        policy: pi.
        learning_rate: that was used.
        held_out: how far its responses are from the users' edits on held-out documents (`distance`), which chooses.
        held_out_loss: the objective on held-out edits.
        strength: s, the estimated share of re-drawn words (edit-model alone; else half).
        status: "ok", or "not_finite" where the loss is no number.
    """

    policy: Transformer
    learning_rate: float
    held_out: float
    held_out_loss: float
    strength: float
    status: str


def learners(settings: Preset) -> dict[str, Learner]:
    """Every learner by the name it has in tables."""
    early = {"scale": 1.0, "lam": settings.lam}
    return {
        "sup": Learner("sup", {}),
        "pref": Learner("pref", {"scale": 1.0}),
        "pref (link paper)": Learner("pref", {"scale": settings.link_scale}),
        "early": Learner("early", early),
        "cost": Learner("cost", {}),
        "edit-model": Learner("edit-model", {}),
    }


def examples(log: pd.DataFrame, vocabulary: Vocabulary, reference: Transformer, dtype: jnp.dtype) -> Examples:
    """A log as tokens; log-probabilities are computed under the agent's own reference, whatever the log says of them.

    Args:
        log: from `sim.llm.logs.read` or a simulated one.
        vocabulary: of the agent.
        reference: pi_ref.
        dtype: of the products.
    """
    documents = vocabulary.documents(log["context"].tolist())
    responses, edits = (vocabulary.responses(log[name].tolist()) for name in ("response", "edit"))
    # What a log says of them may be of another policy, or come from decoding, which rounds otherwise.
    gap = decoding.log_probabilities(reference, documents, edits, dtype=dtype)
    gap = gap - decoding.log_probabilities(reference, documents, responses, dtype=dtype)
    return Examples(documents, responses, edits, log["cost"].to_numpy(float), gap, kept_tokens(responses, edits))


def kept_tokens(responses: Int[np.ndarray, "N R"], edits: Int[np.ndarray, "N R"]) -> Bool[np.ndarray, "N R"]:
    """Which tokens of the edit an alignment with the fewest changes takes over from the response."""
    kept = np.zeros(edits.shape, bool)
    for row, before, after in zip(kept, responses, edits, strict=True):
        blocks = Levenshtein.opcodes(before[before != PAD].tolist(), after[after != PAD].tolist())
        for block in blocks:
            if block.tag == "equal":
                row[block.dest_start : block.dest_end] = True
    return kept


class Prepared(NamedTuple):
    """The examples of an objective.

    Fields:
        rounds: how often they change while training.
        data: of a round, which may be draws of the policy so far.
        held_out: examples that are not trained on.
        notes: numbers to be stored with the policy.
    """

    rounds: int
    data: Callable[[int, Transformer], Data]
    held_out: Data
    notes: Mapping[str, float] = MappingProxyType({})


def prepared(
    learner: Learner, log: Examples, vocabulary: Vocabulary, reference: Transformer, settings: Preset, seed: int
) -> Prepared:
    """What an objective needs of a log, its last examples held out."""
    if learner.objective == "cost":
        return _costed(log, vocabulary, reference, settings, seed)
    every: Data = {"documents": log.documents, "edits": log.edits}
    if learner.objective in ("pref", "early"):
        every |= {"responses": log.responses, "reference_gap": log.reference_gap}
    if learner.objective == "edit-model":
        every |= {"kept": log.kept}
    rows = len(log.documents) - settings.held_out
    train, held_out = ({name: a[part] for name, a in every.items()} for part in (slice(rows), slice(rows, None)))
    return Prepared(1, lambda round, policy: train, held_out)


def distance(policy: Transformer, held_out: pd.DataFrame, vocabulary: Vocabulary, settings: Preset) -> float:
    """The mean cost of turning a policy's likeliest responses into the edits that users made of the reference's.

    It is the same number for every learner, in the units of the online phase, and needs no user.  Users who repair a
    part only leave the rest as the reference had it, which it cannot see.

    Args:
        policy: pi.
        held_out: rows of a log.
        vocabulary: of the agent.
        settings: the dtype.
    """
    documents = vocabulary.documents(held_out["context"].tolist())
    made = decoding.generate(policy, documents, vocabulary.response, 0, greedy=True, dtype=jnp.dtype(settings.dtype))
    pairs = zip(vocabulary.texts(made.tokens), held_out["edit"], strict=True)
    return float(np.mean([edit_cost(response, edit) for response, edit in pairs]))


def fit(
    learner: Learner,
    data: Prepared,
    reference: Transformer,
    settings: Preset,
    learning_rates: Sequence[float],
    seed: int,
    score: Callable[[Transformer], float],
    told: Callable[[int], None] | None = None,
) -> Iterator[Fit]:
    """Train the learner once for each learning rate, from the reference policy.

    Args:
        learner: what to minimise.
        data: from `prepared`.
        reference: where training begins.
        settings: the number of steps, the batch, the dtype.
        learning_rates: one, or the candidates.
        seed: of the order of examples.
        score: what a policy is worth on held-out edits, the less the better.
        told: hears how many steps were done since it was last told.
    """
    objective, dtype = OBJECTIVES[learner.objective], jnp.dtype(settings.dtype)
    for rate in learning_rates:
        run, losses = training.begin(reference), np.zeros(0)
        schedule = Schedule(settings.steps, rate, settings.batch, dtype=dtype)
        for k in range(data.rounds):
            examples, until = data.data(k, run.trainable.policy), settings.steps * (k + 1) // data.rounds
            for now, losses in training.train(run, objective, learner.settings, examples, schedule, seed, until):
                run = now
                if told:
                    told(len(losses))
        loss = training.mean_loss(run.trainable, objective, learner.settings, data.held_out, settings.batch, dtype)
        status = "ok" if np.isfinite(losses).all() and np.isfinite(loss) else "not_finite"
        yield Fit(run.trainable.policy, rate, score(run.trainable.policy), loss, _strength(run.trainable), status)


def best(fits: Sequence[Fit]) -> int:
    """The place of the candidate that is nearest to held-out edits; one that is no number is the last choice."""
    return int(np.argmin([fit.held_out if fit.status == "ok" else np.inf for fit in fits]))


def _strength(trainable: Trainable) -> float:
    return float(jax.nn.sigmoid(trainable.log_odds_redrawn))


def _costed(log: Examples, vocabulary: Vocabulary, reference: Transformer, settings: Preset, seed: int) -> Prepared:
    """Draws for the steps of Eq. 6; held out: draws of the reference with the weights of its minimiser."""
    dtype, rows = jnp.dtype(settings.dtype), len(log.documents) - settings.held_out
    known = cost_models.features_of(reference, log.documents, log.responses, dtype=dtype)
    models = cost_models.fit(
        known[:rows], log.costs[:rows], (known[rows:], log.costs[rows:]), settings.cost_models,
        np.random.default_rng(seed),
    )  # fmt: skip
    documents = log.documents[: min(settings.cost_documents, rows)]
    rounds = min(ROUNDS, len(documents), settings.steps)
    train = Costed(models, documents, reference, vocabulary.response, settings, seed, rounds)
    others = train._replace(documents=log.documents[rows : rows + max(settings.cost_documents // 5, 1)], rounds=1)
    about = cost_models.accuracy(models, known[rows:], log.costs[rows:])
    return Prepared(rounds, train.draws, others.draws(0, reference, 1.0), about)
