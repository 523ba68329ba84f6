"""`featrix plan` and `--max-seconds` as a user types them (TRAIN-2)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Refused = Callable[..., str]


def test_the_plan_goes_to_standard_output_and_the_json_to_its_file(
    run: Run, credit_rows: pd.DataFrame, tmp_path: Path
) -> None:
    credit_rows.to_csv(tmp_path / "credit.csv", index=False)
    arguments = ("--data", "credit.csv", "--target", "class", "--max-seconds", "5")
    result = run("plan", *arguments, "--json", "plan.json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "peak learning rate" in result.stdout
    assert "Memory at its peak" in result.stdout
    record = json.loads((tmp_path / "plan.json").read_text())
    assert record["plan"]["limit"]["max_seconds"] == 5.0
    assert record["plan"]["table"]["columns"] == 6
    assert sorted(p.name for p in tmp_path.iterdir()) == ["credit.csv", "plan.json"]


def test_a_target_that_is_not_there_is_refused(
    refused: Refused, credit_rows: pd.DataFrame, tmp_path: Path
) -> None:
    credit_rows.to_csv(tmp_path / "credit.csv", index=False)
    said = refused("plan", "--data", "credit.csv", "--target", "klass", cwd=tmp_path)
    assert "klass" in said


def test_no_time_is_refused(run: Run, tmp_path: Path) -> None:
    for command in (("plan",), ("fit", "--target", "class", "--out", "out")):
        result = run(*command, "--data", "x.csv", "--max-seconds", "0", cwd=tmp_path)
        assert result.returncode == 2
        assert "--max-seconds" in result.stderr
        assert list(tmp_path.iterdir()) == []
