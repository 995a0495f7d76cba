"""What theory says of one learner in one world: its prediction, and every bound that speaks of it."""

import math

from bounds import asymptotics, contraction, finite_class, pessimism, registered
from bounds.asymptotics import Prediction
from bounds.bound import EXACT, Bound
from sim.learners import Cost, Learner
from sim.policies import LogLinear, PolicyClass
from sim.world import World

NO_BALANCE = "whether balance holds needs a table of the edit kernel, which does not fit"


def predicted(learner: Learner, world: World, policies: PolicyClass | None) -> Prediction:
    """The prediction for a learner with its ridge; empty, with the reason, where there is none."""
    if learner.baseline:
        policy = world.reference if learner.name == "reference" else world.edited(world.reference)
        return Prediction(float(world.suboptimality(policy)), 0.0)
    try:
        return asymptotics.predict(learner, world, policies, float(getattr(learner, "ridge", 0.0)))
    except Exception as error:
        # A learner of a user's own may not be differentiable; a finished run must not be lost to its theory.
        return Prediction(None, None, reason=str(error))


def bounds_of(
    learner: Learner, world: World, policies: PolicyClass, ns: list[int], delta: float
) -> dict[str, list[Bound]]:
    """Every bound that speaks of this learner with these settings, by name, at each n: ours, then registered ones.

    Args:
        learner: with its settings, as from `sim.make`.
        world: the world of the log.
        policies: the class that the learner searches, as from `sim.policies.policy_list`.
        ns: numbers of logged triples, each at least 1.
        delta: in (0, 1); a bound whose assumptions hold is violated with probability at most delta.

    Returns:
        A `Bound` per n, by the name of the bound; empty for a learner of which none speaks.

    Raises:
        BadInput: n below 1, delta outside (0, 1).

    Source: docs/theory.md 4, after the paper's Theorems 1, 2 and 3, with explicit constants.
    """
    ours = _shipped(learner, world, policies, ns, delta)
    return ours | registered.values(learner, world, policies, ns, delta)


def _shipped(
    learner: Learner, world: World, policies: PolicyClass, ns: list[int], delta: float
) -> dict[str, list[Bound]]:
    if isinstance(learner, Cost):
        spoken_of = is_pessimistic(learner, policies, "linear")
        return _of_cost(learner, world, ns, delta) if spoken_of else {}
    names = finite_class.bounds_for(learner.name, getattr(learner, "link", "balance"))
    if learner.name == "pref" and _balance_is_open(world):
        return {name: [Bound(math.inf, {}, {}, NO_BALANCE) for _ in ns] for name in names}
    return {name: finite_class.values(name, world, policies, ns, delta) for name in names}


def _balance_is_open(world: World) -> bool:
    """Whether the two proved ends of the balance violation leave open if balance holds (large worlds)."""
    ends = contraction.interval("balance_violation", world)
    return bool(ends.lower.max() <= EXACT < ends.upper.max())


def is_pessimistic(learner: Learner, policies: PolicyClass, *classes: str) -> bool:
    """Whether 4.4 speaks of this learner: a confidence set over one of these cost classes, not in its printed form,
    and the minimiser of Eq. 6 over all policies (with a list or a mixture it is that of the class).
    """
    if not isinstance(learner, Cost) or learner.cost_class not in classes or float(learner.radius) == 0:
        return False
    if not isinstance(policies, LogLinear):
        return False
    return learner.optimum != "paper" and learner.confidence != "paper"


def _of_cost(learner: Cost, world: World, ns: list[int], delta: float) -> dict[str, list[Bound]]:
    names = ("radius", "ridge", "c_max", "noise_bound", "weight_bound")
    given = {name: getattr(learner, name) for name in names}
    settings = {name: None if value is None else float(value) for name, value in given.items()}
    return {"cost_population": [pessimism.population(world, n, delta, **settings) for n in ns]}  # type: ignore[arg-type]
