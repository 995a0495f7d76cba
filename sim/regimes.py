"""Regime files: TOML in, checked and resolved, out come the cells of a sweep.

Order of precedence: defaults < file < command line.  A list in a table is an axis of the grid; axes multiply.
"""

import copy
import hashlib
import os
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sim import checks, families, learners, overrides, plugins, policies
from sim.errors import BadInput, choose
from sim.families import grid
from sim.online import tables, test_users

DEFAULT = "tradeoffs"
DELTA = 0.05
LARGEST_LOG = 10**15
"""Counts up to here are exact in 64-bit floats."""


class Regime(BaseModel):
    """A resolved regime: every default filled in, every key and value checked."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=r"^[\w. -]+$")
    title: str = ""
    claim: str = ""
    run_time: str = Field("", description="shown by `medley regimes`")
    n: list[int] = Field(min_length=1)
    seeds: int = Field(100, ge=1, le=10**6)
    root_seed: int = Field(0, ge=0)
    delta: float = Field(DELTA, gt=0, lt=1)
    learners: list[str] = Field(min_length=1)
    plugins: dict[str, str] = Field({}, description="source text of each plugin, by file name")
    world: list[dict[str, Any]] = Field(min_length=1)
    user: dict[str, Any] = {}
    policy: dict[str, Any] = {}
    settings: dict[str, dict[str, Any]] = Field({}, description="the learners' tables, by learner")
    online: dict[str, Any] = Field({}, description="empty: no online phase")
    test_user: list[dict[str, Any]] = Field([], description="a table per phase")


@dataclass(frozen=True)
class Cell:
    """One point of the grid: a world with its user, a policy class, and the size of the log."""

    family: str
    world: dict[str, Any]
    user: dict[str, Any]
    policy: dict[str, Any]
    n: int


def shipped() -> dict[str, dict[str, Any]]:
    """The raw tables of the regimes that ship, by name."""
    folder = resources.files("sim.shipped")
    files = sorted(
        (f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name.removesuffix(".toml")
    )
    return {f.name.removesuffix(".toml"): tomllib.loads(f.read_text(encoding="utf-8")) for f in files}


def load(source: str = DEFAULT, settings: list[str] | None = None, extra_plugins: list[Path] | None = None) -> Regime:
    """The regime of a shipped name or a TOML file.

    Args:
        source: a name from `shipped`, or the path of a file.
        settings: "dotted.key=value", the value in TOML or else a bare string; later ones win.
        extra_plugins: plugin files beside those that the regime names.

    Raises:
        BadInput: an unreadable file, an unknown key (the nearest is suggested), a value of the wrong type or range.
    """
    name, raw, folder = _read(source)
    for override in settings or []:
        raw = overrides.apply(raw, override)
    touched = {overrides.parse(override)[0].split(".")[0] for override in settings or []}
    if "learners" in touched:
        # The file's settings of learners that the command line left out go with them.
        unused = set(learners.LEARNERS) - touched - set(_listed(raw["learners"]))
        raw = {key: value for key, value in raw.items() if key not in unused}
    return resolve(name, raw, folder, extra_plugins or [])


def resolve(name: str, raw: dict[str, Any], folder: Path, extra_plugins: list[Path] | None = None) -> Regime:
    """The regime of a raw table; paths in it are relative to `folder`."""
    raw = copy.deepcopy(raw)
    sources = plugins.read([folder / path for path in _strings(raw, "plugins")] + list(extra_plugins or []))
    plugins.load(sources)
    given = {key: raw.pop(key) for key in list(raw) if key in learners.LEARNERS}
    known = set(Regime.model_fields) - {"settings"}
    for key in raw:
        choose("key", key, known | set(learners.LEARNERS))
    for key in ("n", "world", "learners"):
        if key in raw and not isinstance(raw[key], list):
            raw[key] = [raw[key]]
    raw["world"] = [_resolved_world(table, folder) for table in raw.get("world", [{}])]
    checks.unique("world", raw["world"])
    if raw.get("user") and all(families.is_world_file(str(table["family"])) for table in raw["world"]):
        raise BadInput("[user]: a world file holds its own edit kernel; remove the table")
    raw["user"] = _resolved_table("user", raw.get("user", {}), families.make_user, _user_defaults())
    raw["policy"] = _resolved_table("policy", raw.get("policy", {}), _check_policy, _policy_defaults(raw))
    raw["settings"] = _resolved_settings(raw.get("learners", []), given, raw.get("delta", DELTA))
    if "online" in raw:
        raw["online"] = tables.resolve(raw["online"], _policies_trained(raw))
        for axis in raw["online"]["settings"]:
            if axis.startswith("test_"):
                raise BadInput(f"online.settings: test users have tables of their own; remove '{axis}'")
            choose("axis in online.settings", axis, _axes(raw))
        raw["test_user"] = test_users.resolve(raw.get("test_user", {}), raw["world"], raw["online"]["rounds"])
    elif "test_user" in raw:
        raise BadInput("[test_user]: who edits in the online phase, which this regime does not have; add [online]")
    return _validated({"name": name} | raw | {"plugins": sources})


def cells(regime: Regime) -> list[Cell]:
    """Every cell of the regime, in the order of its axes; n varies fastest."""
    return [
        Cell(str(world["family"]), {k: v for k, v in world.items() if k != "family"}, user, policy, n)
        for table in regime.world
        for world in grid({key: value for key, value in table.items() if key != "user"})
        for user in users_of(regime, table)
        for policy in grid(regime.policy)
        for n in regime.n
    ]


def users_of(regime: Regime, world: dict[str, Any]) -> list[dict[str, Any]]:
    """The users of one [[world]]: [user], and over it the keys of the world's own [world.user]."""
    return [{}] if families.is_world_file(str(world["family"])) else grid(regime.user | world.get("user", {}))


