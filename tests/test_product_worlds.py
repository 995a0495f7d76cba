"""Attribute worlds by operators against the same worlds by tables, and a million responses."""

import dataclasses
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference as ref
from agreement import close
from product_cases import SIZES, USERS, dense_world, product_world
from reference_families import hamming

import sim
from sim import cubes, kernels
from sim.distances import AttributeDistance, largest
from sim.editors import MixtureEditor, ProductEditor
from sim.features import AttributeFeatures, DenseFeatures, attribute_features

RNG = np.random.default_rng(5)


# Functions on the cube.


@pytest.mark.parametrize("attributes", [0, 1, 2, 5])
def test_functions_on_the_cube_are_sums_and_products_over_attributes(attributes: int) -> None:
    parts, table = RNG.normal(size=(3, attributes, 2)), kernels.attribute_table(attributes)
    rows = [[[parts[x, k, y[k]] for k in range(attributes)] for y in table] for x in range(3)]
    close(cubes.outer_sum(parts), np.array([[sum(row) for row in block] for block in rows]))
    close(cubes.outer_product(parts), np.array([[np.prod(row) for row in block] for block in rows]))
    close(jax.jit(cubes.outer_product)(jnp.asarray(parts)), cubes.outer_product(parts))
    first, second = cubes.halves(attributes)
    assert [[*a, *b] for a in first for b in second] == table.tolist()


@pytest.mark.parametrize("attributes", [0, 1, 2, 5])
def test_marginals_sum_out_the_other_attributes(attributes: int) -> None:
    values, table = RNG.uniform(size=(3, 2**attributes)), kernels.attribute_table(attributes)
    expected = np.stack([values @ (1 - table), values @ table], axis=2)
    close(cubes.marginals(values), expected)


def test_a_law_is_a_product_only_if_its_marginals_say_so() -> None:
    law = np.array([[0.1, 0.9], [0.3, 0.7], [1e-12, 1 - 1e-12]])[None]
    whole = cubes.outer_product(law)
    close(cubes.product_parts(whole), law)
    whole[0, 0], whole[0, 1] = whole[0, 0] * (1 + 1e-6), whole[0, 1] - whole[0, 0] * 1e-6
    assert cubes.product_parts(whole) is None


# Operators.


