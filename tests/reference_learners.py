"""Slow references for the learners: loops written from the paper's equations, in NumPy and SciPy alone."""

import math

import numpy as np
from scipy.optimize import linprog, minimize, root


def random_arrays(seed, contexts, responses, policy_dimension, cost_dimension, impossible=()):
    """The arguments of a planted world with nothing symmetric in it; `impossible` lists (x, y) that pi* never gives."""
    rng = np.random.default_rng(seed)
    optimal = rng.dirichlet(np.full(responses, 2.0), size=contexts)
    for x, y in impossible:
        optimal[x, y] = 0
    kernel = 0.35 * np.eye(responses) + 0.65 * rng.dirichlet(np.ones(responses), size=(contexts, responses))
    distance = rng.uniform(0.2, 1.5, size=(responses, responses)) * ~np.eye(responses, dtype=bool)
    return {
        "context_probs": rng.dirichlet(np.full(contexts, 5.0)),
        "optimal": optimal / optimal.sum(axis=1, keepdims=True),
        "kernel": kernel,
        "distance": distance,
        "temperature": rng.uniform(0.4, 0.8),
        "policy_features": 0.3 + rng.normal(size=(contexts, responses, policy_dimension)),
        "cost_features": 0.2 + rng.normal(size=(contexts, responses, cost_dimension)),
    }


def softmax(scores):
    """The law proportional to exp(scores); minus infinity is allowed."""
    top = max(scores)
    weights = [math.exp(score - top) for score in scores]
    return np.array(weights) / sum(weights)


def log_linear(theta, features, support):
    """log pi_theta(y|x), pi_theta proportional to exp <theta, phi(x, y)> on the support."""
    table = np.full(support.shape, -math.inf)
    for x in range(len(support)):
        scores = {y: float(features[x, y] @ theta) for y in np.flatnonzero(support[x])}
        top = max(scores.values())
        log_z = top + math.log(sum(math.exp(score - top) for score in scores.values()))
        for y, score in scores.items():
            table[x, y] = score - log_z
    return table


def supervision_loss(log_policy, e):
    """Eq. 3: a demonstration e costs -log pi(e|x)."""
    return -log_policy[e]


def preference_loss(log_policy, reference, y, e, scale):
    """Eq. 4: e beats y by -log sigma(a log(pi/pi_ref)(e) - a log(pi/pi_ref)(y)); a tie says nothing."""
    if e == y:
        return 0.0
    gain = log_policy[e] - math.log(reference[e])
    loss = log_policy[y] - math.log(reference[y])
    margin = scale * (gain - loss)
    return max(-margin, 0.0) + math.log1p(math.exp(-abs(margin)))


def mean_loss(log_policy, reference, counts, supervision=0.0, preference=0.0, scale=1.0):
    """The mean over all triples of `preference` times Eq. 4 plus `supervision` times Eq. 3; both give Eq. 7."""
    total, log_policy, reference = 0.0, log_policy.tolist(), reference.tolist()
    for x, y, e in np.argwhere(counts > 0).tolist():
        loss = 0.0
        if supervision:
            loss += supervision * supervision_loss(log_policy[x], e)
        if preference:
            loss += preference * preference_loss(log_policy[x], reference[x], y, e, scale)
        total += float(counts[x, y, e]) * loss
    return total / float(counts.sum())


def slope(function, point, step=1e-5):
    """The gradient by central differences."""
    directions = step * np.eye(len(point))
    return np.array([function(point + d) - function(point - d) for d in directions]) / (2 * step)


def fit_log_linear(features, reference, counts, ridge, **terms):
    """The theta that minimises `mean_loss` plus ridge |theta|^2 / (2n), by searches that see its values alone."""

    def objective(theta):
        log_policy = log_linear(theta, features, reference > 0)
        return mean_loss(log_policy, reference, counts, **terms) + ridge * theta @ theta / (2 * counts.sum())

    near = minimize(objective, np.zeros(features.shape[2]), method="BFGS", options={"gtol": 1e-4}).x
    theta = root(lambda point: slope(objective, point), near, tol=1e-12).x
    assert np.abs(slope(objective, theta)).max() < 1e-9
    return theta


def least_squares(features, distance, records, ridge):
    """Eq. 5 with the ridge: w and Lambda = ridge I + sum psi psi^T, one record (x, y, e) after the other."""
    m = features.shape[2]
    gram, moment = ridge * np.eye(m), np.zeros(m)
    for x, y, e in records:
        psi = features[x, y]
        gram += np.outer(psi, psi)
        moment += distance[y, e] * psi
    return np.linalg.solve(gram, moment), gram


def confidence_radius(gram, ridge, delta, noise, weight_bound):
    """alpha = noise sqrt(2 log(1/delta) + log det(Lambda/lambda)) + sqrt(lambda) W (theory 4.4)."""
    log_det = math.log(np.linalg.det(gram / ridge))
    return noise * math.sqrt(2 * math.log(1 / delta) + log_det) + math.sqrt(ridge) * weight_bound


def pessimistic_cost(weights, gram, alpha, features):
    """f_bar = <w, psi> + alpha |psi| in the norm of Lambda^-1 (theory 4.4)."""
    inverse = np.linalg.inv(gram)
    table = np.zeros(features.shape[:2])
    for x, y in np.ndindex(table.shape):
        psi = features[x, y]
        table[x, y] = psi @ weights + alpha * math.sqrt(psi @ inverse @ psi)
    return table


def version_space(costs, distance, records, squared_radius):
    """The index of the least-squares member of a list of costs, and the members within the radius of it."""
    costs, distance = costs.tolist(), distance.tolist()
    errors = [sum((distance[y][e] - cost[x][y]) ** 2 for x, y, e in records) for cost in costs]
    best = int(np.argmin(errors))
    apart = [sum((cost[x][y] - costs[best][x][y]) ** 2 for x, y, _ in records) for cost in costs]
    return best, [i for i, distance_ in enumerate(apart) if distance_ <= squared_radius]


def regularised_cost(log_policy, cost, reference, temperature, context_weights):
    """Eq. 6: E over the contexts of the log of cost plus beta KL(pi || pi_ref)."""
    total = 0.0
    for x, weight in enumerate(context_weights):
        for y in np.flatnonzero(np.exp(log_policy[x]) > 0):
            gain = log_policy[x, y] - math.log(reference[x, y]) if reference[x, y] > 0 else math.inf
            total += weight * math.exp(log_policy[x, y]) * (cost[x, y] + temperature * gain)
    return total


def records_of(counts):
    """The triples (x, y, e) of a table of counts, one by one."""
    return [(x, y, e) for x, y, e in np.argwhere(counts > 0).tolist() for _ in range(int(counts[x, y, e]))]


def has_no_minimiser(features, support, counts, supervision, preference):
    """Whether the unridged loss of a log falls for ever along some direction u: a linear program by definition.

    Such a u makes no compared pair worse and one better.  Eq. 3 compares the demonstration with every other
    response, Eq. 4 with the original only.
    """
    psi = []
    for x, y, e in np.argwhere(counts > 0):
        rivals = set(np.flatnonzero(support[x])) - {e} if supervision else {y} - {e}
        rivals |= {y} - {e} if preference else set()
        psi += [features[x, e] - features[x, rival] for rival in rivals if support[x, e] and support[x, rival]]
    if not psi:
        return False
    psi = np.array(psi)
    found = linprog(-psi.sum(axis=0), A_ub=-psi, b_ub=np.zeros(len(psi)), bounds=(-1, 1), method="highs")
    assert found.success, found
    return -found.fun > 1e-7 * np.abs(psi).max()
