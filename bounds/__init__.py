"""Theory on worlds: no random numbers, no learner is run on a drawn log."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bounds.asymptotics import Prediction, predict
from bounds.bound import Bound
from bounds.efficiency import efficiency_floor
from bounds.of_learner import bounds_of as bounds
from bounds.predictions import predictions
from bounds.registered import register_bound
from bounds.truths import truths
from bounds.who_wins import best_weight, who_wins

if TYPE_CHECKING:
    from bounds.compare import compared, joined, readable, verdicts, winners

__all__ = [
    "Bound", "Prediction", "best_weight", "bounds", "compared", "efficiency_floor", "joined", "predict", "predictions",
    "readable", "register_bound", "truths", "verdicts", "who_wins", "winners",
]  # fmt: skip

# What compares tables imports them, which one prediction does not need.
_OF_TABLES = ("compared", "joined", "readable", "verdicts", "winners")


def __getattr__(name: str) -> Any:
    if name not in _OF_TABLES:
        raise AttributeError(f"module 'bounds' has no attribute '{name}'")
    return getattr(import_module("bounds.compare"), name)
