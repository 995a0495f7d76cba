"""Figures and reports, drawn from stored tables only."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from figures.catalog import CATALOG, draw

__all__ = ["CATALOG", "draw"]


def __getattr__(name: str) -> Any:
    # The catalog imports every kind of figure, and one picture needs none of the others.
    if name not in __all__:
        raise AttributeError(f"module 'figures' has no attribute '{name}'")
    from figures import catalog

    return getattr(catalog, name)
