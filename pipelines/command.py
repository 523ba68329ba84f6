"""The `featrix` command with `run`, which needs the pipelines; the rest is `featrix_core.cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import featrix_core.cli_serving  # noqa: F401 (adds its commands)
from featrix_core.cli import Data, Ensemble, Seed, app, console, main, read_settings

__all__ = ["main"]


@app.command()
def run(
    data: Data = "",
    target: Annotated[
        list[str] | None, typer.Option("--target", help="Column to predict; may be repeated.")
    ] = None,
    workdir: Annotated[Path, typer.Option("--workdir", help="Folder of the run.")] = Path("out"),
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help="JSON file: data, targets, features, joins, max_seconds, settings."
        ),
    ] = None,
    ensemble: Ensemble = None,
    seed: Seed = 42,
) -> None:
    """Run the train pipeline on this machine: one space, a predictor per target, registered in MLflow.

    Example: [bold]featrix run --data examples/data/german_credit.csv --target class --workdir out/run[/bold]
    """
    from pipelines.run_command import run_train_pipeline

    given = read_settings(config) if config else {}
    options = {"ensemble": ensemble}
    run_train_pipeline(given, data, target or [], workdir, seed, config, console(), options)
