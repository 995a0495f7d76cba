"""Coverage: how well the reference policy's log covers what a learner needs."""

import jax.numpy as jnp
import numpy as np

from sim import cubes
from sim.editors import DenseEditor, MixtureEditor, ProductEditor
from sim.features import AttributeFeatures, attribute_features
from sim.policies import LogLinear, PolicyList
from sim.world import World

_SAME = 1e-12


def policy_concentrability(world: World) -> float:
    """C* = E over x ~ rho, y ~ pi* of pi*(y|x) / pi_ref(y|x), at least 1 (docs/theory.md 4.4)."""
    optimal, reference = np.asarray(world.optimal), np.asarray(world.reference)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(optimal > 0, optimal**2 / reference, 0.0)
    return float(np.asarray(world.context_probs) @ terms.sum(axis=1))


def preference_coverage(world: World, policies: PolicyList | LogLinear) -> float:
    """C_PREF: how much less the log's pairs (y, e) tell two policies apart than pairs from pi and pi* do (4.3).

    List: max over pi in `policies`, pi != pi*, of E_{x, y~pi, y'~pi*}[(Delta_pi - Delta_pi*)^2] / E_m[same], with
    Delta_pi(y, y') = r_pi(y') - r_pi(y), r_pi = log(pi / pi_ref) and m the law rho pi_ref q of the log; ties y = y'
    count zero.  LogLinear, an upper bound for all its members: max over x and pairs of psi^T Sigma_m^-1 psi,
    psi = phi(x, y') - phi(x, y), Sigma_m = E_m psi psi^T (docs/theory.md 4.6).  +inf where the log cannot tell two
    policies apart that differ; 0 where no two differ.  Source: docs/theory.md 4.3.
    """
    if isinstance(policies, LogLinear):
        if isinstance(world.policy_features, AttributeFeatures) and not isinstance(world.editor, DenseEditor):
            return _attribute_coverage(world)
        return _linear_coverage(world, np.asarray(policies.support))
    return max((_member_coverage(world, member) for member in np.asarray(policies.log_policies)), default=0.0)


def _member_coverage(world: World, log_policy: np.ndarray) -> float:
    rho, log_optimal = np.asarray(world.context_probs), np.asarray(world.log_optimal)
    policy, optimal = np.exp(log_policy), np.asarray(world.optimal)
    if np.abs(policy - optimal)[rho > 0].max() <= _SAME:
        return 0.0
    # log pi_ref and the normalisations cancel: Delta_pi - Delta_pi* is a difference of g = log(pi / pi*).
    possible = (log_policy > -np.inf) | (log_optimal > -np.inf)
    with np.errstate(invalid="ignore"):
        gain = np.where(possible, log_policy - log_optimal, 0.0)
    if not np.all(np.isfinite(gain[rho > 0])):
        return np.inf
    wanted = float(rho @ _mean_square_pairs(gain, policy, optimal))
    seen = sum(_logged_square(world, x, gain[x], possible[x]) for x in range(len(rho)) if rho[x] > 0)
    return wanted / seen if seen > 0 else (np.inf if wanted > _SAME**2 else 0.0)


def _mean_square_pairs(gain: np.ndarray, policy: np.ndarray, optimal: np.ndarray) -> np.ndarray:
    """E_{y~pi, y'~pi*} (g(y') - g(y))^2 per context: two variances and the squared difference of the means."""
    gain = np.where(np.isfinite(gain), gain, 0.0)
    means = [(law * gain).sum(axis=1) for law in (policy, optimal)]
    spreads = [(law * (gain - m[:, None]) ** 2).sum(axis=1) for law, m in zip((policy, optimal), means, strict=True)]
    return spreads[0] + spreads[1] + (means[0] - means[1]) ** 2


def _logged_square(world: World, x: int, gain: np.ndarray, possible: np.ndarray) -> float:
    # Differences at the level of rounding count zero: pairs that tell nothing must not carry the denominator.
    apart = gain[None, :] - gain[:, None]
    square = np.where((np.abs(apart) > _SAME) & possible[None, :] & possible[:, None], apart**2, 0.0)
    return float((_pair_law(world, x) * square).sum())


def _pair_law(world: World, x: int) -> np.ndarray:
    """m(x, y, e) = rho(x) pi_ref(y|x) q(e|x, y) as a matrix (A, A), without its ties."""
    weights = np.asarray(world.context_probs)[x] * np.asarray(world.reference)[x]
    law = weights[:, None] * np.asarray(world.editor.dense()[x])
    np.fill_diagonal(law, 0.0)
    return law


