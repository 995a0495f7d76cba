"""Early ensembling: one policy trained on preference and supervision together."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array

from sim import checks
from sim.errors import BadInput, choose
from sim.learners.contract import EditLog, Fit, Learner, PolicyLearner
from sim.learners.defaults import LINKS, RIDGE
from sim.learners.preference import Preference
from sim.learners.supervision import Supervision
from sim.objectives import ChoiceWeights
from sim.policies import PolicyClass, PolicyList
from sim.pytrees import pytree
from sim.world import World

GRID = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0)
"""The lambdas among which held-out edits choose."""

OBJECTIVES = ("losses", "paper")


@pytree
@dataclass(frozen=True)
class Early(PolicyLearner):
    """Minimise the preference loss plus lam times the supervision loss (Eq. 7).

    Args:
        lam: weight of supervision, at least 0; in a regime also "held-out", see `EarlyHeldOut`.
        link: of the preference loss, as in `Preference`.
        ridge: at least 0; ridge |theta|^2 / (2n) is added to the mean loss.
        objective: "losses", both minimised; or "paper", Eq. 7 as printed, which minimises two quantities that Eq. 3
            and 4 maximise: the negative of this loss, over a finite list (over other classes it has no minimum).

    Departure from the paper: the default objective (docs/theory.md 8).
    """

    lam: Array | float = 1.0
    link: str = field(default="balance", metadata={"static": True})
    ridge: Array | float = RIDGE
    objective: str = field(default="losses", metadata={"static": True})
    name: ClassVar[str] = "early"

    def __post_init__(self) -> None:
        choose("link", self.link, LINKS)
        choose("objective", self.objective, OBJECTIVES)
        if isinstance(self.lam, float | int):
            checks.in_range("early.lam", self.lam, 0, float("inf"))

    @classmethod
    def from_settings(cls, **settings: Any) -> Learner:
        """lam given, or chosen on `held_out` edits: lam = "held-out"."""
        if settings.get("lam") == "held-out":
            if settings.get("objective", "losses") != "losses":
                raise BadInput('early.objective: "paper" needs a number for early.lam, got "held-out"')
            return EarlyHeldOut(**{key: value for key, value in settings.items() if key not in ("lam", "objective")})
        return cls(**{key: value for key, value in settings.items() if key != "held_out"})

    def check(self, world: World, policies: PolicyClass) -> None:
        """Likelihoods have no least value but over a list."""
        if self.objective == "paper" and not isinstance(policies, PolicyList):
            raise BadInput('early.objective: "paper" has no minimum but over a list; add policy.class = "list"')

    @property
    def _sign(self) -> float:
        return -1.0 if self.objective == "paper" else 1.0

    @property
    def _preference(self) -> Preference:
        return Preference(self.link, self.ridge)

    @property
    def _supervision(self) -> Supervision:
        return Supervision(self.ridge)

    def triple_loss(self, log_policy: Array, world: World, context: Array, response: Array, edited: Array) -> Array:
        """The preference loss plus lam times the supervision loss."""
        triple = (log_policy, world, context, response, edited)
        return self._sign * (self._preference.triple_loss(*triple) + self.lam * self._supervision.triple_loss(*triple))

    def choice_weights(self, world: World) -> ChoiceWeights:
        """The comparisons of the one and lam times the demonstrations of the other."""
        return self._preference.choice_weights(world)._replace(shown=self.lam)

    def total(self, log_policy: Array, counts: Array, world: World) -> Array:
        """The sum of the two losses; of the likelihoods in the printed form, which only lists ask for."""
        return self._sign * super().total(log_policy, counts, world)

    def remarks(self) -> dict[str, Array]:
        """The row says which lam was used."""
        return {"lam_chosen": jnp.asarray(self.lam, float)}


@pytree
@dataclass(frozen=True)
class EarlyHeldOut(Learner):
    """Early ensembling with lam chosen among `GRID` on held-out edits, as the paper chose its settings.

    The choice minimises the held-out preference loss of link "balance", which under balance is a proper score of the
    policy's margins.  Its rows have an empty `lam` and the choice in `lam_chosen`.

    Args:
        link: of the preference loss that is trained, as in `Preference`.
        ridge: as in `Early`.
        held_out: how many edits there are to choose on; they come on top of the n of the log.
    """

    link: str = field(default="balance", metadata={"static": True})
    ridge: Array | float = RIDGE
    held_out: int = field(default=200, metadata={"static": True})
    name: ClassVar[str] = "early"

    def __post_init__(self) -> None:
        choose("link", self.link, LINKS)

    def settings(self) -> dict[str, Any]:
        """The fields, and the objective that every lam of the grid shares."""
        return super().settings() | {"objective": "losses"}

    def pulls(self, counts: Array, world: World, notes: dict[str, Array]) -> Array:
        """Those of the lam that was chosen."""
        return Early(notes["lam_chosen"], self.link, self.ridge).pulls(counts, world, notes)

    def fit(self, log: EditLog, world: World, policies: PolicyClass) -> Fit:
        """Fit every lam of the grid; keep the fit with the smallest held-out preference loss."""
        score = Preference()
        seen = jnp.where(policies.possible[:, None, :], log.held_out, 0.0)

        def try_one(lam: Array) -> tuple[Array, Fit]:
            fit = Early(lam, self.link, self.ridge).fit(log, world, policies)
            return score.total(fit.log_policy, seen, world), fit

        scores, fits = jax.vmap(try_one)(jnp.asarray(GRID))
        best = jnp.argmin(jnp.where(jnp.isnan(scores), jnp.inf, scores))
        return jax.tree.map(lambda leaf: leaf[best], fits)
