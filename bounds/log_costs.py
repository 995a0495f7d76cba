"""What plug-in cost learning reaches, from the costs that a log holds rather than from those of its world.

The world's distance is made for its reference and optimum to fit (docs/theory.md 2.1), and its costs have no noise but
the user's.  What a text costs to edit depends on more: here the cost model meets the log's own costs.
"""

import numpy as np
from scipy.special import expit, logit

from bounds.asymptotics import Prediction
from bounds.log_worlds import LogWorld, leading
from sim.llm.estimates import GroupEstimate


def predicted(built: LogWorld, group: GroupEstimate) -> Prediction:
    """Limit and coefficient of E SubOpt of the linear plug-in cost learner, P being the law of the log's own rows.

    With w the least squares of the cost c on psi = (y - 1/2, 1), r = c - <w, psi>, H = E psi psi^T,
    V = H^-1 E[r^2 psi psi^T] H^-1 and b = -H^-1 E[r psi psi^T H^-1 psi],

        S(w) = beta sum_k KL(sigma(logit p_k - w_k / beta) || pi*_k)
        coefficient = <grad S, b> + tr(grad^2 S V) / 2,    limit = max(S(w) - coefficient / rows, 0)

    as w is itself an estimate from these rows.  A trait that all responses have, or none, is left where it is.

    Args:
        built: the world of the group.
        group: the estimates it was built from.

    Source: docs/theory.md 5 and 5.3; docs/from-logs.md 7.
    """
    seen, beta = leading(group)[2], float(built.world.temperature)
    psi = np.column_stack([seen.responses - 0.5, np.ones(len(seen.counts))])
    weights = seen.counts / seen.rows
    inverse = np.linalg.pinv(psi.T @ (weights[:, None] * psi), rcond=1e-12, hermitian=True)
    slopes = inverse @ (psi.T @ (weights * seen.costs))
    fitted = psi @ slopes
    square = seen.squares - 2 * seen.costs * fitted + fitted**2
    variance = inverse @ (psi.T @ ((weights * square)[:, None] * psi)) @ inverse
    leverage = ((psi @ inverse) * psi).sum(axis=1)
    bias = -inverse @ (psi.T @ (weights * (seen.costs - fitted) * leverage))
    value, slope, bend = _suboptimality(slopes[:-1], beta, built)
    coefficient = float(slope @ bias[:-1] + 0.5 * bend @ np.diag(variance)[:-1])
    return Prediction(max(value - coefficient / seen.rows, 0.0), coefficient)


def _suboptimality(slopes: np.ndarray, beta: float, built: LogWorld) -> tuple[float, np.ndarray, np.ndarray]:
    """S, its gradient and the diagonal of its second derivative, which is all of it, in the slopes (K,)."""
    wanted = logit(built.form.optimum)
    logits = logit(built.shares) - slopes / beta
    chance, apart = expit(logits), logits - wanted
    spread = chance * expit(-logits)
    # KL of Bernoulli laws: the mean log-odds ratio less the difference of the log-partition functions.
    divergence = chance * apart - np.logaddexp(0, logits) + np.logaddexp(0, wanted)
    return beta * float(divergence.sum()), -spread * apart, spread * (1 + (1 - 2 * chance) * apart) / beta
