"""The one error of bad input: what was expected, what came, and what to do, in one line."""

import difflib
from collections.abc import Iterable


class BadInput(ValueError):
    """Input that cannot be used.  The command line prints it as one line and exits with status 2."""


def choose(kind: str, name: object, options: Iterable[str]) -> None:
    """Raise `BadInput` unless `name` is one of `options`; the nearest option is suggested."""
    options = sorted(options)
    if name in options:
        return
    near = difflib.get_close_matches(str(name), options, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else "choose one of: " + ", ".join(options)
    raise BadInput(f"unknown {kind} '{name}'; {hint}")
