"""What every pod is and is not allowed, under every values file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from tests.charts.rendering import VALUES_FILES, Object, only, pods, render, server, values_of

API, METRICS = 8080, 9090
EVERY = pytest.mark.parametrize("name", VALUES_FILES)


@EVERY
def test_pods_are_hardened(name: str) -> None:
    made = pods(render(values_of(name)))
    assert len(made) == 2, "the service and the test"
    for pod in made:
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["runAsGroup"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys()
        assert {next(iter(v.keys() - {"name"})) for v in spec.get("volumes", [])} <= {
            "emptyDir",
            "secret",
        }
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert all("hostPort" not in port for port in container.get("ports", []))
        assert container["resources"]["limits"]["memory"], "no pod takes a node's memory"


@EVERY
def test_no_object_grants_rights(name: str) -> None:
    objects = render(values_of(name))
    kinds = {o["kind"] for o in objects}
    assert not kinds & {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Secret"}
    for account in (o for o in objects if o["kind"] == "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_no_value_weakens_the_pods() -> None:
    """The only value that reaches a security context is the user's number, and 0 is refused."""
    plain, full = pods(render()), pods(render(values_of("full-values.yaml")))
    for one, other in zip(plain, full, strict=True):
        one["spec"]["securityContext"] |= {
            key: other["spec"]["securityContext"][key]
            for key in ("runAsUser", "runAsGroup", "fsGroup")
        }
        assert one["spec"]["securityContext"] == other["spec"]["securityContext"]


def test_only_tmp_is_writable() -> None:
    objects = render(values_of("token-values.yaml"))
    mounts = {m["mountPath"]: m.get("readOnly", False) for m in server(objects)["volumeMounts"]}
    assert mounts == {"/tmp": False, "/etc/featrix/strings": True}
    volumes = only(objects, "Deployment")["spec"]["template"]["spec"]["volumes"]
    assert {"name": "tmp", "emptyDir": {"sizeLimit": "128Mi"}} in volumes


def test_token_is_a_file_and_nothing_else() -> None:
    objects = render(values_of("token-values.yaml"))
    for pod in pods(objects):
        (volume,) = (v for v in pod["spec"]["volumes"] if v["name"] == "token")
        assert volume["secret"] == {
            "secretName": "string-embedding-token",
            "defaultMode": 0o440,
            "items": [{"key": "bearer", "path": "token"}],
        }
        (container,) = pod["spec"]["containers"]
        assert all("valueFrom" not in variable for variable in container["env"])
        assert "envFrom" not in container
    assert "--token-file=/etc/featrix/strings/token" in server(objects)["args"]
    (tester,) = only(objects, "Pod")["spec"]["containers"]
    assert {"name": "TOKEN_FILE", "value": "/etc/featrix/strings/token"} in tester["env"]
    assert "token" not in json.dumps([server(render())["args"], server(render())["volumeMounts"]])


# --- the network policies, read as Kubernetes reads them --------------------------------------


