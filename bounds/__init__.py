"""Theory on worlds: no random numbers, no learner is run on a drawn log."""

from bounds.asymptotics import Prediction, best_weight, predict
from bounds.compare import bounds_of as bounds
from bounds.compare import joined, readable, verdicts, winners
from bounds.predictions import predictions
from bounds.truths import truths

__all__ = [
    "Prediction", "best_weight", "bounds", "joined", "predict", "predictions", "readable", "truths", "verdicts",
    "winners",
]  # fmt: skip