def learner_grid(regime: Regime) -> list[tuple[str, dict[str, Any]]]:
    """Every learner with its settings; lists of settings multiply."""
    return [(name, settings) for name in regime.learners for settings in grid(regime.settings[name])]


def _read(source: str) -> tuple[str, dict[str, Any], Path]:
    known = shipped()
    if source in known:
        return source, known[source], Path.cwd()
    path = Path(source)
    if path.suffix != ".toml" and not path.exists():
        choose("regime", source, known)
    try:
        return path.stem, tomllib.loads(path.read_text(encoding="utf-8")), path.parent
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not a TOML file ({error})".replace("\n", " ")) from None


def _resolved_world(table: Any, folder: Path) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise BadInput(f"world: expected a table [world], got {table!r}")
    family = table.get("family", "attributes")
    if not isinstance(family, str):
        raise BadInput(f"world.family: expected one name (use [[world]] for several), got {family!r}")
    if families.is_world_file(family):
        return _resolved_file(os.path.relpath(folder / family), table)
    given = {key: value for key, value in table.items() if key not in ("family", "user")}
    axes = {key: value if isinstance(value, list) else [value] for key, value in given.items()}
    for key, values in axes.items():
        checks.unique(f"world.{key}", values)
    defaults = families.resolve(family, {key: values[0] for key, values in axes.items()})
    checked = {key: [families.resolve(family, {key: v})[key] for v in values] for key, values in axes.items()}
    resolved = {"family": family} | defaults
    resolved |= {k: v if isinstance(given[k], list) else v[0] for k, v in checked.items()}
    return resolved | (
        {"user": _resolved_table("user", table["user"], families.make_user, {})} if "user" in table else {}
    )


def _resolved_file(path: str, table: dict[str, Any]) -> dict[str, Any]:
    families.world(path)
    # The content is part of the regime: a run is not continued with another world under the same name.
    content = hashlib.blake2b(Path(path).read_bytes(), digest_size=8).hexdigest()
    for key, value in table.items():
        choose("key of a world file's [world]", key, ("family", "content"))
        if key == "content" and value != content:
            raise BadInput(f"world.content: expected the file {path} with content {value}, got {content}")
    return {"family": path, "content": content}