def fits(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    for rule in selector.get("matchExpressions", []):
        assert rule["operator"] == "In"
        if labels.get(rule["key"]) not in rule["values"]:
            return False
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


def admits(peer: dict[str, Any], pod: dict[str, str], namespace: str) -> bool:
    if "ipBlock" in peer:
        return False
    if "namespaceSelector" in peer:
        there = fits(peer["namespaceSelector"], {"kubernetes.io/metadata.name": namespace})
    else:
        there = namespace == "ml"
    return there and fits(peer.get("podSelector", {}), pod)


def open_ports(
    objects: list[Object], pod: dict[str, str], namespace: str, way: str = "ingress"
) -> set[int]:
    """Ports of the service that a pod of a namespace reaches; with "egress" those that the service
    reaches at such a pod."""
    (served, _) = pods(objects)
    policies = [
        o["spec"]
        for o in objects
        if o["kind"] == "NetworkPolicy"
        and fits(o["spec"]["podSelector"], served["metadata"]["labels"])
    ]
    assert policies, "no policy selects the service"
    assert all(way.title() in spec["policyTypes"] for spec in policies)
    return set(_ports(policies, pod, namespace, way))


def _ports(
    policies: list[dict[str, Any]], pod: dict[str, str], namespace: str, way: str
) -> Iterable[int]:
    for spec in policies:
        for rule in spec.get(way, []):
            peers = rule.get("from" if way == "ingress" else "to", [])
            # An empty list of peers means everybody.
            if not peers or any(admits(peer, pod, namespace) for peer in peers):
                yield from (port["port"] for port in rule["ports"])


def test_policy_by_default() -> None:
    objects = render()
    assert open_ports(objects, {}, "ml") == {API}
    assert open_ports(objects, {}, "monitoring") == {METRICS}
    assert open_ports(objects, {"app": "x"}, "elsewhere") == set()
    assert open_ports(objects, {}, "kube-system", "egress") == set()
    for o in objects:
        if o["kind"] == "NetworkPolicy":
            assert set(o["spec"]["policyTypes"]) == {"Ingress", "Egress"}


def test_policy_with_named_callers() -> None:
    objects = render(values_of("full-values.yaml"))
    tester = only(objects, "Pod")["metadata"]["labels"]
    assert open_ports(objects, {}, "ml") == set()
    assert open_ports(objects, {}, "kubeflow") == {API}
    assert open_ports(objects, {}, "gateways") == {API}
    assert open_ports(objects, tester, "ml") == {API}, "helm test works under every policy"


def test_policy_without_monitoring_opens_no_metrics() -> None:
    objects = render({"networkPolicy": {"metricsFrom": []}})
    for namespace in ("ml", "monitoring", "elsewhere"):
        assert METRICS not in open_ports(objects, {}, namespace)


def test_policy_for_a_gateways_pods_only() -> None:
    objects = render(values_of("httproute-values.yaml"))
    gateway = {"gateway.networking.k8s.io/gateway-name": "public"}
    assert open_ports(objects, gateway, "gateways") == {API}
    assert open_ports(objects, {}, "gateways") == set()


def test_the_test_pod_reaches_the_service_and_nothing_else() -> None:
    objects = render(values_of("token-values.yaml"))
    served, tester = (pod["metadata"]["labels"] for pod in pods(objects))
    (spec,) = (
        o["spec"]
        for o in objects
        if o["kind"] == "NetworkPolicy" and fits(o["spec"]["podSelector"], tester)
    )
    assert list(_ports([spec], served, "ml", "egress")) == [API]
    assert list(_ports([spec], {}, "ml", "egress")) == []
    assert list(_ports([spec], served, "kube-system", "egress")) == []
    assert list(_ports([spec], served, "ml", "ingress")) == []


def test_no_policy_where_it_is_switched_off() -> None:
    assert not any(o["kind"] == "NetworkPolicy" for o in render(values_of("open-values.yaml")))


def test_nothing_public_leads_to_metrics_or_health() -> None:
    objects = render(values_of("full-values.yaml"))
    (metrics,) = (
        o["metadata"]["name"]
        for o in objects
        if o["kind"] == "Service" and any(p["port"] == METRICS for p in o["spec"]["ports"])
    )
    ingress, route = (only(objects, kind)["spec"] for kind in ("Ingress", "HTTPRoute"))
    assert metrics not in json.dumps([ingress, route])
    paths = [p["path"] for rule in ingress["rules"] for p in rule["http"]["paths"]]
    matches = [m["path"]["value"] for rule in route["rules"] for m in rule["matches"]]
    assert paths == matches == ["/embed", "/v1/embeddings", "/info"]
    assert {p["pathType"] for rule in ingress["rules"] for p in rule["http"]["paths"]} == {"Exact"}


def test_ingress_has_the_certificate_for_all_its_hosts() -> None:
    spec = only(render(values_of("ingress-values.yaml")), "Ingress")["spec"]
    hosts = [rule["host"] for rule in spec["rules"]]
    assert len(hosts) == 2
    assert spec["tls"] == [{"secretName": "vectors-tls", "hosts": hosts}]
