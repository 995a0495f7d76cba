"""Logs of traits, written as texts "x t0 t2", of users whose every probability is known."""

from typing import Any

import numpy as np
import pandas as pd

import sim
from sim import kernels
from sim.world import World

TRAITS = {f"t{k}": (lambda text, k=k: f"t{k}" in text.split()) for k in range(6)}


def texts(bits: np.ndarray) -> list[str]:
    """The text of every row of traits, (n, K)."""
    return [" ".join(["x", *(f"t{k}" for k in np.flatnonzero(row))]) for row in bits]


def log_of(responses: np.ndarray, edits: np.ndarray, costs: Any = None, **columns: Any) -> pd.DataFrame:
    """A log with these traits, (n, K) each."""
    paid = (responses != edits).mean(axis=1) if costs is None else costs
    known = {"task": "summarization", "context": "a document", "response": texts(responses), "edit": texts(edits)}
    return pd.DataFrame(known | {"cost": paid} | columns)


def redrawn(n: int, p: Any, s: Any, optimum: Any, seed: int, **columns: Any) -> pd.DataFrame:
    """A log of a user who re-draws each trait by itself."""
    rng, attributes = np.random.default_rng(seed), len(p)
    responses = rng.random((n, attributes)) < p
    fresh = rng.random((n, attributes)) < optimum
    edits = np.where(rng.random((n, attributes)) < s, fresh, responses)
    return log_of(responses, edits, **columns)


def subset(n: int, p: float, attributes: int, size: int, seed: int) -> pd.DataFrame:
    """A log of a user who gives a response `size` traits, drawn out of all."""
    rng = np.random.default_rng(seed)
    responses = rng.random((n, attributes)) < p
    order = rng.random((n, attributes)).argsort(axis=1).argsort(axis=1)
    return log_of(responses, responses | (order < size))


def of_world(world: World, n: int, seed: int) -> pd.DataFrame:
    """A log drawn from an attribute world, whose contexts are its groups."""
    attributes = world.responses.bit_length() - 1
    drawn, table = sim.sample_records(world, n, seed=seed), kernels.attribute_table(attributes)
    groups = [f"context {x}" for x in np.asarray(drawn.context)]
    return log_of(table[drawn.response], table[drawn.edited], np.asarray(drawn.cost), group=groups)
