"""How far a long command is, for whoever waits for it."""

import sys
from typing import Any

from tqdm import tqdm


class ProgressBar:
    """A bar on stderr, of tasks (or another unit) done; as a context it gives the function to call as they end."""

    def __init__(self, title: str, unit: str = "task"):
        self.title, self.unit, self.bar = title, unit, None

    def __enter__(self) -> Any:
        return self.update

    def update(self, done: int, total: int) -> None:
        """Show that so many of so many are done."""
        if self.bar is None:
            self.bar = tqdm(total=total, desc=self.title, unit=self.unit, file=sys.stderr, dynamic_ncols=True)
        self.bar.update(done - self.bar.n)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()
