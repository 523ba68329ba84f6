"""The command, within the tests' process and as one of its own, and one small fit that the tests share."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
import pytest

from pipelines.command import main
from tests.conftest import BuiltOnce

FEATRIX = Path(sys.executable).with_name("featrix")
COLUMNS = (
    "checking_status",
    "duration",
    "credit_history",
    "credit_amount",
    "savings_status",
    "age",
    "class",
)
FIT = ("fit", "--data", "train.csv", "--target", "class", "--out", "model")
Run: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]
Refused: TypeAlias = Callable[..., str]


def _process(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(FEATRIX), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def _warn(message: Any, kind: type[Warning], file: str, line: int, *_: object) -> None:
    sys.stderr.write(warnings.formatwarning(message, kind, file, line))


def _run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Status and output are those of a process: main's exit, and warnings that go to standard error."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)
        warnings.showwarning = _warn
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except Exception:
            traceback.print_exc()
            status = 1
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder, hidden files too, with sizes and times of change."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.stat()
        size = 0 if path.is_dir() else status.st_size
        found[path.relative_to(folder).as_posix()] = (
            size,
            0 if path.is_dir() else status.st_mtime_ns,
        )
    return found


@pytest.fixture(scope="session")
def run() -> Run:
    """Run the command with arguments in the folder `cwd`, in this process: torch is loaded already."""
    return _run


@pytest.fixture(scope="session")
def process() -> Run:
    """Run the installed `featrix` with arguments in the folder `cwd`."""
    return _process


@pytest.fixture(scope="session")
def refused() -> Refused:
    """Run in `cwd`, require a proper refusal that leaves nothing behind, hand back the sentence.

    `call`: `run` or `process`; in this process unless told otherwise.
    """

    def check(*arguments: object, cwd: Path, call: Run = _run) -> str:
        before = _files(cwd)
        result = call(*arguments, cwd=cwd)
        assert result.returncode == 2, result.stderr
        assert result.stdout == ""
        assert "Traceback" not in result.stderr
        lines = result.stderr.splitlines()
        assert len(lines) == 1, result.stderr
        assert lines[0].startswith("featrix: ")
        assert lines[0].endswith(".")
        # Something is wrong, and then there is what to do about it.
        assert lines[0].count(". ") >= 1
        assert _files(cwd) == before
        return lines[0]

    return check


@pytest.fixture(scope="session")
def credit_rows(german_credit: Path) -> pd.DataFrame:
    """240 rows and 7 columns of German credit as text; tests must not write to it."""
    return pd.read_csv(german_credit, dtype=str, keep_default_na=False)[list(COLUMNS)].iloc[:240]


@pytest.fixture(scope="session")
def new_rows(german_credit: Path) -> pd.DataFrame:
    """60 rows that the fit has not seen, without the target; tests must not write to them."""
    frame = pd.read_csv(german_credit, dtype=str, keep_default_na=False)[list(COLUMNS[:-1])]
    return frame.iloc[500:560].reset_index(drop=True)


@pytest.fixture(scope="session")
def fitted(
    built_once: BuiltOnce, credit_rows: pd.DataFrame
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Folder with `train.csv` and the fit `model/`, and what the command said; not to be changed."""

    def fill(place: Path) -> None:
        folder = place / "fit"
        folder.mkdir()
        credit_rows.to_csv(folder / "train.csv", index=False, quoting=csv.QUOTE_MINIMAL)
        result = _process(*FIT, "--seed", "7", cwd=folder)
        assert result.returncode == 0, result.stderr
        said = {name: getattr(result, name) for name in ("args", "returncode", "stdout", "stderr")}
        (place / "said.json").write_text(json.dumps(said), encoding="utf-8")

    place = built_once("cli-fit", fill)
    said = json.loads((place / "said.json").read_text(encoding="utf-8"))
    return place / "fit", subprocess.CompletedProcess(**said)


@pytest.fixture(scope="session")
def model(fitted: tuple[Path, object]) -> Path:
    """What `featrix fit` wrote."""
    return fitted[0] / "model"
