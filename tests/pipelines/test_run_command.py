"""`featrix run` on real rows: the DAG from end to end, a predictor per target, reuse, refusal (OPS-1, OPS-9)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from featrix_core.errors import FeatrixUserError
from pipelines.run_command import run_train_pipeline

ROOT = Path(__file__).parents[2]
FEATRIX = Path(sys.executable).with_name("featrix")
COLUMNS = ["checking_status", "duration", "credit_amount", "age", "housing", "class"]


def _run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(FEATRIX), "run", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    """A run with two targets, what it printed, and its configuration."""
    folder = tmp_path_factory.mktemp("run")
    frame = pd.read_csv(ROOT / "examples" / "data" / "german_credit.csv")[COLUMNS]
    frame.iloc[:240].to_csv(folder / "credit.csv", index=False)
    config = folder / "run.json"
    joins = str(ROOT / "examples" / "flights_join.json")
    settings: dict[str, object] = {
        "data": "credit.csv",
        "targets": ["class", "age"],
        "joins": joins,
        "name": "small",
    }
    settings["max_seconds"] = 600
    settings["settings"] = {"ensemble": False, "positive_label": "good"}
    config.write_text(json.dumps(settings))
    done = _run("--config", str(config), "--ensemble", "--workdir", "work", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stderr, config


def test_every_step_ran_for_every_target(finished: tuple[Path, str, Path]) -> None:
    folder, said, _ = finished
    for step in ("ingest", "join validate", "train space", "extend space"):
        assert f"✓ {step}" in said
    for step in ("train predictor", "calibrate", "register", "batch score", "report"):
        for target in ("class", "age"):
            assert f"✓ {step} ({target})" in said
    for target in ("class", "age"):
        home = folder / "work" / target
        assert (home / "report.html").stat().st_size < 6_000_000
        scores = pd.read_parquet(home / "scores.parquet")
        assert len(scores) == 48
        assert (home / "predictor" / "manifest.json").is_file()
    assert "interval_low" in pd.read_parquet(folder / "work" / "age" / "scores.parquet").columns


def test_settings_and_options_reach_the_predictors(finished: tuple[Path, str, Path]) -> None:
    folder, _, _ = finished
    for target, classes in (("class", ["bad", "good"]), ("age", [])):
        stored = json.loads((folder / "work" / target / "predictor" / "predictor.json").read_text())
        assert stored["coding"]["classes"] == classes and stored["blended"]


def test_lineage_reaches_the_data(finished: tuple[Path, str, Path]) -> None:
    folder, _, _ = finished
    done = subprocess.run(
        [str(FEATRIX), "lineage", "small-class", "--workdir", "work"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in ("small-class", "small-space", "credit.csv"):
        assert name in done.stdout


def test_a_second_run_takes_over_what_is_unchanged(finished: tuple[Path, str, Path]) -> None:
    folder, _, config = finished
    done = _run("--config", str(config), "--ensemble", "--workdir", "work", cwd=folder)
    assert done.returncode == 0, done.stderr
    reused = [line for line in done.stderr.splitlines() if "taken from the last run" in line]
    assert any("train space" in line for line in reused)
    assert any("train predictor (age)" in line for line in reused)


def test_a_refused_step_ends_the_run_with_status_2(finished: tuple[Path, str, Path]) -> None:
    folder, _, _ = finished
    done = _run("--data", "credit.csv", "--target", "clas", "--workdir", "other", cwd=folder)
    assert done.returncode == 2
    assert "Did you mean 'class'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("value", "words"),
    [("60 s", ("'max_seconds'", "not a number", "'60 s'")), (0.5, ("too short", "at least 1"))],
)
def test_a_wrong_time_limit_is_refused(
    value: object, words: tuple[str, ...], finished: tuple[Path, str, Path], tmp_path: Path
) -> None:
    config = tmp_path / "run.json"
    data = str(finished[0] / "credit.csv")
    config.write_text(json.dumps({"data": data, "targets": "class", "max_seconds": value}))
    done = _run("--config", str(config), "--workdir", "other", cwd=tmp_path)
    assert done.returncode == 2
    for word in words:
        assert word in done.stderr
    assert not (tmp_path / "other").exists()


def test_a_time_limit_reaches_the_training(finished: tuple[Path, str, Path]) -> None:
    folder, _, _ = finished
    space = folder / "work" / "space" / "space.json"
    assert json.loads(space.read_text())["training_info"]["plan"]["limit"] == {
        "max_seconds": 600.0,
        "planned_epochs": json.loads(space.read_text())["training_info"]["epochs"],
    }


@pytest.mark.parametrize(
    ("target", "words"), [("run.log", "for something else"), ("q" * 201, "longer than 200")]
)
def test_a_target_that_no_folder_can_be_named_after(
    target: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(FeatrixUserError, match=words):
        run_train_pipeline({}, "data.csv", [target], tmp_path / "out", 42, None, Console())
    assert not (tmp_path / "out").exists()
