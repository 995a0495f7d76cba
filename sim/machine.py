"""What a measurement was made on: no number of speed or memory without it."""

import os
import platform
import resource
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax

PACKAGES = ("medley", "jax", "jaxlib", "numpy", "scipy", "scikit-learn")
RUN_PACKAGES = ("medley", "jax", "jaxlib", "numpy", "scipy", "pandas", "pyarrow", "matplotlib")


def device() -> str:
    """The device that computes, with its model and, for a processor, its cores."""
    first = jax.devices()[0]
    return first.device_kind if first.platform != "cpu" else f"{_processor()}, {cores()} core{'s' * (cores() > 1)}"


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> dict[str, str | None]:
    """The version of every package that takes part; None where it is not installed."""
    return {name: version_of(name) for name in PACKAGES}


def made_with(further: Iterable[str] = ()) -> dict[str, Any]:
    """What numbers depend on beside their inputs: versions, platform and device.  No times.

    Args:
        further: packages that take part beside those of every run.
    """
    return {
        "version": version_of("medley") or "not installed",
        "python": platform.python_version(),
        "packages": {name: version_of(name) or "not installed" for name in (*RUN_PACKAGES, *further)},
        "device": str(jax.devices()[0].device_kind),
        "platform": platform.machine(),
    }


def free_memory_mb() -> float | None:
    """The memory that is free now, in MB; None where the system does not say."""
    meminfo = Path("/proc/meminfo")
    lines = meminfo.read_text().splitlines() if meminfo.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable")), None)


def peak_mb() -> float:
    """The most memory that this process has held so far, in MB (2^20 bytes).

    On Linux from the process's own status: the usual counter starts a child at the peak of its parent.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def version_of(package: str) -> str | None:
    """The version of a package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
