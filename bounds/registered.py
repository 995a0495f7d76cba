"""Bounds of a user's own, by name: they stand beside ours in `bounds.bounds` and in the columns of a run."""

import math
import re
from collections.abc import Callable

from bounds import finite_class
from bounds.bound import Bound
from sim import checks
from sim.errors import BadInput
from sim.learners import Learner
from sim.policies import PolicyClass
from sim.world import World

Theory = Callable[[Learner, World, PolicyClass, int, float], Bound | None]

OURS = {*finite_class.BOUNDS, "cost", "cost_gap", "cost_population"}
"""The names of the bounds that ship, docs/theory.md 4."""

LARGEST = 1e100
"""A greater value is drawn and stored as this: it says nothing."""

_BOUNDS: dict[str, Theory] = {}


def register_bound(name: str, bound: Theory) -> None:
    """Make `bound(learner, world, policies, n, delta)` one of the bounds, in column `bound_NAME` of a run.

    It returns a `Bound` on SubOpt that holds with probability at least 1 - delta over the log of n triples, or None of
    a learner, with its settings, of which it says nothing.  If it raises, the message is the reason for no value.  A
    name that is registered again gets the new bound.

    Raises:
        BadInput: a name that is no Python identifier, ends in "_holds", or is one of ours; not a function.
    """
    fits = isinstance(name, str) and re.fullmatch(r"[A-Za-z]\w{0,39}", name, flags=re.ASCII)
    if not fits or name.endswith("_holds"):
        raise BadInput(
            f"bound: expected a name of at most 40 letters, digits and _ that does not end in _holds, got {name!r}"
        )
    if name in OURS:
        raise BadInput(f"bound '{name}': is one of the bounds that ship; choose another name")
    if not callable(bound):
        raise BadInput(f"bound '{name}': expected a function of learner, world, policies, n, delta, got {bound!r}")
    _BOUNDS[name] = bound


def values(
    learner: Learner, world: World, policies: PolicyClass, ns: list[int], delta: float
) -> dict[str, list[Bound]]:
    """The registered bounds that speak of this learner, by name, at each n."""
    if not _BOUNDS or learner.baseline:
        return {}
    ns, delta = [int(checks.whole("n", n, 1)) for n in ns], checks.chance("delta", delta)
    found = {name: [_value(bound, learner, world, policies, n, delta) for n in ns] for name, bound in _BOUNDS.items()}
    return {name: [one or _SILENT for one in row] for name, row in found.items() if any(row)}


_SILENT = Bound(math.inf, {}, {}, "says nothing at this n")


def _value(bound: Theory, learner: Learner, world: World, policies: PolicyClass, n: int, delta: float) -> Bound | None:
    try:
        value = bound(learner, world, policies, n, delta)
        if value is None or isinstance(value, Bound):
            return value and _plain(value)
    except (Exception, SystemExit) as error:
        # A finished run must not be lost to its theory.
        return Bound(math.inf, {}, {}, f"{type(error).__name__}: {error}")
    return Bound(math.inf, {}, {}, f"expected a bounds.Bound or None from it, got {value!r}")


def _plain(value: Bound) -> Bound:
    """The same in numbers and words of Python; a value that bounds nothing raises."""
    terms, violations = ({str(k): float(x) for k, x in part.items()} for part in (value.terms, value.violations))
    number, reason = float(value.value), None if value.reason is None else str(value.reason)
    if reason is None and not number > 0:
        raise ValueError(f"expected a value above 0, got {number:g}")
    return Bound(min(number, LARGEST) if math.isfinite(number) else math.inf, terms, violations, reason)
