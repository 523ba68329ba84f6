"""The model registry: runs, data sets, spaces and predictors in MLflow (OPS-4).

A *bundle* (a directory with a `manifest.json`) becomes the artifacts of a logged model, and that
becomes a version of a registered model; `versions` says in which tags a version carries its origin.
Nothing here loads a model or imports torch.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from featrix_core.bundle import bundle_digest, verify_bundle
from featrix_core.errors import BundleError, FeatrixUserError
from featrix_core.files import atomic_directory
from featrix_core.registry.connection import MISSING, connect, locate
from featrix_core.registry.redact import flat_entries, redact
from featrix_core.registry.runs import (
    SCORED_BY_TAG,
    TrackedRun,
    join_run,
    metric_entities,
    start_run,
)
from featrix_core.registry.versions import (
    BUNDLE_TAG,
    DATASET_TAG,
    FLAVOUR,
    INPUT_TAG,
    KIND_TAG,
    MODEL_TAG,
    Kind,
    TableRecord,
    VersionRef,
    is_model_id,
    registered_name,
    table_records,
    write_model,
)

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


class Registry:
    """Runs and versioned models in one MLflow registry.

    Args:
        tracking_uri: where it is; without it `MLFLOW_TRACKING_URI`, and without that an SQLite file
            `mlflow.db` in `workdir`, with the artifacts beside it in `mlartifacts/`.
        workdir: the work folder for the embedded registry.
        experiment: MLflow experiment for new runs.

    Raises:
        FeatrixUserError: no registry is named, or the one named does not answer.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        workdir: Path | None = None,
        experiment: str = "featrix",
    ) -> None:
        self.uri, self._artifact_root = locate(tracking_uri, workdir)
        self.experiment = experiment
        self.client = connect(self.uri)

    @classmethod
    def existing(cls, workdir: Path | None) -> Registry:
        """A registry to look things up in; a new one is not begun.

        Raises:
            FeatrixUserError: the work folder holds none, and no other is named.
        """
        locate(None, workdir, begin=False)
        return cls(workdir=workdir)

    def __repr__(self) -> str:
        return f"Registry({redact(self.uri)!r}, experiment={self.experiment!r})"

    # Runs ---------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def run(
        self,
        name: str,
        params: Mapping[str, object] | None = None,
        tags: Mapping[str, object] | None = None,
    ) -> Iterator[TrackedRun]:
        """A run for the length of a `with` block.

        Where the environment has `MLFLOW_RUN_ID`, that run is joined, and whoever started it also
        ends it. An exception marks the run FAILED in both cases and goes on upwards.
        """
        if injected := os.environ.get("MLFLOW_RUN_ID"):
            run = join_run(self.client, injected, name)
        else:
            run = start_run(self.client, self.experiment, self._artifact_root, name)
        try:
            run.set_tags(tags or {})
            run.log_params(params or {})
            yield run
        except BaseException as error:
            # The registry may be what failed: the first error is the one to show.
            with contextlib.suppress(Exception):
                run.set_tags({"featrix.error": f"{type(error).__name__}: {error}"[:500]})
                self.client.set_terminated(run.run_id, "FAILED")
            raise
        if not run.joined:
            self.client.set_terminated(run.run_id, "FINISHED")

    # Models -------------------------------------------------------------------------------------

    def register_bundle(
        self,
        run: TrackedRun,
        bundle: Path,
        kind: Kind,
        name: str,
        metrics: Mapping[str, float],
        *,
        inputs: Sequence[str] = (),
        dataset_sha256: str | Sequence[str] = (),
        tags: Mapping[str, object] | None = None,
    ) -> VersionRef:
        """Register a bundle as a version of `name`; the same bundle gives the same version.

        Args:
            run: the run that made it.
            bundle: directory that a space or a predictor was saved to.
            kind: `space` or `predictor`; a registered name holds one kind only.
            name: registered name; characters that MLflow refuses are replaced.
            metrics: figures on the hold-out, by name; promotion compares them.
            inputs: models that it was made from, in any form that `resolve` takes.
            dataset_sha256: digest (or digests) of the tables that it was made from, as given to
                `TrackedRun.log_table_input`.
            tags: further tags; `featrix.holdout_sha256` tells promotion what was measured on what.

        Raises:
            BundleError: `bundle` is damaged, or is not a bundle of this kind.
            FeatrixUserError: an input is unknown, or `name` is taken by the other kind.
        """
        verify_bundle(bundle, kind)
        digest = bundle_digest(bundle)
        name = registered_name(name)
        parents = [self.resolve(spec) for spec in inputs]
        self._ensure_registered_model(name, kind)
        same = f"name = '{name}' and tags.`{BUNDLE_TAG}` = '{digest}'"
        found = sorted(self.client.search_model_versions(same), key=lambda v: int(v.version))
        if found:
            return self._ref(found[0], reused=True)

        from mlflow.entities import LoggedModelInput, LoggedModelOutput

        given = [dataset_sha256] if isinstance(dataset_sha256, str) else dataset_sha256
        tables = sorted(filter(None, given))
        names = {table.sha256: table.name for table in self.tables(run.run_id)}
        marks = {**flat_entries(tags or {}), KIND_TAG: kind, BUNDLE_TAG: digest}
        marks |= {f"{INPUT_TAG}{ref.model_id}": f"{ref.name}/{ref.version}" for ref in parents}
        marks |= {f"{DATASET_TAG}{sha}": names.get(sha, "?") for sha in tables}
        model_id, location = self._log_model(run, bundle, kind, name, marks)
        if parents:
            links = [LoggedModelInput(ref.model_id) for ref in parents]
            self.client.log_inputs(run.run_id, models=links)
        self.client.log_outputs(run.run_id, [LoggedModelOutput(model_id, step=0)])
        self.client.log_batch(run.run_id, metrics=metric_entities(metrics, model_id=model_id))
        # A database that is opened directly cannot follow `models:/`: mlflow would look the model
        # up in the program's global tracking URI, which is none of our business.
        source = f"models:/{model_id}" if self.uri.startswith("http") else location
        marks[MODEL_TAG] = model_id
        version = self.client.create_model_version(
            name, source, run.run_id, tags=marks, model_id=model_id
        )
        # This is where MLflow's pages look for the registered versions of a logged model.
        shown = json.dumps([{"name": name, "version": str(version.version)}])
        self.client.set_logged_model_tags(model_id, {"mlflow.modelVersions": shown})
        return self._ref(version)

    def _ensure_registered_model(self, name: str, kind: Kind) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(name, tags={KIND_TAG: kind})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            present = self.client.get_registered_model(name).tags.get(KIND_TAG)
            if present != kind:
                raise FeatrixUserError(
                    f"The registered name already belongs to a {present or 'foreign model'}",
                    value=name,
                    remedy=f"Give the {kind} another name",
                ) from error

    def _log_model(
        self,
        run: TrackedRun,
        bundle: Path,
        kind: Kind,
        name: str,
        tags: Mapping[str, str],
    ) -> tuple[str, str]:
        """Upload the bundle as a logged model; its id and where its files are."""
        from mlflow.models import Model

        logged = self.client.create_logged_model(
            run.experiment_id,
            name=name.replace(".", "-"),
            source_run_id=run.run_id,
            tags=dict(tags),
            model_type=kind,
        )
        try:
            with tempfile.TemporaryDirectory(prefix="featrix-model-") as folder:
                home = Path(folder) / "model"
                meta = Model(
                    artifact_path=logged.artifact_location,
                    run_id=run.run_id,
                    model_id=logged.model_id,
                )
                write_model(home, meta, bundle, kind)
                self.client.log_model_artifacts(logged.model_id, str(home))
        except BaseException:
            with contextlib.suppress(Exception):
                self.client.finalize_logged_model(logged.model_id, "FAILED")
            raise
        self.client.finalize_logged_model(logged.model_id, "READY")
        return logged.model_id, logged.artifact_location

    def log_scored(
        self, run: TrackedRun, ref: VersionRef, path: str | Path, rows: int, sha256: str
    ) -> None:
        """Record a scored table that was made with `ref`: the last link of the lineage."""
        from mlflow.entities import LoggedModelInput

        run.log_scored_table(path, rows, sha256, ref.model_id)
        self.client.log_inputs(run.run_id, models=[LoggedModelInput(ref.model_id)])
        run.set_tags({f"{SCORED_BY_TAG}.{ref.model_id}": f"{ref.name}/{ref.version}"})

    # Reading back -------------------------------------------------------------------------------

    def resolve(self, spec: str) -> VersionRef:
        """The version that a text means.

        Takes `name` (its champion, or its newest version where there is none), `name@alias`,
        `name/version`, each of them with `models:/` in front, and `models:/<id of a logged model>`.

        Raises:
            FeatrixUserError: there is no such model, version or alias.
        """
        from mlflow.exceptions import MlflowException

        text = spec.removeprefix("models:/")
        try:
            if is_model_id(text):
                found = self.client.search_model_versions(f"tags.`{MODEL_TAG}` = '{text}'")
                if found:
                    return self._ref(found[0])
            # The whole text first: a target column may well be called `paid/2` or `a@b`.
            elif whole := self._champion_or_newest(registered_name(text)):
                return whole
            elif match := re.fullmatch(r"(.+)/(\d+)", text):
                name, version = registered_name(match[1]), match[2]
                return self._ref(self.client.get_model_version(name, version))
            elif match := re.fullmatch(r"(.+)@([\w-]+)", text):
                name, alias = registered_name(match[1]), match[2]
                return self._ref(self.client.get_model_version_by_alias(name, alias))
        except MlflowException as error:
            if error.error_code not in MISSING:
                raise
        raise FeatrixUserError(
            "The registry has no such model",
            value=spec,
            remedy="Give NAME, NAME@ALIAS or NAME/VERSION of a registered model",
        )

    def _champion_or_newest(self, name: str) -> VersionRef | None:
        if (champion := self.aliases(name).get("champion")) is not None:
            return champion
        found = self.client.search_model_versions(f"name = '{name}'")
        return self._ref(max(found, key=lambda version: int(version.version))) if found else None

    def version(self, ref: VersionRef) -> ModelVersion:
        """MLflow's record of a version, with its tags and aliases."""
        return self.client.get_model_version(ref.name, ref.version)

    def aliases(self, name: str) -> dict[str, VersionRef]:
        """The versions that bear an alias, by alias; empty for a name that is not registered."""
        from mlflow.exceptions import MlflowException

        name = registered_name(name)
        try:
            present = self.client.get_registered_model(name).aliases
        except MlflowException as error:
            if error.error_code in MISSING:
                return {}
            raise
        return {
            alias: self._ref(self.client.get_model_version(name, str(present[alias])))
            for alias in sorted(present)
        }

    def metrics(self, ref: VersionRef) -> dict[str, float]:
        """The figures that a version was registered with, by name."""
        found = self.client.get_logged_model(ref.model_id).metrics or []
        return {metric.key: metric.value for metric in sorted(found, key=lambda m: m.key)}

    def tables(self, run_id: str) -> list[TableRecord]:
        """The tables that a run read, and those that it wrote with a model."""
        inputs = self.client.get_run(run_id).inputs
        return table_records(inputs.dataset_inputs if inputs else [])

    def made_from(self, ref: VersionRef) -> list[VersionRef]:
        """The versions that name `ref` among their inputs, by name and version."""
        mark = f"tags.`{INPUT_TAG}{ref.model_id}` = '{ref.name}/{ref.version}'"
        found = [self._ref(version) for version in self.client.search_model_versions(mark)]
        return sorted(found, key=lambda child: (child.name, int(child.version)))

    def runs_tagged(self, tag: str, value: str) -> list[str]:
        """Ids of the runs of all experiments that bear a tag, oldest first."""
        experiments = [entry.experiment_id for entry in self.client.search_experiments()]
        ids: list[str] = []
        token: str | None = None
        while True:
            page = self.client.search_runs(
                experiments,
                f"tags.`{tag}` = '{value}'",
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            ids += [run.info.run_id for run in page]
            token = page.token
            if not token:
                return ids

    def fetch_bundle(self, ref: VersionRef, target: Path) -> Path:
        """Bring the bundle of a version back to `target`, which is replaced; returns `target`.

        Raises:
            BundleError: what the registry holds is not what was registered.
        """
        from mlflow.artifacts import download_artifacts
        from mlflow.models import Model

        expected = self.version(ref).tags.get(BUNDLE_TAG)
        source = self.client.get_logged_model(ref.model_id).artifact_location
        with tempfile.TemporaryDirectory(prefix="featrix-fetch-") as folder:
            home = download_artifacts(artifact_uri=source, tracking_uri=self.uri, dst_path=folder)
            flavour = Model.load(home).flavors.get(FLAVOUR, {})
            bundle = Path(home) / str(flavour.get("data", "data"))
            verify_bundle(bundle, str(flavour.get("kind")))
            if bundle_digest(bundle) != expected:
                raise BundleError(
                    "The registered bundle has been changed since it was registered",
                    value=ref.uri,
                    remedy="Register the model again",
                )
            with atomic_directory(target) as aside:
                shutil.copytree(bundle, aside, dirs_exist_ok=True)
        return target

    def _ref(self, version: ModelVersion, *, reused: bool = False) -> VersionRef:
        # `model_id` is empty over REST; the source names the logged model for versions of others.
        own = version.tags.get(MODEL_TAG) or version.model_id
        model_id = own or str(version.source).removeprefix("models:/")
        number = str(version.version)
        uri = f"models:/{version.name}/{number}"
        return VersionRef(version.name, number, model_id, uri, reused)
