"""The theory once more, in plain loops straight from its equations: slow, and independent of the package."""

import itertools
import math
from fractions import Fraction

import numpy as np

# Sizes that no wrong axis can survive: distinct primes, and the legal extremes (one context, one response).
SIZES = [(2, 5, 3, 7), (5, 3, 2, 11), (1, 5, 3, 2), (3, 1, 2, 5), (1, 1, 1, 1)]


def world_arguments(seed, contexts, responses, policy_dimension, cost_dimension, zeros=False):
    """Random arguments of a planted world: non-uniform contexts, asymmetric distance, translated features.

    With `zeros`, some contexts, responses and edits are impossible (as far as the sizes allow).
    """
    rng = np.random.default_rng([seed, contexts, responses])
    context_probs = rng.dirichlet(np.ones(contexts))
    optimal = random_policy(rng, contexts, responses)
    kernel = rng.dirichlet(np.ones(responses), size=(contexts, responses))
    if zeros:
        context_probs = _with_zeros(context_probs, rng.integers(contexts, size=1))
        for x in range(contexts):
            optimal[x] = _with_zeros(optimal[x], rng.integers(responses, size=2))
            for y in range(responses):
                kernel[x, y] = _with_zeros(kernel[x, y], rng.integers(responses, size=2))
    distance = rng.uniform(0.1, 2.0, size=(responses, responses))
    np.fill_diagonal(distance, 0.0)
    return {
        "context_probs": context_probs,
        "optimal": optimal,
        "kernel": kernel,
        "distance": distance,
        "temperature": float(rng.uniform(0.3, 2.0)),
        "policy_features": rng.normal(size=(contexts, responses, policy_dimension)) + 3.7,
        "cost_features": rng.normal(size=(contexts, responses, cost_dimension)) - 2.9,
    }


def random_policy(rng, contexts, responses):
    """A positive policy, peaked differently in each context."""
    logits = 1.5 * rng.normal(size=(contexts, responses)) + 11.0
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _with_zeros(law, where):
    if len(law) <= len(set(where.tolist())):
        return law
    law = law.copy()
    law[where] = 0.0
    return law / law.sum()


# The paper's Section 2: costs, Eq. 1, Eq. 2.


def expected_cost(kernel, distance):
    """c(x, y) = E_{e ~ q(.|x, y)} Delta(y, e)."""
    contexts, responses, _ = kernel.shape
    cost = np.zeros((contexts, responses))
    for x, y in np.ndindex(contexts, responses):
        cost[x, y] = math.fsum(kernel[x, y, e] * distance[y, e] for e in range(responses))
    return cost


def optimum(reference, cost, temperature):
    """pi*_beta(y|x) = pi_ref(y|x) exp(-c(x, y) / beta) / Z(x), the minimiser of Eq. 1."""
    return _tilted(reference, -cost / temperature)


def planted_reference(optimal, cost, temperature, tempering=0.0):
    """pi_ref(y|x) = mu(y|x) exp(c(x, y) ((1 - t) / beta + t)) / Z(x): theory 2.1 at t = 0, tempered (2.5) at t = 1."""
    return _tilted(optimal, cost * ((1 - tempering) / temperature + tempering))


def _tilted(law, exponent):
    tilted = np.zeros(law.shape)
    for x in range(len(law)):
        most = max(exponent[x])
        weights = [p * math.exp(t - most) for p, t in zip(law[x], exponent[x], strict=True)]
        for y, weight in enumerate(weights):
            tilted[x, y] = weight / math.fsum(weights)
    return tilted


def expectation(context_probs, policy, values):
    """E over x ~ rho, y ~ pi of values(x, y), over the possible pairs."""
    terms = []
    for x, y in np.ndindex(policy.shape):
        probability = context_probs[x] * policy[x, y]
        if probability > 0:
            terms.append(probability * values[x, y])
    return math.fsum(terms)


