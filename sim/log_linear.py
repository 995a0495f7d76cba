"""The log-linear policy class, fitted in blocks of parameters that no two contexts share."""

from dataclasses import dataclass, field, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from sim import log_linear_parts as parts
from sim import newton
from sim.features import LARGEST_TABLE, Features
from sim.log_linear_parts import Gathered, Groups, Part
from sim.newton import Minimum
from sim.objectives import Choices, LogPolicy, Objective, Solution
from sim.pytrees import pytree
from sim.world import World


@pytree
@dataclass(frozen=True)
class Blocks:
    """The class as B problems of C contexts and k parameters each, B C = X, no parameter being in two of them.

    `rows` are the features of each block's own parameters, centred per context, which no policy can see; parameter
    i of the class stands at `place[i]` of the B k, or at B k if it is in none.  `on_cube` says whether the responses
    of every block are, by their features, all corners of the cube {-1/2, 1/2}^k.
    """

    rows: Float[Array, "B C A k"]
    place: Int[Array, " d"]
    on_cube: bool = field(default=False, metadata={"static": True})

    def split(self, table: Array) -> Array:
        """A table over contexts (X, ...) as (B, C, ...)."""
        return table.reshape(*self.rows.shape[:2], *table.shape[1:])

    def gather(self, points: Float[Array, "B k"]) -> Float[Array, " d"]:
        """The class's parameters from those of the blocks; a parameter in no block is 0."""
        return jnp.append(points.ravel(), 0.0)[self.place]

    def gather_matrix(self, matrices: Float[Array, "B k k"]) -> Float[Array, "d d"]:
        """The block-diagonal matrix."""
        whole = jnp.pad(jax.scipy.linalg.block_diag(*matrices), (0, 1))
        return whole[jnp.ix_(self.place, self.place)]


@pytree
@dataclass(frozen=True)
class LogLinear:
    """pi_theta(y|x) proportional to exp(<theta, phi(x, y)>) on the support of the reference policy.

    Parameters theta, shape (d,); theta = 0 is uniform on the support.  `features` are phi (X, A, d), `support` is where
    pi_ref is positive, (X, A).  `groups` serve comparisons with the reference policy of the world that the class was
    built for.  `blocks` are None where a table of the features does not fit.
    """

    features: Features
    support: Bool[Array, "X A"]
    blocks: Blocks | None
    groups: Groups | None

    @property
    def dimension(self) -> int:
        """The number of parameters."""
        return self.features.dimension

    @property
    def possible(self) -> Bool[Array, "X A"]:
        """The responses that some policy of the class gives."""
        return self.support

    def log_policy(self, parameters: Float[Array, " d"]) -> LogPolicy:
        """log pi_theta, shape (X, A); -inf off the support."""
        return jax.nn.log_softmax(jnp.where(self.support, self.features.pull(parameters), -jnp.inf), axis=1)

    def starts(self) -> Float[Array, "1 d"]:
        """Where searches begin: at the uniform policy."""
        return jnp.zeros((1, self.features.dimension))

    def minimise(self, objective: Objective, ridge: Float[Array, ""]) -> Solution:
        """The minimiser of objective(log pi_theta) + ridge |theta|^2 / 2, by damped Newton steps."""
        if objective.choices is not None and self.blocks is not None:
            return self.minimise_gathered(self.gather(objective.choices), ridge)
        minimum = newton.minimise(newton.ridged(self._expand(objective), ridge), self.starts()[0])
        nothing = jnp.zeros(())
        return Solution(minimum.point, self.log_policy(minimum.point), minimum, nothing, nothing + jnp.inf)

    def _expand(self, objective: Objective) -> newton.Function:
        # Chain rule through L = <theta, phi> - log Z: the first derivative of L is the centred feature, the
        # second is minus its covariance.
        def function(parameters: Array) -> newton.Expansion:
            log_policy = self.log_policy(parameters)
            policy = jnp.exp(log_policy)
            value, slope, curvature = objective.derivatives(log_policy)
            centred = self.features.centred(policy)
            hessian = -centred.gram(policy * jnp.sum(slope, axis=1, keepdims=True))
            if curvature is not None:
                hessian = hessian + centred.pair_gram(curvature)
            return newton.Expansion(value, centred.push(slope), hessian)

        return function

    def gather(self, choices: Choices) -> Gathered:
        """All that the class needs of a loss."""
        if self.groups is None or choices.compared is None:
            return Gathered(choices, None, None)
        return Gathered(choices._replace(compared=None), *self.groups.sums(choices.compared))

    def minimise_gathered(self, gathered: Gathered, ridge: Float[Array, ""]) -> Solution:
        """As `minimise`, every block being searched on its own."""
        blocks, ridge = self._blocks, jnp.asarray(ridge, float)
        size = blocks.rows.shape[-1]

        def expand(data: tuple[list[Part], Array], point: Array) -> newton.Expansion:
            found, ridge = data
            return newton.ridged(partial(parts.total, found), ridge)(point)

        def search(found: list[Part]) -> Minimum:
            return newton.minimise_each(expand, (found, ridge), parts.start(found, size, ridge))

        found, seen = self._parts(gathered), self._seen(gathered)
        minima = jax.vmap(search, in_axes=([parts.axes(part) for part in found],))(found)
        parameters = blocks.gather(minima.point)
        minimum = newton.of_separate(minima, parameters, blocks.gather_matrix(minima.hessian))
        widest = jax.vmap(parts.widest, in_axes=(parts.axes(seen), 0))
        certificate = parts.certificate(
            minima, lambda inverse: widest(seen, inverse), ridge, jnp.asarray(gathered.choices.scale, float)
        )
        return Solution(parameters, self.log_policy(parameters), minimum, jnp.zeros(()), certificate)

    @property
    def _blocks(self) -> Blocks:
        assert self.blocks is not None
        return self.blocks

    def _parts(self, gathered: Gathered) -> list[Part]:
        """The terms of the loss in each block, every array with the blocks as first axis."""
        blocks, choices = self._blocks, gathered.choices
        found: list[Part] = []
        if choices.shown is not None:
            weights = blocks.split(choices.shown)
            on_cube, support = blocks.on_cube, blocks.split(self.support)
            found.append(
                parts.shown_on_cube(blocks.rows, weights) if on_cube else parts.Shown(blocks.rows, support, weights)
            )
        if gathered.wins is not None and self.groups is not None:
            found.append(parts.grouped(self.groups, gathered))
        elif choices.compared is not None:
            reference = blocks.split(choices.reference)
            found.append(parts.paired(blocks.rows, blocks.split(choices.compared), reference, choices.scale))
        return found

    def _seen(self, gathered: Gathered) -> parts.Seen:
        """The differences of features that the loss compares, in each block."""
        if self.groups is not None:
            return parts.seen_groups(self.groups, gathered)
        pulls = gathered.choices.pulls
        return parts.seen_pairs(self._blocks.rows, self._blocks.split(pulls | jnp.swapaxes(pulls, 1, 2)))

    def of_reference(self, world: World) -> "LogLinear":
        """This class for comparisons with the reference policy of this world, if it was built for another."""
        if self.groups is None or np.array_equal(np.asarray(self.groups.reference), np.asarray(world.reference)):
            return self
        return replace(self, groups=None)


