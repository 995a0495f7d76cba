"""Edit logs: what they hold, their keys, conversion both ways, and bad input."""

import dataclasses

import jax.numpy as jnp
import jaxtyping
import log_cases
import numpy as np
import pytest
import reference as ref
from log_cases import make

from sim import worldfile
from sim.errors import BadInput
from sim.logs import law_key, sample, sample_records, to_counts, to_records
from sim.world import from_reference, plant

world = log_cases.world


# What a log holds.


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("sizes", ref.SIZES)
@pytest.mark.parametrize("n", [1, 13, 10**9])
def test_counts_sum_to_n(sizes, n, zeros):
    contexts, responses = sizes[:2]
    logs = sample(make(sizes, zeros=zeros), n, seeds=3, held_out=7)
    assert logs.counts.shape == logs.held_out.shape == (3, contexts, responses, responses)
    assert logs.n == n and np.issubdtype(logs.counts.dtype, np.integer)
    assert logs.counts.min() >= 0
    np.testing.assert_array_equal(logs.counts.sum(axis=(1, 2, 3)), n)
    np.testing.assert_array_equal(logs.held_out.sum(axis=(1, 2, 3)), 7)


def test_no_held_out_log_unless_asked(world):
    assert sample(world, 5, seeds=2).held_out.sum() == 0


def test_records_hold_n_triples_and_the_distance_they_paid(world):
    records, distance = sample_records(world, 500, seed=3), np.asarray(world.distance)
    assert {len(getattr(records, field.name)) for field in dataclasses.fields(records)} == {500}
    for response, edited, cost in zip(records.response, records.edited, records.cost, strict=True):
        assert cost == distance[response, edited]
    assert (records.cost[records.response == records.edited] == 0).all()
    assert (records.cost[records.response != records.edited] > 0).all()


# Determinism.


def test_a_log_does_not_depend_on_the_other_seeds(world):
    together = sample(world, 300, seeds=8, held_out=50)
    for chosen in ([3], [7, 3], [5, 0, 5], range(2, 8, 2)):
        alone = sample(world, 300, seeds=chosen, held_out=50)
        np.testing.assert_array_equal(alone.counts, together.counts[list(chosen)])
        np.testing.assert_array_equal(alone.held_out, together.held_out[list(chosen)])


def test_a_log_does_not_depend_on_whether_others_are_held_out(world):
    np.testing.assert_array_equal(sample(world, 300, 4).counts, sample(world, 300, 4, held_out=50).counts)


def test_a_log_does_not_depend_on_what_was_drawn_before(world):
    first = sample(world, 300, 4, root_seed=5)
    records = sample_records(world, 50, 2)
    np.random.default_rng(0).normal(size=7)
    sample(world, 77, 3)
    np.testing.assert_array_equal(sample(world, 300, 4, root_seed=5).counts, first.counts)
    again = sample_records(world, 50, 2)
    for field in dataclasses.fields(records):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(records, field.name))


@pytest.mark.parametrize("sizes", ref.SIZES)
def test_last_bits_of_the_law_do_not_change_the_log(sizes):
    """The same world planted and given by its reference policy: equal but for rounding."""
    given = ref.world_arguments(1, *sizes)
    planted = plant(**given)
    reference = np.asarray(planted.reference)
    del given["optimal"]
    nudged = np.nextafter(reference, np.where(np.arange(reference.size).reshape(reference.shape) % 2, 2, -1))
    same = from_reference(reference=nudged, **given)
    if reference.shape[1] > 1:
        assert (np.asarray(same.triple_law()) != np.asarray(planted.triple_law())).any()
    np.testing.assert_array_equal(sample(same, 1_000, 20).counts, sample(planted, 1_000, 20).counts)
    ours, theirs = sample_records(same, 1_000), sample_records(planted, 1_000)
    np.testing.assert_array_equal(ours.edited, theirs.edited)


@pytest.mark.parametrize("cells", [2, 3, 4, 5, 7, 8, 10, 16, 64, 100, 1_000, 1_024])
def test_key_of_round_numbers_survives_the_last_bits(cells):
    law = np.full((1, 1, cells), 1 / cells)
    assert law_key(np.nextafter(law, 0)) == law_key(law) == law_key(np.nextafter(law, 1))


def test_key_tells_laws_and_shapes_apart():
    law = np.full((2, 3, 3), 1 / 18)
    moved = law.copy()
    moved[0, 0, 0] += 1e-6
    moved[1, 2, 2] -= 1e-6
    reordered = moved[::-1]
    keys = [law_key(table) for table in (law, moved, reordered, law.reshape(1, 6, 3), law.reshape(3, 2, 3))]
    assert len({tuple(key) for key in keys}) == len(keys)


def test_log_does_not_depend_on_what_the_law_does_not_hold(world):
    """Temperature, features and distance leave the law of the triple alone, hence the counts."""
    other = dataclasses.replace(world, temperature=jnp.asarray(3.0), distance=2 * world.distance)
    np.testing.assert_array_equal(sample(other, 300, 4).counts, sample(world, 300, 4).counts)
    np.testing.assert_array_equal(sample_records(other, 300).cost, 2 * sample_records(world, 300).cost)