def regularised_cost(context_probs, policy, reference, cost, temperature):
    """J_beta(pi) = E[c(x, y) + beta log(pi(y|x) / pi_ref(y|x))], Eq. 1."""
    values = np.zeros(policy.shape)
    for x, y in np.ndindex(policy.shape):
        values[x, y] = cost[x, y] + temperature * log_ratio(policy[x, y], reference[x, y])
    return expectation(context_probs, policy, values)


def suboptimality(context_probs, policy, reference, cost, temperature):
    """SubOpt(pi) = J_beta(pi) - J_beta(pi*_beta), Eq. 2."""
    best = optimum(reference, cost, temperature)
    return regularised_cost(context_probs, policy, reference, cost, temperature) - regularised_cost(
        context_probs, best, reference, cost, temperature
    )


def log_ratio(p, q):
    """log(p / q), zero where p = 0 (0 log 0 = 0) and +inf where only q = 0."""
    if p == 0:
        return 0.0
    return math.log(p) - math.log(q) if q > 0 else math.inf


# Divergences, averaged over contexts.


def kl(context_probs, policy, other):
    """E_x KL(policy || other)."""
    return _average(context_probs, policy, other, row_kl)


def tv(context_probs, policy, other):
    """D(pi, pi') = E_x TV(pi(.|x), pi'(.|x)), half the L1 distance."""
    return _average(context_probs, policy, other, row_tv)


def jeffreys(context_probs, policy, other):
    """E_x sum_y (pi - pi') log(pi / pi')."""
    return _average(context_probs, policy, other, lambda p, q: row_kl(p, q) + row_kl(q, p))


def row_kl(p, q):
    """KL(p || q) of two laws."""
    return math.fsum(a * log_ratio(a, b) for a, b in zip(p, q, strict=True) if a > 0)


def row_tv(p, q):
    """The total variation distance of two laws."""
    return 0.5 * math.fsum(abs(a - b) for a, b in zip(p, q, strict=True))


def row_span(p, q):
    """span_y log(p / q), the largest less the smallest log-ratio of two positive laws."""
    ratios = [log_ratio(a, b) for a, b in zip(p, q, strict=True)]
    return max(ratios) - min(ratios)


def exact_kl(context_probs, policy, other):
    """E_x sum other (r log r - r + 1) for policies a hair apart, by its series in exact rational arithmetic."""
    total = Fraction(0)
    for x, y in np.ndindex(policy.shape):
        p, q = Fraction(float(policy[x, y])), Fraction(float(other[x, y]))
        excess = (p - q) / q
        # (1 + t) log(1 + t) - t = sum over k >= 2 of (-t)^k / (k (k - 1))
        series = sum((-excess) ** k / (k * (k - 1)) for k in range(2, 8))
        total += Fraction(float(context_probs[x])) * q * series
    return float(total)


def _average(context_probs, policy, other, divergence):
    terms = []
    for x, probability in enumerate(context_probs):
        if probability > 0:
            terms.append(probability * divergence(policy[x], other[x]))
    return math.fsum(terms)


# The edit kernel at work.


def edited(kernel, policy):
    """q∘pi(e|x) = sum_y q(e|x, y) pi(y|x)."""
    contexts, responses = policy.shape
    law = np.zeros(policy.shape)
    for x, e in np.ndindex(contexts, responses):
        law[x, e] = math.fsum(kernel[x, y, e] * policy[x, y] for y in range(responses))
    return law


def pulled(kernel, values):
    """E[values(x, e) | x, y] = sum_e q(e|x, y) values(x, e)."""
    contexts, responses = values.shape
    result = np.zeros(values.shape)
    for x, y in np.ndindex(contexts, responses):
        result[x, y] = math.fsum(kernel[x, y, e] * values[x, e] for e in range(responses))
    return result