def _resolved_table(name: str, table: Any, check: Any, defaults: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise BadInput(f"{name}: expected a table [{name}], got {table!r}")
    resolved = defaults | table
    for key, value in resolved.items():
        checks.unique(f"{name}.{key}", _listed(value))
    for point in grid(resolved):
        check(point)
    return resolved


def _user_defaults() -> dict[str, Any]:
    return families.make_user(None).model_dump()


def _policy_defaults(raw: dict[str, Any]) -> dict[str, Any]:
    kind = raw.get("policy", {}).get("class", "log-linear") if isinstance(raw.get("policy", {}), dict) else None
    # Only a list and a mixture have a size; a regime over several classes uses each one's default.
    size = {"mixture": {"size": 5}, "list": {"size": 64, "seed": 0}}.get(kind if isinstance(kind, str) else "", {})
    return {"class": kind, **size}


def _check_policy(table: dict[str, Any]) -> None:
    for key in table:
        choose("key of [policy]", key, ("class", "size", "seed"))
    choose("policy class", table["class"], policies.CLASSES)
    if "size" in table and table["class"] == "log-linear":
        raise BadInput("policy.size: only classes 'mixture' and 'list' have a size; remove it or choose one of them")
    for key, least in (("size", 2), ("seed", 0)):
        value = table.get(key, least)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise BadInput(f"policy.{key}: expected a whole number, at least {least}, got {value!r}")


def _validated(raw: dict[str, Any]) -> Regime:
    if "n" not in raw:
        raise BadInput("n: expected the sizes of the logs, as in n = [1000, 4000]; it is missing")
    if "learners" not in raw:
        raise BadInput(f"learners: expected a list of names, from: {', '.join(learners.LEARNERS)}; it is missing")
    try:
        regime = Regime.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{where}: {first['msg']}, got {first['input']!r}") from None
    if min(regime.n) < 1 or max(regime.n) > LARGEST_LOG:
        raise BadInput(f"n: expected sizes of at least 1 and at most {LARGEST_LOG:.0e}, got {regime.n}")
    for key in ("n", "learners"):
        values = getattr(regime, key)
        if len(set(values)) < len(values):
            raise BadInput(f"{key}: expected no value twice, got {values}")
    return regime


def _resolved_settings(names: Any, given: dict[str, Any], delta: Any) -> dict[str, dict[str, Any]]:
    names = names if isinstance(names, list) else []
    for name in names:
        choose("learner", name, learners.LEARNERS)
    for name in given:
        if name not in names:
            raise BadInput(
                f"[{name}]: settings of a learner that does not run; add '{name}' to learners, or remove them"
            )

    def check(name: str) -> Any:
        return lambda settings: learners.make(name, **settings)

    # The confidence level is one for the whole regime.
    shared = {name: {k: delta for k in learners.defaults(name) if k == "delta"} for name in names}
    return {
        name: _resolved_table(name, given.get(name, {}), check(name), learners.defaults(name) | shared[name])
        for name in names
    }


def _policies_trained(raw: dict[str, Any]) -> int:
    learned = [name for name in raw.get("learners", []) if not learners.LEARNERS[name].baseline]
    return sum(len(grid(raw["settings"][name])) for name in learned)


def _axes(raw: dict[str, Any]) -> set[str]:
    of_worlds = {key for table in raw["world"] for key in table if key != "user"}
    return {"n", *of_worlds, *raw["user"], *(f"policy_{key}" for key in raw["policy"])}


def to_toml(regime: Regime, folder: Path) -> str:
    """The regime as a file in `folder` that `load` reads back; its plugins are the files in `folder`/plugins."""
    absent = {key for key in ("online", "test_user") if not getattr(regime, key)}
    table = regime.model_dump(exclude={"settings", "plugins"} | absent)
    table["plugins"] = [f"plugins/{name}" for name in regime.plugins]
    for world in table["world"]:
        if families.is_world_file(world["family"]):
            world["family"] = os.path.relpath(world["family"], folder)
    return tomli_w.dumps(table | {name: t for name, t in regime.settings.items() if t})


def differences(old: Regime, new: Regime) -> list[str]:
    """Why `new` does not extend `old`, a line per key; more n, seeds, learners or axis values extend."""
    lines = [
        f"{key}: the folder has {getattr(old, key)!r}, the regime has {getattr(new, key)!r}"
        for key in ("name", "title", "claim", "run_time", "root_seed", "delta")
        if getattr(old, key) != getattr(new, key)
    ]
    if new.seeds < old.seeds:
        lines.append(f"seeds: the folder has {old.seeds}, the regime has {new.seeds}")
    if old.plugins != new.plugins:
        lines.append(f"plugins: the folder has {_digests(old)}, the regime has {_digests(new)}")
    if len(old.world) != len(new.world):
        lines.append(f"world: the folder has {len(old.world)} tables, the regime has {len(new.world)}")
    lines += [
        f"{key}: the folder has {getattr(old, key)!r}, the regime has {getattr(new, key)!r}"
        for key in (("online", "test_user", "learners", "settings") if old.online or new.online else ())
        if getattr(old, key) != getattr(new, key)
    ]
    pairs = [("", {"n": old.n, "learners": old.learners}, {"n": new.n, "learners": new.learners})]
    pairs += [("world.", a, b) for a, b in zip(old.world, new.world, strict=False)]
    pairs += [("user.", old.user, new.user), ("policy.", old.policy, new.policy)]
    pairs += [(f"{name}.", table, new.settings.get(name, table)) for name, table in old.settings.items()]
    return lines + [line for prefix, a, b in pairs for line in _shrunk(prefix, a, b)]


def _shrunk(prefix: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The keys whose values in `old` are not all in `new`."""

    def axis(table: dict[str, Any], key: str) -> list[Any]:
        value = table.get(key, [])
        return value if isinstance(value, list) else [value]

    return [
        f"{prefix}{key}: the folder has {old.get(key, 'nothing')!r}, the regime has {new.get(key, 'nothing')!r}"
        for key in sorted(old.keys() | new.keys())
        if (key in old) != (key in new) or any(value not in axis(new, key) for value in axis(old, key))
    ]


def _digests(regime: Regime) -> dict[str, str]:
    return {name: plugins.digest(source)[:8] for name, source in regime.plugins.items()}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _strings(raw: dict[str, Any], key: str) -> list[str]:
    value = raw.pop(key, [])
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise BadInput(f"{key}: expected a list of paths, got {value!r}")
    return value