@pytest.mark.parametrize("user", USERS, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_both_routes_build_the_same_world(size: tuple[int, int], user: dict, strength: float) -> None:
    dense, product = dense_world(*size, strength, user), product_world(*size, strength, user)
    for name in ("context_probs", "reference", "optimal", "log_optimal", "expected_cost", "distance", "cost_weights"):
        close(getattr(product, name), np.asarray(getattr(dense, name)))
    close(product.editor.dense(), dense.editor.dense())
    close(product.editor.kernel, dense.editor.dense())
    close(product.policy_features.table, dense.policy_features.table)
    close(product.cost_features.table, dense.cost_features.table)


@pytest.mark.parametrize("user", [{}, {"editor": "lazy", "harmful": 0.2}], ids=str)
@pytest.mark.parametrize("size", [(3, 0), *SIZES], ids=str)
def test_editors_apply_their_table(size: tuple[int, int], user: dict) -> None:
    contexts, attributes = size
    world, rng = product_world(*size, 0.3, user), np.random.default_rng(3)
    assert isinstance(world.editor, MixtureEditor if user else ProductEditor)
    editor, table = world.editor, world.editor.dense()
    values = rng.normal(size=(contexts, 2**attributes))
    close(editor.push(jnp.asarray(values)), np.einsum("xy,xye->xe", values, table))
    close(editor.pull(jnp.asarray(values)), np.einsum("xye,xe->xy", table, values))
    close(jax.jit(lambda e, v: e.push(v))(editor, values), editor.push(jnp.asarray(values)))
    pairs = rng.normal(size=(2**attributes, 2**attributes))
    close(editor.pull_pairs(jnp.asarray(pairs)), np.einsum("xye,ye->xy", table, pairs))
    close(editor.pull_pairs(world.distance), np.einsum("xye,ye->xy", table, np.asarray(world.distance)))
    triples = rng.normal(size=table.shape)
    close(editor.joint(jnp.asarray(values)), values[:, :, None] * table)
    weights = np.abs(values)
    expected = (weights[:, :, None] * table * triples).sum()
    close(editor.expect(jnp.asarray(weights), jnp.asarray(triples)), expected)
    bits = kernels.attribute_table(attributes)
    for k in range(attributes):
        moved = [np.einsum("xye,ye->xy", table, (bits[:, None, k] != bits[None, :, k]) * 1.0)]
        close(np.asarray(editor.flips())[:, k][:, bits[:, k]], moved[0])


@pytest.mark.parametrize(("size", "constant"), [((3, 0), True), *itertools.product(SIZES, (False, True))], ids=str)
def test_attribute_features_are_their_table(size: tuple[int, int], constant: bool) -> None:
    contexts, attributes = size
    rng = np.random.default_rng(1)
    features = attribute_features(contexts, attributes, constant)
    policy = jnp.asarray(ref.random_policy(rng, contexts, 2**attributes))
    weights, dimension = jnp.asarray(rng.normal(size=policy.shape)), contexts * attributes + constant
    matrix = rng.normal(size=(dimension, dimension))
    for found in (features, features.centred(policy)):
        twin = DenseFeatures(found.table)
        assert found.dimension == twin.dimension == dimension
        theta = jnp.asarray(rng.normal(size=dimension))
        close(found.pull(theta), twin.pull(theta))
        close(found.push(weights), twin.push(weights))
        close(found.gram(weights), twin.gram(weights))
        close(found.quadratic(jnp.asarray(matrix + matrix.T)), twin.quadratic(jnp.asarray(matrix + matrix.T)))
        pairs = jnp.asarray(rng.normal(size=(contexts, 2**attributes, 2**attributes)))
        close(found.pair_gram(pairs), twin.pair_gram(pairs))
        close(found.pair_quadratic(jnp.asarray(matrix + matrix.T)), twin.pair_quadratic(jnp.asarray(matrix + matrix.T)))
    twin = DenseFeatures(features.table)
    close(features.centred(policy).table, twin.centred(policy).table)
    close(features.least_squares(np.asarray(weights)), twin.least_squares(np.asarray(weights)))


def test_an_attribute_distance_is_its_table() -> None:
    distance = AttributeDistance(jnp.asarray(0.7), 3)
    table, index = np.asarray(distance), np.arange(8)
    close(table, 0.7 * np.array(hamming(3)))
    assert distance.shape == table.shape
    close(distance[index[:, None], index], table)
    close(jax.jit(lambda d, y, e: d[y, e])(distance, index, index[::-1]), table[index, index[::-1]])
    assert float(largest(distance)) == float(largest(jnp.asarray(table))) == pytest.approx(2.1)


# Sizes that have no table.


def test_a_product_that_has_no_table_says_so() -> None:
    world = sim.world("attributes", attributes=13, contexts=1)
    for ask in (
        world.editor.dense,
        lambda: world.editor.kernel,
        lambda: np.asarray(world.distance),
        world.triple_law,
    ):
        with pytest.raises(sim.BadInput, match="8192 responses does not fit, expected at most 4096"):
            ask()
    with pytest.raises(sim.BadInput, match="features"):
        attribute_features(3, 20).table  # noqa: B018


def test_ten_attributes_are_tables_and_more_are_operators() -> None:
    assert isinstance(sim.world("attributes", attributes=11, contexts=1).editor, ProductEditor)
    assert isinstance(sim.world("attributes", attributes=10, contexts=1).policy_features, DenseFeatures)
    assert isinstance(sim.world("self-consistent", attributes=11).policy_features, AttributeFeatures)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"user": {"editor": "metropolis"}}, "editor 'metropolis' needs a table .* use at most 10 attributes"),
        ({"user": {"compose": "mixture", "second_editor": "barker"}}, "editor 'barker' needs a table"),
        ({"user": {"cyclic": 0.1}}, "dial 'cyclic' needs a table"),
        ({"user": {"editor": "subset", "subset_size": 6}}, "mixture of 925 products"),
        ({"user": {"editor": "subset", "subset_size": 13}}, r"subset_size: expected a number in \[0, 12\]"),
        ({"user": {"editor": "lazy", "power": 9}}, "mixture of 512 products"),
        ({"policy_interaction": 0.1}, "policy_interaction: expected 0"),
        ({"cost_interaction": 0.1}, "cost_interaction: expected 0"),
        ({"preference_scale": 1e3}, "preference_scale: expected an optimum that gives every response positive"),
        ({"contexts": 4096, "attributes": 13}, "lower one of them"),
        ({"temperature": 1e-3}, "underflows to zero"),
        ({"attributes": 21}, "less than or equal to 20"),
    ],
    ids=str,
)
def test_what_needs_a_table_is_refused_above_ten_attributes(given: dict, message: str) -> None:
    with pytest.raises(sim.BadInput, match=message):
        sim.world("attributes", **({"attributes": 12} | given))


