"""How many processor cores a process may use (TRAIN-3). Nothing is imported that costs anything."""

from __future__ import annotations

import contextlib
import os
from collections.abc import MutableMapping
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def allowed_cores() -> int:
    """Cores that this process may run on, and no more than the CPU limit of its container."""
    return min(_cores(), cpu_limit() or _cores())


def cpu_limit(cgroups: Path = _CGROUPS) -> int | None:
    """Whole cores of a container's CPU limit, where it is lower than what the process may run on; else None.

    A limit of Kubernetes is a share of time, not a set of cores: numeric libraries see all cores of the node, and
    their many threads would wait for one another. Both versions of control groups are read.
    """
    first = cgroups / "cpu"
    for files in (
        (cgroups / "cpu.max",),
        (first / "cpu.cfs_quota_us", first / "cpu.cfs_period_us"),
    ):
        with contextlib.suppress(OSError, ValueError):  # "max" is no number
            quota, period = map(float, " ".join(f.read_text("ascii") for f in files).split())
            limit = max(int(quota / period), 1) if quota > 0 and period > 0 else 0
            return limit if 0 < limit < _cores() else None
    return None


def limit_threads(environment: MutableMapping[str, str], limit: int | None) -> None:
    """Let torch, trees and Arrow use as many threads as a container has cores, where nothing else is said.

    It takes effect for libraries that are loaded after it.
    """
    if limit is not None:
        environment.setdefault("OMP_NUM_THREADS", str(limit))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
