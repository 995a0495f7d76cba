"""Which learners theory predicts beside those that a run of `medley llm` trained, and what they are called."""

from collections.abc import Mapping
from typing import Any

from bounds.from_logs import LEARNERS
from sim.learners import Early, Learner, Preference

NOTE = (
    "The learners of theory are not quite those trained: early has the run's lam, though the language model sums its "
    "losses over tokens and theory has one of each per example; pref (link paper) has the temperature that the log "
    "shows; cost is plug-in, while the language model takes the largest of an ensemble."
)


def learners(settings: Mapping[str, Any]) -> dict[str, Learner]:
    """What is predicted, by the names that the same learners have in the tables of a run.

    Args:
        settings: of its settings.toml.
    """
    lam = _lam(settings)
    early = Early() if lam is None else Early(lam)
    order = ("reference", "sup", "pref", "pref (link paper)", "early", "cost", "edit-model")
    known = dict(LEARNERS) | {"pref (link paper)": Preference(link="paper"), "early": early}
    return {name: known[name] for name in order}


def names(settings: Mapping[str, Any]) -> dict[str, str]:
    """The words for those learners whose names leave open what is predicted."""
    lam = _lam(settings)
    return {"cost": "cost (plug-in)"} | ({} if lam is None else {"early": f"early (lam {lam:g})"})


def _lam(settings: Mapping[str, Any]) -> float | None:
    lam = settings.get("settings", {}).get("lam")
    return None if lam is None else float(lam)
