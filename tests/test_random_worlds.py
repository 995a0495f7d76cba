"""Random worlds: what is drawn has the declared law, and strong and weak users share a world."""

import numpy as np
import pytest
from scipy import stats

import sim
from sim.random_worlds import DIALS, EDITORS, FAMILIES, drawn


@pytest.mark.parametrize("first", [0, 10_000])
def test_what_is_drawn_has_the_declared_law(first: int) -> None:
    draws = [drawn(draw, task, "weak") for draw in range(first, first + 300) for task in ("A", "B")]
    for names, values in ((FAMILIES, [d[0] for d in draws]), (EDITORS, [d[2]["editor"] for d in draws])):
        assert stats.chisquare([values.count(name) for name in names]).pvalue > 1e-4
    for dial, most in DIALS.items():
        values = np.array([d[2][dial] for d in draws])
        assert stats.binomtest(int((values == 0).sum()), len(values), 0.5).pvalue > 1e-5
        assert stats.kstest(values[values > 0] / most, "uniform").pvalue > 1e-5
    of_temperature = np.log([d[1]["temperature"] for d in draws]) / np.log(0.15)
    assert stats.kstest(of_temperature, "uniform").pvalue > 1e-5
    of_strength = (np.array([d[1]["strength"] for d in draws]) - 0.05) / 0.25
    assert stats.kstest(of_strength, "uniform").pvalue > 1e-5


def test_strong_and_weak_users_of_a_draw_share_all_but_strength() -> None:
    for draw in range(20):
        strong, weak = drawn(draw, "A", "strong"), drawn(draw, "A", "weak")
        assert strong[0] == weak[0] and strong[2] == weak[2]
        assert strong[1] | {"strength": 0} == weak[1] | {"strength": 0}
        assert 0.7 <= strong[1]["strength"] <= 1 and 0.05 <= weak[1]["strength"] <= 0.3
        assert drawn(draw, "B", "strong") != strong


@pytest.mark.parametrize("draw", range(8))
def test_all_worlds_have_one_shape(draw: int) -> None:
    for task in ("A", "B"):
        world = sim.world("random", world_seed=draw, task=task)
        assert (world.contexts, world.responses) == (3, 16)


def test_she_is_drawn_too(tmp_path) -> None:
    with pytest.raises(sim.BadInput, match="draws its user too"):
        sim.world("random", user={"cyclic": 0.1})
    extras = sim.families.extras("random", {"world_seed": 3})
    assert extras["drawn"]["family"] == drawn(3, "A", "strong")[0]
