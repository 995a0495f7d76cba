"""Plugins: Python files that register a world family, an editor, a learner, a rule or a bound when they are
run.

A plugin travels as its source text, so that workers on other machines can run it too.
"""

import hashlib
import sys
import types
from pathlib import Path

from sim.errors import BadInput

_loaded: set[str] = set()


def read(paths: list[Path]) -> dict[str, str]:
    """The source text of each plugin file, by its name."""
    sources: dict[str, str] = {}
    for path in paths:
        try:
            sources[path.name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"plugin {path}: cannot be read ({error})") from None
    return sources


def load(sources: dict[str, str]) -> None:
    """Run each plugin once in this process.

    Raises:
        BadInput: a plugin that fails, with its message.
    """
    for name, source in sources.items():
        key = digest(source)
        if key in _loaded:
            continue
        # A module of its own, so that classes defined in it can be pickled and inspected.
        module = types.ModuleType(f"medley_plugin_{key[:8]}")
        sys.modules[module.__name__] = module
        try:
            exec(compile(source, name, "exec"), module.__dict__)
        except (Exception, SystemExit) as error:
            raise BadInput(f"plugin {name}: {type(error).__name__}: {error}".replace("\n", " ")) from error
        _loaded.add(key)


def digest(source: str) -> str:
    """The identity of a plugin's text."""
    return hashlib.blake2b(source.encode(), digest_size=16).hexdigest()
