"""The compiled packages, read as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

COMPILED = Path(__file__).parents[2] / "pipelines" / "compiled"
"""Not from `pipelines.compile`: kfp looks through the whole call stack for every task of the DAGs, which takes
many seconds under pytest's deep one."""


@dataclass(frozen=True)
class Package:
    """One compiled package: the pipeline and what it asks of Kubernetes."""

    spec: dict[str, Any]
    kubernetes: dict[str, Any]
    run: dict[str, Any]

    def dags(self) -> dict[str, dict[str, Any]]:
        """Every component that is a graph, the root among them, by name."""
        inner = {k: c for k, c in self.spec["components"].items() if "dag" in c}
        return {"root": self.spec["root"], **inner}

    def executor(self, name: str) -> dict[str, Any]:
        return self.spec["deploymentSpec"]["executors"][f"exec-{name}"]["container"]


@pytest.fixture(scope="session")
def packages() -> dict[str, Package]:
    """All packages in the repository by name."""
    found = {}
    for path in sorted(COMPILED.glob("*.yaml")):
        spec, platform = yaml.safe_load_all(path.read_text(encoding="utf-8"))
        asked = platform["platforms"]["kubernetes"]
        executors = asked["deploymentSpec"]["executors"]
        found[path.stem] = Package(spec, executors, asked["pipelineConfig"])
    return found


@pytest.fixture(scope="session")
def train_package(packages: dict[str, Package]) -> Package:
    return packages["train"]
