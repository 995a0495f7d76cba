"""How much of a run is done, in steps of training."""

from collections.abc import Callable


class Meter:
    """Counts steps.

    Args:
        total: of the whole run.
        progress: called with (done, total).
    """

    def __init__(self, total: int, progress: Callable[[int, int], None] | None = None) -> None:
        self.total, self.done, self._progress = total, 0, progress

    def add(self, steps: int) -> None:
        """So many more steps were done."""
        self.reach(self.done + steps)

    def reach(self, done: int) -> None:
        """So many steps are done by now, those of an earlier run included; never fewer than before."""
        self.done = min(max(done, self.done), self.total)
        if self._progress:
            self._progress(self.done, self.total)
