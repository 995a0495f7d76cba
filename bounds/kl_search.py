"""The KL contraction coefficient of one edit kernel: exact for product kernels, from below by search for others.

eta_KL(pi*, q) = sup over laws p != pi* of KL(q∘p || q∘pi*) / KL(p || pi*) (docs/theory.md 3.4); the supremum is not
concave, so that a search yields a lower end and never a bound.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from bounds import divergences
from sim.kernels import attribute_table

PRODUCT_TOLERANCE = 1e-12
_RELATIVE = 1e-9
_SMALLEST = 1e-12  # below it a divergence, and with it a ratio of two, is mostly rounding
_WORK = 2e9  # multiplications that one search may spend


def kl_coefficient_binary(p: float, s: float) -> float:
    """The sup over a of KL(Ber((1 - s) a + s p) || Ber(p)) / KL(Ber(a) || Ber(p)) (docs/theory.md 3.6).

    The kernel is (1 - s) I + s Pi_p on {0, 1}, s in [0, 1 / max(p, 1 - p)], every binary kernel that keeps
    Bernoulli(p).  A grid over a, even in the logarithm of its log-odds against p, then a bounded refinement
    around the best.  The value as a tends to p is (1 - s)^2; 0 for p in {0, 1}, where no other law is comparable.
    """
    p = min(p, 1 - p)
    if not p > 0:
        return 0.0
    size = np.geomspace(1e-4, min(np.log((1 - p) / p) + 40, 700.0), 1500)
    tilts = np.concatenate([-size[::-1], size])
    values = _binary_ratio(_shift(tilts, p), p, s)
    best = int(values.argmax())
    around = tilts[max(best - 1, 0)], tilts[min(best + 1, len(tilts) - 1)]
    refined = minimize_scalar(
        lambda t: -_binary_ratio(_shift(np.array([t]), p), p, s)[0],
        bounds=around,
        method="bounded",
        options={"xatol": 1e-10},
    )
    ends = _binary_ratio(np.array([-p, 1 - p]), p, s)
    return max(float(values[best]), -float(refined.fun), float(ends.max()), (1 - s) ** 2)


def _shift(tilt: np.ndarray, p: float) -> np.ndarray:
    # a - p for the law whose log-odds are those of p plus `tilt`, without the difference of two near numbers.
    grown = np.expm1(tilt)
    return p * (1 - p) * grown / (1 + p * grown)


def _binary_ratio(shift: np.ndarray, p: float, s: float) -> np.ndarray:
    return _binary_kl((1 - s) * shift, p) / _binary_kl(shift, p)


def _binary_kl(shift: np.ndarray, p: float) -> np.ndarray:
    """KL(Ber(p + shift) || Ber(p))."""
    zero, one = np.maximum(-shift / (1 - p), -1.0), np.maximum(shift / p, -1.0)
    return (1 - p) * divergences.entropy_excess(zero) + p * divergences.entropy_excess(one)


class Factor(NamedTuple):
    """One attribute of a product kernel: (1 - s) I + s Pi_p with p the smaller of its two probabilities."""

    p: float
    s: float


def binary_factors(matrix: np.ndarray, law: np.ndarray) -> list[Factor] | None:
    """The factors of q(.|x) (A, A) if it and pi*(.|x) (A,) are products of K binary ones, A = 2^K, that fit; else None.

    The factors are marginals; their Kronecker product must be the kernel, the product of the marginals of pi* must
    be pi*, and each factor must keep its marginal, to 1e-12 and to nine digits of the small entries.
    """
    attributes = len(law).bit_length() - 1
    if 2**attributes != len(law):
        return None
    table = attribute_table(attributes)
    laws = [np.array([law @ (1 - bits), law @ bits]) for bits in table.T]
    kernels = [_marginal(matrix, bits) for bits in table.T]
    found = kept_factors(laws, kernels)
    whole = _equal(_kronecker(laws, np.ones(1)), law) and _equal(_kronecker(kernels, np.eye(1)), matrix)
    return found if whole else None


def kept_factors(laws: list[np.ndarray], kernels: list[np.ndarray]) -> list[Factor] | None:
    """The factors of a product of binary kernels (2, 2) if each keeps its Bernoulli law (2,); else None."""
    strengths = [float(kernel[0, 1] + kernel[1, 0]) for kernel in kernels]
    triples = zip(strengths, laws, kernels, strict=True)
    if not all(_equal((1 - s) * np.eye(2) + s * law, kernel) for s, law, kernel in triples):
        return None
    return [Factor(float(law.min()), s) for law, s in zip(laws, strengths, strict=True)]


def _marginal(matrix: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """The law of one attribute of the edit given its value before, (2, 2), the other attributes being uniform."""
    moved = np.stack([matrix @ (1 - bits), matrix @ bits], axis=1)
    return np.stack([moved[bits == value].mean(axis=0) for value in (0, 1)])


def _kronecker(parts: list[np.ndarray], start: np.ndarray) -> np.ndarray:
    for part in parts:
        start = np.kron(start, part)
    return start


def _equal(found: np.ndarray, wanted: np.ndarray) -> bool:
    near = np.abs(found - wanted).max() <= PRODUCT_TOLERANCE
    return bool(near and np.allclose(found, wanted, rtol=_RELATIVE, atol=1e-300))


def searched(matrix: np.ndarray, law: np.ndarray) -> float:
    """A lower end of eta_KL for one kernel (A, A) and law (A,): the largest ratio that a deterministic search meets.

    It compares the value as p tends to pi* (the squared second singular value of q from L2(pi*) to L2(q∘pi*)), all
    point masses, and ascents from tilts along the singular function and from the best point masses.
    """
    rows, law = matrix[law > 0], law[law > 0]
    image = law @ rows
    rows, image = rows[:, image > 0], image[image > 0]
    if min(rows.shape) < 2:
        return 0.0
    local, function = _local(rows, law, image)
    points = divergences.kl(rows, np.log(image)) / -np.log(law)
    best = np.argsort(-points, kind="stable")[:4]
    starts = np.concatenate([_tilted(law, function), _towards(law, best)])
    return max(local, float(points.max()), _ascend(rows, law, image, starts))


def _local(rows: np.ndarray, law: np.ndarray, image: np.ndarray) -> tuple[float, np.ndarray]:
    scaled = np.sqrt(law)[:, None] * rows / np.sqrt(image)
    left, values, _ = np.linalg.svd(scaled, full_matrices=False)
    function = left[:, 1] / np.sqrt(law)
    return float(values[1]) ** 2, function / np.abs(function).max()


def _tilted(law: np.ndarray, function: np.ndarray) -> np.ndarray:
    sizes = np.array([-4.0, -1.0, 1.0, 4.0])[:, None]
    return _normalised(np.log(law) + sizes * function)


def _towards(law: np.ndarray, points: np.ndarray) -> np.ndarray:
    masses = np.eye(len(law))[points]
    return np.concatenate([(1 - t) * law + t * masses for t in (0.5, 0.99)])


def _normalised(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _ascend(rows: np.ndarray, law: np.ndarray, image: np.ndarray, starts: np.ndarray) -> float:
    # The image's divergence N(p) is convex: its tangent at p lies below it, and with ratio l at p the maximiser of
    # (tangent - l KL(p || law)), law * exp(N'(p) / l), has a ratio of at least l.  No step size, and no descent.
    log_law, log_image = np.log(law), np.log(image)
    best, laws = np.zeros(len(starts)), starts
    for _ in range(int(np.clip(_WORK / (len(starts) * rows.size), 3, 300))):
        pushed, size = laws @ rows, divergences.kl(laws, log_law)
        ratio = np.where(size > _SMALLEST, divergences.kl(pushed, log_image) / np.maximum(size, _SMALLEST), 0.0)
        if not np.any(ratio > best * (1 + 1e-10) + 1e-15):
            break
        best = np.maximum(best, ratio)
        slope = (np.log(np.maximum(pushed, 1e-300)) - log_image) @ rows.T
        laws = _normalised(log_law + slope / np.maximum(best, 1e-12)[:, None])
    return float(best.max())
