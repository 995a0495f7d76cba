"""Users: how an edit kernel is put together from a `[user]` table.

A user starts from an optimum (the world's, or another), picks an editor, may repeat or combine it with a second
one, and may be broken by a dial.  Every dial is zero when nothing is broken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sim import kernels
from sim.errors import BadInput, choose

Dial = Annotated[float, Field(ge=0, le=1)]


class User(BaseModel):
    """The `[user]` table: which editor, and how far it breaks the assumptions (docs/theory.md 2.4 and 2.5).

    Fields:
        editor: the kernel: redraw, lazy, metropolis, barker, subset or a registered one; default: redraw in attribute
            worlds, lazy in other families.
        subset_size: attributes that editor `subset` re-draws, at least 0.
        power: the kernel is applied this many times, 0 to 1000.
        compose: "none", "mixture" or "palindrome" of the kernel with that of `second_editor`.
        second_editor: the kernel to combine with.
        second_weight: weight of `second_editor` in a mixture, in [0, 1].
        cyclic: weight of a stationary flow that is not reversible, in [0, 1].
        other_optimum: how far the user's optimum lies from pi*, in log-probabilities, in [0, 1].
        user_seed: seed of the other optimum.
        tempered: t in [0, 1]: balance against mu, while pi_ref is proportional to mu exp(c ((1 - t) / beta + t)).
        harmful: weight of edits drawn from the law proportional to 1 / pi*, in [0, 1].
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    editor: str = Field("default", description="kernel; default: redraw for attributes, lazy for other families")
    subset_size: int = Field(2, ge=0, description="attributes that editor 'subset' re-draws")
    power: int = Field(1, ge=0, le=1000, description="the kernel is applied this many times")
    compose: Literal["none", "mixture", "palindrome"] = Field("none", description="combination with second_editor")
    second_editor: str = Field("lazy", description="the kernel to combine with")
    second_weight: Dial = Field(0.5, description="weight of second_editor in a mixture")
    cyclic: Dial = Field(0.0, description="weight of a stationary, non-reversible flow")
    other_optimum: Dial = Field(0.0, description="how far the user's optimum lies from pi*, in log-probabilities")
    user_seed: int = Field(1, ge=0, description="seed of the other optimum")
    tempered: Dial = Field(0.0, description="balance against mu while pi_ref is mu exp(c ((1 - t) / beta + t))")
    harmful: Dial = Field(0.0, description="weight of edits drawn from the law proportional to 1 / pi*")


@dataclass(frozen=True)
class Edits:
    """What an editor may use beside the optimum.

    Fields:
        strength: s in [0, 1].
        proposal: a symmetric proposal, shape (A, A).
        attributes: how many a response has; None in worlds without.
        subset_size: of the user.
    """

    strength: float
    proposal: np.ndarray
    attributes: int | None
    subset_size: int

    def require_attributes(self, editor: str) -> int:
        """The number of attributes, or a clear refusal in worlds that have none."""
        if self.attributes is None:
            raise BadInput(f"editor '{editor}' needs an attribute world; use lazy, metropolis or barker here")
        return self.attributes


def _subset(optimal: np.ndarray, edits: Edits) -> np.ndarray:
    edits.require_attributes("subset")
    return kernels.lazy(optimal, edits.strength, kernels.subset(optimal, edits.subset_size))


def _redraw(optimal: np.ndarray, edits: Edits) -> np.ndarray:
    edits.require_attributes("redraw")
    return kernels.redraw(optimal, edits.strength)


Editor = Callable[[np.ndarray, Edits], np.ndarray]

EDITORS: dict[str, Editor] = {
    "redraw": _redraw,
    "lazy": lambda optimal, edits: kernels.lazy(optimal, edits.strength),
    "metropolis": lambda optimal, edits: kernels.lazy(
        optimal, edits.strength, kernels.metropolis(optimal, edits.proposal)
    ),
    "barker": lambda optimal, edits: kernels.lazy(optimal, edits.strength, kernels.barker(optimal, edits.proposal)),
    "subset": _subset,
}


def register_editor(name: str, build: Editor) -> None:
    """Make an edit kernel available as `editor = "name"`.

    Args:
        name: as written in `[user]`.
        build: called with the user's optimum, shape (X, A), and `sim.users.Edits`; returns q, shape (X, A, A).
    """
    EDITORS[name] = build


def edit_rate(user: User, strength: float, attributes: int | None) -> float:
    """The fraction of a response that an edit re-draws: the strength, times m / K for the subset editor.

    Dividing the distance by it leaves the expected cost of a re-drawing user unchanged (the fixed-cost convention).
    """
    return strength * user.subset_size / attributes if user.editor == "subset" and attributes else strength


def build_kernel(user: User, optimal: np.ndarray, edits: Edits) -> np.ndarray:
    """The kernel (X, A, A) of a user whose optimum is `optimal` (X, A), dials included."""
    kernels.require_positive(optimal)
    wanted = _wanted_optimum(user, optimal, edits)
    kernel = _edit(user.editor, wanted, edits)
    if user.compose != "none":
        second = _edit(user.second_editor, wanted, edits)
        if user.compose == "mixture":
            kernel = kernels.mixture(kernel, second, user.second_weight)
        else:
            kernel = kernels.palindrome(kernel, second)
    kernel = kernels.power(kernel, user.power)
    if user.cyclic > 0:
        kernel = kernels.mixture(kernel, kernels.cyclic(wanted), user.cyclic)
    if user.harmful > 0:
        harm = _edit(user.editor, kernels.opposite(wanted), edits)
        kernel = kernels.mixture(kernel, harm, user.harmful)
    return kernel


def _edit(name: str, optimal: np.ndarray, edits: Edits) -> np.ndarray:
    choose("editor", name, EDITORS)
    return EDITORS[name](optimal, edits)


def _wanted_optimum(user: User, optimal: np.ndarray, edits: Edits) -> np.ndarray:
    # A geometric path from pi* to the same law over re-ordered responses: as peaked, with other favourites.  In
    # attribute worlds the order is changed by flipping attributes, so that the other law is a product too.
    if user.other_optimum == 0:
        return optimal
    rng, responses = np.random.default_rng(user.user_seed), optimal.shape[1]
    if edits.attributes:
        order = np.arange(responses) ^ rng.integers(1, responses)
    else:
        # One random cycle, so that no response keeps its place.
        cycle = rng.permutation(responses)
        order = np.empty(responses, dtype=int)
        order[cycle] = np.roll(cycle, 1)
    logits = (1 - user.other_optimum) * np.log(optimal) + user.other_optimum * np.log(optimal[:, order])
    law = np.exp(logits - logits.max(axis=1, keepdims=True))
    return law / law.sum(axis=1, keepdims=True)
