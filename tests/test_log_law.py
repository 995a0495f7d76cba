"""The law of edit logs: of each log, of its records and their order, and the independence of two logs.

Every statistical test uses fixed seeds, on two separate batches; it rejects a right sampler once in a million.
"""

import log_cases
import numpy as np
import pytest
import reference as ref
from log_cases import make
from scipy.stats import binom, chi2, norm

from sim.logs import sample, sample_records, to_counts, to_records
from sim.world import plant

world = log_cases.world

ALPHA = 1e-6
SEEDS = 150
BATCHES = {"first": range(SEEDS), "second": range(1000, 1000 + SEEDS)}
batches = pytest.mark.parametrize("seeds", BATCHES.values(), ids=BATCHES)


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
