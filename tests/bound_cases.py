"""Worlds, and fits on many simulated logs, for the tests of the bounds.

A module that uses the fixture binds it by its name.
"""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binomtest

import sim
from sim.kernels import lazy
from sim.policies import PolicyClass

BETA, DELTA = 0.7, 0.05


def random_world(contexts: int, responses: int, seed: int) -> sim.World:
    rng = np.random.default_rng(seed)
    kernel = rng.dirichlet(np.ones(responses), size=(contexts, responses))
    distance = rng.uniform(0.5, 2.0, (responses, responses)) * ~np.eye(responses, dtype=bool)
    reference = rng.dirichlet(np.ones(responses), size=contexts)
    features = rng.normal(size=(contexts, responses, 3))
    costs = rng.normal(size=(contexts, responses, 2))
    rho = rng.dirichlet(np.ones(contexts))
    return sim.from_reference(rho, reference, kernel, distance, BETA, features, costs)


def fitted(learner: object, world: sim.World, policies: PolicyClass, n: int, logs: int = 2000) -> sim.Fits:
    drawn = sim.sample(world, n, logs)
    pairs = zip(np.split(drawn.counts, 10), np.split(drawn.held_out, 10), strict=True)
    parts = [replace(drawn, counts=counts, held_out=held_out) for counts, held_out in pairs]
    fits = [sim.fit(learner, part, world, policies) for part in parts]  # type: ignore[arg-type]
    joined = {f: np.concatenate([getattr(one, f) for one in fits]) for f in ("parameters", "suboptimality")}
    notes = {key: np.concatenate([one.notes[key] for one in fits]) for key in fits[0].notes}
    return fits[0]._replace(**joined, notes=notes)


def assert_rare(violated: np.ndarray) -> None:
    assert binomtest(int(violated.sum()), len(violated), DELTA, alternative="greater").pvalue > 1e-6


REVERSIBLE = [
    ("attributes", {"attributes": 3, "contexts": 2}, {}),
    ("attributes", {"attributes": 2, "strength": 0.1, "world_seed": 3}, {}),
    ("attributes", {"attributes": 3, "preference_scale": 4.0}, {"editor": "lazy"}),
    ("attributes", {"attributes": 3}, {"editor": "metropolis"}),
    ("attributes", {"attributes": 3, "strength": 1.0}, {"editor": "barker"}),
    ("attributes", {"attributes": 3}, {"editor": "subset", "subset_size": 2}),
    ("attributes", {"attributes": 3, "policy_interaction": 0.7}, {}),
    ("tabular", {"responses": 6}, {}),
    ("tabular", {"responses": 5, "strength": 0.9}, {"editor": "metropolis"}),
    ("tabular", {"responses": 5}, {"cyclic": 0.4}),  # stationary, not reversible
]


@pytest.fixture(params=REVERSIBLE, ids=str)
def stationary(request: pytest.FixtureRequest) -> sim.World:
    family, settings, user = request.param
    return sim.world(family, user=user, **settings)


def context(world: sim.World, x: int) -> tuple[list[list[float]], list[float], list[float]]:
    arrays = world.editor.kernel, world.reference, world.optimal
    kernel, reference, optimal = (np.asarray(a)[x].tolist() for a in arrays)
    return kernel, reference, optimal


def with_zeros(strength: float, reference: list[list[float]]) -> sim.World:
    optimal = np.array([[0.5, 0.3, 0.2, 0.0], [0.25, 0.25, 0.25, 0.25]])
    distance, features = 1.0 - np.eye(4), np.eye(4)[None].repeat(2, axis=0)
    world = sim.plant(np.array([0.4, 0.6]), optimal, lazy(optimal, strength), distance, 0.7, features)
    return replace(world, reference=jnp.asarray(reference))