def log_linear(world: World) -> LogLinear:
    """The log-linear class of the world's policy features."""
    features, reference = world.policy_features, np.asarray(world.reference)
    if world.contexts * world.responses * features.dimension > LARGEST_TABLE:
        return LogLinear(features, world.reference > 0, None, None)
    blocks = _blocks(np.asarray(features.table), reference > 0)
    return LogLinear(features, world.reference > 0, blocks, parts.groups_of(np.asarray(blocks.rows), reference))


# Of a feature's size: what a centred feature may carry of rounding.
_ROUNDING = 1e-13


def _blocks(features: np.ndarray, support: np.ndarray) -> Blocks:
    dimension = features.shape[2]
    weights = support / support.sum(axis=1, keepdims=True)
    centred = features - np.einsum("xa,xad->xd", weights, features)[:, None]
    level = _ROUNDING * np.abs(features).max(axis=(0, 1), initial=0.0)
    moves = np.abs(np.where(support[:, :, None], centred, 0.0)).max(axis=1) > level
    sizes = moves.sum(axis=1)
    if moves.sum(axis=0).max(initial=0) > 1 or sizes.min() < max(sizes.max(), 1):
        return Blocks(jnp.asarray(centred[None]), jnp.arange(dimension))
    columns = np.stack([np.flatnonzero(row) for row in moves])
    place = np.full(dimension, columns.size)
    place[columns.ravel()] = np.arange(columns.size)
    rows = np.take_along_axis(centred, columns[:, None, :], axis=2)
    return Blocks(jnp.asarray(rows[:, None]), jnp.asarray(place), bool(support.all()) and _on_cube(rows))


def _on_cube(rows: np.ndarray) -> bool:
    """Whether the rows (B, A, k) of every block are the corners of {-1/2, 1/2}^k, in any order."""
    responses, width = rows.shape[1:]
    if responses != 2**width or np.any(np.abs(rows) != 0.5):
        return False
    number = (rows > 0) @ 2 ** np.arange(width)
    return bool(np.all(np.sort(number, axis=1) == np.arange(responses)))
