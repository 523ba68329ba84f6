"""Every step has an image of its own on the common, pinned base, and runs without root (OPS-1).

The images are read as text here; `tests/containers` builds and runs them.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from components.images import REGISTRY, VERSION

ROOT = Path(__file__).resolve().parents[2]
STEPS = sorted(path.parent.name for path in (ROOT / "components").glob("*/component.py"))
SERVICE = "string-embedding"
IMAGES = ["base", SERVICE, *(step.replace("_", "-") for step in STEPS)]
BOTTOM = ("base", SERVICE)
"""Stand on the operating system; all others stand on `base`."""


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
    wanted = "python:3.11-slim-bookworm" if image in BOTTOM else f"{REGISTRY}/base:{VERSION}"
    argument = "BASE_IMAGE" if image in BOTTOM else "FEATRIX_BASE"
    assert defaults[argument] == wanted
    stages = {f"${{{argument}}}"}
    for keyword, source in instructions(image):
        if keyword == "FROM":
            below, _, stage = source.partition(" AS ")
            assert below in stages
            stages.add(stage)


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
    assert f'install -c /src/constraints.txt "{torch}"' in runs
    assert "/dist/featrix-*.whl" in runs
    assert re.search(r"pip --python \S+ check", runs)
    environment = " ".join(a for keyword, a in instructions("base") if keyword == "ENV")
    assert "HF_HUB_OFFLINE=1" in environment


def test_the_service_names_what_it_imports() -> None:
    """Its requirements are pinned with all others, and the service starts with nothing but them."""
    names = (ROOT / "images" / SERVICE / "requirements.txt").read_text("utf-8").splitlines()
    wanted = {name for name in names if not name.startswith("#")}
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    }
    assert wanted <= pinned
    code = (
        "import sys, importlib.metadata as m\n"
        "import pipelines.command, featrix_core.strings.serve, featrix_core.strings.service\n"
        "import rich.console, uvicorn\n"
        "from featrix_core.strings.embedder import LocalTextEmbedder\n"
        "LocalTextEmbedder(engine='onnx').embed(['a'])\n"
        "of = m.packages_distributions()\n"
        "tops = {name.split('.')[0] for name in sys.modules}\n"
        "print(*sorted({d.lower().replace('_', '-') for t in tops for d in of.get(t, ())}))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    loaded = set(run.stdout.split())
    assert not loaded & {"torch", "kfp", "mlflow", "pandas", "pyarrow", "transformers"}
    assert wanted <= loaded


@pytest.mark.parametrize("image", BOTTOM)
def test_everything_that_is_copied_is_in_the_build_context(image: str) -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = [line[1:] for line in ignore if line.startswith("!")]
    assert "*" in ignore
    for keyword, argument in instructions(image):
        if keyword == "COPY" and not argument.startswith("--from"):
            for source in argument.split()[:-1]:
                assert any(f"{source}/".startswith(f"{entry}/") for entry in allowed), source
