"""The tables [online] and [test_user] of a regime: which rules play, for how long, and against whom.

Methods are of two kinds.  Rules pick among the policies trained from the log (`sim.online.bandits`); learners without
a log play a policy of their own (`sim.online.self_training`, `sim.online.perceptron`).
"""

import dataclasses
import itertools
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sim import checks, families
from sim.errors import BadInput, choose
from sim.families import grid
from sim.online.bandits import RULES
from sim.online.contract import Rule, TallyRule
from sim.online.self_training import REFERENCES

LATE = "late"
"""What tables and figures call Algorithm 1, rule "ucb"."""

WITHOUT_LOG: dict[str, tuple[str, ...]] = {
    "self-training": ("growth",),
    "online-preference": ("refit_growth", "reference"),
    "perceptron": ("informativeness",),
}
"""The learners without a log, and their settings."""

OF_C_MAX = ("alpha", "scale")
"""Settings that are multiples of c_max, the largest cost of the test user."""

WARM = "warm_start"
COLD = ("explore-then-commit", "uniform")
"""Rules that keep a tally and have no use for a warm start."""
THEORY = "theory"


class Online(BaseModel):
    """The keys of [online] that are no rule's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rounds: int = Field(200, ge=1, le=10**7, description="T")
    recorded: int = Field(40, ge=1, le=10**4, description="how many rounds are stored, log-spaced up to T")
    rules: list[str] = Field(["ucb", "uniform"], min_length=1)
    settings: list[str] = Field([], description="axes over whose points max_gap is taken; default: all")


def resolve(table: Any, arms: int) -> dict[str, Any]:
    """The checked table [online], its defaults filled in.

    Args:
        table: as in the file; lists of a rule's settings are axes.
        arms: how many policies are trained from each log.

    Raises:
        BadInput: unknown keys or rules, settings that no rule of the list has, values of the wrong type or range,
            no policy to choose from, fewer rounds than policies.
    """
    if not isinstance(table, dict):
        raise BadInput(f"online: expected a table [online], got {table!r}")
    own = {key: table[key] for key in table if key in Online.model_fields}
    try:
        resolved = Online.model_validate(own).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"online.{where}: {first['msg']}, got {first['input']!r}") from None
    rules = resolved["rules"]
    for rule in rules:
        choose("rule of [online]", rule, {*RULES, *WITHOUT_LOG})
    _unique("online.rules", rules)
    for key, value in table.items():
        if key not in own:
            _check_key(key, rules)
            values = value if isinstance(value, list) else [value]
            _unique(f"online.{key}", values)
            for one in values:
                _check_value(key, one)
            resolved[key] = value
    if picks_among_policies(resolved):
        _check_arms(arms, resolved["rounds"])
    for name, settings in methods(resolved):
        if name in RULES:
            make(name, settings, 1.0)
    return resolved


def picks_among_policies(online: dict[str, Any]) -> bool:
    """Whether any rule of the table needs policies trained from a log."""
    return any(rule in RULES for rule in online["rules"])


def methods(online: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every rule with its settings; lists of settings multiply."""
    given = {key: value for key, value in online.items() if key not in Online.model_fields}
    return [
        (rule, settings)
        for rule in online["rules"]
        for settings in grid({key: value for key, value in given.items() if key in settings_of(rule)})
    ]


def label(name: str, settings: dict[str, Any]) -> str:
    """What a method is called: "late (alpha 0.1, warm start)"; settings that were not given are not named."""
    told = ["warm start" if key == WARM else f"{key} {value}" for key, value in settings.items() if value is not False]
    return (LATE if name == "ucb" else name) + (f" ({', '.join(told)})" if told else "")


def make(name: str, settings: dict[str, Any], c_max: float) -> Rule:
    """The rule of these settings, for costs in [0, c_max]."""
    kind = RULES[name]
    fields = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    given = {key: value for key, value in settings.items() if key != WARM and value != THEORY}
    scaled = {key: value * c_max if key in OF_C_MAX else value for key, value in given.items()}
    return kind(**scaled, **({"c_max": c_max} if "c_max" in fields else {}))


def rounds_recorded(online: dict[str, Any]) -> np.ndarray:
    """The rounds that are stored: log-spaced whole numbers from 1 to T, T included."""
    wanted = np.geomspace(1, online["rounds"], min(online["recorded"], online["rounds"]))
    return np.unique(np.append(np.round(wanted).astype(int), online["rounds"]))


def resolve_test_user(tables: Any, worlds: list[dict[str, Any]], rounds: int) -> list[dict[str, Any]]:
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
        raise BadInput(f"test_user.from_round: expected ascending rounds of at most {rounds}, got {begins}")
    for phase in phases:
        for key, value in phase.items():
            _unique(f"test_user.{key}", value if isinstance(value, list) else [value])
        for point in grid(phase):
            for world in worlds:
                _check_phase(point, world)
    return phases


def test_users(phases: list[dict[str, Any]]) -> list[tuple[dict[str, Any], ...]]:
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
    try:
        families.resolve(family, of_world)
        families.make_user(of_user)
    except BadInput as error:
        raise BadInput(f"test_user: {error}") from None


def settings_of(rule: str) -> tuple[str, ...]:
    """The keys of [online] that a rule has."""
    if rule in WITHOUT_LOG:
        return WITHOUT_LOG[rule]
    # The confidence level is one for the whole regime, and c_max is the test user's.
    fields = [field.name for field in dataclasses.fields(RULES[rule])]  # type: ignore[arg-type]
    warm = (WARM,) if issubclass(RULES[rule], TallyRule) and rule not in COLD else ()
    return (*(name for name in fields if name not in ("c_max", "delta")), *warm)


def _check_key(key: str, rules: list[str]) -> None:
    known = {name for rule in [*RULES, *WITHOUT_LOG] for name in settings_of(rule)}
    choose("key of [online]", key, known | set(Online.model_fields))
    if not any(key in settings_of(rule) for rule in rules):
        raise BadInput(f"online.{key}: none of the rules {', '.join(rules)} has this setting; remove it or add a rule")


def _check_value(key: str, value: Any) -> None:
    where = f"online.{key}"
    if key == WARM:
        if not isinstance(value, bool):
            raise BadInput(f"{where}: expected true or false, got {value!r}")
    elif key == "reference":
        choose(f"setting {where}", value, REFERENCES)
    elif key in ("window", "each"):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise BadInput(f"{where}: expected a whole number, at least 1, got {value!r}")
    elif key in ("growth", "refit_growth"):
        checks.in_range(where, value, 1, 1e6)
    elif key == "informativeness":
        checks.in_range(where, value, 1e-12, 1)
    elif value != THEORY:
        checks.in_range(where, value, 0, 1e12)


def _check_arms(arms: int, rounds: int) -> None:
    if arms == 0:
        raise BadInput("online: expected at least one policy to choose from, got baselines only; add learners")
    if rounds < arms:
        raise BadInput(f"online.rounds: expected at least one per policy ({arms}), got {rounds}")


def _unique(name: str, values: list[Any]) -> None:
    if not values:
        raise BadInput(f"{name}: expected at least one value, got an empty list")
    if any(value in values[:i] for i, value in enumerate(values)):
        raise BadInput(f"{name}: expected no value twice, got {values}")
