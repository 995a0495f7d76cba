"""Edit logs: the law of what is drawn, conversion both ways, keys, and bad input.

Every statistical test uses fixed seeds, on two separate batches; it rejects a right sampler once in a million.
"""

import dataclasses

import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import reference as ref
from scipy.stats import binom, chi2, norm

from sim import worldfile
from sim.errors import BadInput
from sim.logs import law_key, sample, sample_records, to_counts, to_records
from sim.world import from_reference, plant

ALPHA = 1e-6
SEEDS = 150
BATCHES = {"first": range(SEEDS), "second": range(1000, 1000 + SEEDS)}
batches = pytest.mark.parametrize("seeds", BATCHES.values(), ids=BATCHES)


def make(sizes=(2, 5, 3, 7), seed=1, zeros=False, **change):
    return plant(**(ref.world_arguments(seed, *sizes, zeros=zeros) | change))


@pytest.fixture(scope="module")
def world():
    """A world with every triple possible."""
    return make()


def law_of(world):
    """The declared law of a triple, by the slow reference."""
    reference, kernel = np.asarray(world.reference), np.asarray(world.editor.kernel)
    return ref.triple_law(np.asarray(world.context_probs), reference, kernel)


def assert_chi_square(value, freedom):
    """Two-sided: a sum over logs is too large where logs repeat one another, too small where they offset."""
    low, high = chi2.ppf(ALPHA / 2, freedom), chi2.isf(ALPHA / 2, freedom)
    assert low <= value <= high, f"chi-square {value:.4g} outside [{low:.4g}, {high:.4g}], {freedom} degrees"


def assert_law(totals, law):
    """Counts (summed over independent logs) follow `law`: cell by cell, exactly binomial, and by chi-square."""
    total, (counts, probabilities) = totals.sum(), (totals[law > 0], law[law > 0])
    tail = ALPHA / (2 * len(probabilities))
    assert totals[law == 0].sum() == 0
    assert (binom.sf(counts - 1, total, probabilities) >= tail).all()
    assert (binom.cdf(counts, total, probabilities) >= tail).all()
    # Cells that expect fewer than ten are one cell, so that the chi-square law holds far into its tail.
    rare = total * probabilities < 10
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = total * np.append(probabilities[~rare], probabilities[rare].sum())
    observed, expected = observed[expected > 0], expected[expected > 0]
    assert_chi_square(np.sum((observed - expected) ** 2 / expected), len(expected) - 1)


def assert_independent(first, second, law):
    """Paired logs (S, ...) are uncorrelated: sum over cells of the products of their Pearson residuals."""
    possible, residuals = law > 0, []
    for counts in (first, second):
        n = counts[0].sum()
        residuals.append((counts[:, possible] - n * law[possible]) / np.sqrt(n * law[possible]))
    products = np.sum(residuals[0] * residuals[1], axis=1)
    # Each product has mean zero and variance (cells - 1).
    z = products.sum() / np.sqrt(len(products) * (possible.sum() - 1))
    assert abs(z) <= norm.isf(ALPHA / 2), f"correlated logs: z = {z:.3g}"


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


# The law.


@batches
def test_counts_follow_the_declared_law(world, seeds):
    logs = sample(world, 200_000, seeds, held_out=100_000)
    assert_law(logs.counts.sum(axis=0), law_of(world))
    assert_law(logs.held_out.sum(axis=0), law_of(world))


@batches
def test_each_log_scatters_as_a_multinomial_does(world, seeds):
    """The sum over logs of each log's own chi-square, against its exact mean and variance."""
    law, n = law_of(world), 5_000
    counts = sample(world, n, seeds).counts
    statistics = np.sum((counts - n * law) ** 2 / (n * law), axis=(1, 2, 3))
    cells = law.size
    variance = 2 * (cells - 1) + (np.sum(1 / law) - cells**2 - 2 * cells + 2) / n
    z = (statistics.mean() - (cells - 1)) / np.sqrt(variance / len(statistics))
    assert abs(z) <= norm.isf(ALPHA / 2), f"z = {z:.3g}"


@batches
@pytest.mark.parametrize("zeros", [False, True])
def test_records_follow_the_declared_law(seeds, zeros):
    found = make(zeros=zeros)
    counts = sum(to_counts(sample_records(found, 2_000, seed), found) for seed in list(seeds)[:60])
    assert_law(counts, law_of(found))


@batches
def test_worlds_with_impossible_triples_follow_their_law(seeds):
    found = make((3, 7, 2, 11), zeros=True)
    assert (law_of(found) == 0).any()
    assert_law(sample(found, 200_000, seeds).counts.sum(axis=0), law_of(found))


@batches
def test_mean_cost_given_the_response_is_c(world, seeds):
    """E[cost | x, y] = c(x, y), by counts and by records."""
    kernel, distance = np.asarray(world.editor.kernel), np.asarray(world.distance)
    records = [sample_records(world, 2_000, seed) for seed in list(seeds)[:50]]
    tables = [sample(world, 200_000, seeds).counts.sum(axis=0), sum(to_counts(r, world) for r in records)]
    paid = np.zeros((2, 5))
    for record in records:
        np.add.at(paid, (record.context, record.response), record.cost)
    np.testing.assert_allclose((tables[1] * distance).sum(axis=2), paid, rtol=1e-12)
    for counts in tables:
        pairs = counts.sum(axis=2)
        assert pairs.min() >= 100
        error = (counts * distance).sum(axis=2) / pairs - np.asarray(world.expected_cost)
        z = error / np.sqrt(ref.cost_variance(kernel, distance) / pairs)
        assert np.abs(z).max() <= norm.isf(ALPHA / (2 * z.size)), f"worst cell: {np.abs(z).max():.3g} standard errors"


