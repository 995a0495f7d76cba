"""Medley's simulator: exact worlds, edit logs, learners, sweeps.

Importing this package switches JAX to 64-bit floats: every exact quantity needs them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import jax

jax.config.update("jax_enable_x64", True)

import sim.random_worlds  # noqa: E402, F401  (registers its family)
from sim.errors import BadInput  # noqa: E402
from sim.families import register_family, world  # noqa: E402
from sim.learners import Fits, fit, make  # noqa: E402
from sim.learners import register as register_learner  # noqa: E402
from sim.logs import Logs, Records, sample, sample_records, to_counts, to_records  # noqa: E402
from sim.pytrees import pytree  # noqa: E402
from sim.record_logs import RecordLogs  # noqa: E402
from sim.users import User, register_editor  # noqa: E402
from sim.world import World, from_reference, plant  # noqa: E402

if TYPE_CHECKING:
    from sim.runs import run, run_online
    from sim.store import load

__all__ = [
    "BadInput", "Fits", "Logs", "RecordLogs", "Records", "User", "World", "fit", "from_reference", "load", "make",
    "plant", "pytree", "register_editor", "register_family", "register_learner", "run", "run_online", "sample",
    "sample_records", "to_counts", "to_records", "world",
]  # fmt: skip

# Tables take a third of a second to import, and one world or one prediction needs none.
_OF_TABLES = {"run": "sim.runs", "run_online": "sim.runs", "load": "sim.store"}


def __getattr__(name: str) -> Any:
    if name not in _OF_TABLES:
        raise AttributeError(f"module 'sim' has no attribute '{name}'")
    return getattr(import_module(_OF_TABLES[name]), name)
