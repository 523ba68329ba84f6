"""`featrix run`: the train DAG through KFP's local runner, and what it left behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rich.console import Console

from featrix_core.errors import FeatrixUserError
from featrix_core.files import canonical_json, read_json, replace_path
from featrix_core.steps.config import StepConfig
from featrix_core.steps.limits import check_limit
from featrix_core.steps.outputs import check_output_folder
from featrix_core.summary import comparison_table, seconds_table

RESERVED = ("space", "steps", "mlartifacts", "mlflow.db", "run.log", "..", ".")
"""Names that a target cannot have: its results would replace other things of the run."""
LONGEST_NAME = 200
"""Bytes: file systems take 255, and MLflow 250 characters for a figure's name, which holds the target's."""
KNOWN = ("data", "targets", "features", "joins", "name", "max_seconds", "settings")
"""Keys of the configuration file; paths in it are relative to the file."""


def _beside(config: Path | None, value: str) -> str:
    """A path of the configuration file, relative to that file."""
    if not value or config is None or "://" in value:
        return value
    return str((config.parent / value).resolve())


def _limit(value: object) -> float:
    """Seconds of the space's training as the pipeline takes them; 0: no limit."""
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FeatrixUserError(
            "The key 'max_seconds' of the configuration file is not a number",
            value=value,
            remedy="Give seconds, at least 1, or leave it out",
        )
    check_limit(value)
    return float(value)


def run_train_pipeline(
    given: dict[str, Any],
    data: str,
    targets: list[str],
    workdir: Path,
    seed: int,
    config: Path | None,
    console: Console,
    options: dict[str, Any] | None = None,
) -> None:
    """Run the DAG, print a table of steps and figures, say where everything is.

    `options`: settings that the command line gives; they take the place of those in the file.

    Raises:
        FeatrixUserError: an unknown key in the configuration, nothing to run on, or a step's refusal.
    """
    unknown = sorted(set(given) - set(KNOWN))
    if unknown:
        raise FeatrixUserError(
            "The configuration file has an unknown key",
            value=unknown[0],
            remedy=f"Known keys are {', '.join(KNOWN)}",
        )
    data = data or _beside(config, given.get("data", ""))
    named = given.get("targets", [])
    targets = targets or ([named] if isinstance(named, str) else list(named))
    if not data or not targets:
        raise FeatrixUserError(
            "There is nothing to run on", remedy="Give --data and --target, or --config with both"
        )
    for target in targets:
        if len(target.encode()) > LONGEST_NAME:
            raise FeatrixUserError(
                f"A folder and figures are named after the target, whose name is longer than {LONGEST_NAME} bytes",
                column=target,
                remedy="Rename the target column, or use `featrix fit`, which needs no name for it",
            )
        if target in RESERVED or "/" in target:
            raise FeatrixUserError(
                "The work folder uses this name for something else",
                column=target,
                remedy="Rename the target column, or use `featrix fit`, which needs no name for it",
            )
    max_seconds = _limit(given.get("max_seconds"))
    from pipelines.run_local import StepRun, run_train

    check_output_folder(workdir)
    tracking = os.environ.get("MLFLOW_TRACKING_URI", "")
    name = given.get("name", "featrix")
    settings = StepConfig.from_settings(given.get("settings", {})).replaced(options or {})
    workdir.mkdir(parents=True, exist_ok=True)
    arguments = {
        "data": data,
        "targets": targets,
        "config": canonical_json(settings.model_dump(mode="json")),
        "join_spec": _beside(config, given.get("joins", "")),
        "features": _beside(config, given.get("features", "")),
        "seed": seed,
        "max_seconds": max_seconds,
        "name": name,
        "tracking": tracking or f"sqlite:///{(workdir / 'mlflow.db').resolve()}",
    }
    seconds: dict[str, float] = {}
    with console.status("starting") as status:

        def started(step: str, target: str | None) -> None:
            status.update(f"{_title(step, target)} …")

        def finished(end: StepRun) -> None:
            title = _title(end.step, end.target)
            seconds[title] = end.seconds
            note = "  (unchanged: taken from the last run)" if end.reused else ""
            console.print(f"✓ {title:<28} {end.seconds:6.1f} s{note}", highlight=False)

        result = run_train(arguments, workdir, on_step=finished, on_start=started)
    console.print(seconds_table(seconds))
    for target in targets:
        predictor = result.output("calibrate", "calibrated", target)
        found = read_json(predictor / "evaluation.json")
        console.print(comparison_table(target, found["metrics"], found["baselines"]))
        registration = read_json(
            result.output("register", "registration", target) / "registration.json"
        )
        verdict = "champion" if registration["promoted"] else "not promoted"
        reference = registration["predictor"]
        home = workdir / target
        replace_path(predictor, home / "predictor")
        replace_path(result.output("report", "page", target), home / "report.html")
        scores = result.output("batch_score", "scores", target) / "scores.parquet"
        replace_path(scores, home / "scores.parquet")
        paths = {
            "report": home / "report.html",
            "predictor": home / "predictor",
            "scored rows": home / "scores.parquet",
            "registered as": f"{reference['name']} version {reference['version']} ({verdict})",
        }
        for label, value in paths.items():
            console.print(f"{label:>14}  {value}", highlight=False, soft_wrap=True)
    space = result.output("extend_space", "extended")
    _say_extension(read_json(space / "extension.json"), console)
    replace_path(space, workdir / "space")
    console.print(f"{'space':>14}  {workdir / 'space'}", highlight=False, soft_wrap=True)


def _say_extension(extension: dict[str, Any], console: Console) -> None:
    """One line per target on what the engineered columns did."""
    names = ", ".join(c["name"] for c in extension["new_columns"]) or "none"
    kept = "kept" if extension["accepted"] else "not kept"
    console.print(f"{'new columns':>14}  {names}: {kept}", highlight=False)
    for m in extension["metrics"]:
        low, high = m["interval"]
        console.print(
            f"{'':>14}  frozen probe on the hold-out, {m['target']}: {m['metric']} "
            f"{m['before']:.4f} → {m['after']:.4f} ({m['difference']:+.4f}, "
            f"95 % interval {low:+.4f} … {high:+.4f}: {m['verdict']})",
            highlight=False,
            soft_wrap=True,
        )


def _title(step: str, target: str | None) -> str:
    return step.replace("_", " ") + (f" ({target})" if target else "")
