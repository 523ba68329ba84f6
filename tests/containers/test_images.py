"""What is in the images, as an engine sees it (OPS-1)."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from components.images import REGISTRY, VERSION, image

ROOT = Path(__file__).resolve().parents[2]
STEPS = sorted(path.parent.name for path in (ROOT / "components").glob("*/component.py"))
IMAGES = sorted(path.parent.name for path in (ROOT / "images").glob("*/Dockerfile"))
MIB = 1024 * 1024


def _ask(engine: docker.DockerClient, name: str, command: list[str]) -> str:
    """What a command prints in a container like a cluster's: no root, nothing writable but /tmp."""
    said: bytes = engine.containers.run(
        f"{REGISTRY}/{name}:{VERSION}",
        command[1:],
        entrypoint=command[0],
        remove=True,
        read_only=True,
        tmpfs={"/tmp": ""},
        network_mode="none",
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
    )
    return said.decode()


@pytest.mark.parametrize("name", IMAGES)
def test_nobody_is_root_and_nothing_can_be_installed(
    engine: docker.DockerClient, name: str
) -> None:
    tools = "pip pip3 gcc cc g++ make git curl"
    script = (
        f"id -u; for tool in {tools}; do command -v $tool; done; python3 -m pip --version; true"
    )
    said = _ask(engine, name, ["sh", "-c", script]).split()
    assert said == ["10001"]


@pytest.mark.parametrize("name", IMAGES)
def test_labels_and_user_are_in_the_image(engine: docker.DockerClient, name: str) -> None:
    config = engine.images.get(f"{REGISTRY}/{name}:{VERSION}").attrs["Config"]
    assert config["User"] == "10001:10001"
    assert config["Labels"]["org.opencontainers.image.title"] == f"featrix {name}"
    assert config["Labels"]["org.opencontainers.image.version"] == VERSION
    history = engine.images.get(f"{REGISTRY}/{name}:{VERSION}").history()
    assert not any("INDEX_URL" in (layer["CreatedBy"] or "") for layer in history)


def test_torch_is_the_small_build(engine: docker.DockerClient) -> None:
    """A build with CUDA takes gigabytes more: name a CPU index in TORCH_INDEX_URL."""
    script = "import torch; print(torch.version.cuda)"
    assert _ask(engine, "base", ["python3", "-c", script]).strip() == "None"


def test_a_further_step_adds_little(engine: docker.DockerClient) -> None:
    base = engine.images.get(f"{REGISTRY}/base:{VERSION}").attrs
    for step in STEPS:
        other = engine.images.get(image(step.replace("_", "-"))).attrs
        assert other["Size"] - base["Size"] < 1 * MIB, step
        shared = len(base["RootFS"]["Layers"])
        assert other["RootFS"]["Layers"][:shared] == base["RootFS"]["Layers"], step


def test_the_service_carries_no_torch_and_a_third_of_the_base(engine: docker.DockerClient) -> None:
    script = "import importlib.util as u; print([n for n in ('torch', 'kfp', 'mlflow') if u.find_spec(n)])"
    assert _ask(engine, "string-embedding", ["python3", "-c", script]).strip() == "[]"
    service = engine.images.get(f"{REGISTRY}/string-embedding:{VERSION}").attrs["Size"]
    assert service < engine.images.get(f"{REGISTRY}/base:{VERSION}").attrs["Size"] / 3
