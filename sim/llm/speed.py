"""How fast the agent is trained and writes, and how much of the device's arithmetic that uses."""

from time import monotonic
from typing import Any

import jax
import jax.numpy as jnp

from sim import machine
from sim.llm import decoding, training
from sim.llm.agent import Agent, pretraining_texts
from sim.llm.objectives import supervision
from sim.llm.presets import Study
from sim.llm.training import Schedule
from sim.llm.transformer import shape_of

PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L4": 121e12, "V100": 125e12, "T4": 65e12}
"""Dense 16-bit floating-point operations a second, from the vendor's data sheets."""

CALLS = 3
"""Compiled calls of training that are timed, after one that is not."""

STEPS = 10
"""Of a compiled call."""


def measure(study: Study, agent: Agent) -> dict[str, Any]:
    """The numbers of `speed.json`, for supervision of the reference policy.

    Model FLOP utilisation counts matrix products only (`Shape.forward_flops`), three times those of a forward pass for
    a step of training, padding included, over the vendor's 16-bit peak of one device.
    """
    s, tokens = study.settings, study.settings.document + study.settings.response
    steps = _training_rate(study, agent)
    flops = 3 * steps * s.batch * shape_of(agent.reference).forward_flops(tokens, s.response)
    peak = next((v for name, v in PEAKS.items() if name in jax.devices()[0].device_kind), None)
    found = {
        "device": machine.device(),
        "parameters": shape_of(agent.reference).parameters,
        "steps_per_second": steps,
        "tokens_per_second_training": steps * s.batch * tokens,
        "tokens_per_second_generation": _generation_rate(study, agent),
        "training_gflops": flops / 1e9,
        "model_flop_utilisation": None if peak is None else flops / peak,
        "peak_memory_mb": _peak_mb(),
    }
    if peak is None:
        found["reasons"] = {"model_flop_utilisation": "the peak of this device is not known"}
    return found


def _training_rate(study: Study, agent: Agent) -> float:
    s = study.settings
    documents, responses = pretraining_texts(study, study.tasks[-1], 4 * s.batch)
    data = {"documents": agent.vocabulary.documents(documents), "edits": agent.vocabulary.responses(responses)}
    schedule = Schedule(STEPS * (CALLS + 1), 1e-4, s.batch, STEPS, jnp.dtype(s.dtype))
    steps = training.train(training.begin(agent.reference), supervision, {}, data, schedule, 0)
    next(steps)
    started = monotonic()
    for _ in steps:
        pass
    return STEPS * CALLS / (monotonic() - started)


def _generation_rate(study: Study, agent: Agent) -> float:
    """Tokens a second, those after the end of a response not counted."""
    s = study.settings
    documents = agent.vocabulary.documents(pretraining_texts(study, study.tasks[-1], decoding.BATCH)[0])
    decoding.generate(agent.reference, documents, s.response, 0, dtype=jnp.dtype(s.dtype))
    started = monotonic()
    made = decoding.generate(agent.reference, documents, s.response, 1, dtype=jnp.dtype(s.dtype))
    return float((made.tokens != 0).sum()) / (monotonic() - started)


def _peak_mb() -> float:
    """The most memory held so far: the device's own where it counts it, else the process's."""
    counted = jax.devices()[0].memory_stats() or {}
    return counted["peak_bytes_in_use"] / 2**20 if "peak_bytes_in_use" in counted else machine.peak_mb()
