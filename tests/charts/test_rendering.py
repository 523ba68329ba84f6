"""Every values file: linted and rendered by Helm, all objects valid for the oldest and newest Kubernetes."""

from __future__ import annotations

import functools
import inspect
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import helm_python
import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.charts.custom_schemas import SCHEMAS
from tests.charts.rendering import (
    CHART,
    VALUES_FILES,
    Object,
    chart,
    only,
    pods,
    render,
    server,
    texts,
    values_of,
)

OLDEST, NEWEST = "1.30", kubernetes_validate.latest_version()


@functools.cache
def _validate(text: str, version: str) -> None:
    made = json.loads(text)
    if made["kind"] in SCHEMAS:
        jsonschema.validate(made, SCHEMAS[made["kind"]])
    else:
        kubernetes_validate.validate(made, version, strict=True)


def validate(objects: list[Object], version: str = NEWEST) -> None:
    """Raises where an object does not fit the API; objects that were seen before cost nothing."""
    for made in objects:
        _validate(json.dumps(made, sort_keys=True), version)


def test_the_oldest_version_is_the_charts() -> None:
    assert chart().metadata["kubeVersion"] == f">={OLDEST}.0-0"


@pytest.mark.parametrize("name", VALUES_FILES)
def test_lint(name: str) -> None:
    report = helm_python.lint(CHART, values_of(name), strict=True, kube_version=f"v{OLDEST}.0")
    assert report["errors"] == []
    # Severity 1 is for information: an icon is recommended.
    assert [m for m in report["messages"] if m["severity"] > 1] == []


@pytest.mark.parametrize("name", VALUES_FILES)
def test_objects_are_valid(name: str) -> None:
    objects = render(values_of(name))
    validate(objects, OLDEST)
    validate(objects, NEWEST)
    named = [(o["kind"], o["metadata"]["name"]) for o in objects]
    assert len(named) == len(set(named))
    assert {o["metadata"]["namespace"] for o in objects} == {"ml"}


def test_full_values_make_every_object() -> None:
    made = {o["kind"] for o in render(values_of("full-values.yaml"))}
    assert made >= {"HorizontalPodAutoscaler", "PodDisruptionBudget", "Ingress", *SCHEMAS}
    sources = {path for path in texts() if path.endswith(".yaml")}
    full = texts(values_of("full-values.yaml"))
    assert {path for path in sources if not full[path].strip()} == set()


def test_the_schemas_would_see_a_mistake() -> None:
    objects = render(values_of("full-values.yaml"))
    deployment, route = only(objects, "Deployment"), only(objects, "HTTPRoute")
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        validate([deployment])
    route["spec"]["hostname"] = "a"
    with pytest.raises(jsonschema.ValidationError, match="hostname"):
        validate([route])


@pytest.mark.parametrize("word", ["true", "null", "on"])
def test_names_stay_text(word: str) -> None:
    """Words and digits that YAML reads as something else than text."""
    values = {
        "nameOverride": word,
        "fullnameOverride": word,
        "image": {"pullSecrets": ["123"], "tag": "0123"},
        "priorityClassName": "1000",
        "nodeSelector": {"pool": "1"},
        "podLabels": {"answer": "yes"},
        "podAnnotations": {"answer": "0x10"},
        "auth": {"existingSecret": "123", "secretKey": "1.0"},
        "serviceAccount": {"name": "123"},
        "ingress": {"enabled": True, "className": "1", "hosts": ["1.2"], "tlsSecret": "1"},
        "networkPolicy": {"gatewayFrom": [{"podSelector": {}}]},
        "serviceMonitor": {"enabled": True, "labels": {"release": "1"}},
        "prometheusRule": {"enabled": True},
        "dashboard": {"enabled": True},
    }
    objects = render(values, release="2024")
    validate(objects)
    assert server(objects)["image"] == "ghcr.io/featrix/string-embedding:0123"
    assert only(objects, "Deployment")["metadata"]["name"] == word