def _linear_coverage(world: World, support: np.ndarray) -> float:
    features = np.asarray(world.policy_features.table)
    contexts = [x for x in range(world.contexts) if world.context_probs[x] > 0]
    dimension = features.shape[2]
    information, reach = np.zeros((dimension, dimension)), np.zeros((dimension, dimension))
    for x in contexts:
        table = features[x][support[x]]
        law = _pair_law(world, x)[np.ix_(support[x], support[x])]
        information += _pair_moment(table, law)
        reach += _pair_moment(table, (law > 0).astype(float))
    # The range of Sigma_m, from equally weighted pairs: rare pairs would blur it.
    values, vectors = np.linalg.eigh(reach)
    kept = values > 1e-12 * max(values.max(initial=0.0), 1e-300)
    inside, outside = vectors[:, kept], vectors[:, ~kept]
    whitening = _inverse_root(inside.T @ information @ inside)
    tables = [features[x][support[x]] - features[x][support[x]][0] for x in contexts]
    if whitening is None or any(_leaves(table, outside) for table in tables):
        return np.inf
    return max((_largest_square_distance(table @ (inside @ whitening)) for table in tables), default=0.0)


def _pair_moment(table: np.ndarray, law: np.ndarray) -> np.ndarray:
    """sum_{y, e} law(y, e) psi psi^T, psi = table[e] - table[y], shape (d, d), as a graph Laplacian."""
    both = law + law.T
    laplacian = np.diag(both.sum(axis=1)) - both
    return table.T @ laplacian @ table


def _inverse_root(matrix: np.ndarray) -> np.ndarray | None:
    """W with W W^T the inverse of a positive definite matrix; None if it is singular in floats."""
    scale = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    values, vectors = np.linalg.eigh(scale[:, None] * matrix * scale)
    if values.min(initial=1.0) <= 1e-14:
        return None
    return scale[:, None] * vectors / np.sqrt(values)


def _leaves(table: np.ndarray, outside: np.ndarray) -> bool:
    return bool(np.abs(table @ outside).max(initial=0.0) > 1e-7 * np.abs(table).max(initial=0.0))


def _largest_square_distance(points: np.ndarray) -> float:
    # Row by row: the table of all differences would be A^2 d numbers.
    return max((float(((points - point) ** 2).sum(axis=1).max()) for point in points), default=0.0)


def _attribute_coverage(world: World) -> float:
    """As `_linear_coverage`, where psi = e - y on {0, 1}^K: the quadratic form is convex, largest at |psi_k| = 1."""
    moments = np.asarray(world.context_probs)[:, None, None] * pair_moments(world)
    moments = moments[np.asarray(world.context_probs) > 0]
    contexts, attributes = moments.shape[:2]
    if attributes == 0:
        return 0.0
    if np.diagonal(moments, axis1=1, axis2=2).min() <= 0:
        return np.inf
    roots = [_inverse_root(moment) for moment in moments]
    known = [root @ root.T for root in roots if root is not None]
    if len(known) < contexts:
        return np.inf
    return 4 * float(attribute_features(contexts, attributes).quadratics(jnp.asarray(known)).max())


def pair_moments(world: World) -> np.ndarray:
    """E psi psi^T given x, psi = e - y, over y ~ pi_ref and e ~ q, shape (X, K, K), from the factors of q.

    Given y the attributes of a product move independently, each by q_k(1|0) from 0 and by -q_k(0|1) from 1 in the mean.
    """
    reference, ones = world.reference, cubes.marginals(np.asarray(world.reference))
    uncentred = attribute_features(world.contexts, ones.shape[1])
    means = np.asarray(uncentred.push(reference)).reshape(ones.shape[:2])
    seconds = np.asarray(uncentred.second_moments(reference))
    editor, found = world.editor, np.zeros_like(seconds)
    assert not isinstance(editor, DenseEditor)
    parts = [(1.0, editor)] if isinstance(editor, ProductEditor) else _weighted(editor)
    for weight, part in parts:
        found += weight * _moved(np.asarray(part.flips()), means, seconds)
    each = np.arange(ones.shape[1])
    found[:, each, each] = (ones * np.asarray(editor.flips())).sum(axis=2)
    return found


def _weighted(editor: MixtureEditor) -> list[tuple[float, ProductEditor]]:
    return list(zip(np.asarray(editor.weights).tolist(), editor.editors, strict=True))


def _moved(flips: np.ndarray, means: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    # The mean move of attribute k is linear in its value: level + slope (y_k - 1/2).
    level, slope = (flips[:, :, 0] - flips[:, :, 1]) / 2, -flips.sum(axis=2)
    shift = slope * means
    flat = level[:, :, None] * level[:, None] + level[:, :, None] * shift[:, None] + shift[:, :, None] * level[:, None]
    return flat + slope[:, :, None] * slope[:, None] * seconds
