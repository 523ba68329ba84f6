"""`featrix fit --resume` ends with the bytes of a fit that was not killed, and takes an old fit's place (TRAIN-6)."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from featrix_core.files import sha256_of
from tests.cli.conftest import FEATRIX, FIT

Run = Callable[..., "subprocess.CompletedProcess[str]"]
TIMED = ("predictor/evaluation.json", "predictor/beside.json", "predictor/beside.sha256")
"""The evaluation says how long the baselines took, and the seal beside it follows."""


def _bytes(folder: Path) -> dict[str, str]:
    """Digests of all files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def _trained(model: Path) -> dict[str, str]:
    """Digests of what was trained."""
    parts = {part: _bytes(model / part) for part in ("space", "predictor")}
    found = {f"{part}/{name}": d for part, files in parts.items() for name, d in files.items()}
    return {name: digest for name, digest in found.items() if name not in TIMED}


def test_a_killed_fit_goes_on_and_replaces_the_old_one(
    run: Run,
    process: Run,
    fitted: tuple[Path, object],
    model: Path,
    new_rows: pd.DataFrame,
    tmp_path: Path,
) -> None:
    """The same seed in two processes, and in one that is killed between: the same bytes."""
    shutil.copy(fitted[0] / "train.csv", tmp_path)
    out = tmp_path / "model"
    shutil.copytree(model, out)
    (out / "predictor" / "stale.txt").write_text("of an earlier fit")
    (out / "metrics.json").write_text("{}")
    for weights in out.rglob("*.safetensors"):
        weights.write_bytes(b"of an earlier fit")
    before = _bytes(out)

    command = [str(FEATRIX), *FIT, "--seed", "7"]
    killed = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    while killed.poll() is None and not list(out.glob(".work-*/train-space.json")):
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    (work,) = out.glob(".work-*")
    left = {n: d for n, d in _bytes(out).items() if not n.startswith(work.name)}
    assert left == before, "until the end the old fit is whole"

    other = run(*FIT, "--seed", "8", "--resume", cwd=tmp_path)
    assert other.returncode == 2
    assert "seed was 7, is 8" in other.stderr
    result = process(*FIT, "--seed", "7", "--resume", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Taken over from the run before: ingest, train space" in " ".join(result.stderr.split())

    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "train.csv"]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        path.name for path in model.iterdir()
    )
    assert sum(name.endswith(".safetensors") for name in _trained(model)) > 3
    assert _trained(out) == _trained(model)
    assert json.loads((out / "metrics.json").read_text(encoding="utf-8"))["roc_auc"] > 0.5
    new_rows.to_csv(tmp_path / "rows.csv", index=False)
    for name in ("scores.parquet", "scores.jsonl"):
        for folder in (model, out):
            arguments = (
                "--model",
                folder,
                "--data",
                "rows.csv",
                "--out",
                f"{folder.parent.name}/{name}",
            )
            assert run("predict", *arguments, cwd=tmp_path).returncode == 0
        first, second = (tmp_path / folder.parent.name / name for folder in (model, out))
        assert first != second and first.read_bytes() == second.read_bytes()
