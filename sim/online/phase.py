"""The online phase of one cell of a regime: every method against every test user, as rows of `online.parquet`."""

import json
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from sim import families
from sim.errors import BadInput
from sim.logs import Logs
from sim.online import tables, test_users
from sim.online.bandits import RULES, Uniform
from sim.online.late_ensemble import edited_by, warm_start
from sim.online.protocol import Arms, History, among, arms, play, summed
from sim.online.without_log import check_without_log, play_without_log
from sim.world import World

KEYS = ["cell", "test_user", "method", "seed", "round"]
VALUES = ["arm", "cost", "expected_cost", "regularised_cost", "suboptimality", "regret", "c_max", "bound"]

Phases = tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Plan:
    """The online phase of a regime: the table [online], and the test users."""

    online: dict[str, Any]
    users: tuple[Phases, ...]


@dataclass(frozen=True)
class PolicyLists:
    """What the logs of a cell gave: the label of each policy, whether it is a baseline, and the policies.

    `policies` is (S, K, X, A) with a full batch of lanes S; `logs` are the logs of these lanes.
    """

    labels: tuple[str, ...]
    baselines: tuple[bool, ...]
    policies: Float[Array, "S K X A"]
    logs: Logs


@dataclass(frozen=True)
class Setting:
    """Where a method plays: the cell by name and as a world, one block of `width` seeds, and the seed of all draws.

    `lanes` are the seeds of the block that the regime asks for, counted from its first.
    """

    cell: str
    family: str
    parameters: dict[str, Any]
    user: dict[str, Any]
    world: World
    block: int
    width: int
    lanes: np.ndarray
    root_seed: int

    @property
    def seeds(self) -> list[int]:
        """All seeds of the block, kept or not, so that a seed's draws do not depend on what is run beside it.

        The draws of the rounds are those of the seed alone, in every setting and for every method: differences
        between methods and between settings are paired.
        """
        return list(range(self.block * self.width, (self.block + 1) * self.width))

    def test_worlds(self, phases: Phases) -> list[World]:
        """The log's world as the test user edits in it, one per phase."""
        return [edited_by(self.world, self._user_world(phase)) for phase in phases]

    def check(self, phases: Phases, online: dict[str, Any]) -> None:
        """Raise `BadInput` where the test user or a method cannot be used here."""
        try:
            worlds = self.test_worlds(phases)
        except BadInput as error:
            raise BadInput(f"test_user: in the world of the log she cannot edit like this ({error})") from None
        for name, settings in tables.methods(online):
            if name not in RULES:
                check_without_log(name, settings, worlds)

    def _user_world(self, phase: dict[str, Any]) -> World:
        of_world, of_user = test_users.split_phase(phase)
        if not of_world and not of_user:
            return self.world
        return families.world(self.family, user=self.user | of_user, **(self.parameters | of_world))


def online_rows(setting: Setting, trained: PolicyLists, plan: Plan) -> pd.DataFrame:
    """One row per test user, method, seed and recorded round.

    Sums run from the first round: `cost` as paid, `expected_cost` J, `regularised_cost` J_beta and `suboptimality`
    SubOpt of the policies played, `regret` the excess of J over the best policy of the list, each under the test user.
    `arm` is played in the round itself.  Learners without a log have no arm and no realised cost; their `regret` is
    their SubOpt, and the perceptron's the utility it missed.
    """
    at, frames = tables.rounds_recorded(plan.online), []
    for phases in plan.users:
        users = setting.test_worlds(phases)
        found = arms(users, trained.policies, [phase["from_round"] - 1 for phase in phases])
        name, most = json.dumps(phases), float(found.costs[-1])
        for method, values in _played(setting, trained, plan.online, users, found, at):
            frames.append(_frame(setting, method, values | {"c_max": most}, at).assign(test_user=name))
    rows = pd.concat(frames, ignore_index=True).assign(cell=setting.cell)
    return rows.reindex(columns=KEYS + VALUES).astype(
        {"cell": "category", "test_user": "category", "method": "category"}
    )


def _played(
    setting: Setting, trained: PolicyLists, online: dict[str, Any], users: list[World], found: Arms, at: np.ndarray
) -> list[tuple[str, dict[str, Any]]]:
    """Every method's label and its (S, R) sums: each policy alone, then every rule."""
    listed = [k for k, baseline in enumerate(trained.baselines) if not baseline]
    seeds = setting.seeds
    chosen = among(found, listed)
    least = jnp.min(chosen.expected, axis=-1) if listed else np.nan
    results = []
    for k, label in enumerate(trained.labels):
        alone = play(Uniform(), among(found, [k]), at, seeds, setting.root_seed)
        results.append(
            (label, _of_arms(alone, [label]) | {"regret": summed(found, found.expected[..., k] - least, at)})
        )
    labels, policies = [trained.labels[k] for k in listed], trained.policies[:, jnp.asarray(listed, int)]
    for name, settings in tables.methods(online):
        if name in RULES:
            # Nothing ever costs anything where there is one response: any c_max will do.
            c_max = float(found.costs[-1]) or 1.0
            rule = tables.make(name, settings, c_max, online["rounds"])
            # The variance of a play is declared, as that of Thompson sampling is: the largest in [0, c_max].
            warm = bool(settings.get(tables.WARM))
            prior = warm_start(trained.logs, setting.world, policies, (c_max / 2) ** 2) if warm else None
            values = _of_arms(play(rule, chosen, at, seeds, setting.root_seed, prior), labels)
        else:
            values = play_without_log(name, settings, users, at, setting.width, [setting.root_seed, setting.block])
        results.append((tables.label(name, settings), values))
    return results


def _of_arms(history: History, labels: list[str]) -> dict[str, Any]:
    return {
        "arm": np.array(labels, dtype=object)[history.arm],
        "cost": history.paid,
        "expected_cost": history.expected,
        "regularised_cost": history.regularised,
        "suboptimality": history.suboptimality,
        "regret": history.regret,
    }


def _frame(setting: Setting, method: str, values: dict[str, Any], at: np.ndarray) -> pd.DataFrame:
    """The rows of the block's own lanes; a value is (S, R), or one for all."""
    lanes = setting.lanes
    taken = {name: value[lanes].ravel() if np.ndim(value) else value for name, value in values.items()}
    seeds = setting.block * setting.width + lanes
    return pd.DataFrame(
        {"method": method, "seed": np.repeat(seeds, len(at)), "round": np.tile(at, len(lanes)), **taken}
    )
