"""Loops that searches share: each ends as it would alone, and the last few do not keep the rest."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sim  # noqa: F401  (switches to 64-bit floats)
from sim import families, learners, logs, sweep
from sim.newton import Expansion, minimise, minimise_each
from sim.while_each import MANY, SHARE, while_each


def unfinished(state):
    return state["rest"] > 0


def advance(data, state):
    """The product of what is added to a start, one term a step."""
    terms, shift = data
    at = terms.shape[0] - state["rest"]
    return {"rest": state["rest"] - 1, "found": state["found"] * (terms[at] + shift), "steps": state["steps"] + 1}


def begin(rest):
    return {"rest": jnp.asarray(rest), "found": jnp.ones(()), "steps": jnp.zeros((), int)}


def search(terms, shift, rest):
    return while_each(unfinished, advance, (terms, shift), begin(rest))


def alone(terms, shift, rest):
    return np.prod(np.asarray(terms)[len(terms) - rest :] + shift)


@pytest.mark.parametrize("size", [0, 1, MANY - 1, MANY, MANY + 37])
@pytest.mark.parametrize("late", [0, 1, 7, 300])
def test_each_search_ends_as_it_would_alone(size, late):
    rng = np.random.default_rng(size)
    terms, shifts = rng.uniform(0.5, 1.5, size=9), rng.uniform(0, 0.5, size=size)
    # From none at all to every step; `late` of them, the last among them, need the most.
    rests = rng.integers(0, 4, size=size)
    rests[max(size - late, 0) :] = 9
    found = jax.jit(jax.vmap(search, in_axes=(None, 0, 0)))(jnp.asarray(terms), jnp.asarray(shifts), jnp.asarray(rests))
    assert found["steps"].tolist() == rests.tolist() and not np.any(found["rest"])
    expected = [alone(terms, shift, rest) for shift, rest in zip(shifts, rests, strict=True)]
    np.testing.assert_allclose(found["found"], expected, rtol=1e-14)


@pytest.mark.parametrize(("outer", "inner"), [(MANY + 3, 5), (3, MANY + 5), (MANY + 1, MANY)])
def test_searches_within_searches(outer, inner):
    rng = np.random.default_rng(outer)
    terms, shifts = rng.uniform(0.5, 1.5, size=(outer, 9)), rng.uniform(0, 0.5, size=inner)
    rests = rng.integers(0, 3, size=(outer, inner))
    rests[[0, 2], [0, 3]] = 9
    one = jax.vmap(search, in_axes=(None, 0, 0))
    found = jax.jit(jax.vmap(one, in_axes=(0, None, 0)))(jnp.asarray(terms), jnp.asarray(shifts), jnp.asarray(rests))
    assert found["steps"].tolist() == rests.tolist()
    expected = [[alone(terms[i], shifts[j], rests[i, j]) for j in range(inner)] for i in range(outer)]
    np.testing.assert_allclose(found["found"], expected, rtol=1e-14)


@pytest.mark.parametrize("late", [0, 5])
def test_the_last_few_do_not_keep_the_rest(late):
    taken = []

    def counted(data, state):
        # Of a number of its own, so that it is told of every search in every round.
        jax.debug.callback(lambda _: taken.append(1), state["steps"])
        return advance(data, state)

    size, most = 512, 40
    rests = np.full(size, 2)
    rests[:late] = most
    run = jax.vmap(lambda rest: while_each(unfinished, counted, (jnp.ones(most), 0.0), begin(rest)))
    found = jax.jit(run)(jnp.asarray(rests))
    jax.effects_barrier()
    assert found["steps"].tolist() == rests.tolist()
    # All of them for two rounds, then the share that may be left, to the end.
    assert len(taken) == size * 2 + (size // SHARE * (most - 2) if late else 0)


def test_minima_of_many_are_those_of_each():
    rng = np.random.default_rng(8)
    rows = jnp.asarray(rng.normal(size=(MANY + 9, 11, 2)))
    # Small ridges where all signs are right: some need many steps.
    ridges = jnp.asarray(10.0 ** rng.uniform(-6, 1, size=MANY + 9))

    def value(data, theta):
        return jnp.mean(jax.nn.softplus(-(data[0] @ theta))) + 0.5 * data[1] * theta @ theta

    def expand(data, theta):
        of = partial(value, data)
        return Expansion(of(theta), jax.grad(of)(theta), jax.hessian(of)(theta))

    def both(rows, ridge):
        data, start = (rows, ridge), jnp.zeros(2)
        return minimise_each(expand, data, start), minimise(partial(expand, data), start)

    found, expected = jax.jit(jax.vmap(both))(rows, ridges)
    assert bool(jnp.all(found.converged)) and len(set(found.iterations.tolist())) > 3
    norm = 1e-8 / np.sqrt(np.asarray(ridges))[:, None]
    assert np.all(np.abs(found.point - expected.point) <= norm)
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-12)


def test_fits_of_a_large_batch_are_those_of_small_ones():
    world = families.world("attributes", contexts=2, attributes=3)
    drawn = logs.sample(world, 40, MANY + 44)
    whole = learners.fit("pref", drawn, world)
    for start in range(0, MANY + 44, 100):
        part = logs.Logs(drawn.counts[start : start + 100], drawn.held_out[start : start + 100], drawn.n)
        fits = learners.fit("pref", part, world)
        assert fits.status.tolist() == whole.status[start : start + 100].tolist()
        np.testing.assert_allclose(fits.suboptimality, whole.suboptimality[start : start + 100], atol=1e-9)


def test_a_sweep_stays_below_so_that_no_seed_depends_on_the_others():
    # Who is left over depends on all searches of a batch, and with it the last bits of a result.
    assert sweep.LANES < MANY and sweep.ONLINE_LANES < MANY
