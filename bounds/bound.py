"""What a bound says: its value, the named parts it is made of, and how far each assumption is from holding."""

import math
from typing import NamedTuple

EXACT = 1e-9
"""An assumption holds if its violation, a number that is zero when nothing is broken, is at most this."""


class Bound(NamedTuple):
    """A high-probability bound on SubOpt in one world.

    `terms` are the statistical, approximation and coverage terms and the constants by name; `violations` are the
    measured violations of the assumptions it needs, by name; `reason` says why there is no value (`value` is then
    +inf).  `holds` is whether every assumption holds, so that the value is a bound in this world.
    """

    value: float
    terms: dict[str, float]
    violations: dict[str, float]
    reason: str | None = None

    @property
    def holds(self) -> bool:
        """Whether every assumption holds in this world."""
        return self.reason is None and all(v <= EXACT for v in self.violations.values())

    def why_not(self) -> str | None:
        """The reason for no value: what fails and by how much; None if the bound has a finite value and holds."""
        failing = [
            f"{name} is unknown: the world is too large" if math.isnan(v) else f"{name} fails by {v:.3g}"
            for name, v in self.violations.items()
            if not v <= EXACT
        ]
        if self.reason is not None or failing:
            return "; ".join([*([self.reason] if self.reason else []), *failing])
        return (
            None
            if math.isfinite(self.value)
            else "infinite: " + ", ".join(name for name, term in self.terms.items() if not math.isfinite(term))
        )
