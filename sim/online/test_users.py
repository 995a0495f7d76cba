"""The tables [test_user] of a regime: who edits in the online phase, in one phase or several."""

import itertools
from typing import Any

from sim import checks, families
from sim.errors import BadInput, choose
from sim.families import grid

OF_THE_LOG = ("temperature", "contexts", "attributes", "responses")
"""Parameters of the world that no test user changes."""


def resolve(tables: Any, worlds: list[dict[str, Any]], rounds: int) -> list[dict[str, Any]]:
    """The checked tables [[test_user]], one per phase; what a phase does not name is as the log's user has it.

    Args:
        tables: one table, or a list of them; lists in it are axes.  `from_round` is the first round of a phase, from 1.
            Other keys are those of [user], and parameters of the world family.
        worlds: the resolved [[world]] tables; each family must know the parameters.
        rounds: T.

    Raises:
        BadInput: unknown keys, values out of range, phases that do not ascend, or a world file, whose user is given.
    """
    tables = tables if isinstance(tables, list) else [tables]
    if not tables or not all(isinstance(table, dict) for table in tables):
        raise BadInput(f"test_user: expected a table [test_user], or several, got {tables!r}")
    phases = [{"from_round": 1} | table for table in tables]
    begins = [phase["from_round"] for phase in phases]
    if not all(isinstance(begin, int) and not isinstance(begin, bool) for begin in begins) or begins[0] != 1:
        raise BadInput(f"test_user.from_round: expected whole numbers, the first phase from round 1, got {begins}")
    if any(later <= before for before, later in itertools.pairwise(begins)) or begins[-1] > rounds:
        raise BadInput(
            f"test_user.from_round: expected one per phase, ascending from 1 and at most T = {rounds}, got {begins}"
        )
    for phase in phases:
        for key, value in phase.items():
            checks.unique(f"test_user.{key}", value if isinstance(value, list) else [value])
        for point in grid(phase):
            for world in worlds:
                _check_phase(point, world)
    return phases


def points(phases: list[dict[str, Any]]) -> list[tuple[dict[str, Any], ...]]:
    """Every test user: her phases; lists in the tables multiply."""
    return list(itertools.product(*(grid(phase) for phase in phases)))


def split_phase(phase: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a phase changes: parameters of the world, and keys of [user]."""
    of_user = {key: value for key, value in phase.items() if key in families.User.model_fields}
    of_world = {key: value for key, value in phase.items() if key not in of_user and key != "from_round"}
    return of_world, of_user


def _check_phase(phase: dict[str, Any], world: dict[str, Any]) -> None:
    of_world, of_user = split_phase(phase)
    family = str(world["family"])
    if families.is_world_file(family):
        if of_world or of_user:
            raise BadInput(f"test_user: the world file {family} holds its own edit kernel; remove the table")
        return
    known = {*families.parameters(family), *families.User.model_fields} - set(OF_THE_LOG)
    for key in of_world:
        if key in OF_THE_LOG:
            raise BadInput(f"test_user.{key}: contexts, responses, pi_ref and beta stay the log's; remove the key")
        choose("key of [test_user]", key, known)
    try:
        families.resolve(family, of_world)
        families.make_user(of_user)
    except BadInput as error:
        raise BadInput(f"test_user: {error}") from None
