"""Defaults that several learners share."""

from jaxtyping import Array

RIDGE = 1e-4
"""ridge * |theta|^2 / (2n) is added to every mean loss: no pull that matters, and every fit has an answer."""

LINKS = ("balance", "paper")


def link_scale(link: str, temperature: Array) -> Array | float:
    """The scale a of the link sigma(a (r(e) - r(y))): 1 for "balance", beta for "paper" (Eq. 4 as printed)."""
    return 1.0 if link == "balance" else temperature
