"""Who wins where, in closed form: the predicted winner over log sizes and worlds, and the best weight of early
ensembling.
"""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from scipy import optimize

from bounds.asymptotics import predict
from bounds.of_learner import predicted
from sim import checks, families
from sim.errors import BadInput
from sim.learners import Cost, Early, EditModel, Learner, Preference, Supervision
from sim.policies import PolicyClass
from sim.users import User
from sim.world import World

if TYPE_CHECKING:
    import pandas

SEARCH = (1e-4, 1e3)
"""Where the best weight of early ensembling is looked for."""

COMPETITORS = {
    "sup": Supervision(),
    "pref": Preference(),
    "cost": Cost(),
    "early": Early(),
    "edit-model": EditModel(),
}


def who_wins(
    ns: Any,
    learners: Any = None,
    family: str = "attributes",
    user: User | None = None,
    **parameters: Any,
) -> "pandas.DataFrame":
    """The predicted winner at every log size in every world of a grid; nothing is simulated.

    The winner at n is the learner with the least limit + coefficient / n (docs/theory.md 5), in the log-linear class
    of the world's policy features and with its own ridge.  Learners without a prediction in a world do not compete
    there.

    Args:
        ns: log sizes, a list or array, each at least 1.
        learners: a dictionary of learners by the label they get; default: sup, pref, cost (plug-in), early (lam = 1)
            and edit-model.
        family: a world family.
        user: whose edits; default: the family's own user.
        parameters: of the family; a list or tuple is an axis of the grid, e.g. strength=[1.0, 0.5], attributes=[2, 4].

    Returns:
        A row per grid point and n: the axes, `n`, `winner`, `runner_up`, `lead` (the runner-up's predicted SubOpt less
        the winner's), and a column per learner with its prediction.

    Raises:
        BadInput: n below 1, an empty list, an unknown family or parameter, a value out of its range.
    """
    import pandas as pd

    learners = COMPETITORS if learners is None else learners
    parameters = {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in parameters.items()}
    axes = {name: value for name, value in parameters.items() if isinstance(value, list | tuple | range)}
    _check(ns, axes, learners)
    rows = []
    for values in itertools.product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        world = families.world(family, user=user, **(parameters | point))
        found = {label: predicted(learner, world, None) for label, learner in learners.items()}
        rows += [point | {"n": n} | _contest({label: one.at(n) for label, one in found.items()}) for n in ns]
    return pd.DataFrame(rows)


def _check(ns: Any, axes: dict[str, Any], learners: Any) -> None:
    for name, values in ({"ns": ns} | axes).items():
        if isinstance(values, str) or not hasattr(values, "__len__") or len(values) == 0:
            raise BadInput(f"{name}: expected a list of at least one value, got {values!r}")
    for n in ns:
        checks.in_range("ns", n, 1, 1e15)
    if not isinstance(learners, Mapping) or not all(isinstance(one, Learner) for one in learners.values()):
        raise BadInput(f"learners: expected learners by label, as in {{'sup': Supervision()}}, got {learners!r}")


def _contest(values: dict[str, float | None]) -> dict[str, Any]:
    ranked = sorted((value, label) for label, value in values.items() if value is not None)
    winner = ranked[0][1] if ranked else None
    runner_up = ranked[1][1] if len(ranked) > 1 else None
    lead = ranked[1][0] - ranked[0][0] if len(ranked) > 1 else np.nan
    return {"winner": winner, "runner_up": runner_up, "lead": lead} | values


def best_weight(
    world: World, n: float, link: str = "balance", policies: PolicyClass | None = None
) -> tuple[float, float]:
    """The weight lam of early ensembling with the smallest predicted SubOpt at n, and that prediction.

    Minimises limit(lam) + coefficient(lam) / n over lam in {0} and `SEARCH`.

    Args:
        world: the world of the log.
        n: logged triples, at least 1.
        link: of the preference loss, "balance" or "paper".
        policies: the policy class; default: log-linear in the world's policy features.

    Source: docs/theory.md 5.4.  The paper chooses lam on held-out edits.
    """

    def predicted(lam: float) -> float:
        value = predict(Early(jnp.asarray(lam, float), link), world, policies).at(n)  # type: ignore[arg-type]
        return np.inf if value is None else value

    low, high = np.log(SEARCH)
    grid = np.linspace(low, high, 17)
    values = [predicted(float(np.exp(point))) for point in grid]
    middle = int(np.argmin(values))
    left, right = grid[max(middle - 1, 0)], grid[min(middle + 1, len(grid) - 1)]
    found = optimize.minimize_scalar(
        lambda point: predicted(float(np.exp(point))), bounds=(left, right), method="bounded", options={"xatol": 1e-3}
    )
    candidates = [(0.0, predicted(0.0)), (float(np.exp(found.x)), float(found.fun))]
    return min(candidates, key=lambda pair: pair[1])