MILLION = """
import json
import numpy as np
import sim
from bounds import truths
world = sim.world("attributes", attributes=20, contexts=2, strength=0.3)
values = truths(world)
sizes = [leaf.size for leaf in __import__("jax").tree.leaves(world)]
# Of this program alone: the maximum of `resource` includes what the process had before it became this program.
peak = int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
print(json.dumps({"truths": values, "largest": max(sizes), "peak": peak}))
"""


def entropy_apart(p: np.ndarray, r: np.ndarray) -> np.ndarray:
    return p * np.log(p / r) + (1 - p) * np.log((1 - p) / (1 - r))


@pytest.mark.slow
def test_a_million_responses_have_the_truths_of_twenty_attributes_each() -> None:
    """Closed forms: everything that is a sum over attributes is computed one attribute at a time."""
    root = str(Path(__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", MILLION], capture_output=True, text=True, check=True, cwd=root,
        env=dict(os.environ, PYTHONPATH=root, JAX_PLATFORMS="cpu"),
    )  # fmt: skip
    found = json.loads(done.stdout)
    values = found["truths"]
    assert found["largest"] <= 2 * 2**20
    assert found["peak"] < 3e6  # kilobytes; one table of all pairs would be eight million million bytes
    theta = 1.5 * np.random.default_rng(0).normal(size=(2, 20))
    best, beta, s = 1 / (1 + np.exp(-theta)), 0.5, 0.3
    # Fixed cost: changing attribute k costs 1 / s and happens with s (1 - p_k(y_k)).
    reference = 1 / (1 + np.exp(-(theta + (1 - 2 * best) / beta)))
    edited = (1 - s) * reference + s * best
    assert values["subopt_reference"] == pytest.approx(beta * entropy_apart(reference, best).sum() / 2, rel=1e-11)
    assert values["subopt_edited"] == pytest.approx(beta * entropy_apart(edited, best).sum() / 2, rel=1e-11)
    assert values["expected_cost_optimal"] == pytest.approx(2 * (best * (1 - best)).sum() / 2, rel=1e-11)
    spread = reference * (1 - best) + (1 - reference) * best
    assert values["expected_cost_reference"] == pytest.approx(spread.sum() / 2, rel=1e-11)
    ratios = best**2 / reference + (1 - best) ** 2 / (1 - reference)
    assert values["policy_concentrability"] == pytest.approx(ratios.prod(axis=1).mean(), rel=1e-11)
    assert values["max_edit_cost"] == pytest.approx(20 / s)
    assert values["gamma_min"] == pytest.approx((s * np.maximum(best, 1 - best)).prod(axis=1).tolist(), rel=1e-11)
    assert values["doeblin"] == pytest.approx([s**20] * 2, rel=1e-11)
    assert values["second_eigenvalue"] == pytest.approx([1 - s] * 2, rel=1e-11)
    assert values["balance_violation"] <= 1e-15
    assert max(values[f"{name}_outside_class"] for name in ("optimum", "edited", "cost")) <= 1e-12
    assert values["dobrushin"] is None
    assert "dobrushin" in values["reasons"]
    for low, high in values["dobrushin_interval"]:
        assert 0.7 < low < high < 1


def test_a_world_of_operators_is_a_pytree() -> None:
    world = product_world(2, 3, 0.3, {"editor": "lazy"})
    again = jax.tree.map(lambda leaf: leaf, world)
    assert isinstance(again.editor, MixtureEditor)
    assert again.distance.attributes == 3
    moved = dataclasses.replace(world, temperature=jnp.asarray(2.0))
    assert jax.tree.structure(moved) == jax.tree.structure(world)
