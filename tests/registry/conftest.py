"""Small bundles on disk and a whole chain of registered things, for any registry."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from featrix_core.bundle import writing_bundle
from featrix_core.files import write_json
from featrix_core.registry.store import Registry
from featrix_core.registry.versions import HOLDOUT_TAG, VersionRef

BundleMaker = Callable[[str, object], Path]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No registry and no run from outside reaches a test."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def make_bundle(tmp_path: Path) -> BundleMaker:
    """Write a bundle of a kind with one JSON file in it."""

    def make(kind: str, content: object) -> Path:
        bundle = tmp_path / "bundles" / digest(json.dumps(content))[:8] / kind
        with writing_bundle(bundle, kind) as folder:
            write_json(folder / "state.json", {"content": content})
        return bundle

    return make


@dataclass(frozen=True)
class Chain:
    """Table → space v1 → space v2 → predictor → scored table, as registered."""

    table: str
    joined: str
    scored: str
    run_id: str
    space_v1: VersionRef
    space_v2: VersionRef
    predictor: VersionRef


@pytest.fixture
def make_chain(make_bundle: BundleMaker) -> Callable[[Registry, str], Chain]:
    """Register a whole chain in one run, as the training pipeline does, and a scored batch."""

    def make(registry: Registry, name: str) -> Chain:
        table, joined, scored = digest("table"), digest("joined"), digest("scored" + name)
        with registry.run("train", {"target": "risk", "plan": {"epochs": 3}}) as run:
            run.log_table_input("credit", "examples/credit.csv", 1000, table, "train")
            run.log_table_input("extra", "examples/extra.csv", 900, joined, "join")
            space_v1 = registry.register_bundle(
                run,
                make_bundle("space", [name, "space", 1]),
                "space",
                f"{name}-space",
                {"reconstruction": 0.4},
                dataset_sha256=table,
            )
            space_v2 = registry.register_bundle(
                run,
                make_bundle("space", [name, "space", 2]),
                "space",
                f"{name}-space",
                {"reconstruction": 0.3},
                inputs=[space_v1.uri],
                dataset_sha256=[table, joined],
            )
            predictor = registry.register_bundle(
                run,
                make_bundle("predictor", [name, "predictor"]),
                "predictor",
                name,
                {"roc_auc": 0.79, "log_loss": 0.5, "ece": 0.04},
                inputs=[space_v2.uri],
                dataset_sha256=table,
                tags={HOLDOUT_TAG: digest("holdout")},
            )
        with registry.run("score") as score:
            registry.log_scored(score, predictor, "out/scored.parquet", 200, scored)
        return Chain(table, joined, scored, run.run_id, space_v1, space_v2, predictor)

    return make


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables; making them takes more than a second."""
    folder = tmp_path_factory.mktemp("registry")
    Registry(f"sqlite:///{folder / 'mlflow.db'}")
    return folder / "mlflow.db"


@pytest.fixture
def embedded(tmp_path: Path, empty_database: Path) -> Registry:
    """The default: SQLite in a work folder."""
    (tmp_path / "work").mkdir()
    shutil.copyfile(empty_database, tmp_path / "work" / "mlflow.db")
    return Registry(workdir=tmp_path / "work")