def triple_law(context_probs, reference, kernel):
    """The law of one logged triple, rho(x) pi_ref(y|x) q(e|x, y)."""
    law = np.zeros(kernel.shape)
    for x, y, e in np.ndindex(kernel.shape):
        law[x, y, e] = context_probs[x] * reference[x, y] * kernel[x, y, e]
    return law


def triple_expectation(context_probs, reference, kernel, table):
    """E of table(x, y, e) over the law of the log, over the possible triples."""
    law = triple_law(context_probs, reference, kernel)
    return math.fsum(law[i] * table[i] for i in np.ndindex(law.shape) if law[i] > 0)


def cost_variance(kernel, distance):
    """Var(Delta(y, e) | x, y), the noise of the observed cost."""
    mean = expected_cost(kernel, distance)
    variance = np.zeros(mean.shape)
    for x, y in np.ndindex(mean.shape):
        variance[x, y] = math.fsum(p * (d - mean[x, y]) ** 2 for p, d in zip(kernel[x, y], distance[y], strict=True))
    return variance


def gamma_min(kernel, optimal):
    """gamma_min(x) = min_y q(y*|x, y), y* the mode of pi*."""
    return [min(kernel[x, :, int(np.argmax(optimal[x]))]) for x in range(len(optimal))]


def doeblin(kernel):
    """sum_e min_y q(e|x, y), per context (theory 3.2)."""
    return [math.fsum(min(q[:, e]) for e in range(len(q))) for q in kernel]


def dobrushin(kernel):
    """tau(x) = max over y1, y2 of TV(q(.|x, y1), q(.|x, y2)) (theory 3.3)."""
    return [max(row_tv(first, second) for first in q for second in q) for q in kernel]


def balance_violation(kernel, optimal):
    """The largest |pi*(y) q(e|y) - pi*(e) q(y|e)| over contexts and pairs."""
    worst = 0.0
    for x, y, e in np.ndindex(kernel.shape):
        worst = max(worst, abs(optimal[x, y] * kernel[x, y, e] - optimal[x, e] * kernel[x, e, y]))
    return worst


def stationarity_violation(kernel, optimal):
    """The largest |q∘pi* - pi*|."""
    return float(np.abs(edited(kernel, optimal) - optimal).max())


# Edit kernels, entry by entry.


def responses_of(attributes):
    """The tuples {0, 1}^K in the order of the responses, the first attribute the most significant."""
    return list(itertools.product((0, 1), repeat=attributes))


def product_policy(probabilities):
    """pi(y|x) = prod_k p_xk^{y_k} (1 - p_xk)^{1 - y_k} for p (X, K)."""
    rows = []
    for p in probabilities:
        tuples = responses_of(len(p))
        rows.append([math.prod(a if bit else 1 - a for a, bit in zip(p, y, strict=True)) for y in tuples])
    return np.array(rows)


def attribute_policy(log_odds):
    """pi(y|x) = prod_k sigma(theta_xk) where y_k = 1, sigma(-theta_xk) where y_k = 0 (theory 2.2)."""
    rows = []
    for theta in log_odds:
        signed = [[t if bit else -t for t, bit in zip(theta, y, strict=True)] for y in responses_of(len(theta))]
        rows.append([math.prod(1 / (1 + math.exp(-t)) for t in signs) for signs in signed])
    return np.array(rows)


def marginals(policy):
    """P(attribute k = 1), shape (X, K)."""
    tuples = responses_of(round(math.log2(policy.shape[1])))
    rows = []
    for law in policy:
        rows.append([math.fsum(p for p, y in zip(law, tuples, strict=True) if y[k]) for k in range(len(tuples[0]))])
    return np.array(rows)


def lazy(optimal, strength, kernel=None):
    """(1 - s) 1[e = y] + s q(e|y), q the given kernel or a draw from the optimum."""

    def entry(x, y, e):
        edit = optimal[x, e] if kernel is None else kernel[x, y, e]
        return (1 - strength) * (y == e) + strength * edit

    return _table(optimal, entry)


