"""What every family of worlds shares beside its optimum."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Setting:
    """Strength, cost scale, temperature, calibration, cost interaction."""

    strength: float
    cost_scale: float
    temperature: float
    calibration: str
    cost_interaction: float = 0.0

    def scaled(self, distance: Any, rate: float) -> Any:
        """kappa * distance, divided by the edit rate under fixed cost; at rate 0 nobody edits and kappa stays."""
        divide = self.calibration == "fixed-cost" and rate > 0
        return self.cost_scale * distance / (rate if divide else 1.0)
