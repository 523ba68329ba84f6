"""`featrix fit --resume` ends with the bytes of a fit that was not killed (TRAIN-6)."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from featrix_core.files import sha256_of
from tests.cli.conftest import FEATRIX

Run = Callable[..., "subprocess.CompletedProcess[str]"]
TIMED = ("predictor/evaluation.json", "predictor/beside.json", "predictor/beside.sha256")
"""The evaluation says how long the baselines took, and the seal beside it follows."""
FIT = ("fit", "--data", "train.csv", "--target", "class", "--out", "model")


def _bytes(model: Path) -> dict[str, str]:
    """Digests of what was trained."""
    found = {}
    for part in ("space", "predictor"):
        for path in sorted((model / part).rglob("*")):
            if path.is_file():
                found[path.relative_to(model).as_posix()] = sha256_of(path)
    return {name: digest for name, digest in found.items() if name not in TIMED}


def test_a_killed_fit_goes_on(
    run: Run, fitted: tuple[Path, object], model: Path, tmp_path: Path
) -> None:
    shutil.copy(fitted[0] / "train.csv", tmp_path)
    command = [str(FEATRIX), *FIT, "--seed", "7"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    out = tmp_path / "model"
    while process.poll() is None and not list(out.glob(".work-*/train-space.json")):
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert [path.name[:6] for path in out.iterdir()] == [".work-"]
    other = run(*FIT, "--seed", "8", "--resume", cwd=tmp_path)
    assert other.returncode == 2
    assert "seed was 7, is 8" in other.stderr
    result = run(*FIT, "--seed", "7", "--resume", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Taken over from the run before: ingest, train space" in " ".join(result.stderr.split())
    assert _bytes(out) == _bytes(model)
    assert sorted(path.name for path in out.iterdir()) == sorted(
        path.name for path in model.iterdir()
    )
