"""What the paper prints: mean edit costs of its Table 1, and the largest gaps of its Tables 1 and 2."""

SOURCE = {1: "Misra et al. 2025, Table 1", 2: "Misra et al. 2025, Table 2"}

NAMES = {"reference": "Base", "sup": "SFT", "pref": "DPO", "early": "EarlyEnsemble", "late": "LateEnsemble"}
"""The paper's five methods, by their names here."""

SETTINGS = (("summarization", "strong"), ("summarization", "weak"), ("email", "strong"), ("email", "weak"))
"""Task and training user of the columns of Table 1."""

COSTS = {
    "reference": (0.9455, 0.9445, 0.5108, 0.4923),
    "sup": (0.5377, 0.9304, 0.4159, 0.4539),
    "pref": (1.0790, 0.8267, 0.3365, 0.3368),
    "early": (0.2092, 0.3586, 0.3438, 0.4864),
    "late": (0.2768, 0.4403, 0.4202, 0.3739),
}
"""Mean edit cost per round in each of `SETTINGS`, Table 1; Table 2 has none in what we know of it."""

PRINTED = {
    1: {"reference": 0.7364, "sup": 0.5772, "pref": 0.8698, "early": 0.1612, "late": 0.1586},
    2: {"reference": 0.6654, "sup": 0.5121, "pref": 0.7805, "early": 0.0955, "late": 0.0862},
}
"""The column "max SubOpt" as printed, which is not the largest gap of the printed means; see `sim.online.gaps`."""


def cost(method: str, setting: tuple[str, str]) -> float | None:
    """The printed mean cost of Table 1; None for what the paper does not have."""
    if method not in COSTS or setting not in SETTINGS:
        return None
    return COSTS[method][SETTINGS.index(setting)]


def gap(method: str, settings: list[tuple[str, str]]) -> float | None:
    """The largest gap of the printed means of Table 1 over these settings; None for what the paper does not have."""
    if method not in COSTS or not settings or any(setting not in SETTINGS for setting in settings):
        return None
    places = [SETTINGS.index(setting) for setting in settings]
    return max(COSTS[method][s] - min(row[s] for row in COSTS.values()) for s in places)


def printed(table: int | None, method: str, settings: list[tuple[str, str]]) -> float | None:
    """The printed "max SubOpt" of Table 1 or 2, which is over all four settings; None for fewer settings, for methods
    that it does not have, and for no table.
    """
    return PRINTED.get(table or 0, {}).get(method) if set(settings) == set(SETTINGS) else None
