"""What other packages need for one fit: scikit-learn's logistic regression and SciPy's L-BFGS-B.

Both get one log as aggregated counts, so that a fit costs them as little as it can.  A log may be fitted whole, or
context by context where no parameter belongs to two contexts.  They fit without a ridge.

Preference is logistic regression without an intercept: with psi = phi(x, e) - phi(x, y) an edit adds
softplus(-<theta - theta_ref, psi>), because log pi_ref(e|x) - log pi_ref(y|x) = <theta_ref, psi> wherever pi_ref is
in the log-linear class.  Edits with the same psi are one row with its number of wins, and of losses for -psi.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from sim.errors import BadInput
from sim.log_linear import log_linear
from sim.policies import centred_regression
from sim.world import World

NEEDS_SKLEARN = "needs the package scikit-learn; pip install 'medley[bench]'"
LAYOUTS = ("whole", "by context")
UNPENALISED = 1e12
"""scikit-learn's C: a ridge of 1e-12, since versions disagree on how to ask for none."""
_STEPS = 1000


class Pairs(NamedTuple):
    """The edits of a log, or of one context: distinct differences of features, with their wins and losses."""

    columns: np.ndarray
    rows: np.ndarray
    wins: np.ndarray
    losses: np.ndarray


class Shown(NamedTuple):
    """The edited responses of a log, or of one context: features (X, A, p) and how often each was shown (X, A)."""

    columns: np.ndarray
    features: np.ndarray
    counts: np.ndarray


Block = Pairs | Shown


@dataclass(frozen=True)
class Rival:
    """One way to fit: `fit(block, tolerance)` gives the parameters of the block's columns.

    `shift` (d,) is added to the parameters of a log: theta_ref for preference.
    """

    package: str
    layout: str
    method: str
    blocks: Callable[[np.ndarray], list[Block]]
    fit: Callable[[Block, float], np.ndarray]
    shift: np.ndarray = field(repr=False)

    def estimate(self, blocks: list[Block], tolerance: float) -> np.ndarray:
        """The parameters (d,) of one log from its blocks."""
        theta = self.shift.copy()
        for block in blocks:
            theta[block.columns] += self.fit(block, tolerance)
        return theta


def preference(world: World) -> list[Rival]:
    """Every way to fit the preference learner (link "balance") without a ridge.

    Raises:
        BadInput: a world whose reference policy is not in the log-linear class.
    """
    shift = reference_parameters(world)
    ways = [("SciPy", f"L-BFGS-B with {memory} corrections", _scipy_logistic(memory)) for memory in (5, 10, 20)]
    ways += [("SciPy", "L-BFGS-B from weighted least squares", _scipy_logistic(10, near=True))]
    if find_spec("sklearn") is not None:
        ways += [("scikit-learn", solver, _sklearn(solver)) for solver in ("newton-cholesky", "lbfgs", "newton-cg")]
    splits = {layout: _pairs(world, layout) for layout in layouts(world)}
    return [Rival(p, layout, m, blocks, fit, shift) for layout, blocks in splits.items() for p, m, fit in ways]


def supervision(world: World) -> list[Rival]:
    """Every way to fit the supervision learner without a ridge."""
    shift = np.zeros(world.policy_features.dimension)
    forms: dict[str, tuple[Form, Start]] = {
        "on counts": (_from_counts, _nowhere),
        "on sufficient statistics": (_from_statistics, _nowhere),
    }
    blocks = log_linear(world).blocks
    if blocks is not None and blocks.on_cube:
        forms["on attributes apart"] = _of_attributes, _nowhere
        forms["on attributes apart, from their log-odds"] = _of_attributes, _log_odds
    splits = {layout: _shown(world, layout) for layout in layouts(world)}
    return [
        Rival("SciPy", layout, f"L-BFGS-B with {memory} corrections {name}", blocks, _scipy(*form, memory), shift)
        for layout, blocks in splits.items()
        for memory in (5, 10, 20)
        for name, form in forms.items()
    ]


def layouts(world: World) -> tuple[str, ...]:
    """The layouts of a world: by context only where every feature varies in one context at most."""
    apart = _varies(world).sum(axis=0).max(initial=0) <= 1
    return LAYOUTS if apart and world.contexts > 1 else LAYOUTS[:1]


