"""Settings over those of a file: "key=value" and "table.key=value" from the command line."""

import tomllib
from typing import Any

from sim import learners
from sim.errors import BadInput

TABLES = ("world", "user", "policy", "online", "test_user")


def parse(text: str) -> tuple[str, Any]:
    """Key and value of "key=value"; the value is TOML, else a bare string."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise BadInput(f"--set: expected key=value, got '{text}'")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value


def of_world(overrides: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The [world] and the [user] parameters of `medley world --set`: bare keys, and keys as in user.editor."""
    parameters: dict[str, Any] = {}
    user: dict[str, Any] = {}
    for override in overrides:
        key, value = parse(override)
        if isinstance(value, list | dict):
            raise BadInput(f"--set {key}: expected one value here, got {value!r}; lists are axes of medley run")
        if key.removeprefix("world.") in ("family", "user"):
            raise BadInput(
                f"--set {key}: the family is the argument, and the user's keys are set as in user.editor=lazy"
            )
        table, key = (user, key[5:]) if key.startswith("user.") else (parameters, key.removeprefix("world."))
        table[key] = value
    return parameters, user


def apply(raw: dict[str, Any], text: str) -> dict[str, Any]:
    """The raw tables of a regime with one setting replaced; a table that repeats is set in every repetition."""
    key, value = parse(text)
    first, *rest = key.split(".")
    if first == "world" and len(rest) == 2 and rest[0] == "user":
        return raw | {"world": _with_users(raw.get("world", {}), rest[1], value)}
    if len(rest) > 1:
        raise BadInput(f"--set: expected key, table.key or world.user.key, got '{key}'")
    if not rest:
        if first in TABLES or first in learners.LEARNERS:
            raise BadInput(f"--set: '{first}' is a table; set one of its keys, as in {first}.key={value}")
        return raw | {first: value}
    if key == "world.family":
        return raw | {"world": {"family": value}}
    table = raw.get(first, {})
    if isinstance(table, list) and all(isinstance(one, dict) for one in table):
        return raw | {first: [one | {rest[0]: value} for one in table]}
    if not isinstance(table, dict):
        raise BadInput(f"--set: '{first}' is not a table, so '{key}' cannot be set")
    return raw | {first: table | {rest[0]: value}}


def _with_users(worlds: Any, key: str, value: Any) -> Any:
    """The [[world]] tables, each user of a world's own with one key replaced."""
    tables = worlds if isinstance(worlds, list) else [worlds]
    changed = [table | {"user": table.get("user", {}) | {key: value}} for table in tables]
    return changed if isinstance(worlds, list) else changed[0]
