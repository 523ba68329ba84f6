"""The whole `train` DAG in containers, beside the strings service in a container of its own (OPS-1, STR-1)."""

from __future__ import annotations

import os
import shutil
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import numpy as np
import pandas as pd
import pytest
from kfp import local

from components.images import REGISTRY, VERSION
from featrix_core.strings.embedder import LocalTextEmbedder
from featrix_core.strings.http_embedder import HttpTextEmbedder

ROWS = 300
pytestmark = pytest.mark.filterwarnings("ignore:Task '.*'. settings .* have no effect:UserWarning")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as answer:
        return str(answer.read().decode())


@pytest.fixture(scope="module")
def service(engine: docker.DockerClient) -> Iterator[tuple[str, str]]:
    """Addresses of the API and of the metrics; at the end the service has to leave by itself."""
    port, metrics_port = _free_port(), _free_port()
    container = engine.containers.run(
        f"{REGISTRY}/string-embedding:{VERSION}",
        ["serve-strings", f"--metrics-port={metrics_port}", "--threads=1"],
        environment={"FEATRIX_LISTEN_PORT": str(port)},
        detach=True,
        read_only=True,
        tmpfs={"/tmp": ""},
        network_mode="host",
        cap_drop=["ALL"],
    )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                _read(f"http://127.0.0.1:{port}/health/ready")
                break
            except OSError:
                assert time.monotonic() < deadline, container.logs().decode()
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}/metrics"
        container.reload()
        assert container.attrs["State"]["Health"]["Status"] == "healthy"
        container.stop(timeout=60)
        assert container.wait()["StatusCode"] == 0, container.logs().decode()
    finally:
        container.remove(force=True)


def test_vectors_of_the_container_are_those_of_the_library(service: tuple[str, str]) -> None:
    texts = ["used car", "radio or television", "", "Kredit für Möbel"]
    here = LocalTextEmbedder(engine="onnx")
    there = HttpTextEmbedder(service[0])
    assert there.fingerprint == here.fingerprint
    np.testing.assert_array_equal(there.embed(texts), here.embed(texts))


@pytest.fixture(scope="module")
def rows(german_credit: Path) -> pd.DataFrame:
    """German credit with a column of sentences, so that the steps ask the service."""
    table = pd.read_csv(german_credit).iloc[:ROWS]
    said = (
        "wants "
        + table["credit_amount"].astype(str)
        + " marks for "
        + table["purpose"].astype(str)
        + " and lives in housing of the kind "
        + table["housing"].astype(str)
    )
    return table.assign(request=said)


@pytest.fixture(scope="module")
def run(
    engine: docker.DockerClient,
    service: tuple[str, str],
    rows: pd.DataFrame,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """Folder of a finished run. The containers are not root: they share the folder by its mode."""
    from pipelines.train import train

    before = os.umask(0)
    root = tmp_path_factory.mktemp("run") / "steps"
    root.mkdir(mode=0o777)
    for folder in (root, *root.parents[:2]):
        folder.chmod(0o777)
    rows.to_csv(root / "credit.csv", index=False)
    local.init(
        runner=local.DockerRunner(
            network_mode="host",
            read_only=True,
            tmpfs={"/tmp": ""},
            cap_drop=["ALL"],
            environment={"FEATRIX_STRINGS_URL": service[0], "OMP_NUM_THREADS": "1"},
        ),
        pipeline_root=str(root),
        raise_on_error=True,
        enable_caching=False,
    )
    try:
        given: dict[str, Any] = {
            "data": str(root / "credit.csv"),
            "targets": ["class"],
            "max_seconds": 10.0,
            "tracking": f"sqlite:///{root}/mlflow.db",
            "config": '{"ensemble": false, "fine_tune": false}',
        }
        train(**given)
        yield root
    finally:
        os.umask(before)
        shutil.rmtree(root, ignore_errors=True)


def test_every_step_left_its_result(run: Path) -> None:
    left = {path.parent.name.split("-iteration")[0] for path in run.rglob("executor_output.json")}
    assert left >= {
        "ingest",
        "join-validate",
        "train-space",
        "extend-space",
        "train-predictor",
        "calibrate",
        "register",
        "batch-score",
        "report",
    }


def test_the_predictor_is_registered_and_scores_the_hold_out(run: Path) -> None:
    (predictions,) = run.rglob("scores.parquet")
    scored = pd.read_parquet(predictions)
    assert len(scored) == ROWS // 5
    assert (run / "mlflow.db").is_file()


def test_the_report_is_a_page_of_its_own(run: Path) -> None:
    (page,) = run.rglob("report*/page")
    text = page.read_text(encoding="utf-8")
    assert text.lstrip().lower().startswith("<!doctype html") and "class" in text


def test_the_steps_asked_the_service(run: Path, service: tuple[str, str]) -> None:
    metrics = dict(
        line.rsplit(" ", 1) for line in _read(service[1]).splitlines() if line and line[0] != "#"
    )
    answered = [float(v) for k, v in metrics.items() if k.startswith("featrix_strings_texts_total")]
    assert sum(answered) >= ROWS // 2, sorted(metrics)
