"""The table [online] of a regime: which rules play, with which settings, and for how long.

Methods are of two kinds.  Rules pick among the policies trained from the log (`sim.online.bandits`); learners without
a log play a policy of their own (`sim.online.self_training`, `sim.online.perceptron`).
"""

import dataclasses
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sim import checks
from sim.errors import BadInput, choose
from sim.families import grid
from sim.learners import LEARNERS
from sim.online.bandits import RULES
from sim.online.contract import Rule
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

LARGEST = 10**12
"""Of a rule's settings."""

WARM = "warm_start"
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
    table = {
        key: [value] if key in ("rules", "settings") and isinstance(value, str) else value
        for key, value in table.items()
    }
    own = {key: table[key] for key in table if key in Online.model_fields}
    try:
        resolved = Online.model_validate(own).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"online.{where}: {first['msg']}, got {first['input']!r}") from None
    rules = resolved["rules"]
    for rule in rules:
        _check_rule(rule)
    checks.unique("online.rules", rules)
    if resolved["settings"]:
        checks.unique("online.settings", resolved["settings"])
    for key, value in table.items():
        if key not in own:
            _check_key(key, rules)
            values = value if isinstance(value, list) else [value]
            checks.unique(f"online.{key}", values)
            for one in values:
                _check_value(key, one)
            resolved[key] = value
    if picks_among_policies(resolved):
        _check_arms(arms, resolved["rounds"])
    for name, settings in methods(resolved):
        if name in RULES:
            make(name, settings, 1.0, resolved["rounds"])
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


def make(name: str, settings: dict[str, Any], c_max: float, rounds: int) -> Rule:
    """The rule of these settings, for costs in [0, c_max] and so many rounds."""
    kind = RULES[name]
    fields = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    given = {key: value for key, value in settings.items() if key != WARM and value != THEORY}
    scaled = {key: value * c_max if key in OF_C_MAX else value for key, value in given.items()}
    if "window" in scaled:
        # A longer window forgets nothing, and would take memory.
        scaled["window"] = min(scaled["window"], rounds)
    try:
        return kind(**scaled, **({"c_max": c_max} if "c_max" in fields else {}))
    except TypeError as error:
        raise BadInput(f"online: rule '{name}' needs a setting that has no default ({error})") from None


def rounds_recorded(online: dict[str, Any]) -> np.ndarray:
    """The rounds that are stored: log-spaced whole numbers from 1 to T, T included."""
    wanted = np.geomspace(1, online["rounds"], min(online["recorded"], online["rounds"]))
    return np.unique(np.append(np.round(wanted).astype(int), online["rounds"]))


def settings_of(rule: str) -> tuple[str, ...]:
    """The keys of [online] that a rule has."""
    if rule in WITHOUT_LOG:
        return WITHOUT_LOG[rule]
    fields = [field.name for field in dataclasses.fields(RULES[rule])]  # type: ignore[arg-type]
    return (*(name for name in fields if name != "c_max"), *((WARM,) if RULES[rule].warms else ()))


def _check_rule(rule: str) -> None:
    if rule == LATE:
        raise BadInput(f"online.rules: '{LATE}' is what tables call rule 'ucb'; write ucb")
    choose("rule of [online]", rule, {*RULES, *WITHOUT_LOG})
    if rule in RULES and (rule in LEARNERS or rule in WITHOUT_LOG):
        raise BadInput(f"online.rules: a plug-in calls a rule '{rule}', which is the name of a learner; rename it")
    taken = sorted(set(settings_of(rule)) & set(Online.model_fields))
    if taken:
        raise BadInput(f"online.rules: rule '{rule}' has a setting '{taken[0]}', which is a key of [online]; rename it")


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
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST:
            raise BadInput(f"{where}: expected a whole number from 1 to {LARGEST}, got {value!r}")
    elif key in ("growth", "refit_growth"):
        checks.in_range(where, value, 1, 1e6)
    elif key == "informativeness":
        checks.in_range(where, value, 1e-12, 1)
    elif key != "alpha" or value != THEORY:
        checks.in_range(where, value, 0, LARGEST)


def _check_arms(arms: int, rounds: int) -> None:
    if arms == 0:
        raise BadInput("online: expected at least one policy to choose from, got baselines only; add learners")
    if rounds < arms:
        raise BadInput(f"online.rounds: expected at least one per policy ({arms}), got {rounds}")