def test_the_longest_release_name_fits() -> None:
    longest = [
        render(values_of("full-values.yaml") | {"fullnameOverride": ""}, "r" * 52 + e) for e in "ab"
    ]
    for objects in longest:
        validate(objects)
        assert all(len(o["metadata"]["name"]) <= 63 for o in objects)
    first, second = (only(o, "Deployment")["metadata"]["name"] for o in longest)
    assert first != second


@pytest.mark.parametrize("name", VALUES_FILES)
def test_selectors_find_the_service_and_not_the_test(name: str) -> None:
    objects = render(values_of(name))
    served, tested = pods(objects)
    deployment = only(objects, "Deployment")
    selectors = [deployment["spec"]["selector"]["matchLabels"]]
    selectors += [o["spec"]["selector"] for o in objects if o["kind"] == "Service"]
    selectors += [
        o["spec"]["selector"]["matchLabels"] for o in objects if o["kind"] == "PodDisruptionBudget"
    ]
    selectors += [
        rule["labelSelector"]["matchLabels"]
        for rule in served["spec"].get("topologySpreadConstraints", [])
    ]
    for selector in selectors:
        assert selector.items() <= served["metadata"]["labels"].items()
        assert not selector.items() <= tested["metadata"]["labels"].items()


def test_ports_meet() -> None:
    objects = render(values_of("full-values.yaml"))
    ports = {p["name"]: p["containerPort"] for p in server(objects)["ports"]}
    assert ports == {"http": 8080, "metrics": 9090}
    assert {"--port=8080", "--metrics-port=9090", "--host=0.0.0.0"} <= set(server(objects)["args"])
    api, metrics = (o for o in objects if o["kind"] == "Service")
    assert [(p["port"], p["targetPort"]) for p in api["spec"]["ports"]] == [(80, "http")]
    assert [p["targetPort"] for p in metrics["spec"]["ports"]] == ["metrics"]
    rule = only(objects, "HTTPRoute")["spec"]["rules"][0]["backendRefs"][0]
    assert rule == {"name": api["metadata"]["name"], "port": 80}


def test_arguments_are_those_of_the_service() -> None:
    from featrix_core.strings.serve import serve

    values = values_of("token-values.yaml") | {"threads": 3}
    flags = dict(argument.split("=", 1) for argument in server(render(values))["args"])
    assert flags["--threads"] == "3"
    known = {f"--{name.replace('_', '-')}" for name in inspect.signature(serve).parameters}
    assert flags.keys() - known <= {"--expect-fingerprint"}, "which the command checks itself"
    assert flags.keys() > {"--host", "--port", "--metrics-port", "--token-file"}


def test_a_pod_has_time_to_finish_what_it_began() -> None:
    from featrix_core.strings import serve

    spec = only(render(), "Deployment")["spec"]["template"]["spec"]
    asleep = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] > asleep + serve._LONGEST_DRAIN


def test_probes_differ() -> None:
    container = server(render())
    probed = {kind: container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")}
    paths = {kind: probe["httpGet"]["path"] for kind, probe in probed.items()}
    assert paths == {
        "startup": "/health/ready",
        "readiness": "/health/ready",
        "liveness": "/health/live",
    }
    minutes = {k: p["periodSeconds"] * p["failureThreshold"] / 60 for k, p in probed.items()}
    assert minutes["startup"] == 3, "the model is loaded within it"
    assert minutes["readiness"] < minutes["liveness"], "a slow pod is relieved before it is killed"


def test_the_autoscaler_alone_sets_the_number_of_pods() -> None:
    assert only(render(), "Deployment")["spec"]["replicas"] == 2
    scaled = render(values_of("ha-values.yaml"))
    assert "replicas" not in only(scaled, "Deployment")["spec"]
    target = only(scaled, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert target["name"] == only(scaled, "Deployment")["metadata"]["name"]


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ({}, {"maxUnavailable": 1}),
        ({"minAvailable": 1, "maxUnavailable": ""}, {"minAvailable": 1}),
        ({"minAvailable": 0, "maxUnavailable": ""}, {"minAvailable": 0}),
        ({"minAvailable": "50%", "maxUnavailable": ""}, {"minAvailable": "50%"}),
        ({"maxUnavailable": "1%"}, {"maxUnavailable": "1%"}),
    ],
)
def test_disruption_budget(budget: dict[str, Any], expected: dict[str, Any]) -> None:
    spec = only(render({"podDisruptionBudget": budget}), "PodDisruptionBudget")["spec"]
    assert {k: v for k, v in spec.items() if k.endswith("vailable")} == expected


