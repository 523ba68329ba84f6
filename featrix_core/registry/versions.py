"""What a registered version is: its reference, its name, its tags and its files (OPS-4).

What a version was made from stands in its tags:

    featrix.kind                    space | predictor
    featrix.model_id                id of the logged model behind the version
    featrix.bundle_sha256           digest of the manifest, which holds those of all files
    featrix.input.<model id>        <name>/<version> of a model that it was made from
    featrix.dataset.<sha256>        name of a table that it was made from
    featrix.holdout_sha256          hold-out of its metrics (given by the caller)

One tag per parent, because the registry can search for a tag by its name: the way down costs one
query per version.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from featrix_core.registry.runs import DATASET_SHA_TAG, SCORED_BY_TAG

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput
    from mlflow.models import Model

Kind = Literal["space", "predictor"]

KIND_TAG = "featrix.kind"
MODEL_TAG = "featrix.model_id"
BUNDLE_TAG = "featrix.bundle_sha256"
HOLDOUT_TAG = "featrix.holdout_sha256"
INPUT_TAG = "featrix.input."
DATASET_TAG = "featrix.dataset."
FLAVOUR = "featrix"
INPUT_TYPES = "featrix.input_types"
LOADER = "featrix_core.registry.pyfunc"


@dataclass(frozen=True)
class VersionRef:
    """One version of a registered model.

    Attributes:
        name: registered name, as MLflow has it.
        version: number of the version, as text.
        model_id: id of the logged model behind it.
        uri: `models:/<name>/<version>`.
        reused: the bundle had been registered before; not part of equality.
    """

    name: str
    version: str
    model_id: str
    uri: str
    reused: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class TableRecord:
    """A table that a run read (or, with `scored_by`, wrote with the model of that id)."""

    name: str
    source: str
    rows: int
    sha256: str
    context: str
    scored_by: str | None


def registered_name(name: str) -> str:
    """`name` in characters that MLflow and our own `name/version` and `name@alias` take.

    A name that had to be changed gets a short digest, so that `a/b` and `a:b` stay two models.
    """
    clean = re.sub(r"[^\w.-]+", "-", name).strip("-.")
    if clean == name and not is_model_id(clean):
        return clean
    return f"{clean or 'model'}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def is_model_id(text: str) -> bool:
    """Whether `text` looks like MLflow's id of a logged model."""
    return re.fullmatch(r"m-[0-9a-f]{32}", text) is not None


def write_model(home: Path, meta: Model, bundle: Path, kind: Kind) -> None:
    """Lay out `bundle` in `home` as an MLflow model.

    A predictor gets the python function flavour through our loader module, which involves no
    pickle, with its signature and an input example; a space has no `predict`, so it gets our own
    flavour only.

    Raises:
        BundleError: a predictor's files do not say what it reads.
    """
    import mlflow.pyfunc
    from mlflow.models.model import MLMODEL_FILE_NAME

    from featrix_core.registry.signature import serving_contract

    data = f"data/{bundle.name}"
    meta.add_flavor(FLAVOUR, kind=kind, data=data)
    if kind == "predictor":
        contract = serving_contract(bundle)
        if contract is not None:
            meta.signature = contract.signature
        # Without requirements mlflow would load the model in a process of its own to find them.
        mlflow.pyfunc.save_model(
            path=str(home),
            loader_module=LOADER,
            data_path=str(bundle),
            mlflow_model=meta,
            pip_requirements=["featrix"],
            input_example=None if contract is None else contract.example,
            metadata=None if contract is None else {INPUT_TYPES: contract.types},
        )
    else:
        shutil.copytree(bundle, home / data)
        meta.save(str(home / MLMODEL_FILE_NAME))


def table_records(inputs: Sequence[DatasetInput]) -> list[TableRecord]:
    """The tables of a run's inputs, in a fixed order; inputs that are not ours are left out."""
    records = []
    for entry in inputs:
        tags = {tag.key: tag.value for tag in entry.tags}
        if DATASET_SHA_TAG not in tags:
            continue
        records.append(
            TableRecord(
                name=entry.dataset.name,
                source=str(json.loads(entry.dataset.source).get("uri", "")),
                rows=int(json.loads(entry.dataset.profile or "{}").get("num_rows", 0)),
                sha256=tags[DATASET_SHA_TAG],
                context=tags.get("mlflow.data.context", ""),
                scored_by=tags.get(SCORED_BY_TAG),
            )
        )
    return sorted(records, key=lambda record: (record.context, record.name, record.sha256))
