"""What the README and the other documents say is so: code runs, commands and paths exist, figures are measured."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import pipelines.command  # noqa: F401 (it adds `run`)
from benchmarks import readme as quick
from featrix_core.cli import app
from featrix_core.errors import FeatrixUserError

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
DOCUMENTS = (
    "README.md",
    "benchmarks/README.md",
    "docs/how-it-works.md",
    "docs/operators-guide.md",
    "docs/response-schema.md",
    "pipelines/README.md",
)


def blocks(document: str, language: str) -> list[str]:
    found = FENCE.findall((ROOT / document).read_text(encoding="utf-8"))
    return [body for kind, body in found if kind == language]


def shell_lines(document: str) -> list[str]:
    """Lines of the shell blocks without comments; a trailing backslash continues a line."""
    text = "\n".join(blocks(document, "bash")).replace("\\\n", " ")
    return [" ".join(shlex.split(line, comments=True)) for line in text.splitlines() if line]


def run(arguments: list[str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """An empty folder in which the paths of the README's examples hold; 400 of the table's rows."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    data = tmp_path / "examples" / "data" / "german_credit.csv"
    lines = data.read_text(encoding="utf-8").splitlines(keepends=True)
    data.write_text("".join(lines[:401]), encoding="utf-8")
    return tmp_path


def test_python_of_the_readme_runs(checkout: Path) -> None:
    """All blocks in one program, as a reader would type them one after the other."""
    code = blocks("README.md", "python")
    assert code
    said = run(["-c", "\n".join(code)], checkout)
    assert re.search(r"^(good|bad) 0\.\d+ (high|medium|low)", said, re.MULTILINE)
    assert (checkout / "credit_predictor" / "manifest.json").is_file()


def test_example_trains_and_predicts(checkout: Path) -> None:
    said = run(["examples/train_and_predict.py", "2"], checkout)
    auc = re.search(r"^80 rows that took part in no training: AUC (0\.\d+)$", said, re.MULTILINE)
    assert auc is not None and float(auc[1]) > 0.6, said
    assert len(re.findall(r"^(?:good|bad) \(0\.\d\d, (?:high|medium|low)", said, re.M)) == 3
    assert len(re.findall(r"^   towards bad: (?:\w+ [+-]\d\.\d{3}(?:, |$)){3}", said, re.M)) == 3


def test_example_extends_a_space(checkout: Path) -> None:
    said = run(["examples/extend_with_features.py", "2"], checkout)
    assert "new columns: credit_per_month, younger_borrower\n" in said
    found = re.search(r"by ([+-]0\.\d+) \(95 % interval ([+-]0\.\d+) … ([+-]0\.\d+)\)", said)
    assert found is not None, said
    change, low, high = map(float, found.groups())
    assert low <= change <= high


def test_table_of_the_readme_is_the_result_file() -> None:
    if not quick.RESULT.is_file():
        pytest.fail(
            "benchmarks/results/quick.json is missing: run `make bench-quick`, "
            "then `.venv/bin/python -m benchmarks.readme`"
        )
    result = json.loads(quick.RESULT.read_text(encoding="utf-8"))
    shown = quick.between_markers(quick.README.read_text(encoding="utf-8"))
    assert shown == quick.block(result), "run `.venv/bin/python -m benchmarks.readme`"


def quick_result(auc: float) -> dict[str, Any]:
    row = {"interval": [0.7, 0.9], "log_loss": 0.5, "ece": 0.05, "seconds": 3.0}
    return {
        "summary": {
            "featrix": {"roc_auc": auc, "difference": None, **row},
            "LightGBM": {"roc_auc": 0.75, "difference": [-0.05, -0.08, -0.02], **row},
        },
        "cells": [{"fold": 0}, {"fold": 1}, {"fold": 0}],
        "data": "table.csv",
        "machine": {"date": "2025-01-31", "processor": "P", "cores": 2, "python": "3.11.2"},
    }


def test_table_is_put_between_the_markers(tmp_path: Path) -> None:
    page, result = tmp_path / "page.md", tmp_path / "quick.json"
    page.write_text(f"above\n{quick.START}\nearlier table\n{quick.END}\nbelow\n", encoding="utf-8")
    for auc in (0.8, 0.81):
        result.write_text(json.dumps(quick_result(auc)), encoding="utf-8")
        quick.main(page, result)
        text = page.read_text(encoding="utf-8")
        assert text.startswith("above\n") and text.endswith("\nbelow\n") and "earlier" not in text
        lines = quick.between_markers(text).splitlines()
        assert lines[2] == f"| featrix | {auc:.4f} | 0.7000 … 0.9000 |  | 0.5000 | 0.0500 | 3.0 |"
        assert "-0.0500 (-0.0800 … -0.0200)" in lines[3]
        assert "2 folds of table.csv" in lines[5] and "2025-01-31, P, 2 cores" in lines[5]


def test_table_needs_result_and_markers(tmp_path: Path) -> None:
    with pytest.raises(FeatrixUserError, match="make bench-quick"):
        quick.main(tmp_path / "page.md", tmp_path / "quick.json")
    for text in ("", quick.START, f"{quick.END} {quick.START}", 2 * (quick.START + quick.END)):
        with pytest.raises(FeatrixUserError, match="markers"):
            quick.filled(text, "table")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_are_understood(document: str) -> None:
    """Every `featrix …` line has a known command, known options and what the command requires."""
    group = typer.main.get_command(app)
    for line in shell_lines(document):
        program, *arguments = line.split()
        if program == "featrix":
            command = group.commands[arguments[0]]  # type: ignore[attr-defined]
            with command.make_context(arguments[0], arguments[1:]):
                pass


def test_readme_shows_every_command() -> None:
    shown = {line.split()[1] for line in shell_lines("README.md") if line.startswith("featrix ")}
    group = typer.main.get_command(app)
    assert shown == set(group.commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_make_targets_exist(document: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    text = (ROOT / document).read_text(encoding="utf-8")
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= set(targets)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    home = (ROOT / document).parent
    for link in LINK.findall((ROOT / document).read_text(encoding="utf-8")):
        if not link.startswith(("https://", "#")):
            assert (home / link.split("#")[0]).exists(), link


def test_paths_of_the_readme_exist() -> None:
    """The layout, and every path in code marks that begins with a folder of the repository."""
    (layout,) = blocks("README.md", "text")
    paths = [line.split()[0] for line in layout.splitlines()]
    assert len(paths) > 8
    home = "featrix_core/"
    for path in paths:
        assert (ROOT / path).exists() or (ROOT / home / path).exists(), path


def test_modules_of_how_it_works_exist() -> None:
    """`a/b.py` and `a/` in code marks are modules and packages of featrix_core, or stand in the repository."""
    text = (ROOT / "docs/how-it-works.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:[a-z_]+/)*(?:[a-z_]+\.py|[a-z_]+/))`", text)
    assert len(named) > 30
    for name in named:
        assert (ROOT / "featrix_core" / name).exists() or (ROOT / name).exists(), name


def test_picture_is_small() -> None:
    picture = ROOT / "docs" / "report.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert 20_000 < picture.stat().st_size < 400_000
