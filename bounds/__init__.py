"""Theory on worlds: no random numbers, no learner is run."""

from bounds.truths import truths

__all__ = ["truths"]
