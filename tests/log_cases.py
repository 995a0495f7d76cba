"""Random worlds for the tests of edit logs.

A module that uses the fixture binds it by its name.
"""

import pytest
import reference as ref

from sim.world import plant


def make(sizes=(2, 5, 3, 7), seed=1, zeros=False, **change):
    return plant(**(ref.world_arguments(seed, *sizes, zeros=zeros) | change))


@pytest.fixture(scope="module")
def world():
    """A world with every triple possible."""
    return make()
