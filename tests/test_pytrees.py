"""Dataclasses as pytrees: two classes never share compiled code."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import pytest

import sim
from sim.learners import LEARNERS, Learner
from sim.learners.baselines import Edited, Reference


def test_two_classes_with_equal_leaves_have_different_structures() -> None:
    made = [learner() for learner in LEARNERS.values()]
    structures = [jax.tree.structure(learner) for learner in made]
    for i, first in enumerate(structures):
        for second in structures[i + 1 :]:
            assert first != second
            assert hash(first) != hash(second)


def test_a_compiled_function_tells_two_classes_apart_whatever_their_hashes() -> None:
    tell = jax.jit(lambda learner: jnp.asarray(1 if isinstance(learner, Reference) else 2))
    assert (int(tell(Reference())), int(tell(Edited()))) == (1, 2)
    assert jax.tree.structure((Reference(), 1.0)) != jax.tree.structure((Edited(), 1.0))


def test_static_fields_are_structure_and_the_rest_are_leaves() -> None:
    first, second = sim.learners.Preference("balance", 0.5), sim.learners.Preference("paper", 0.5)
    assert jax.tree.structure(first) != jax.tree.structure(second)
    assert jax.tree.leaves(first) == [0.5]
    assert jax.tree.map(lambda leaf: 2 * leaf, first) == sim.learners.Preference("balance", 1.0)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(first)]
    assert paths == [".ridge"]


def test_a_learner_that_is_registered_otherwise_is_refused() -> None:
    @jax.tree_util.register_dataclass
    @dataclasses.dataclass(frozen=True)
    class Mine(Learner):
        name: ClassVar[str] = "mine"

        def fit(self, log, world, policies):
            return Reference().fit(log, world, policies)

    with pytest.raises(sim.BadInput, match=r"sim\.pytree"):
        sim.register_learner("mine", Mine)
    assert "mine" not in LEARNERS
