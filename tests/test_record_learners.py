"""Fits to logs of records: the same logs as tables of counts give the same fits; and a million responses."""

import jax.numpy as jnp
import numpy as np
import product_cases
import pytest

import sim
from sim.errors import BadInput
from sim.learners import Cost, Early, EarlyHeldOut, EditModel, Preference, Status, Supervision
from sim.learners.records import _search
from sim.logs import Logs, as_record_logs
from sim.policies import log_linear, mixture
from sim.product_policies import ProductTruths
from sim.record_logs import RecordLogs, Triples

LEARNERS = {
    "reference": sim.make("reference"),
    "edited": sim.make("edited"),
    "sup": Supervision(),
    "pref": Preference(),
    "pref-paper": Preference("paper"),
    "early-0": Early(0.0),
    "early-0.3": Early(0.3),
    "plug-in": Cost(),
    "pessimistic": Cost(1.0),
    "doubled": Cost(optimum="paper"),
}
every_learner = pytest.mark.parametrize("name", LEARNERS)
WORLDS = {"3": (2, 3, {}), "5": (2, 5, {}), "no product": (2, 3, {"editor": "subset", "subset_size": 1, "power": 2})}


def as_records(drawn, world):
    """The same logs as records, held-out ones too."""
    made = as_record_logs([sim.to_records(counts, world, seed=1) for counts in drawn.counts.astype(int)])
    held = [sim.to_records(counts, world) for counts in drawn.held_out.astype(int)]
    triples = Triples(*(np.stack([getattr(one, name) for one in held]) for name in Triples._fields))
    return RecordLogs(made.context, made.response, made.edited, triples, made.n)


LONG = {"5": [pytest.mark.slow]}


@pytest.fixture(
    scope="module", params=[pytest.param(one, id=name, marks=LONG.get(name, [])) for name, one in WORLDS.items()]
)
def both(request):
    """A world, and its logs as tables and as records."""
    contexts, attributes, user = request.param
    world = product_cases.product_world(contexts, attributes, 0.4, user)
    drawn = sim.sample(world, 600, 3, held_out=100)
    return world, drawn, as_records(drawn, world)


def assert_same(found, expected):
    np.testing.assert_allclose(found.parameters, expected.parameters, rtol=1e-7, atol=1e-7)
    # The searches leave some 1e-9 in a parameter.
    np.testing.assert_allclose(found.suboptimality, expected.suboptimality, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found.expected_cost, expected.expected_cost, rtol=1e-8)
    np.testing.assert_allclose(found.log_policy, expected.log_policy, rtol=1e-7, atol=1e-7)
    np.testing.assert_array_equal(found.status, expected.status)
    assert list(found.notes) == list(expected.notes)
    for name, values in expected.notes.items():
        np.testing.assert_allclose(found.notes[name], values, rtol=1e-7, atol=1e-9)


@every_learner
def test_the_same_log_gives_the_same_fit_either_way(both, name):
    world, drawn, records = both
    assert_same(sim.fit(LEARNERS[name], records, world), sim.fit(LEARNERS[name], drawn, world))


def test_lam_is_chosen_alike_on_held_out_edits(both):
    world, drawn, records = both
    learner = EarlyHeldOut(held_out=100)
    assert_same(sim.fit(learner, records, world), sim.fit(learner, drawn, world))


# Logs that do not decide their fit.


def logs_of(counts):
    counts = np.asarray(counts)[None]
    return Logs(counts, np.zeros_like(counts), int(counts.sum()))


def single(edits, attributes=3, contexts=2):
    """A table of counts from a list of (x, y, e)."""
    counts = np.zeros((contexts, 2**attributes, 2**attributes), dtype=int)
    for triple in edits:
        counts[triple] += 1
    return counts


SCARCE = {
    "nothing edited": [(0, 1, 1), (1, 5, 5)],
    "one edit": [(0, 1, 2)],
    "one edit, unedited ones": [(0, 1, 2), (0, 4, 4), (1, 3, 3), (1, 0, 0)],
    "back and forth": [(x, y, e) for x in range(2) for y in range(8) for e in (y ^ 1, y ^ 2, y ^ 4)],
    "one context only": [(0, y, e) for y in range(8) for e in (y ^ 1, y ^ 2, y ^ 4)],
    "level and up": [(0, 1, 2), (0, 2, 1), (0, 0, 4), (1, 7, 0), (1, 0, 7)],
    "an attribute always kept": [(0, y, y ^ 3) for y in range(4)] * 2 + [(1, y, 7 - y) for y in range(8)],
}


@pytest.mark.parametrize("edits", SCARCE.values(), ids=SCARCE)
@pytest.mark.parametrize("name", ["sup", "pref", "early-0", "early-0.3", "plug-in"])
def test_scarce_logs_end_alike(name, edits):
    world = product_cases.product_world(2, 3, 0.4, {})
    drawn = logs_of(single(edits))
    dense, found = sim.fit(LEARNERS[name], drawn, world), sim.fit(LEARNERS[name], as_records(drawn, world), world)
    np.testing.assert_array_equal(found.status, dense.status)
    np.testing.assert_allclose(found.suboptimality, dense.suboptimality, rtol=1e-6)


