"""Every step has an image of its own on the common, pinned base, and runs without root (OPS-1).

The images are read as text here; building them needs a container engine.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from components.images import REGISTRY, VERSION

ROOT = Path(__file__).resolve().parents[2]
STEPS = sorted(path.parent.name for path in (ROOT / "components").glob("*/component.py"))
IMAGES = ["base", *(step.replace("_", "-") for step in STEPS)]


def instructions(image: str) -> list[tuple[str, str]]:
    """Instructions of a Dockerfile: keyword and argument, lines joined, comments left out."""
    text = (ROOT / "images" / image / "Dockerfile").read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = lines.replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def test_one_folder_per_image() -> None:
    found = sorted(path.parent.name for path in (ROOT / "images").glob("*/Dockerfile"))
    assert found == sorted(IMAGES)


@pytest.mark.parametrize("image", IMAGES)
def test_last_user_is_not_root(image: str) -> None:
    users = [argument for keyword, argument in instructions(image) if keyword == "USER"]
    assert users, "no USER"
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", users[-1])


@pytest.mark.parametrize("image", IMAGES)
def test_base_is_pinned_and_can_be_replaced(image: str) -> None:
    defaults = dict(
        argument.split("=", 1)
        for keyword, argument in instructions(image)
        if keyword == "ARG" and "=" in argument
    )
    wanted = {"base": "python:3.11-slim-bookworm"}.get(image, f"{REGISTRY}/base:{VERSION}")
    argument = "BASE_IMAGE" if image == "base" else "FEATRIX_BASE"
    assert defaults[argument] == wanted
    for keyword, source in instructions(image):
        if keyword == "FROM":
            assert source.split(" AS ")[0] == f"${{{argument}}}"


@pytest.mark.parametrize("image", IMAGES)
def test_labels_carry_name_version_and_licence(image: str) -> None:
    labels = " ".join(argument for keyword, argument in instructions(image) if keyword == "LABEL")
    assert f'title="featrix {image}"' in labels
    assert f'version="{VERSION}"' in labels
    assert 'licenses="Apache-2.0"' in labels


@pytest.mark.parametrize("step", STEPS)
def test_image_is_tried_with_its_own_step(step: str) -> None:
    runs = [a for k, a in instructions(step.replace("_", "-")) if k == "RUN"]
    assert any(re.search(rf"from featrix_core\.steps import {step}\b", run) for run in runs)


def test_base_installs_the_pinned_environment_and_the_one_wheel() -> None:
    runs = " ".join(argument for keyword, argument in instructions("base") if keyword == "RUN")
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (torch,) = (entry for entry in dependencies if entry.startswith("torch=="))
    assert f'pip install -c constraints.txt "{torch}"' in runs
    assert "pip install -c constraints.txt /dist/featrix-*.whl" in runs
    environment = " ".join(a for keyword, a in instructions("base") if keyword == "ENV")
    assert "HF_HUB_OFFLINE=1" in environment


def test_everything_that_is_copied_is_in_the_build_context() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:] for line in ignore if line.startswith("!")}
    assert "*" in ignore
    for keyword, argument in instructions("base"):
        if keyword == "COPY" and not argument.startswith("--from"):
            for source in argument.split()[:-1]:
                assert source.replace("${WHEEL_DIR}/", "images/wheels") in allowed, source
