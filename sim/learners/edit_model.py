"""The edit model: maximum likelihood of the edit given the draft, when the form of the user's kernel is known."""

from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sim.errors import BadInput, choose
from sim.learners.contract import EditLog, Fit, Learner, Status, answer, status_of
from sim.learners.defaults import RIDGE
from sim.learners.preference import Preference
from sim.newton import Minimum, expansion, minimise, ridged
from sim.objectives import LogPolicy
from sim.policies import LogLinear, Mixture, PolicyClass, PolicyList
from sim.pytrees import pytree
from sim.world import World

FORMS = ("redraw", "lazy")


@pytree
@dataclass(frozen=True)
class EditModel(Learner):
    """Maximise the mean of log q_{theta,s}(e_i | x_i, y_i) over the policy's parameters theta and the strength s.

    Form "redraw": q(e|y) = sum over sets B of attributes of s^|B| (1 - s)^(K - |B|) 1[e = y off B] pi_theta(e_B |
    y off B): each attribute is re-drawn with probability s, the chosen ones jointly given the rest.  For a product
    pi_theta this is prod_k ((1 - s) 1[e_k = y_k] + s p_k(e_k)).  Needs 2^K responses.
    Form "lazy": q(e|y) = (1 - s) 1[e = y] + s pi_theta(e|x).

    At s = 1 it is supervision.  `parameters` are those of the policy, then logit s, (d + 1,); the ridge is on all of
    them, which also ends the search when the best strength is 1.  The note `strength_hat` is the fitted s.  If the
    user's kernel has another form the limit is not the optimum (docs/theory.md 5.6).  The paper has no such learner.

    Args:
        form: "redraw" or "lazy".
        ridge: at least 0; ridge |(theta, logit s)|^2 / (2n) is added to the mean loss.
    """

    form: str = field(default="redraw", metadata={"static": True})
    ridge: Array | float = RIDGE
    name: ClassVar[str] = "edit-model"

    def __post_init__(self) -> None:
        choose("form", self.form, FORMS)

    def check(self, world: World, policies: PolicyClass) -> None:
        """Re-drawn attributes need responses that are sets of attributes."""
        if self.form == "redraw":
            _attributes_of(world.responses)

    def start(self, world: World, policies: PolicyClass) -> Float[Array, " p"]:
        """Where a search may begin, which also says how many parameters there are: theta = 0, s = 1/2."""
        return jnp.zeros(policies.dimension + 1)

    def log_policy(self, parameters: Float[Array, " p"], world: World, policies: PolicyClass) -> LogPolicy:
        """The policy that these parameters name, log pi (X, A)."""
        return policies.log_policy(parameters[:-1])

    def loss(
        self,
        parameters: Float[Array, " p"],
        world: World,
        policies: PolicyClass,
        context: Array,
        response: Array,
        edited: Array,
    ) -> Float[Array, ""]:
        """-log q_{theta,s}(e|x, y) of one triple; +inf if the model excludes it."""
        log_law = policies.log_policy(parameters[:-1])[context]
        if self.form == "lazy":
            return -jnp.log(_lazy_row(log_law, parameters[-1], response)[edited])
        _attributes_of(log_law.shape[0])
        shifted = log_law[response ^ jnp.arange(log_law.shape[0])]
        return -jnp.log(_redraw_row(shifted, parameters[-1])[response ^ edited])

    def expected_loss(
        self, parameters: Float[Array, " p"], world: World, policies: PolicyClass, law: Float[Array, "X A A"]
    ) -> Float[Array, ""]:
        """sum law(x, y, e) loss(x, y, e), without working out a row of the kernel for each of its triples."""
        return _Objective(self.form, law).total(policies.log_policy(parameters[:-1]), parameters[-1])

    def fit(self, log: EditLog, world: World, policies: PolicyClass) -> Fit:
        """Minimise the mean loss plus ridge |parameters|^2 / (2n)."""
        usable = EditLog(jnp.where(policies.possible[:, None, :], log.counts, 0.0), log.held_out)
        minima = self._searches(usable, log.n, world, policies)
        values = jnp.where(jnp.isnan(minima.value), jnp.inf, minima.value)
        best = jax.tree.map(lambda leaf: leaf[jnp.argmin(values)], minima)
        notes = {"strength_hat": jax.nn.sigmoid(best.point[-1])}
        log_policy = self.log_policy(best.point, world, policies)
        found = answer(usable.edits > 0, world, best.point, log_policy, status_of(best), best.iterations, notes)
        return found._replace(status=jnp.where(usable.n < log.n, Status.outside_class, found.status))

    def _searches(self, log: EditLog, n: Array, world: World, policies: PolicyClass) -> Minimum:
        """One minimum per start, or per member of a list, stacked."""
        objective, ridge = _Objective(self.form, log.counts / n), self.ridge / n
        if isinstance(policies, PolicyList):
            return _members(objective, ridge, policies)
        starts = self._starts(log, world, policies)
        function = ridged(
            expansion(lambda point: objective.total(policies.log_policy(point[:-1]), point[-1])),
            ridge,
        )
        return jax.vmap(lambda start: minimise(function, start, convex=False))(starts)

    def _starts(self, log: EditLog, world: World, policies: LogLinear | Mixture) -> Array:
        # Far from the optimum the likelihood is flat.  A preference fit, which is convex, is near it; the larger
        # ridge keeps it finite for a log that separates.
        starts = policies.starts()
        if isinstance(policies, LogLinear):
            starts = Preference(ridge=1.0).fit(log, world, policies).parameters[None]
        objective = _Objective(self.form, log.counts / log.n)
        strengths = jax.vmap(lambda start: _best_strength(objective, self.ridge / log.n, policies.log_policy(start)))
        return jnp.column_stack([starts, strengths(starts).point[:, 0]])


