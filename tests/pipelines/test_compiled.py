"""The compiled packages: current, whole, and asking for what they should (OPS-1, OPS-3)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.images import REGISTRY, TRAINERS, VERSION
from pipelines.settings import STEPS
from tests.pipelines.conftest import COMPILED

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = sorted(path.parent.name for path in (ROOT / "components").glob("*/component.py"))


def inputs_of(task: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in ("parameters", "artifacts"):
        for value in task.get("inputs", {}).get(kind, {}).values():
            yield kind, value


def test_packages_are_current(tmp_path: Path, repository: Path) -> None:
    """A process of its own, so that nothing imported here changes what is compiled."""
    code = (
        "import sys; from pathlib import Path; from pipelines.compile import compile_all; "
        "compile_all(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=repository)
    fresh = {path.name: path.read_bytes() for path in tmp_path.glob("*.yaml")}
    stored = {path.name: path.read_bytes() for path in COMPILED.glob("*.yaml")}
    assert fresh == stored, "run `make pipelines` and commit pipelines/compiled"


def test_every_reference_resolves(packages: dict[str, Any]) -> None:
    assert set(packages) == {"train", "score"}
    for name, package in packages.items():
        components = package.spec["components"]
        executors = package.spec["deploymentSpec"]["executors"]
        for dag_name, dag in package.dags().items():
            tasks = dag["dag"]["tasks"]
            for task_name, task in tasks.items():
                where = f"{name}: {dag_name}/{task_name}"
                component = components[task["componentRef"]["name"]]
                assert "dag" in component or component["executorLabel"] in executors, where
                assert set(task.get("dependentTasks", [])) <= set(tasks), where
                for kind, value in inputs_of(task):
                    outside = value.get("componentInputParameter") or value.get(
                        "componentInputArtifact"
                    )
                    if outside:
                        known = set(dag["inputDefinitions"][kind])
                        if "parameterIterator" in task:
                            known.add(task["parameterIterator"]["itemInput"])
                        assert outside in known, f"{where}: {outside}"
                    upstream = value.get("taskOutputArtifact")
                    if upstream:
                        producer = tasks[upstream["producerTask"]]["componentRef"]["name"]
                        outputs = components[producer]["outputDefinitions"]["artifacts"]
                        assert upstream["outputArtifactKey"] in outputs, where
                        assert upstream["producerTask"] in task["dependentTasks"], where


def test_every_required_input_is_given(packages: dict[str, Any]) -> None:
    for name, package in packages.items():
        for dag in package.dags().values():
            for task_name, task in dag["dag"]["tasks"].items():
                component = package.spec["components"][task["componentRef"]["name"]]
                for kind in ("parameters", "artifacts"):
                    wanted = {
                        key
                        for key, entry in component.get("inputDefinitions", {})
                        .get(kind, {})
                        .items()
                        if not entry.get("isOptional")
                    }
                    given = set(task.get("inputs", {}).get(kind, {}))
                    if "parameterIterator" in task:
                        given.add(task["parameterIterator"]["itemInput"])
                    assert wanted <= given, f"{name}: {task_name}: {wanted - given}"


def test_placeholders_of_resources_and_platform_are_inputs(packages: dict[str, Any]) -> None:
    """Settings that are parameters reach the task, also inside of the loop."""
    seen = 0
    for name, package in packages.items():
        for dag in package.dags().values():
            for task_name, task in dag["dag"]["tasks"].items():
                label = package.spec["components"][task["componentRef"]["name"]].get(
                    "executorLabel"
                )
                if label is None:
                    continue
                executor = package.spec["deploymentSpec"]["executors"][label]["container"]
                text = json.dumps(executor.get("resources", {}))
                for used in re.findall(r"parameters\['([^']+)'\]", text):
                    assert used in task["inputs"]["parameters"], f"{name}: {task_name}: {used}"
                    seen += 1
                platform = json.dumps(package.kubernetes.get(label, {}))
                for used in re.findall(r'"componentInputParameter": "([^"]+)"', platform):
                    known = dag["inputDefinitions"]["parameters"]
                    assert used in known, f"{name}: {task_name}: {used}"
                    seen += 1
    assert seen == 3 * 4, "three steps on accelerator nodes, four parameters each"


def test_graph_of_train(train_package: Any) -> None:
    root = train_package.spec["root"]["dag"]["tasks"]
    depends = {name: set(task.get("dependentTasks", [])) for name, task in root.items()}
    assert depends == {
        "ingest": set(),
        "join-validate": set(),
        "train-space": {"ingest", "join-validate"},
        "extend-space": {"ingest", "train-space"},
        "for-loop-1": {"ingest", "join-validate", "extend-space"},
    }
    loop = root["for-loop-1"]
    assert loop["parameterIterator"]["items"] == {"inputParameter": "pipelinechannel--targets"}
    assert loop["inputs"]["parameters"]["pipelinechannel--targets"] == {
        "componentInputParameter": "targets"
    }
    inner = train_package.spec["components"]["comp-for-loop-1"]["dag"]["tasks"]
    assert {name: set(task.get("dependentTasks", [])) for name, task in inner.items()} == {
        "train-predictor": set(),
        "calibrate": {"train-predictor"},
        "register": {"calibrate"},
        "batch-score": {"calibrate"},
        "report": {"calibrate", "register", "batch-score"},
    }
    # All predictors and everything about them rest on the extended space, not on the first one.
    for task in inner.values():
        space = task["inputs"]["artifacts"].get("space")
        assert space in (None, {"componentInputArtifact": "pipelinechannel--extend-space-extended"})


def test_graph_of_score(packages: dict[str, Any]) -> None:
    (name,) = packages["score"].spec["root"]["dag"]["tasks"]
    assert name == "batch-score"


def test_every_component_is_in_a_dag(packages: dict[str, Any]) -> None:
    used = {
        label.removeprefix("exec-").replace("-", "_")
        for package in packages.values()
        for label in package.spec["deploymentSpec"]["executors"]
    }
    assert used == set(COMPONENTS) == set(STEPS)


@pytest.mark.parametrize("component", COMPONENTS)
def test_image_resources_retries_and_cache(component: str, packages: dict[str, Any]) -> None:
    name, wanted = component.replace("_", "-"), STEPS[component]
    for title, package in packages.items():
        if f"exec-{name}" not in package.spec["deploymentSpec"]["executors"]:
            continue
        container = package.executor(name)
        variant = "-cuda" if name in TRAINERS else ""
        assert container["image"] == f"{REGISTRY}/{name}:{VERSION}{variant}"
        resources = container["resources"]
        assert resources["resourceCpuRequest"] == wanted.cpu[0]
        assert resources["resourceCpuLimit"] == wanted.cpu[1]
        assert resources["resourceMemoryRequest"] == wanted.memory[0]
        assert resources["resourceMemoryLimit"] == wanted.memory[1]
        (task,) = (
            d["dag"]["tasks"][name] for d in package.dags().values() if name in d["dag"]["tasks"]
        )
        assert task["retryPolicy"]["maxRetryCount"] == wanted.retries == 2
        cached = task["cachingOptions"].get("enableCache", False)
        # A model's alias may name another version tomorrow: the score pipeline always scores.
        assert cached is (component not in ("register", "report") and title != "score")


def test_only_trainings_ask_for_an_accelerator(train_package: Any) -> None:
    executors = train_package.spec["deploymentSpec"]["executors"]
    on_gpu = {n for n, e in executors.items() if "accelerator" in e["container"]["resources"]}
    assert on_gpu == {"exec-train-space", "exec-extend-space", "exec-train-predictor"}
    for name in on_gpu:
        assert {"nodeSelector", "tolerations"} <= set(train_package.kubernetes[name])
    parameters = train_package.spec["root"]["inputDefinitions"]["parameters"]
    assert parameters["accelerator"]["defaultValue"] == "nvidia.com/gpu"
    assert parameters["accelerator_count"]["defaultValue"] == "1"


def test_steps_that_embed_texts_know_the_service(packages: dict[str, Any]) -> None:
    """The address from a ConfigMap, the token as a file from a secret; both may be absent."""
    asks = {
        "exec-train-space",
        "exec-extend-space",
        "exec-train-predictor",
        "exec-calibrate",
        "exec-batch-score",
    }
    for package in packages.values():
        for label in package.spec["deploymentSpec"]["executors"]:
            wanted = package.kubernetes[label]
            assert ("configMapAsEnv" in wanted) is ("secretAsVolume" in wanted) is (label in asks)
            if label not in asks:
                continue
            ((config,), (secret,)) = wanted["configMapAsEnv"], wanted["secretAsVolume"]
            assert config["optional"]
            assert secret["optional"]
            assert {entry["envVar"] for entry in config["keyToEnv"]} == {
                "FEATRIX_STRINGS_URL",
                "FEATRIX_STRINGS_TOKEN_FILE",
            }
            assert secret["mountPath"] == "/etc/featrix/strings"


def test_a_run_ends_and_goes(packages: dict[str, Any]) -> None:
    for package in packages.values():
        assert package.run == {"activeDeadlineSeconds": 86_400, "resourceTtlOnCompletion": 604_800}


def test_credentials_come_from_secrets_alone(packages: dict[str, Any]) -> None:
    for package in packages.values():
        for label in package.spec["deploymentSpec"]["executors"]:
            secrets = {s["secretName"]: s for s in package.kubernetes[label]["secretAsEnv"]}
            assert "featrix-s3" in secrets
            names = {e["envVar"] for e in secrets["featrix-s3"]["keyToEnv"]}
            assert names == {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
            assert ("featrix-mlflow" in secrets) is (
                label in ("exec-register", "exec-report", "exec-batch-score")
            )
            container = package.spec["deploymentSpec"]["executors"][label]["container"]
            assert "env" not in container
        words = re.compile(r"secret|password|token|access_?key|credential", re.IGNORECASE)
        for component in (package.spec["root"], *package.spec["components"].values()):
            for parameter in component.get("inputDefinitions", {}).get("parameters", {}):
                assert not words.search(parameter), parameter


def test_something_to_look_at_for_every_step(packages: dict[str, Any]) -> None:
    """OPS-2: every step has a page; the measured ones have metrics, ROC and confusion matrix."""
    for package in packages.values():
        for name, component in package.spec["components"].items():
            if "dag" in component:
                continue
            kinds = {
                entry["artifactType"]["schemaTitle"]
                for entry in component["outputDefinitions"]["artifacts"].values()
            }
            assert "system.HTML" in kinds, name
            assert "system.Metrics" in kinds or name == "comp-report", name
            assert ("system.ClassificationMetrics" in kinds) is (name == "comp-calibrate"), name
