"""Component files stay thin: short bodies, no heavy imports, documented (OPS-1)."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from components.images import image

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = sorted((ROOT / "components").glob("*/component.py"))


def function_of(path: Path) -> ast.FunctionDef:
    (function,) = (
        node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)
    )
    return function


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.parent.name)
def test_body_is_short_and_calls_one_step(path: Path) -> None:
    function = function_of(path)
    assert function.name == path.parent.name
    body = function.body
    assert body[-1].end_lineno - body[0].lineno + 1 <= 30
    calls = [
        node.func.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "steps"
    ]
    assert calls == [function.name]


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.parent.name)
def test_top_level_imports_are_light(path: Path) -> None:
    imported = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    assert imported == {"kfp", "components.images"}


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.parent.name)
def test_readme_names_every_input_and_output(path: Path) -> None:
    text = (path.parent / "README.md").read_text(encoding="utf-8")
    for argument in function_of(path).args.args:
        assert f"`{argument.arg}`" in text, argument.arg
    step = path.parent.name.replace("_", "-")
    assert image(step).rsplit(":", 1)[0] in text


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.parent.name)
def test_component_names_its_own_image(path: Path) -> None:
    name = path.parent.name
    component = getattr(importlib.import_module(f"components.{name}.component"), name)
    container = component.component_spec.implementation.container
    assert container.image == image(name.replace("_", "-"))
    assert "pip install" not in " ".join(map(str, container.command))


def test_library_does_not_load_heavy_packages_for_the_dags(repository: Path) -> None:
    """Compiling needs kfp and nothing of what the steps need."""
    code = (
        "import sys, pipelines.compile; "
        "print([m for m in ('torch', 'mlflow', 'sentence_transformers', 'lightgbm', 'plotly') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=repository, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
