"""Worlds and users that nobody chose: family, parameters and dials drawn from one declared law."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from sim import families
from sim.errors import BadInput
from sim.users import User
from sim.world import World

FAMILIES = ("attributes", "tabular", "lowrank-cost")
EDITORS = ("default", "lazy", "metropolis", "barker")
DIALS = {"tempered": 1.0, "cyclic": 0.3, "harmful": 0.2, "other_optimum": 0.5}
"""The largest value of each dial; half of all users have it at zero."""

STRENGTHS = {"strong": (0.7, 1.0), "weak": (0.05, 0.3)}


def random_world(
    *,
    world_seed: Annotated[int, Field(ge=0)] = 0,
    task: Literal["A", "B"] = "A",
    user_kind: Literal["strong", "weak"] = "strong",
    user: User,
) -> World:
    """A world of 3 contexts x 16 responses, drawn with its user (`drawn` says from which law).

    Args:
        world_seed: which draw.  Strong and weak users of a draw and task share optimum, features and distance; where a
            dial or a local editor makes the expected cost depend on the strength, pi_ref differs with it.
        task: of the draw, independent of each other.
        user_kind: strength uniform on [0.7, 1] ("strong") or [0.05, 0.3] ("weak").
        user: must be the default one: she is drawn too.

    Raises:
        BadInput: another user.
    """
    if user != families.make_user(None):
        raise BadInput("user: a random world draws its user too; remove the [user] settings")
    family, parameters, dials = drawn(world_seed, task, user_kind)
    return families.FAMILIES[family](**families.resolve(family, parameters), user=families.make_user(dials))


def drawn(world_seed: int, task: str, user_kind: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Family, parameters and user of a draw.

    The family is uniform over `FAMILIES`; temperature and cost scale are log-uniform on [0.15, 1] and [0.5, 5], the
    preference scale uniform on [0.5, 3]; in attribute worlds the policy and the cost interaction are zero with
    probability one half, else uniform on [0, 1] and [0, 3]; the editor is uniform over `EDITORS`, and each dial zero
    with probability one half, else uniform up to its value in `DIALS`.
    """
    rng = np.random.default_rng([world_seed, "AB".index(task)])
    family, editor = str(rng.choice(FAMILIES)), str(rng.choice(EDITORS))
    temperature, cost_scale = np.exp(rng.uniform(np.log([0.15, 0.5]), np.log([1.0, 5.0])))
    preference_scale, seed = float(rng.uniform(0.5, 3)), int(rng.integers(2**31))
    interactions = rng.uniform(0, [1.0, 3.0]) * (rng.uniform(size=2) < 0.5)
    dials = rng.uniform(0, list(DIALS.values())) * (rng.uniform(size=len(DIALS)) < 0.5)
    strengths = {kind: float(rng.uniform(*ends)) for kind, ends in STRENGTHS.items()}
    parameters: dict[str, Any] = {
        "strength": strengths[user_kind],
        "temperature": float(temperature),
        "cost_scale": float(cost_scale),
        "preference_scale": preference_scale,
        "world_seed": seed,
    }
    if family == "attributes":
        parameters |= {"policy_interaction": float(interactions[0]), "cost_interaction": float(interactions[1])}
    else:
        parameters |= {"responses": 16}
    user = {"editor": editor, "user_seed": seed} | dict(zip(DIALS, map(float, dials), strict=True))
    return family, parameters, user


families.register_family("random", random_world)
