"""Readable ticks on logarithmic axes, as plain text: no formula to parse, and text that can be searched in an SVG."""

from collections.abc import Collection

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, LogFormatter, LogLocator, NullFormatter, NullLocator

PLAIN = (1e-3, 1e6)
"""Ticks that all lie in this range are written out; others are powers of ten."""

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class LogTicks(Formatter):
    """Ticks of one axis, all in one notation: 0.01, 1,000 or 10⁻⁵, 2×10⁻⁵."""

    def __call__(self, value: float, pos: int | None = None) -> str:
        """One tick on its own."""
        return self.format_ticks([value])[0]

    def format_ticks(self, values: Collection[float]) -> list[str]:
        """The ticks of an axis."""
        assert self.axis is not None
        low, high = sorted(self.axis.get_view_interval())
        # Locators add ticks that are out of sight.
        plain = all(PLAIN[0] <= value < PLAIN[1] for value in values if low <= value <= high)
        return [f"{value:,.10g}" if plain else _power(value) for value in values]


def _power(value: float) -> str:
    if value <= 0:
        return ""
    exponent = int(np.floor(np.log10(value) + 1e-9))
    digits = round(value / 10.0**exponent, 6)
    power = "10" + str(exponent).translate(_RAISED)
    return power if digits == 1 else f"{digits:g}×{power}"


def set_log_ticks(figure: Figure) -> None:
    """Give every logarithmic axis without ticks of its own readable ones.  Its limits must be final."""
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            if axis.get_scale() == "log" and isinstance(axis.get_major_formatter(), LogFormatter):
                _set(axis)


def _set(axis: Axis) -> None:
    low, high = axis.get_view_interval()
    decades = abs(np.log10(high / low))
    if decades < 1.5:
        # Powers of ten alone would leave one tick, or none.
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(LogTicks())
    axis.set_minor_formatter(NullFormatter())
    if decades > 2:
        axis.set_minor_locator(NullLocator())
