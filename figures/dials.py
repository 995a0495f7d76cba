"""Dials for notebooks: a figure is redrawn as the reader turns its parameters; without widgets it is drawn once."""

import inspect
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any

from sim.errors import BadInput, choose

NO_WIDGETS = "Drawn once, with {values}.  For sliders run this in Jupyter with the package ipywidgets installed."


def dial(draw: Callable[..., Any], /, **values: Iterable[Any]) -> None:
    """Show `draw(**parameters)` with a slider for each parameter.

    Where there are no sliders (no ipywidgets, or no notebook) it is drawn once, and a line says what would add them.

    Args:
        draw: draws a figure.  The defaults of its arguments are where the sliders begin; one without a default begins
            at its first value.
        values: for each argument that gets a slider, the values to choose from, in order.

    Raises:
        BadInput: nothing to choose from, an argument that `draw` does not have, or a default that is no choice.
        Exception: whatever the first drawing raises.
    """
    choices = {name: list(options) for name, options in values.items()}
    begins = {name: _begin(draw, name, options) for name, options in choices.items()}
    if _has_widgets():
        _show(draw, choices, begins)
        return
    draw(**begins)
    print(NO_WIDGETS.format(values=", ".join(f"{name} = {_text(value)}" for name, value in begins.items())))


def _begin(draw: Callable[..., Any], name: str, options: list[Any]) -> Any:
    known = inspect.signature(draw).parameters
    choose("argument of the drawing", name, known)
    default = known[name].default
    if not options or default not in [inspect.Parameter.empty, *options]:
        raise BadInput(f"dial: expected '{name}' to begin at one of its values, got {default!r} and {options}")
    return options[0] if default is inspect.Parameter.empty else default


def _has_widgets() -> bool:
    """Whether ipywidgets is there, and a notebook in which a widget can be shown."""
    if find_spec("ipywidgets") is None or find_spec("IPython") is None:
        return False
    from IPython.core.getipython import get_ipython

    return hasattr(get_ipython(), "kernel")


def _show(draw: Callable[..., Any], values: dict[str, list[Any]], begins: dict[str, Any]) -> None:
    import ipywidgets

    failures: list[Exception] = []

    def draw_or_note(**parameters: Any) -> None:
        try:
            draw(**parameters)
        except Exception as error:
            failures.append(error)
            raise

    sliders = {
        name: ipywidgets.SelectionSlider(
            options=[(_text(value), value) for value in options],
            value=begins[name],
            description=name.replace("_", " "),
            continuous_update=False,
            style={"description_width": "initial"},
        )
        for name, options in values.items()
    }
    ipywidgets.interact(draw_or_note, **sliders)
    # Widgets show an error and go on; a notebook that is run as a test must stop.
    if failures:
        raise failures[0]


def _text(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