@pytest.mark.parametrize("name", ["sup", "pref", "early-0.3"])
def test_every_small_log_ends_alike(name):
    world = product_cases.product_world(2, 3, 0.2, {})
    seen = set()
    for n in (6, 12, 25, 100):
        drawn = sim.sample(world, n, 12)
        expected = sim.fit(LEARNERS[name], drawn, world).status
        np.testing.assert_array_equal(sim.fit(LEARNERS[name], as_records(drawn, world), world).status, expected)
        seen |= set(expected.tolist())
    assert {Status.ok, Status.separated} <= seen


def test_without_a_ridge_the_statuses_are_those_of_the_table():
    world = product_cases.product_world(2, 3, 0.4, {})
    drawn = sim.sample(world, 40, 10)
    for learner in (Supervision(0.0), Preference(ridge=0.0)):
        expected, found = sim.fit(learner, drawn, world), sim.fit(learner, as_records(drawn, world), world)
        np.testing.assert_array_equal(found.status == Status.separated, expected.status == Status.separated)


# A million responses.


@pytest.fixture(scope="module")
def large():
    return sim.world("attributes", attributes=20, contexts=3, strength=0.6, world_seed=2)


def test_supervision_on_a_million_responses_is_as_predicted(large):
    n = 4_000
    found = sim.fit("sup", sim.sample(large, n, 12), large)
    floor = sim.fit("edited", sim.sample(large, 1), large).suboptimality[0]
    predicted = floor + float(large.temperature) * 60 / (2 * n)
    error = found.suboptimality.std(ddof=1) / np.sqrt(12)
    assert abs(found.suboptimality.mean() - predicted) < 4 * error
    assert (found.log_policy.shape, found.parameters.shape) == ((12, 0, 0), (12, 60))


def test_products_are_evaluated_as_their_tables_are(large):
    logs = sim.sample(large, 2_000, 1)
    for name in ("sup", "pref", "early"):
        found = sim.fit(name, logs, large)
        policy = jnp.exp(found.log_policy[0])
        np.testing.assert_allclose(found.suboptimality[0], float(large.suboptimality(policy)), rtol=1e-10)
        np.testing.assert_allclose(found.expected_cost[0], float(large.cost(policy)), rtol=1e-12)
        assert found.status[0] == Status.ok


def test_pessimism_on_a_million_responses_covers_the_cost(large):
    found = sim.fit(Cost(1.0), sim.sample(large, 2_000, 1), large)
    assert found.notes["pessimism_gap"][0] >= found.suboptimality[0]
    assert found.notes["bonus"][0] > 0


def test_a_row_does_not_depend_on_the_logs_beside_it(large):
    for name in ("sup", "pref", "cost"):
        alone, among = (sim.fit(name, sim.sample(large, 500, seeds), large) for seeds in ([4], [1, 4]))
        assert alone.suboptimality[0] == among.suboptimality[1]
        np.testing.assert_array_equal(alone.parameters[0], among.parameters[1])


def test_logs_of_the_same_padded_shape_compile_nothing(large):
    sim.fit("pref", sim.sample(large, 500, 1), large)
    before = _search._cache_size()
    sim.fit("pref", sim.sample(large, 480, [7, 8]), large)
    sim.fit("pref", sim.sample(sim.world("attributes", attributes=20, strength=0.9), 500, 1), large)
    assert _search._cache_size() == before


def test_only_products_with_linear_costs_are_summed_by_attributes(large):
    assert ProductTruths.of(large) is not None
    tables = product_cases.dense_world(2, 3, 0.4, {})
    assert ProductTruths.of(tables) is None
    assert ProductTruths.of(product_cases.product_world(2, 3, 0.4, {"tempered": 0.5})) is not None


@pytest.mark.parametrize("learner", [EditModel(), Cost(1.0, cost_class="list")])
def test_learners_that_need_counts_are_refused(large, learner):
    with pytest.raises(BadInput, match=r"expected a learner of demonstrations, .* where logs are records .* use sup"):
        sim.fit(learner, sim.sample(large, 5), large)


def test_classes_without_attributes_are_refused():
    world = product_cases.product_world(2, 3, 0.4, {})
    records = as_records(sim.sample(world, 5), world)
    with pytest.raises(BadInput, match=r"policy.class: expected 'log-linear' in attributes"):
        sim.fit("sup", records, world, mixture(world))
    dense = product_cases.dense_world(2, 3, 0.4, {})
    with pytest.raises(BadInput, match=r"policy.class: expected 'log-linear' in attributes"):
        sim.fit("sup", records, dense, log_linear(dense))


def test_held_out_edits_must_be_there(large):
    with pytest.raises(BadInput, match="draw logs with held_out=200"):
        sim.fit(EarlyHeldOut(), sim.sample(large, 5), large)
