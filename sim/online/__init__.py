"""Online learning: Protocol 1, rules that pick among policies, late ensembling, and learning without a log."""

from sim.online.bandits import (
    KLUCB,
    RULES,
    UCB,
    DiscountedUCB,
    Exp3,
    ExploreThenCommit,
    Oracle,
    SlidingWindowUCB,
    SuccessiveElimination,
    Thompson,
    Uniform,
    register,
)
from sim.online.contract import Diagnostics, Rule, Tally
from sim.online.late_ensemble import Trained, edited_by, train, warm_start
from sim.online.perceptron import preference_perceptron
from sim.online.protocol import Arms, History, arms, play
from sim.online.self_training import Epochs, online_preference, self_train
from sim.online.session import Session

__all__ = [
    "KLUCB", "RULES", "UCB", "Arms", "Diagnostics", "DiscountedUCB", "Epochs", "Exp3", "ExploreThenCommit", "History",
    "Oracle", "Rule", "Session", "SlidingWindowUCB", "SuccessiveElimination", "Tally", "Thompson", "Trained", "Uniform",
    "arms", "edited_by", "online_preference", "play", "preference_perceptron", "register", "self_train", "train",
    "warm_start",
]  # fmt: skip
