"""Dials for notebooks: a figure is redrawn as the reader turns its parameters; without widgets it is drawn once."""

import inspect
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

NO_WIDGETS = "Drawn once, with {values}.  For sliders run this in Jupyter with the package ipywidgets installed."


def dial(draw: Callable[..., Any], **values: Sequence[Any]) -> None:
    """Show `draw(**parameters)` with a slider for each parameter.

    Where there are no sliders (no ipywidgets, or no notebook) it is drawn once, and a line says what would add them.

    Args:
        draw: draws a figure.  The defaults of its arguments are where the sliders begin; one without a default begins
            at its first value.
        values: for each argument that gets a slider, the values to choose from, in order.

    Raises:
        Exception: whatever the first drawing raises.
    """
    known = inspect.signature(draw).parameters
    begins = {name: _begin(known[name].default, options) for name, options in values.items()}
    if _has_widgets():
        _show(draw, values, begins)
        return
    draw(**begins)
    print(NO_WIDGETS.format(values=", ".join(f"{name} = {_text(value)}" for name, value in begins.items())))


def _begin(default: Any, options: Sequence[Any]) -> Any:
    return default if default is not inspect.Parameter.empty else options[0]


def _has_widgets() -> bool:
    """Whether ipywidgets is there, and a notebook in which a widget can be shown."""
    if find_spec("ipywidgets") is None or find_spec("IPython") is None:
        return False
    from IPython.core.getipython import get_ipython

    return hasattr(get_ipython(), "kernel")


def _show(draw: Callable[..., Any], values: dict[str, Sequence[Any]], begins: dict[str, Any]) -> None:
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
