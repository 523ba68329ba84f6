"""What holds for the repository as a whole: pins, licence, entry points, size, light start."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

QUALITY = {
    "lightning-utilities",
    "psutil",
    "pytabkit",
    "pytorch-lightning",
    "torchmetrics",
    "xgboost-cpu",
}
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.!]+)$")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def pins(repository: Path) -> dict[str, str]:
    lines = (repository / "constraints.txt").read_text(encoding="utf-8").splitlines()
    entries = [line for line in lines if not line.startswith("#")]
    parsed = [PIN.match(line) for line in entries]
    assert all(parsed), [line for line, match in zip(entries, parsed, strict=True) if not match]
    return {canonical(match[1]): match[2] for match in parsed if match}


def test_environment_is_the_pinned_one(pins: dict[str, str]) -> None:
    """Complete: nothing is installed that is not pinned, and nothing in another version."""
    own = {"featrix", "pip"}
    installed = {
        canonical(dist.metadata["Name"]): dist.version.split("+")[0]
        for dist in importlib.metadata.distributions()
    }
    beyond = {
        # A build of torch for CUDA brings these along; the pins are those of the CPU build.
        name
        for name in installed
        if name.startswith(("nvidia-", "cuda-", "triton"))
    }
    here = {n: v for n, v in installed.items() if n not in own | beyond}
    # The extra `quality` is installed by its own benchmark alone, whole.
    assert here in (pins, {n: v for n, v in pins.items() if n not in QUALITY})


def test_direct_dependencies_are_pinned(project: dict[str, Any], pins: dict[str, str]) -> None:
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {canonical(re.split(r"[<>=\[ ]", entry)[0]) for group in groups for entry in group}
    assert names - {"featrix"} <= set(pins)  # extras name other extras


def test_licence(repository: Path, project: dict[str, Any]) -> None:
    text = (repository / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert len(text) > 10_000, "the full text"
    assert project["license"] == "Apache-2.0"


def test_ci_runs_the_command_of_the_readme(repository: Path) -> None:
    run = repository / ".ci" / "run"
    assert os.access(run, os.X_OK)
    assert run.read_text().rstrip().endswith("\nmake test")
    assert re.search(r"^make test\b", (repository / "README.md").read_text(), re.MULTILINE)


def test_make_help_names_every_target(repository: Path) -> None:
    done = subprocess.run(
        ["make", "help"], cwd=repository, check=True, capture_output=True, text=True
    )
    for target in ("setup", "demo", "test", "lint", "pipelines", "bench-quick", "bench-adult"):
        assert f"make {target} " in done.stdout


def test_modules_stay_small(repository: Path) -> None:
    sizes = {
        str(path.relative_to(repository)): len(path.read_text(encoding="utf-8").splitlines())
        for package in ("featrix_core", "components", "pipelines", "benchmarks")
        for path in (repository / package).rglob("*.py")
    }
    assert {name: lines for name, lines in sizes.items() if lines > 400} == {}


def test_command_line_starts_without_heavy_packages() -> None:
    code = (
        "import sys, featrix_core.cli; "
        "print([m for m in ('torch', 'mlflow', 'kfp', 'plotly', 'lightgbm', 'sklearn', "
        "'sentence_transformers', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_tables_load_no_torch() -> None:
    """Importing every module of the tables loads neither torch nor a sentence model."""
    code = (
        "import importlib, pkgutil, sys, featrix_core.tables as t; "
        "[importlib.import_module(m.name) for m in pkgutil.iter_modules(t.__path__, t.__name__ + '.')]; "
        "print([m for m in ('torch', 'transformers', 'sentence_transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_command_is_installed() -> None:
    command = Path(sys.executable).parent / "featrix"
    done = subprocess.run([command, "--help"], check=True, capture_output=True, text=True)
    for name in ("run", "fit", "predict", "embed"):
        assert re.search(rf"\b{name}\b", done.stdout)
