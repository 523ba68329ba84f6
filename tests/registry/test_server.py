"""The same road against a real MLflow server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.files import read_json
from featrix_core.registry.lineage import lineage
from featrix_core.registry.promotion import promote, review, rollback
from featrix_core.registry.store import Registry
from featrix_core.registry.versions import HOLDOUT_TAG
from tests.registry.servers import free_port, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an MLflow server with its own database and artifact store."""
    home, port = tmp_path_factory.mktemp("mlflow"), free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}"),
        *("--artifacts-destination", str(home / "artifacts")),
    ]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_RUN_ID"}
    with running(command, port, "/health", home, environment | quiet) as address:
        yield address


def test_chain_lineage_and_idempotence(server, make_chain, capfd):
    registry = Registry(server)
    chain = make_chain(registry, "credit")
    again = make_chain(registry, "credit")
    assert again.predictor == chain.predictor and again.predictor.reused
    assert chain.predictor.model_id.startswith("m-")

    graph = lineage(registry, "credit")
    assert {(edge.source, edge.target) for edge in graph.edges} == {
        (f"dataset:{chain.table}", "model:credit-space/1"),
        (f"dataset:{chain.table}", "model:credit-space/2"),
        (f"dataset:{chain.joined}", "model:credit-space/2"),
        (f"dataset:{chain.table}", "model:credit/1"),
        ("model:credit-space/1", "model:credit-space/2"),
        ("model:credit-space/2", "model:credit/1"),
        ("model:credit/1", f"scored:{chain.scored}"),
    }
    upwards = lineage(registry, "credit-space/1")
    assert f"scored:{chain.scored}" in {node.id for node in upwards.nodes}
    rows = {node.label: node.details["rows"] for node in graph.nodes if node.kind == "dataset"}
    assert rows == {"credit": 1000, "extra": 900}
    assert registry.metrics(chain.predictor) == {"roc_auc": 0.79, "log_loss": 0.5, "ece": 0.04}
    assert capfd.readouterr() == ("", "")


def test_mlflow_sees_the_same_links(server, make_chain):
    registry = Registry(server)
    chain = make_chain(registry, "native")
    run = registry.client.get_run(chain.run_id)
    made = {output.model_id for output in run.outputs.model_outputs}
    assert made == {chain.space_v1.model_id, chain.space_v2.model_id, chain.predictor.model_id}
    read = {entry.model_id for entry in run.inputs.model_inputs}
    assert read == {chain.space_v1.model_id, chain.space_v2.model_id}
    assert {entry.dataset.name for entry in run.inputs.dataset_inputs} == {"credit", "extra"}
    record = registry.version(chain.predictor)
    assert record.source == f"models:/{chain.predictor.model_id}"


def test_fetch_through_the_server(server, make_chain, tmp_path):
    registry = Registry(server)
    chain = make_chain(registry, "fetched")
    for ref, content in (
        (chain.predictor, ["fetched", "predictor"]),
        (chain.space_v1, ["fetched", "space", 1]),
    ):
        back = registry.fetch_bundle(ref, tmp_path / ref.name)
        assert read_json(back / "state.json") == {"content": content}


def test_promotion_and_rollback(server, make_bundle):
    registry = Registry(server)
    names = []
    for number, auc in enumerate((0.80, 0.70, 0.85), start=1):
        with registry.run("train") as run:
            ref = registry.register_bundle(
                run,
                make_bundle("predictor", ["gates", number]),
                "predictor",
                "risk: good/bad",
                {"roc_auc": auc, "ece": 0.02},
                tags={HOLDOUT_TAG: "h"},
            )
        aliases = promote(registry, ref, review(registry, ref))
        names.append({alias: found.version for alias, found in aliases.items()})
    assert names == [
        {"champion": "1"},
        {"champion": "1", "challenger": "2"},
        {"champion": "3", "previous": "1", "challenger": "2"},
    ]
    back = rollback(registry, "risk: good/bad")
    assert (back["champion"].version, back["previous"].version) == ("1", "3")
    assert registry.resolve("risk: good/bad@champion").version == "1"


def test_injected_run_through_the_environment(server, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    owner = Registry().run("pipeline")
    with owner as run:
        monkeypatch.setenv("MLFLOW_RUN_ID", run.run_id)
        with pytest.raises(KeyError), Registry().run("step", {"seed": 1}) as step:
            raise KeyError("column")
        assert step.run_id == run.run_id
        record = Registry().client.get_run(run.run_id)
        assert (record.info.status, record.data.params) == ("FAILED", {"seed": "1"})


def test_unknown_things(server):
    registry = Registry(server)
    for spec in ("nobody", "nobody/1", "nobody@champion", "models:/m-" + "0" * 32):
        with pytest.raises(FeatrixUserError, match="no such model"):
            registry.resolve(spec)


def test_credentials_do_not_reach_the_server(server, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    registry = Registry(server)
    with registry.run("train", {"url": "s3://a:b@h/x", "k": "wJalrXUtnFEMI"}) as run:
        pass
    assert registry.client.get_run(run.run_id).data.params == {"url": "s3://***@h/x", "k": "***"}


def test_server_that_does_not_answer(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    address = f"http://ann:hunter22@127.0.0.1:{free_port()}"
    with pytest.raises(FeatrixUserError, match="cannot be used") as caught:
        Registry(address)
    assert "hunter22" not in str(caught.value)


def test_artifacts_of_a_server_are_not_kept_in_the_work_folder(server, tmp_path: Path):
    with Registry(server, workdir=tmp_path / "work").run("note") as run:
        (tmp_path / "note.txt").write_text("kept")
        run.log_artifact(tmp_path / "note.txt")
    assert not (tmp_path / "work").exists()