class _Objective:
    """-sum counts(x, y, e) log q(e|x, y) as a function of the table log pi and logit s."""

    def __init__(self, form: str, counts: Float[Array, "X A A"]) -> None:
        self.form = form
        # In the order of the changes y xor e, in which a re-drawn row needs no permutation to be differentiated.
        self.counts = counts if form == "lazy" else _by_change(counts)

    def total(self, log_policy: LogPolicy, logit: Array) -> Float[Array, ""]:
        """The value; only triples with a count matter."""
        kernel = _lazy(log_policy, logit) if self.form == "lazy" else _redraw_by_change(log_policy, logit)
        seen = self.counts > 0
        return -jnp.sum(jnp.where(seen, self.counts * jnp.log(jnp.where(seen, kernel, 1.0)), 0.0))


def _best_strength(objective: _Objective, ridge: Array, log_policy: Array) -> Minimum:
    """The logit of the strength that fits a policy best."""
    function = expansion(lambda point: objective.total(log_policy, point[0]))
    return minimise(ridged(function, ridge), jnp.zeros(1), convex=False)


def _members(objective: _Objective, ridge: Array, policies: PolicyList) -> Minimum:
    """The best strength for every member of the list."""
    minima = jax.vmap(lambda log_policy: _best_strength(objective, ridge, log_policy))(policies.log_policies)
    index = jnp.arange(len(policies.log_policies), dtype=float)
    return minima._replace(point=jnp.column_stack([index, minima.point]))


def kernel_of(form: str, log_policy: LogPolicy, logit: Float[Array, ""]) -> Float[Array, "X A A"]:
    """The model's kernel q[x, y, e] for a policy (its logarithms, (X, A)) and a strength s = sigma(logit).

    Raises:
        BadInput: form "redraw" and a number of responses that is not a power of two.
    """
    return _lazy(log_policy, logit) if form == "lazy" else _by_change(_redraw_by_change(log_policy, logit))


def _lazy_row(log_law: Array, logit: Array, response: Array) -> Array:
    stays = jnp.arange(log_law.shape[0]) == response
    return jax.nn.sigmoid(-logit) * stays + jax.nn.sigmoid(logit) * jnp.exp(log_law)


def _lazy(log_policy: Array, logit: Array) -> Array:
    rows = jax.vmap(_lazy_row, in_axes=(None, None, 0))
    return jax.vmap(lambda law: rows(law, logit, jnp.arange(law.shape[0])))(log_policy)


def _redraw_row(shifted: Array, logit: Array) -> Array:
    """q(y xor D | y) at [..., D], given log pi(y xor C) at [..., C]: sets of attributes are the bits of C and D.

    q(y xor D | y) = pi(y xor D) sum over B that contain D of w_B / m_B(y), with m_B(y) = sum of pi(y xor C) over C
    within B, and w_B = s^|B| (1 - s)^(K - |B|).  A block that pi cannot re-draw (m_B = 0) is left as it is.
    """
    attributes, blocks = _attributes_of(shifted.shape[-1]), np.arange(shifted.shape[-1])
    within = jnp.asarray((blocks[:, None] & blocks) == blocks[:, None], float)
    law = jnp.exp(shifted)
    mass = law @ within
    sizes = jnp.asarray([bin(block).count("1") for block in blocks], float)
    weights = jnp.exp(sizes * jax.nn.log_sigmoid(logit) + (attributes - sizes) * jax.nn.log_sigmoid(-logit))
    defined = mass > 0
    given_rest = jnp.where(defined, weights / jnp.where(defined, mass, 1.0), 0.0)
    stuck = jnp.sum(jnp.where(defined, 0.0, weights), axis=-1, keepdims=True)
    return law * (given_rest @ within.T) + stuck * (blocks == 0)


def _redraw_by_change(log_policy: Array, logit: Array) -> Array:
    """q(y xor D | x, y) at [x, y, D]."""
    shifted = log_policy[..., None]
    contexts, responses = log_policy.shape
    for k in range(_attributes_of(responses)):
        split = shifted.reshape(contexts, 2**k, 2, -1, 2**k)
        pair = jnp.stack([split, jnp.flip(split, axis=2)], axis=-1)
        shifted = pair.reshape(contexts, responses, -1)
    return _redraw_row(shifted, logit)


def _by_change(table: Array) -> Array:
    """table[x, y, y xor D] at [x, y, D]; its own inverse."""
    responses = jnp.arange(table.shape[1])
    return jnp.take_along_axis(table, (responses[:, None] ^ responses)[None], axis=2)


def _attributes_of(responses: int) -> int:
    attributes = responses.bit_length() - 1
    if 2**attributes != responses:
        raise BadInput(f'edit-model: form "redraw" needs 2^K responses, got {responses}; use form "lazy"')
    return attributes
