"""Real containers of the images in this tree: `make test-containers` builds them first."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The container engine; fails, and never skips, where none can be had."""
    wanted = "the trainers that a machine without an accelerator builds: run `make test-containers`"
    assert os.environ.get("FEATRIX_IMAGE_VARIANT") == "cpu", wanted
    found = subprocess.run([ROOT / "images" / "engine"], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    os.environ["DOCKER_HOST"] = found.stdout.strip()
    client = docker.from_env(timeout=300)
    yield client
    client.close()