def test_log_of_a_world_is_the_log_of_its_file(world, tmp_path):
    worldfile.write(world, tmp_path / "own.npz")
    again = worldfile.read(tmp_path / "own.npz")
    np.testing.assert_array_equal(sample(again, 1_000, 20).counts, sample(world, 1_000, 20).counts)


# Conversion.


@pytest.mark.parametrize("n", [1, 2, 997])
@pytest.mark.parametrize("sizes", ref.SIZES)
def test_conversion_both_ways_is_exact(sizes, n):
    found = make(sizes)
    counts = sample(found, n, seeds=1).counts[0]
    records = to_records(counts, found, seed=3)
    assert len(records.cost) == n
    np.testing.assert_array_equal(to_counts(records, found), counts)
    np.testing.assert_array_equal(records.cost, np.asarray(found.distance)[records.response, records.edited])
    drawn = sample_records(found, n, seed=5)
    again = to_records(to_counts(drawn, found), found)
    triples = [sorted(zip(r.context, r.response, r.edited, r.cost, strict=True)) for r in (drawn, again)]
    assert triples[0] == triples[1]


def test_to_counts_counts_each_record_in_its_cell(world):
    records = sample_records(world, 200)
    expected = np.zeros((2, 5, 5), dtype=int)
    for triple in zip(records.context, records.response, records.edited, strict=True):
        expected[triple] += 1
    np.testing.assert_array_equal(to_counts(records, world), expected)


def test_to_records_shuffles_by_its_seed(world):
    counts = sample(world, 300, seeds=1).counts[0]
    first, again, other = (to_records(counts, world, seed).edited for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    contexts = to_records(counts, world, 1).context
    assert (np.diff(contexts) < 0).any()


# Bad input.


REFUSED = [
    ({"n": 0}, "n: expected a whole number, at least 1, got 0"),
    ({"n": -5}, "n: expected a whole number, at least 1, got -5"),
    ({"n": 10.0}, "n: expected a whole number, at least 1, got 10.0"),
    ({"n": True}, "n: expected a whole number"),
    ({"n": "10"}, "n: expected a whole number"),
    ({"n": None}, "n: expected a whole number"),
    ({"seeds": 0}, "seeds: expected a whole number, at least 1, got 0"),
    ({"seeds": -1}, "seeds: expected"),
    ({"seeds": True}, "seeds: expected"),
    ({"seeds": 2.0}, "seeds: expected"),
    ({"seeds": None}, "seeds: expected"),
    ({"seeds": "12"}, "seeds: expected"),
    ({"seeds": []}, "seeds: expected at least one seed"),
    ({"seeds": range(0)}, "seeds: expected at least one seed"),
    ({"seeds": [3, -1]}, "seeds: expected a whole number, at least 0, got -1"),
    ({"seeds": [0.5]}, "seeds: expected"),
    ({"seeds": [1, 2.5]}, "seeds: expected"),
    ({"seeds": ["a"]}, "seeds: expected"),
    ({"root_seed": -1}, "root_seed: expected"),
    ({"root_seed": 1.5}, "root_seed: expected"),
    ({"held_out": -1}, "held_out: expected a whole number, at least 0, got -1"),
    ({"held_out": 2.5}, "held_out: expected a whole number"),
    ({"n": 2**63}, "n: expected at most 2^63 - 1"),
]


@pytest.fixture
def untyped(monkeypatch):
    """Calls as users make them, without the run-time checks of modules that use jaxtyping, as `sim.logs` does."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def assert_refused(draw, world, given, message):
    with pytest.raises(BadInput) as caught:
        draw(world, **given)
    assert message in str(caught.value)


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=lambda value: str(value)[:60])
@pytest.mark.usefixtures("untyped")
def test_sample_refuses_bad_input(world, change, message):
    assert_refused(sample, world, {"n": 10} | change, message)


RECORDS_REFUSED = [
    *REFUSED[:6],
    ({"seed": -1}, "seed"),
    ({"seed": 1.5}, "seed"),
    ({"seed": True}, "seed"),
    ({"seed": "a"}, "seed"),
    ({"root_seed": -1}, "root_seed: expected"),
    ({"root_seed": 1.5}, "root_seed: expected"),
]


@pytest.mark.parametrize(("change", "message"), RECORDS_REFUSED, ids=lambda value: str(value)[:60])
@pytest.mark.usefixtures("untyped")
def test_sample_records_refuses_bad_input(world, change, message):
    assert_refused(sample_records, world, {"n": 10} | change, message)


@pytest.mark.usefixtures("untyped")
def test_whole_numbers_of_numpy_are_whole_numbers(world):
    logs = sample(world, np.int64(10), seeds=np.int32(2), held_out=np.int64(3))
    np.testing.assert_array_equal(logs.counts, sample(world, 10, seeds=2, held_out=3).counts)
