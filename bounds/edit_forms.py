"""Which form of a user's kernel a log of traits speaks for, by likelihood (docs/from-logs.md 5)."""

from dataclasses import dataclass
from math import comb, log

import jax.numpy as jnp
import numpy as np
from scipy import optimize

from sim import kernels
from sim.editors import ProductEditor
from sim.llm.trait_counts import Patterns

ACCIDENTS = 0.02
"""The share of edits that every form leaves to independent editing: one edit that went further excludes none."""


@dataclass(frozen=True)
class Form:
    """A kernel on {0, 1}^K whose re-drawn traits come from independent laws.

    Fields:
        name: "by trait" (each re-drawn with a probability of its own), "redraw" (with one for all), "subset" (`size`
            of them, or none) or "lazy" (all of them, or none).
        size: of the subset; K for "lazy", None for the others.
        strengths: by trait, (K,), for "by trait"; else one number, (1,).
        optimum: pi*, (K,), inside (0, 1).
        log_likelihood: of the log, in natural logarithms.
        score: it less half the logarithm of the rows for every strength.
    """

    name: str
    size: int | None
    strengths: np.ndarray
    optimum: np.ndarray
    log_likelihood: float
    score: float

    @property
    def rates(self) -> np.ndarray:
        """The probability that a trait is re-drawn, (K,)."""
        attributes = len(self.optimum)
        share = self.size / attributes if self.size is not None else 1.0
        return np.broadcast_to(self.strengths * share, (attributes,))

    def kernel(self) -> np.ndarray:
        """q(e|y) in the one context of a group, (1, 2^K, 2^K)."""
        if self.name == "by trait":
            return by_trait(self.strengths, self.optimum)
        law, strength = optimum_law(self.optimum), float(self.strengths[0])
        if self.name == "redraw":
            return kernels.redraw(law, strength)
        inner = None if self.name == "lazy" else kernels.subset(law, self.size or 0)
        return kernels.lazy(law, strength, inner)


def optimum_law(optimum: np.ndarray) -> np.ndarray:
    """The product of Bernoulli laws with these parameters (K,) on {0, 1}^K, (1, 2^K)."""
    table = kernels.attribute_table(len(optimum))
    return np.prod(np.where(table == 1, optimum, 1 - optimum), axis=1)[None]


def by_trait(strengths: np.ndarray, optimum: np.ndarray) -> np.ndarray:
    """The product over k of (1 - s_k) I + s_k Bernoulli(pi*_k), (1, 2^K, 2^K)."""
    law = np.stack([1 - optimum, optimum], axis=1)
    factors = (1 - strengths)[:, None, None] * np.eye(2) + strengths[:, None, None] * law[:, None, :]
    return ProductEditor(jnp.asarray(factors[None])).dense()


def likeliest(seen: Patterns, strengths: np.ndarray, optimum: np.ndarray) -> list[Form]:
    """Every form fitted to a log, the one of the best score first.

    With r_k = pi*_k(e_k) and u_k = 1[e_k = y_k],

        by trait: prod_k ((1 - s_k) u_k + s_k r_k)
        size m:   (1 - s) prod_k u_k + s / C(K, m) sum over |B| = m of prod_{k in B} r_k prod_{k not in B} u_k

    Each gives way to "by trait" in a share `ACCIDENTS` of the rows.  pi* and the s_k are the estimates; the common s is
    fitted.

    Args:
        seen: the rows of a group in its K >= 1 traits.
        strengths: s_k as estimated, (K,).
        optimum: pi*_k as estimated, (K,), inside (0, 1).

    Source: docs/from-logs.md 5.  Not in the paper.
    """
    attributes, rows = len(optimum), seen.rows
    kept = (seen.responses == seen.edits).astype(float)
    drawn = np.where(seen.edits, optimum, 1 - optimum)
    separate = np.prod((1 - strengths) * kept + strengths * drawn, axis=1)
    value = float(seen.counts @ np.log(np.maximum(separate, 1e-300)))
    forms = [Form("by trait", None, strengths, optimum, value, value - attributes * log(rows) / 2)]
    blocks = _blocks(kept, drawn)
    names = [("redraw", None), *[("subset", m) for m in range(1, attributes)], ("lazy", attributes)]
    for name, size in names if attributes > 1 else names[:1]:
        strength, value = _fitted(seen.counts, separate, kept, drawn, None if size is None else blocks[size])
        forms.append(Form(name, size, np.array([strength]), optimum, value, value - log(rows) / 2))
    # Of equals the one with fewer numbers.
    return sorted(forms, key=lambda form: (-form.score, len(form.strengths)))


def _blocks(kept: np.ndarray, drawn: np.ndarray) -> list[np.ndarray]:
    """The mean over sets B of m traits of prod_{k in B} drawn_k prod_{k not in B} kept_k, (U,) for m = 0 to K."""
    sums = [np.ones(len(kept))]
    for u, r in zip(kept.T, drawn.T, strict=True):
        longer = [*sums, np.zeros(len(kept))]
        sums = [u * part + r * before for part, before in zip(longer, [np.zeros(len(kept)), *sums], strict=True)]
    return [part / comb(kept.shape[1], m) for m, part in enumerate(sums)]


def _fitted(
    counts: np.ndarray, separate: np.ndarray, kept: np.ndarray, drawn: np.ndarray, block: np.ndarray | None
) -> tuple[float, float]:
    """The common strength of the largest likelihood, and its logarithm."""
    unchanged = kept.prod(axis=1)

    def value(strength: float) -> float:
        every = np.prod((1 - strength) * kept + strength * drawn, axis=1)
        law = every if block is None else (1 - strength) * unchanged + strength * block
        return float(counts @ np.log(np.maximum((1 - ACCIDENTS) * law + ACCIDENTS * separate, 1e-300)))

    found = optimize.minimize_scalar(lambda s: -value(s), bounds=(1e-6, 1.0), method="bounded", options={"xatol": 1e-5})
    return max(((float(s), value(float(s))) for s in (found.x, 1.0)), key=lambda pair: pair[1])
