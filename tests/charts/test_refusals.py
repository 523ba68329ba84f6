"""Values that the schema or the templates refuse, with a message that says what to do."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import helm_python
import pytest

from tests.charts.rendering import chart, render, values_of

GATEWAY: dict[str, Any] = {"networkPolicy": {"gatewayFrom": [{"podSelector": {}}]}}
DIGEST = "sha256:" + "a" * 64

CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"image": {"tag": "1.2", "digest": DIGEST}}, r'image.tag is "1.2" .* remove image.tag'),
    ({"image": {"tag": "latest"}}, r'image.tag is "latest".* image.digest'),
    (
        {"autoscaling": {"enabled": True, "minReplicas": 7}},
        r"minReplicas is 7, more than autoscaling.maxReplicas \(6\); raise",
    ),
    (
        {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": ""}}},
        r"resources.requests.cpu is empty.* set resources.requests.cpu",
    ),
    (
        {"podDisruptionBudget": {"minAvailable": 1}},
        r"minAvailable is 1 and podDisruptionBudget.maxUnavailable is 1.* set the other",
    ),
    (
        {"podDisruptionBudget": {"minAvailable": 2, "maxUnavailable": ""}},
        r"minAvailable is 2 and replicaCount is 2: .* raise replicaCount",
    ),
    (
        {"podDisruptionBudget": {"minAvailable": "51%", "maxUnavailable": ""}},
        r"minAvailable is 51% and replicaCount is 2",
    ),
    (
        {
            "autoscaling": {"enabled": True, "minReplicas": 3},
            "podDisruptionBudget": {"minAvailable": 3, "maxUnavailable": ""},
        },
        r"minAvailable is 3 and autoscaling.minReplicas is 3",
    ),
    ({"podDisruptionBudget": {"maxUnavailable": 0}}, r"maxUnavailable is 0: .* set it to 1"),
    ({"podDisruptionBudget": {"maxUnavailable": "0%"}}, r"maxUnavailable is 0%: "),
    ({"podDisruptionBudget": {"maxUnavailable": ""}}, r"neither .* podDisruptionBudget.enabled=f"),
    (
        {"resources": {"requests": {"memory": "3Gi"}}},
        r"requests.memory is 3Gi, more than resources.limits.memory \(2Gi\); raise",
    ),
    (
        {"resources": {"requests": {"cpu": "2500m"}, "limits": {"cpu": "2"}}},
        r"requests.cpu is 2500m, more than resources.limits.cpu \(2\)",
    ),
    (
        {"resources": {"limits": {"cpu": 1.5}}},
        r"threads is 2, more than resources.limits.cpu \(1.5\).* lower threads",
    ),
    ({"tmpSizeLimit": "1Gi"}, r"tmpSizeLimit is 1Gi, more than .*\(512Mi\).* lower tmpSizeLimit"),
    (
        {"cache": {"entries": 600_000}},
        r"cache.entries is 600000 and cache.memory is 512Mi.* raise cache.memory",
    ),
    (
        {"cache": {"memory": "1281Mi"}},
        r"cache.memory is 1281Mi and resources.limits.memory is 2Gi.* raise the limit",
    ),
    ({"extraArgs": ["--engine=torch"]}, r"--engine torch, and the image .* remove --engine"),
    (
        {"extraArgs": ["--engine", "Torch"], "model": {"fingerprint": ""}},
        r"--engine Torch, and the image holds ONNX Runtime alone",
    ),
    ({"extraArgs": ["--cache-mib=9"]}, r'extraArgs has "--cache-mib=9".* cache'),
    (
        {"shutdown": {"preStopSeconds": 75}},
        r"preStopSeconds is 75 and shutdown.gracePeriodSeconds is 75.* raise",
    ),
    ({"extraArgs": ["--port=1"]}, r'extraArgs has "--port=1".* service.port'),
    ({"extraArgs": ["--token-file", "x"]}, r'extraArgs has "--token-file".* auth'),
    (
        {"podLabels": {"app.kubernetes.io/component": "x"}},
        r'podLabels has "app.kubernetes.io/component" \("x"\).* remove',
    ),
    (GATEWAY | {"ingress": {"enabled": True}}, r"ingress.hosts is empty.* name the hosts"),
    (
        GATEWAY | {"httpRoute": {"enabled": True, "parentRefs": [{"name": "a"}]}},
        r"httpRoute.hosts is empty.* name the hosts",
    ),
    (
        GATEWAY | {"httpRoute": {"enabled": True, "hosts": ["a.example.com"]}},
        r"httpRoute.parentRefs is empty.* name the gateway",
    ),
    (
        {"ingress": {"enabled": True, "hosts": ["a.example.com"]}},
        r"ingress.enabled is true and networkPolicy.gatewayFrom is empty.* name its pods",
    ),
    (
        {"serviceMonitor": {"enabled": True}, "networkPolicy": {"metricsFrom": []}},
        r"networkPolicy.metricsFrom is empty.* name its pods",
    ),
    ({"networkPolicy": {"apiFrom": []}}, r"apiFrom and .*gatewayFrom are empty.* name the callers"),
    (
        {"serviceMonitor": {"interval": "1m", "scrapeTimeout": "61s"}},
        r"scrapeTimeout is 61s, longer than serviceMonitor.interval \(1m\).* lower",
    ),
    ({"prometheusRule": {"enabled": True}}, r"set serviceMonitor.enabled=true"),
]


@pytest.mark.parametrize(("values", "message"), CONTRADICTIONS)
def test_contradictions(values: dict[str, Any], message: str) -> None:
    with pytest.raises(helm_python.HelmRenderError) as refused:
        render(values)
    said = refused.value.detail
    assert re.search(message, said), said
    assert said.count("\n- ") == 1, "one mistake, one message"


def test_every_refusal_of_the_templates_is_tried() -> None:
    (source,) = (t["data"] for t in chart().templates if t["name"].endswith("_validate.tpl"))
    # Of the name of the release there is a test of its own.
    assert len(CONTRADICTIONS) >= source.count("$wrong = append") - 1
    assert source.count("$wrong = append") > 20


def test_all_contradictions_are_told_at_once() -> None:
    values = {"image": {"tag": "latest"}, "networkPolicy": {"apiFrom": []}}
    with pytest.raises(helm_python.HelmRenderError) as refused:
        render(values)
    assert refused.value.detail.count("\n- ") == 2


@pytest.mark.parametrize(
    "values",
    [
        {"podDisruptionBudget": {"minAvailable": "50%", "maxUnavailable": ""}},
        {"podDisruptionBudget": {"enabled": False, "maxUnavailable": ""}},
        {"autoscaling": {"minReplicas": 9}},
        {
            "resources": {"requests": {"memory": "1024Mi"}, "limits": {"memory": "1Gi"}},
            "cache": {"memory": "256Mi"},
        },
        {"resources": {"limits": {"cpu": "2000m"}}},
        {"serviceMonitor": {"interval": "1m", "scrapeTimeout": "60s"}},
        {"networkPolicy": {"apiFrom": [], "enabled": False}},
        {"extraArgs": ["--drain-seconds=0", "--engine=onnx"]},
        {"extraArgs": ["--engine", "onnx"], "model": {"fingerprint": ""}},
        {"cache": {"entries": 524_288, "memory": "512Mi"}},
        {"cache": {"memory": "1280Mi"}},
        {"cache": {"memory": "1Gi"}, "resources": {"limits": {"memory": ""}}},
    ],
)
def test_what_only_looks_like_a_contradiction(values: dict[str, Any]) -> None:
    assert render(values)


def test_a_name_that_no_service_can_have() -> None:
    with pytest.raises(helm_python.HelmRenderError, match=r'"1st-string-.* set fullnameOverride'):
        render(release="1st")
    assert render({"fullnameOverride": "first"}, release="1st")


# --- the schema -------------------------------------------------------------------------------


def schemas(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of an object within a schema."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield path, schema
        for key, inner in schema.items():
            yield from schemas(inner, f"{path}/{key}")
    elif isinstance(schema, list):
        for place, inner in enumerate(schema):
            yield from schemas(inner, f"{path}/{place}")


def test_no_object_of_the_schema_is_open() -> None:
    schema = chart().schema
    assert schema is not None
    found = dict(schemas(schema))
    assert len(found) > 25
    # `global` belongs to the chart around this one; labels and annotations have keys of the user's.
    free = {"/properties/global"}
    texts = {"/$defs/labels", "/$defs/annotations"}
    assert {
        p for p, s in found.items() if s.get("additionalProperties") is not False
    } == free | texts
    assert all(found[path]["additionalProperties"]["type"] == "string" for path in texts)


def mappings(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for key, value in values.items():
        if isinstance(value, dict) and key not in ("labels", "annotations"):
            yield from mappings(value, (*path, key))


FREE = {"nodeSelector", "podAnnotations", "podLabels"}
MAPPINGS = [path for path in mappings(chart().values) if not FREE & set(path)]


@pytest.mark.parametrize("path", MAPPINGS, ids=".".join)
def test_unknown_keys_are_refused(path: tuple[str, ...]) -> None:
    values: dict[str, Any] = {"replicaCuont": 3}
    for key in reversed(path):
        values = {key: values}
    with pytest.raises(helm_python.HelmValuesError, match="'replicaCuont' not allowed") as refused:
        render(values)
    assert f"at '{''.join(f'/{key}' for key in path)}'" in refused.value.detail


@pytest.mark.parametrize("path", MAPPINGS[1:], ids=".".join)
def test_removed_keys_are_refused(path: tuple[str, ...]) -> None:
    """`null` removes a key with its default; what the templates read must be there."""
    defaults = chart().values
    for key in path:
        defaults = defaults[key]
    values: Any = {next(iter(defaults)): None}
    for key in reversed(path):
        values = {key: values}
    with pytest.raises(helm_python.HelmValuesError, match="missing propert"):
        render(values)


@pytest.mark.parametrize(
    "values",
    [
        {"replicaCount": 0},
        {"replicaCount": "2"},
        {"replicaCount": 1.5},
        {"threads": 0},
        {"cache": {"entries": 0}},
        {"cache": {"memory": "512"}},
        {"cache": {"memory": "0.5Gi"}},
        {"runAsUser": 0},
        {"image": {"digest": "sha256:abc"}},
        {"image": {"digest": "0" * 64}},
        {"image": {"tag": 1.2}},
        {"image": {"pullPolicy": "always"}},
        {"image": {"repository": "Featrix/x"}},
        {"image": {"repository": "featrix/x:1"}},
        {"model": {"fingerprint": "53aa"}},
        {"model": {"fingerprint": "all-MiniLM-L6-v2:" + "a" * 16}},
        {"model": {"fingerprint": "all-MiniLM-L6-v2:" + "a" * 16 + ":torch"}},
        {"auth": {"existingSecret": "My Secret"}},
        {"resources": {"limits": {"memory": "2GB"}}},
        {"resources": {"limits": {"cpu": "two"}}},
        {"resources": {"limits": {"nvidia.com/gpu": 1}}},
        {"tmpSizeLimit": ""},
        {"podDisruptionBudget": {"maxUnavailable": "1"}},
        {"podDisruptionBudget": {"maxUnavailable": "101%"}},
        {"podDisruptionBudget": {"maxUnavailable": -1}},
        {"topologySpread": [{"topologyKey": "zone"}]},
        {"topologySpread": [{"topologyKey": "z", "maxSkew": 1, "whenUnsatisfiable": "Never"}]},
        {"nodeSelector": {"pool": True}},
        {"podAnnotations": {"n": 1}},
        {"tolerations": [{"effect": "NoSchedul"}]},
        {"networkPolicy": {"apiFrom": [{}]}},
        {"networkPolicy": {"apiFrom": [{"podselector": {}}]}},
        {"networkPolicy": {"apiFrom": [{"ipBlock": {}}]}},
        {"ingress": {"hosts": ["https://a.example.com"]}},
        {"ingress": {"hosts": ["a", "a"]}},
        {"httpRoute": {"parentRefs": [{"namespace": "a"}]}},
        {"serviceMonitor": {"interval": "30"}},
        {"serviceMonitor": {"interval": 30}},
        {"prometheusRule": {"errorPercent": 0}},
        {"prometheusRule": {"slowSeconds": "1s"}},
        {"service": {"port": 70000}},
        {"fullnameOverride": "a.b"},
        {"nameOverride": "x" * 54},
        {"extraArgs": "--log-level=debug"},
    ],
    ids=str,
)
def test_values_outside_of_their_range_are_refused(values: dict[str, Any]) -> None:
    (key,) = values
    with pytest.raises(helm_python.HelmValuesError, match=f"at '/{key}"):
        render(values)


def test_example_values_are_not_refused_by_chance() -> None:
    """The example with every option loses its validity with one wrong key deep within."""
    values = copy.deepcopy(values_of("full-values.yaml"))
    assert render(values)
    values["networkPolicy"]["apiFrom"][0]["namespaceSelector"]["matchLabel"] = {}
    with pytest.raises(helm_python.HelmValuesError, match="'matchLabel' not allowed"):
        render(values)