def reference_parameters(world: World) -> np.ndarray:
    """theta_ref (d,) with log pi_ref(y|x) = <theta_ref, phi(x, y)> + a number of the context."""
    rows, targets = centred_regression(world, np.asarray(world.reference))
    theta = np.linalg.lstsq(rows, targets, rcond=None)[0]
    residual = np.abs(rows @ theta - targets).max(initial=0.0)
    if residual > 1e-9:
        raise BadInput(
            f"expected a world whose reference policy is log-linear in its features, it is {residual:.1e} off"
        )
    return theta


@contextmanager
def at_their_best() -> Iterator[None]:
    """No checks of input, no warnings, one thread: what serves fits as small as these."""
    import warnings

    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        if find_spec("sklearn") is not None:
            import sklearn
            from threadpoolctl import threadpool_limits

            stack.enter_context(sklearn.config_context(assume_finite=True, skip_parameter_validation=True))
            stack.enter_context(threadpool_limits(1))
        yield


def _varies(world: World) -> np.ndarray:
    """Which features vary in which context, (X, d)."""
    return np.ptp(np.asarray(world.policy_features.table), axis=1) > 0


def _groups(world: World, layout: str) -> list[tuple[list[int], np.ndarray]]:
    """The contexts and the columns of each block."""
    if layout == "whole":
        return [(list(range(world.contexts)), np.arange(world.policy_features.dimension))]
    return [([x], np.flatnonzero(varies)) for x, varies in enumerate(_varies(world))]


def _pairs(world: World, layout: str) -> Callable[[np.ndarray], list[Block]]:
    table = np.asarray(world.policy_features.table)
    groups = [
        (contexts, columns, *_distinct(table[contexts][:, :, columns])) for contexts, columns in _groups(world, layout)
    ]

    def blocks(counts: np.ndarray) -> list[Block]:
        found: list[Block] = []
        for contexts, columns, rows, place, sign in groups:
            flat = counts[contexts].ravel()
            wins, losses = (np.bincount(place, flat * (sign == way), len(rows)) for way in (1, -1))
            seen = wins + losses > 0
            found.append(Pairs(columns, np.ascontiguousarray(rows[seen]), wins[seen], losses[seen]))
        return found

    return blocks


