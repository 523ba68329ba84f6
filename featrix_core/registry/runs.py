"""One tracked run: its parameters, metrics, tables and files (OPS-4)."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from featrix_core.errors import FeatrixUserError
from featrix_core.registry.connection import MISSING
from featrix_core.registry.redact import flat_entries, redact

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

DATASET_SHA_TAG = "featrix.sha256"
SCORED_BY_TAG = "featrix.scored_by"
SCORED_CONTEXT = "scored"
_DIGEST_LENGTH = 36  # MLflow's limit for a data set digest; the whole sha256 is a tag of the input
_BATCH = 100  # MLflow's limit for parameters or tags in one call


def metric_entities(
    metrics: Mapping[str, float], *, step: int = 0, model_id: str | None = None
) -> list[Metric]:
    """Metrics as MLflow entities, by name; values that are not finite numbers are left out."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [
        Metric(re.sub(r"[^\w./ -]", "_", name), float(metrics[name]), now, step, model_id=model_id)
        for name in sorted(metrics)
        if math.isfinite(metrics[name])
    ]


class TrackedRun:
    """An MLflow run that is being written to; made by `Registry.run`.

    Attributes:
        run_id: MLflow's id of the run.
        experiment_id: the experiment that it is in.
        joined: the run was started by somebody else (`MLFLOW_RUN_ID`), who will also end it.
    """

    def __init__(
        self, client: MlflowClient, run_id: str, experiment_id: str, name: str, joined: bool
    ) -> None:
        self._client = client
        self._name = name
        self.run_id = run_id
        self.experiment_id = experiment_id
        self.joined = joined

    def log_params(self, params: Mapping[str, object]) -> None:
        """Record parameters; nested names are joined by dots and secrets are hidden.

        MLflow allows no second value for a parameter. In a shared run two steps may well use one
        name (`target`, `seed`): the later one is kept as `<name of the step>.<parameter>`.
        """
        from mlflow.entities import Param

        flat = flat_entries(params)
        known = self._client.get_run(self.run_id).data.params
        entries: list[Param] = []
        for key, value in flat.items():
            free = key if known.get(key, value) == value else f"{self._name}.{key}"
            if known.get(free, value) == value:
                entries.append(Param(free, value))
            else:
                raise FeatrixUserError(
                    f"The run already has another value for the parameter {free}",
                    value=value,
                    remedy=f"It is {known[free]!r}; give the step another name or start a new run",
                )
        for start in range(0, len(entries), _BATCH):
            self._client.log_batch(self.run_id, params=entries[start : start + _BATCH])

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Record metrics; values that are not finite are left out."""
        self._client.log_batch(self.run_id, metrics=metric_entities(metrics, step=step))

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set tags on the run; secrets are hidden."""
        from mlflow.entities import RunTag

        entries = [RunTag(key, value) for key, value in flat_entries(tags).items()]
        for start in range(0, len(entries), _BATCH):
            self._client.log_batch(self.run_id, tags=entries[start : start + _BATCH])

    def log_table_input(
        self, name: str, source: str | Path, rows: int, sha256: str, context: str
    ) -> None:
        """Record a table that the run read; a table is recorded once, with its first context.

        Args:
            name: how people call the table.
            source: its path or address (or a digest, where there is no file).
            rows: number of rows.
            sha256: hex digest of the file; this is what lineage goes by.
            context: what it was used for (`train`, `holdout`, `join`, …).
        """
        self._log_dataset(name, source, rows, sha256, context, {})

    def log_scored_table(self, path: str | Path, rows: int, sha256: str, model_id: str) -> None:
        """Record a table of predictions that the run made with the model `model_id`.

        MLflow knows data sets only as inputs of a run: the context `scored` says that this one
        came out of it.
        """
        name = Path(str(path)).name
        self._log_dataset(name, path, rows, sha256, SCORED_CONTEXT, {SCORED_BY_TAG: model_id})

    def _log_dataset(
        self,
        name: str,
        source: str | Path,
        rows: int,
        sha256: str,
        context: str,
        tags: Mapping[str, str],
    ) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        location = redact(str(source))
        dataset = Dataset(
            name=redact(name)[:500],
            digest=sha256[:_DIGEST_LENGTH],
            source_type="s3" if location.startswith("s3://") else "local",
            source=json.dumps({"uri": location}),
            profile=json.dumps({"num_rows": rows}),
        )
        entries = {"mlflow.data.context": context, DATASET_SHA_TAG: sha256, **tags}
        marks = [InputTag(key, value) for key, value in entries.items()]
        self._client.log_inputs(self.run_id, datasets=[DatasetInput(dataset, marks)])

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Keep a file, or a directory with all it holds, with the run.

        Raises:
            FeatrixUserError: there is nothing at `path`.
        """
        if path.is_dir():
            self._client.log_artifacts(self.run_id, str(path), folder or path.name)
        elif path.is_file():
            self._client.log_artifact(self.run_id, str(path), folder)
        else:
            raise FeatrixUserError("There is no such file to keep with the run", value=path)


def join_run(client: MlflowClient, run_id: str, name: str) -> TrackedRun:
    """The run that somebody else started, for the step called `name`.

    Raises:
        FeatrixUserError: the registry does not have that run, or it is deleted.
    """
    from mlflow.exceptions import MlflowException

    remedy = "Unset MLFLOW_RUN_ID, or point MLFLOW_TRACKING_URI at the registry that has it"
    try:
        info = client.get_run(run_id).info
    except MlflowException as error:
        if error.error_code not in MISSING:
            raise
        raise FeatrixUserError(
            "MLFLOW_RUN_ID names a run that the registry does not have",
            value=run_id,
            remedy=remedy,
        ) from error
    if info.lifecycle_stage == "deleted":
        raise FeatrixUserError("MLFLOW_RUN_ID names a deleted run", value=run_id, remedy=remedy)
    return TrackedRun(client, run_id, info.experiment_id, name, joined=True)


def start_run(
    client: MlflowClient, experiment: str, artifact_root: str | None, name: str
) -> TrackedRun:
    """A new run in an experiment, which is made where it does not exist yet.

    Args:
        artifact_root: folder for the artifacts of a new experiment; None leaves it to the server.

    Raises:
        FeatrixUserError: the experiment has been deleted.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(experiment)
    if found is None:
        # A step that runs beside this one may be quicker.
        try:
            client.create_experiment(experiment, artifact_root)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        found = client.get_experiment_by_name(experiment)
    if found is None or found.lifecycle_stage == "deleted":
        raise FeatrixUserError(
            "The MLflow experiment has been deleted",
            value=experiment,
            remedy="Restore it, or choose another experiment name",
        )
    made = client.create_run(found.experiment_id, run_name=name)
    return TrackedRun(client, made.info.run_id, found.experiment_id, name, joined=False)
