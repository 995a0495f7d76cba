"""Which learners theory predicts beside those that a run of `medley llm` trained, and what they are called."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Array

from bounds.from_logs import LEARNERS
from sim.learners import Early, Learner, Preference
from sim.pytrees import pytree
from sim.world import World

NOTE = (
    "The learners of theory are not quite those trained: early has the run's lam, though the language model sums its "
    "losses over tokens and theory has one of each per example; cost is plug-in, while the language model takes the "
    "largest of an ensemble."
)


@pytree
@dataclass(frozen=True)
class ScaledPreference(Preference):
    """Eq. 4 with the scale of its link given: maximise the mean of log sigma(a (r(e) - r(y))), r = log(pi / pi_ref).

    Args:
        scale: a, positive; 1 is the link that balance implies, beta that of Eq. 4 as printed.
    """

    scale: Array | float = 1.0

    def link_scale(self, world: World) -> Array | float:
        """a, whatever the world's temperature."""
        return self.scale


def learners(settings: Mapping[str, Any]) -> dict[str, Learner]:
    """What is predicted, by the names that the same learners have in the tables of a run.

    Args:
        settings: of its settings.toml.
    """
    lam, scale = _number(settings, "lam"), _number(settings, "link_scale")
    early = Early() if lam is None else Early(lam)
    order = ("reference", "sup", "pref", "pref (link paper)", "early", "cost", "edit-model")
    paper = Preference(link="paper") if scale is None else ScaledPreference(scale=scale)
    # Both links are one learner with two numbers, which is compiled once.
    known = dict(LEARNERS) | {"pref": ScaledPreference(), "pref (link paper)": paper, "early": early}
    return {name: known[name] for name in order}


def names(settings: Mapping[str, Any]) -> dict[str, str]:
    """The words for those learners whose names leave open what is predicted."""
    lam = _number(settings, "lam")
    return {"cost": "cost (plug-in)"} | ({} if lam is None else {"early": f"early (lam {lam:g})"})


def _number(settings: Mapping[str, Any], name: str) -> float | None:
    value = settings.get("settings", {}).get(name)
    return None if value is None else float(value)
