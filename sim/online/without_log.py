"""Methods that learn online without a log, as sums over rounds like those of the rules."""

from typing import Any

import numpy as np

from sim.errors import BadInput
from sim.online.perceptron import informativeness, optimal_utility, preference_perceptron
from sim.online.self_training import GROWTH, PREFERENCE_GROWTH, Epochs, online_preference, self_train
from sim.world import World


def check_without_log(name: str, settings: dict[str, Any], users: list[World]) -> None:
    """Raise `BadInput` for a user in several phases, or edits that the perceptron cannot learn from."""
    if len(users) > 1:
        raise BadInput(f"{name}: expected a test user who stays, got {len(users)} phases; remove all but the first")
    if name == "perceptron":
        _informativeness(settings, users[0])


def play_without_log(
    name: str, settings: dict[str, Any], users: list[World], at: np.ndarray, seeds: int, key: list[int]
) -> dict[str, Any]:
    """The sums of `sim.online.phase.online_rows` at the rounds `at`, (S, R) each, or NaN where there is none.

    Args:
        name: "self-training", "online-preference" or "perceptron".
        settings: of the method.
        users: the test user's world; one, because these learners are for users that stay.
        at: ascending rounds, the last is T.
        seeds: S.
        key: of all draws.
    """
    world, last = users[0], int(at[-1])
    nothing = {"arm": None, "cost": np.nan, "expected_cost": np.nan, "regularised_cost": np.nan}
    if name == "perceptron":
        return nothing | {"suboptimality": np.nan} | _perceptron(settings, world, at, seeds, key)
    if name == "self-training":
        found = self_train(world, last, settings.get("growth", GROWTH), seeds, root_seed=key)
    else:
        growth = settings.get("refit_growth", PREFERENCE_GROWTH)
        found = online_preference(world, last, seeds, settings.get("reference", "own"), growth, root_seed=key)
    return nothing | _of_epochs(found, world, at)


def _of_epochs(found: Epochs, world: World, at: np.ndarray) -> dict[str, Any]:
    regret = found.summed(found.suboptimality, at)
    return {
        "expected_cost": found.summed(found.expected_cost, at),
        "regularised_cost": regret + at * float(world.regularised_cost(world.optimal)),
        "suboptimality": regret,
        "regret": regret,
    }


def _perceptron(settings: dict[str, Any], world: World, at: np.ndarray, seeds: int, key: list[int]) -> dict[str, Any]:
    weights, alpha = optimal_utility(world), _informativeness(settings, world)
    root = int(np.random.SeedSequence(key).generate_state(1)[0])
    found = preference_perceptron(world, weights, at.tolist(), seeds, alpha, root)
    return {"regret": found.regret * at, "bound": np.broadcast_to(found.bound * at, found.regret.shape)}


def _informativeness(settings: dict[str, Any], world: World) -> float:
    if "informativeness" in settings:
        return float(settings["informativeness"])
    measured = informativeness(world, np.asarray(world.policy_features.table) @ optimal_utility(world))
    if measured <= 0:
        raise BadInput(
            f"perceptron: edits of this user lose utility somewhere (informativeness {measured:.3g}); give"
            " online.informativeness, and slacks fill what edits miss of it"
        )
    return measured
