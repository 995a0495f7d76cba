"""Texts as sets of traits: which responses have which trait, which edits, how often, at what cost."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

Checker = Callable[[str], bool]


class Patterns(NamedTuple):
    """The distinct pairs (traits of the response, traits of the edit) of a log, U of them, over K traits.

    Fields:
        responses: whether the response has each trait, booleans (U, K).
        edits: whether the edit has it, booleans (U, K).
        counts: rows with this pair, (U,).
        costs: their mean edit cost, (U,).
        squares: their mean squared edit cost, (U,).
    """

    responses: np.ndarray
    edits: np.ndarray
    counts: np.ndarray
    costs: np.ndarray
    squares: np.ndarray

    @property
    def rows(self) -> int:
        """The rows of the log."""
        return int(self.counts.sum())

    def only(self, traits: list[int]) -> "Patterns":
        """The same rows, told apart by these traits alone, given by their indices."""
        return merged(self.responses[:, traits], self.edits[:, traits], self.counts, self.costs, self.squares)

    def tables(self) -> np.ndarray:
        """Rows by trait, its value in the response and in the edit, whole numbers (K, 2, 2)."""
        values = [(~self.responses, self.responses), (~self.edits, self.edits)]
        cells = [[self.counts @ (before & after) for after in values[1]] for before in values[0]]
        return np.moveaxis(np.array(cells, dtype=np.int64), 2, 0)


def merged(
    responses: np.ndarray, edits: np.ndarray, counts: np.ndarray, costs: np.ndarray, squares: np.ndarray
) -> Patterns:
    """Patterns of rows (R, K), equal pairs put together; their `counts`, mean `costs` and mean `squares` are (R,)."""
    traits = responses.shape[1]
    pairs, index = np.unique(np.concatenate([responses, edits], axis=1), axis=0, return_inverse=True)
    index = index.ravel()
    total = np.bincount(index, weights=counts, minlength=len(pairs))
    paid, squared = (np.bincount(index, weights=counts * one, minlength=len(pairs)) for one in (costs, squares))
    whole = np.rint(total).astype(np.int64)
    return Patterns(pairs[:, :traits], pairs[:, traits:], whole, paid / total, squared / total)


def patterns(rows: pd.DataFrame, traits: Mapping[str, Any]) -> Patterns:
    """The patterns of a log's rows (columns `response`, `edit`, `cost`) in `traits`, in their order.

    Args:
        rows: at least one.
        traits: by name, a function text -> bool, or an object with such a method `has`.
    """
    responses, edits = (_having(rows[name], traits) for name in ("response", "edit"))
    costs = rows["cost"].to_numpy(float)
    return merged(responses, edits, np.ones(len(rows)), costs, costs**2)


def distinct(traits: Mapping[str, Any]) -> dict[str, Any]:
    """The `traits` without repetition: names of one object are one trait, under its own `name` if it has one."""
    firsts = {id(trait): name for name, trait in reversed(list(traits.items()))}
    return {getattr(trait, "name", name): trait for name, trait in traits.items() if firsts[id(trait)] == name}


def _having(texts: pd.Series, traits: Mapping[str, Any]) -> np.ndarray:
    """Booleans (rows, K); every distinct text is looked at once."""
    codes, distinct = pd.factorize(texts.to_numpy(object), use_na_sentinel=False)
    checkers = [checker(trait) for trait in traits.values()]
    found = [[bool(has(text)) for has in checkers] for text in distinct]
    return np.array(found, dtype=bool).reshape(len(distinct), len(checkers))[codes]


def checker(trait: Any) -> Checker:
    """Whether a text has `trait`: the trait itself, or its method `has`."""
    return trait.has if hasattr(trait, "has") else trait
