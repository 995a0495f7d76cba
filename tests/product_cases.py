"""Attribute worlds built twice: with a table of all pairs of responses, and by operators alone."""

import numpy as np

import sim
from sim import families, product_worlds
from sim.settings import Setting

USERS = [
    {},
    {"editor": "lazy"},
    {"editor": "subset", "subset_size": 1},
    {"power": 3},
    {"editor": "lazy", "power": 2},
    {"compose": "mixture", "second_weight": 0.3},
    {"compose": "palindrome", "second_editor": "redraw"},
    {"editor": "subset", "subset_size": 1, "compose": "palindrome"},
    {"harmful": 0.2},
    {"other_optimum": 0.5},
    {"tempered": 0.3},
    {"editor": "lazy", "power": 2, "harmful": 0.1, "other_optimum": 0.3, "tempered": 0.5},
]
SIZES = [(2, 1), (4, 3), (2, 5)]
"""Contexts and attributes."""


def setting(strength: float, calibration: str = "fixed-cost") -> Setting:
    """A setting in which no number is one."""
    return Setting(strength, 1.3, 0.6, calibration)


def log_odds(contexts: int, attributes: int) -> np.ndarray:
    """Asymmetric log-odds of attributes."""
    return 1.5 * np.random.default_rng([contexts, attributes]).normal(size=(contexts, attributes)) + 0.3


def user_of(table: dict) -> sim.User:
    """The user of a table, the default editor of attribute worlds filled in."""
    return families.make_user({"editor": "redraw"} | table)


def product_world(contexts: int, attributes: int, strength: float, table: dict, **given: str) -> sim.World:
    """By operators."""
    return product_worlds.attribute_world(log_odds(contexts, attributes), setting(strength, **given), user_of(table))


def dense_world(contexts: int, attributes: int, strength: float, table: dict, **given: str) -> sim.World:
    """By tables, from the same numbers."""
    return families._attribute_world(log_odds(contexts, attributes), setting(strength, **given), user_of(table))
