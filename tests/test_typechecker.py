"""Calls of the tests are checked: types in every module, shapes where it declares some."""

import jax.numpy as jnp
import pytest
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import TypeCheckError

from bounds.bound import Bound
from sim.linear_solve import solve_positive
from sim.llm.drafts import clean


def test_shapes_that_do_not_belong_together_are_found() -> None:
    solve_positive(jnp.eye(3), jnp.ones((3, 2)))
    with pytest.raises(TypeCheckError):
        solve_positive(jnp.eye(3), jnp.ones((2, 2)))


def test_other_types_are_found_in_functions_and_fields() -> None:
    with pytest.raises(BeartypeCallHintViolation):
        clean(3)  # type: ignore[arg-type]
    # A whole number stands for a fraction.
    assert Bound(1, {}, {}, None).value == 1
    with pytest.raises(BeartypeCallHintViolation):
        Bound("1", {}, {}, None)  # type: ignore[arg-type]