@batches
def test_records_come_in_no_order(world, seeds):
    """Neighbouring records are independent, and the first half of a log has the law of the second."""
    law, halves, followers = law_of(world), [], []
    for seed in list(seeds)[:40]:
        drawn = sample_records(world, 2_000, seed)
        cells = np.ravel_multi_index((drawn.context, drawn.response, drawn.edited), law.shape)
        halves.append([np.bincount(part, minlength=law.size) for part in np.split(cells, 2)])
        followers.append(cells)
    halves, law = np.array(halves), law.ravel()
    for half in (0, 1):
        assert_law(halves[:, half].sum(axis=0), law)
    assert_independent(halves[:, 0], halves[:, 1], law)
    # Given a record, the next repeats its cell with the probability of that cell.
    cells = np.array(followers)
    repeats = np.sum((cells[:, :-1] == cells[:, 1:]) - law[cells[:, :-1]])
    z = repeats / np.sqrt(cells[:, 1:].size * np.sum(law**2 * (1 - law)))
    assert abs(z) <= norm.isf(ALPHA / 2), f"z = {z:.3g}"


@pytest.mark.parametrize("n", [10**9, 10**17])
@pytest.mark.parametrize("zeros", [False, True])
def test_impossible_triples_are_never_drawn(zeros, n):
    """Not in the last cell either, to which a multinomial sampler gives what rounding leaves over."""
    given = ref.world_arguments(1, 3, 7, 2, 5, zeros=zeros)
    given["kernel"][-1, -1] = 0.1
    given["kernel"][-1, -1, [2, 6]] = 0.5, 0.0
    found = plant(**given)
    impossible = law_of(found) == 0
    assert impossible[-1, -1, -1]
    logs = sample(found, n, seeds=200, held_out=n)
    assert logs.counts[:, impossible].sum() == 0
    assert logs.held_out[:, impossible].sum() == 0
    np.testing.assert_array_equal(logs.counts.sum(axis=(1, 2, 3)), n)
    assert to_counts(sample_records(found, 10**6), found)[impossible].sum() == 0


# Independence of what must be independent.


def shifted(counts):
    """Each log beside the next one."""
    return counts[:-1], counts[1:]


PAIRS = {
    "one seed and the next": lambda w, s: shifted(sample(w, 500, s).counts),
    "two batches": lambda w, s: (sample(w, 500, s).counts, sample(w, 500, [i + 7_000 for i in s]).counts),
    "two root seeds": lambda w, s: (sample(w, 500, s).counts, sample(w, 500, s, root_seed=1).counts),
    "root seed and seed exchanged": lambda w, s: (
        np.concatenate([sample(w, 500, [1 + i], root_seed=i).counts for i in s]),
        np.concatenate([sample(w, 500, [i], root_seed=1 + i).counts for i in s]),
    ),
    "n and n + 1": lambda w, s: (sample(w, 500, s).counts, sample(w, 501, s).counts),
    "log and held out": lambda w, s: (sample(w, 500, s).counts, sample(w, 500, s, held_out=500).held_out),
    "held out sizes": lambda w, s: (
        sample(w, 500, s, held_out=500).held_out,
        sample(w, 500, s, held_out=501).held_out,
    ),
    "held out, n and n + 1": lambda w, s: (
        sample(w, 500, s, held_out=500).held_out,
        sample(w, 501, s, held_out=500).held_out,
    ),
    "held out, one seed and the next": lambda w, s: shifted(sample(w, 500, s, held_out=500).held_out),
    "held out, two root seeds": lambda w, s: (
        sample(w, 500, s, held_out=500).held_out,
        sample(w, 500, s, held_out=500, root_seed=1).held_out,
    ),
    "counts and records": lambda w, s: (
        sample(w, 500, s).counts,
        np.stack([to_counts(sample_records(w, 500, i), w) for i in s]),
    ),
    "records, one seed and the next": lambda w, s: shifted(
        np.stack([to_counts(sample_records(w, 500, i), w) for i in s])
    ),
    "records, two root seeds": lambda w, s: (
        np.stack([to_counts(sample_records(w, 500, i), w) for i in s]),
        np.stack([to_counts(sample_records(w, 500, i, root_seed=1), w) for i in s]),
    ),
}


@batches
@pytest.mark.parametrize("pair", PAIRS)
def test_logs_that_differ_in_their_key_are_independent(world, pair, seeds):
    first, second = PAIRS[pair](world, seeds)
    assert first.shape == second.shape
    assert (first != second).any(axis=(1, 2, 3)).all()
    assert_independent(first, second, law_of(world))


@batches
def test_logs_of_two_worlds_are_independent(world, seeds):
    """A change of 1e-6 in the contexts makes another world, with draws of its own."""
    moved = np.asarray(world.context_probs) + np.array([1e-6, -1e-6])
    other = make(context_probs=moved)
    assert_independent(sample(world, 500, seeds).counts, sample(other, 500, seeds).counts, law_of(world))


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


@batches
def test_to_records_puts_every_record_everywhere_alike(seeds):
    """The place of the only edited triple among eleven is uniform."""
    found = make()
    counts = np.zeros((2, 5, 5), dtype=int)
    counts[0, 0, 0], counts[1, 4, 2] = 10, 1
    places = [
        int(np.flatnonzero(to_records(counts, found, seed).context)[0]) for seed in range(seeds[0], seeds[0] + 1100)
    ]
    assert_law(np.bincount(places, minlength=11), np.full(11, 1 / 11))


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
]


@pytest.fixture
def untyped(monkeypatch):
    """Calls as users make them, without the run-time type checks of the test suite."""
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
