"""The installed command as a process, and one small fit that the tests of this folder share."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import pytest

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
Run: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]
Refused: TypeAlias = Callable[..., str]


def _run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(FEATRIX), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


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
    """Run `featrix` with arguments in the folder `cwd`."""
    return _run


@pytest.fixture(scope="session")
def refused() -> Refused:
    """Run `featrix` in `cwd`, require a proper refusal that leaves nothing behind, hand back the sentence."""

    def check(*arguments: object, cwd: Path) -> str:
        before = _files(cwd)
        result = _run(*arguments, cwd=cwd)
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
    tmp_path_factory: pytest.TempPathFactory, credit_rows: pd.DataFrame
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Folder with `train.csv` and the fit `model/`, and what the command said; not to be changed."""
    folder = tmp_path_factory.mktemp("fit")
    credit_rows.to_csv(folder / "train.csv", index=False, quoting=csv.QUOTE_MINIMAL)
    arguments: Sequence[str] = ("fit", "--data", "train.csv", "--target", "class", "--out", "model")
    result = _run(*arguments, "--seed", "7", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder, result


@pytest.fixture(scope="session")
def model(fitted: tuple[Path, object]) -> Path:
    """What `featrix fit` wrote."""
    return fitted[0] / "model"