def test_image_and_model_are_pinned_apart() -> None:
    digest = "sha256:" + "0" * 64
    image = {"image": {"digest": digest}}
    first, second = server(render()), server(render(image))
    assert first["image"] == f"ghcr.io/featrix/string-embedding:{chart().metadata['appVersion']}"
    assert second["image"] == f"ghcr.io/featrix/string-embedding@{digest}"
    assert first["args"] == second["args"]
    other = "all-MiniLM-L6-v2:0123456789abcdef:onnx"
    third = render(image | {"model": {"fingerprint": other}})
    assert server(third)["image"] == second["image"]
    assert f"--expect-fingerprint={other}" in server(third)["args"]
    (tester,) = only(third, "Pod")["spec"]["containers"]
    assert {"name": "FINGERPRINT", "value": other} in tester["env"]
    unchecked = render({"model": {"fingerprint": ""}})
    assert not any("fingerprint" in argument for argument in server(unchecked)["args"])


def test_the_default_fingerprint_is_that_of_the_shipped_weights() -> None:
    from featrix_core.strings.embedder import LocalTextEmbedder

    # ONNX Runtime is what the service computes with.
    served = LocalTextEmbedder(engine="onnx").fingerprint
    assert chart().values["model"]["fingerprint"] == served


def test_versions_are_the_projects(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert chart().metadata["appVersion"] == project["version"] == chart().version


def test_resources_without_empty_limits() -> None:
    limits = server(render())["resources"]["limits"]
    assert limits == {"memory": "2Gi", "ephemeral-storage": "512Mi"}
    assert server(render(values_of("full-values.yaml")))["resources"]["limits"]["cpu"] == "2.5"


def test_packaged_chart_renders_the_same(tmp_path: Path) -> None:
    archive = helm_python.package(CHART, destination=tmp_path)
    with helm_python.Chart.load(archive) as packed:
        assert packed.render({}, name="demo", namespace="ml") == texts()
        assert not any(file["name"].startswith("ci/") for file in packed.files)


def test_part_of_another_chart(tmp_path: Path) -> None:
    """Helm hands `global` to charts inside of others, which the schema must not refuse."""
    outer = tmp_path / "outer"
    (outer / "templates").mkdir(parents=True)
    part = {"name": "string-embedding", "version": chart().version, "alias": "strings"}
    metadata = {"apiVersion": "v2", "name": "outer", "version": "1.0.0", "dependencies": [part]}
    (outer / "Chart.yaml").write_text(yaml.safe_dump(metadata))
    (outer / "values.yaml").write_text("global: {team: a}\nstrings: {replicaCount: 3}\n")
    (outer / "charts").mkdir()
    helm_python.package(CHART, destination=outer / "charts")
    with helm_python.Chart.load(outer) as loaded:
        made = loaded.render({}, name="demo", namespace="ml")
    (deployment,) = (
        yaml.safe_load(text) for path, text in made.items() if path.endswith("/deployment.yaml")
    )
    assert deployment["spec"]["replicas"] == 3


def test_notes_warn() -> None:
    def notes(values: dict[str, Any]) -> str:
        return next(t for path, t in texts(values).items() if path.endswith("NOTES.txt"))

    digest = {"image": {"digest": "sha256:" + "0" * 64}}
    quiet = notes(digest)
    assert "http://demo-string-embedding.ml.svc:8080/embed" in quiet
    assert "helm test demo --namespace ml" in quiet
    assert not re.search("token|tag|fingerprint|policy", quiet)
    assert "pin image.digest" in notes({})
    loud = notes(
        {
            "ingress": {"enabled": True, "hosts": ["a.example.com"]},
            "networkPolicy": {"enabled": False},
            "model": {"fingerprint": ""},
        }
    )
    for words in ("asks for no token", "No network policy", "model.fingerprint", "a.example.com"):
        assert words in loud