def _distinct(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct differences phi(x, e) - phi(x, y) up to sign, and the row and sign of every (x, y, e), flat.

    The sign is 0 for a difference of zero, which no parameter changes.
    """
    psi = (table[:, None, :, :] - table[:, :, None, :]).reshape(-1, table.shape[-1])
    first = np.argmax(psi != 0, axis=1)
    sign = np.sign(psi[np.arange(len(psi)), first]).astype(int)
    rows, place = np.unique(psi * sign[:, None] + 0.0, axis=0, return_inverse=True)
    return rows, place.ravel(), sign


def _shown(world: World, layout: str) -> Callable[[np.ndarray], list[Block]]:
    table, groups = np.asarray(world.policy_features.table), _groups(world, layout)
    parts = [(contexts, columns, np.ascontiguousarray(table[contexts][:, :, columns])) for contexts, columns in groups]

    def blocks(counts: np.ndarray) -> list[Block]:
        margin = counts.sum(axis=1).astype(float)
        return [Shown(columns, features, margin[contexts]) for contexts, columns, features in parts]

    return blocks


Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


def _minimised(objective: Objective, start: np.ndarray, memory: int, tolerance: float) -> np.ndarray:
    options = {"maxcor": memory, "gtol": tolerance, "ftol": 0.0, "maxiter": _STEPS, "maxfun": 10 * _STEPS}
    return minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x


def _scipy_logistic(memory: int, near: bool = False) -> Callable[[Block, float], np.ndarray]:
    def fit(block: Block, tolerance: float) -> np.ndarray:
        assert isinstance(block, Pairs)
        rows, share = block.rows, 1.0 / max(block.wins.sum() + block.losses.sum(), 1.0)
        weights, pulled = share * (block.wins + block.losses), share * (block.wins @ block.rows)
        columns = np.ascontiguousarray(rows.T)

        def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
            margins = rows @ theta
            value = weights @ np.logaddexp(0.0, margins) - pulled @ theta
            return value, columns @ (weights * expit(margins)) - pulled

        start = _least_squares(block) if near else np.zeros(rows.shape[1])
        return _minimised(objective, start, memory, tolerance)

    return fit


def _least_squares(block: Pairs) -> np.ndarray:
    """The weighted least-squares fit to the log-odds of each difference, from which our search starts too."""
    both = block.wins + block.losses
    won = (block.wins + 0.05 * both) / (1.1 * both)
    root = np.sqrt(both * won * (1 - won))
    return np.linalg.lstsq(root[:, None] * block.rows, root * np.log(won / (1 - won)), rcond=None)[0]


def _sklearn(solver: str) -> Callable[[Block, float], np.ndarray]:
    from sklearn.linear_model import LogisticRegression

    def fit(block: Block, tolerance: float) -> np.ndarray:
        assert isinstance(block, Pairs)
        if not len(block.rows):
            return np.zeros(block.rows.shape[1])
        won, lost = block.wins > 0, block.losses > 0
        rows, weights = block.rows[won], block.wins[won]
        if lost.any():
            rows, weights = np.concatenate([rows, block.rows[lost]]), np.concatenate([weights, block.losses[lost]])
        labels = np.repeat([1, 0], [won.sum(), lost.sum()])
        model = LogisticRegression(C=UNPENALISED, solver=solver, tol=tolerance, fit_intercept=False, max_iter=_STEPS)
        return model.fit(rows, labels, sample_weight=weights).coef_[0]

    return fit


Form = Callable[[np.ndarray, np.ndarray], Objective]
Start = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _scipy(form: Form, start: Start, memory: int) -> Callable[[Block, float], np.ndarray]:
    def fit(block: Block, tolerance: float) -> np.ndarray:
        assert isinstance(block, Shown)
        share = 1.0 / max(block.counts.sum(), 1.0)
        counts = share * block.counts
        return _minimised(form(block.features, counts), start(block.features, counts), memory, tolerance)

    return fit


def _nowhere(features: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.zeros(features.shape[-1])


def _log_odds(features: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Where the responses are a cube: the minimum itself, from which our search starts too; edges moved inwards."""
    totals = counts.sum(axis=1) @ (np.ptp(features, axis=1) > 0)
    share = np.clip(0.5 + np.tensordot(counts, features, axes=2) / np.maximum(totals, 1e-300), 1e-6, 1 - 1e-6)
    return np.log(share / (1 - share))


def _from_counts(features: np.ndarray, counts: np.ndarray) -> Objective:
    """-sum N(x, e) log pi(e|x) and its gradient sum (N(x) pi(e|x) - N(x, e)) phi(x, e)."""
    flat, shape = features.reshape(-1, features.shape[-1]), counts.shape
    columns, totals = np.ascontiguousarray(flat.T), counts.sum(axis=1)

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        scores = (flat @ theta).reshape(shape)
        weights = np.exp(scores)
        sums = weights.sum(axis=1)
        value = totals @ np.log(sums) - np.vdot(counts, scores)
        return value, columns @ (weights * (totals / sums)[:, None] - counts).ravel()

    return objective


def _from_statistics(features: np.ndarray, counts: np.ndarray) -> Objective:
    """The same from S = sum N(x, e) phi(x, e): sum N(x) log Z(x) - <theta, S>."""
    flat, shape = features.reshape(-1, features.shape[-1]), counts.shape
    columns, totals = np.ascontiguousarray(flat.T), counts.sum(axis=1)
    statistics = columns @ counts.ravel()

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        weights = np.exp(flat @ theta).reshape(shape)
        sums = weights.sum(axis=1)
        gradient = columns @ (weights * (totals / sums)[:, None]).ravel() - statistics
        return totals @ np.log(sums) - statistics @ theta, gradient

    return objective


def _of_attributes(features: np.ndarray, counts: np.ndarray) -> Objective:
    """The same where responses are the corners of a cube, as ours has it: log Z(x) = sum_k log(2 cosh(theta_k / 2))."""
    statistics = np.tensordot(counts, features, axes=2)
    totals = counts.sum(axis=1) @ (np.ptp(features, axis=1) > 0)

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        half = theta / 2
        value = totals @ np.logaddexp(half, -half) - statistics @ theta
        return value, totals * np.tanh(half) / 2 - statistics

    return objective
