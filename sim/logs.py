"""Edit logs: n triples (x, y, e), as a table of counts or as records.

In a finite world the table of counts N[x, y, e] says all that a log says (the cost of a triple is a function of
it), and one multinomial draw samples it: the time does not grow with n (docs/theory.md 7).  Records are for what
needs an order: the online phase, export; and for worlds too large for the table (`sim.record_logs`).

The log of (world, n, seed) is a function of the law of the triple, n, the seed and the root seed alone.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sim import record_logs
from sim.errors import BadInput
from sim.machine import cores
from sim.record_logs import RecordLogs, Triples
from sim.world import World

# Spacing of the grid on which the law is read when it is turned into a key: fine enough to tell worlds apart,
# coarse enough that the last bits, which differ between versions of a library, do not change the log.  It is
# irrational, so that the round numbers of hand-made worlds do not fall between two grid points.
_LAW_GRID = 1e-7 / np.pi


LARGEST = 2**63 - 1
"""Triples that the sampler can count."""

LOGS_OF_A_THREAD = 20
"""Fewer logs than this are drawn quicker than a thread starts."""


@dataclass(frozen=True)
class Logs:
    """Logs of the same size from one world, one log per seed, as tables of counts (docs/theory.md 7).

    Fields:
        counts: `counts[s, x, y, e]` triples (x, y, e) in log s, shape (S, X, A, A), each log's sum is n.
        held_out: independent triples for choosing settings, of the same shape; all zero if none were drawn.
        n: triples per log.
    """

    counts: np.ndarray
    held_out: np.ndarray
    n: int

    @cached_property
    def as_floats(self) -> tuple[Array, Array]:
        """Counts and held-out counts as learners take them, converted once for all learners."""
        counts = jnp.asarray(self.counts.astype(float))
        return counts, jnp.asarray(self.held_out.astype(float)) if self.held_out.any() else jnp.zeros_like(counts)


@dataclass(frozen=True)
class Records:
    """One log in order, as arrays of length n.

    Fields:
        context: x, whole numbers below X.
        response: y, whole numbers below A.
        edited: e, whole numbers below A; equal to y where nothing was edited.
        cost: Delta(y, e), as paid.
    """

    context: np.ndarray
    response: np.ndarray
    edited: np.ndarray
    cost: np.ndarray


def sample(
    world: World, n: int, seeds: int | list[int] | range = 1, root_seed: int = 0, held_out: int = 0
) -> Logs | RecordLogs:
    """Draw one log of n triples per seed: tables of counts, or records where tables do not fit.

    Triples are independent, x ~ rho, y ~ pi_ref(.|x), e ~ q(.|x, y).  A log is a function of the world's law, n, its
    seed and the root seed alone.

    Args:
        world: the world that is logged.
        n: triples per log, at least 1; up to 2^53 counts stay exact in learners.
        seeds: the number of logs (seeds 0, 1, ...) or the seeds themselves.
        root_seed: another value gives independent logs for all seeds.
        held_out: triples of the independent held-out log of each seed.

    Returns:
        `Logs`; `RecordLogs` of a world with more than 10 attributes.

    Raises:
        BadInput: n out of range, no seeds, a negative seed, more triples than fit where logs are records.

    Source: Protocol 1 of the paper; docs/theory.md 7.
    """
    seeds = _seeds(seeds)
    _require_count("n", n, 1)
    _require_count("held_out", held_out, 0)
    _require_count("root_seed", root_seed, 0)
    if record_logs.needed(world):
        record_logs.require_size(n)
        record_logs.require_size(held_out, "held_out")
        return _sample_by_records(world, n, seeds, root_seed, held_out)
    law = world.logged_law
    key = law_key(law)
    counts = _draw(law, n, [[root_seed, *key, n, seed, 0] for seed in seeds])
    if held_out:
        held = _draw(law, held_out, [[root_seed, *key, n, seed, 1, held_out] for seed in seeds])
    else:
        held = np.zeros_like(counts)
    return Logs(counts, held, n)


def _sample_by_records(world: World, n: int, seeds: list[int], root_seed: int, held_out: int) -> RecordLogs:
    """As `sample`, of a world whose editor edits attributes."""
    law = record_logs.law_of(world)
    key = law_key(law.numbers())
    drawn = record_logs.draw(law, n, [[root_seed, *key, n, seed, 3] for seed in seeds])
    held = record_logs.draw(law, held_out, [[root_seed, *key, n, seed, 4, held_out] for seed in seeds])
    return RecordLogs(drawn.context, drawn.response, drawn.edited, held, n)


def sample_records(world: World, n: int, seed: int = 0, root_seed: int = 0) -> Records:
    """Draw one log of n triples in order; its law is that of `sample`.

    Its draws are its own, but where `sample` draws records too: there it is `sample`'s log of this seed.

    Args:
        world: the world that is logged.
        n: triples, at least 1.
        seed: of the log.
        root_seed: as for `sample`.

    Raises:
        BadInput: n or a seed out of range.
    """
    _require_count("n", n, 1)
    _require_count("seed", seed, 0)
    _require_count("root_seed", root_seed, 0)
    if record_logs.needed(world):
        drawn = _sample_by_records(world, n, [seed], root_seed, 0).of(0)
        return Records(*drawn, np.asarray(world.distance[drawn.response, drawn.edited]))
    law = world.logged_law
    rng = np.random.default_rng([root_seed, *law_key(law), n, seed, 2])
    return _records(rng.choice(law.size, size=n, p=law.ravel()), law.shape, world)


def to_counts(records: Records, world: World) -> np.ndarray:
    """The table of counts (X, A, A) of one log.

    Args:
        records: of the log.
        world: the world it comes from.

    Raises:
        BadInput: a world too large for the table.
    """
    if record_logs.needed(world):
        raise BadInput(
            f"to_counts: a table of all triples of {world.responses} responses does not fit, expected at most"
            f" {record_logs.LARGEST_COUNTED}; use the records themselves"
        )
    shape = (world.contexts, world.responses, world.responses)
    cells = np.ravel_multi_index((records.context, records.response, records.edited), shape)
    return np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape)


def to_records(counts: np.ndarray, world: World, seed: int = 0) -> Records:
    """One log with this table of counts, in uniformly random order.

    Args:
        counts: N[x, y, e], shape (X, A, A), whole numbers.
        world: the world whose distance gives the costs.
        seed: of the order.
    """
    cells = np.repeat(np.arange(counts.size), counts.ravel())
    return _records(np.random.default_rng(seed).permutation(cells), counts.shape, world)


def as_record_logs(records: list[Records]) -> RecordLogs:
    """Logs of the same size as `sample` gives them for large worlds, without held-out triples."""
    drawn = Triples(*(np.stack([getattr(one, name) for one in records]) for name in Triples._fields))
    nothing = Triples(*(part[:, :0] for part in drawn))
    return RecordLogs(drawn.context, drawn.response, drawn.edited, nothing, drawn.context.shape[1])


def law_key(law: np.ndarray) -> list[int]:
    """The identity of a law as integers for a seed sequence; equal for laws that differ in the last bits only."""
    grid = np.floor(law / _LAW_GRID).astype(np.int64)
    digest = hashlib.blake2b(grid.tobytes() + str(law.shape).encode(), digest_size=16).digest()
    return [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]


def _draw(law: np.ndarray, n: int, keys: list[list[int]]) -> np.ndarray:
    """One table of counts per key; side by side, since the sampler lets other threads run."""
    # Possible cells only: the sampler gives the last cell what rounding leaves over, which must not be impossible.
    cells = np.flatnonzero(law)
    chances = law.ravel()[cells]
    counts = np.zeros((len(keys), law.size), dtype=np.int64)

    def draw(part: range) -> None:
        for s in part:
            counts[s, cells] = _generator(keys[s]).multinomial(n, chances)

    threads = min(cores(), 1 + len(keys) // LOGS_OF_A_THREAD)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(draw, [range(first, len(keys), threads) for first in range(threads)]))
    return counts.reshape(len(keys), *law.shape)


def _generator(key: list[int]) -> np.random.Generator:
    # The words that default_rng makes of small numbers, without its work for each.
    words = np.array(key, dtype=np.uint32) if max(key) < 2**32 else key
    return np.random.default_rng(words)


def _records(cells: np.ndarray, shape: tuple[int, ...], world: World) -> Records:
    context, response, edited = np.unravel_index(cells, shape)
    return Records(context, response, edited, np.asarray(world.distance)[response, edited])


def _seeds(seeds: int | list[int] | range) -> list[int]:
    if not isinstance(seeds, list | range | tuple | np.ndarray):
        _require_count("seeds", seeds, 1)
        return list(range(int(seeds)))
    if len(seeds) == 0:
        raise BadInput("seeds: expected at least one seed, got none")
    for seed in seeds:
        _require_count("seeds", seed, 0)
    return [int(seed) for seed in seeds]


def _require_count(name: str, value: object, least: int) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise BadInput(f"{name}: expected a whole number, at least {least}, got {value!r}")
    if value > LARGEST:
        raise BadInput(f"{name}: expected at most 2^63 - 1, got {value}")