def product_redraw(probabilities, strength):
    """prod_k [(1 - s) 1[e_k = y_k] + s Bernoulli(p_xk)(e_k)] for p (X, K)."""
    tuples = responses_of(probabilities.shape[1])

    def entry(x, y, e):
        factors = []
        for before, after, p in zip(tuples[y], tuples[e], probabilities[x], strict=True):
            factors.append((1 - strength) * (before == after) + strength * (p if after else 1 - p))
        return math.prod(factors)

    return _table(np.empty((len(probabilities), len(tuples))), entry)


def block_redraw(optimal, block):
    """mu(e_S | y_rest): e must agree with y outside the block S, a set of attribute numbers."""
    attributes = round(math.log2(optimal.shape[1]))
    tuples = responses_of(attributes)
    rest = [k for k in range(attributes) if k not in block]

    def agree(y, e):
        return all(tuples[y][k] == tuples[e][k] for k in rest)

    def entry(x, y, e):
        if not agree(y, e):
            return 0.0
        return optimal[x, e] / math.fsum(optimal[x, z] for z in range(len(tuples)) if agree(y, z))

    return _table(optimal, entry)


def redraw(optimal, strength):
    """sum over sets S of attributes of s^|S| (1 - s)^(K - |S|) q_S."""
    attributes = round(math.log2(optimal.shape[1]))
    kernel = 0.0
    for size in range(attributes + 1):
        for block in itertools.combinations(range(attributes), size):
            kernel = kernel + strength**size * (1 - strength) ** (attributes - size) * block_redraw(optimal, block)
    return kernel


def subset(optimal, size):
    """The average of q_S over the sets S of `size` attributes."""
    attributes = round(math.log2(optimal.shape[1]))
    blocks = list(itertools.combinations(range(attributes), size))
    return sum(block_redraw(optimal, block) for block in blocks) / len(blocks)


def accept_reject(optimal, proposal, accept):
    """Propose e ~ proposal(.|y); move with probability accept(mu(y), mu(e)), else stay."""
    responses = optimal.shape[1]

    def move(x, y, e):
        return 0.0 if y == e else proposal[y, e] * accept(optimal[x, y], optimal[x, e])

    def entry(x, y, e):
        return move(x, y, e) if y != e else 1 - math.fsum(move(x, y, z) for z in range(responses))

    return _table(optimal, entry)


def metropolis(optimal, proposal):
    """Metropolis-Hastings with a symmetric proposal."""
    return accept_reject(optimal, proposal, lambda here, there: min(1.0, there / here))


def barker(optimal, proposal):
    """Barker's rule with a symmetric proposal."""
    return accept_reject(optimal, proposal, lambda here, there: there / (here + there))


def composed(first, second):
    """Edit by `first`, then the result by `second`: sum_z q1(z|y) q2(e|z)."""
    responses = first.shape[1]

    def entry(x, y, e):
        return math.fsum(first[x, y, z] * second[x, z, e] for z in range(responses))

    return _table(first[:, :, 0], entry)


def cyclic(optimal):
    """From y to y + 1 (mod A) with probability min(mu) / mu(y), else stay."""
    responses = optimal.shape[1]

    def entry(x, y, e):
        move = min(optimal[x]) / optimal[x, y]
        return (1 - move) * (e == y) + move * (e == (y + 1) % responses)

    return _table(optimal, entry)


def opposite(optimal):
    """The law proportional to 1 / mu."""
    law = np.zeros(optimal.shape)
    for x, y in np.ndindex(optimal.shape):
        law[x, y] = (1 / optimal[x, y]) / math.fsum(1 / p for p in optimal[x])
    return law


def _table(shaped, entry):
    contexts, responses = shaped.shape
    kernel = np.zeros((contexts, responses, responses))
    for x, y, e in np.ndindex(kernel.shape):
        kernel[x, y, e] = entry(x, y, e)
    return kernel
