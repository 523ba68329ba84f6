"""Alerts and dashboard: valid PromQL over metrics that the service has, of this release only."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import promql_parser
import pytest

from tests.charts.rendering import CHART, Object, chart, only, render, values_of


@functools.cache
def metrics() -> dict[str, set[str]]:
    """Every series of the real service, with its labels."""
    from featrix_core.strings.metrics import ServiceMetrics

    made = ServiceMetrics()
    made.model.labels(fingerprint="a")
    found: dict[str, set[str]] = {"up": set()}
    for family in made.registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def selectors(expression: str) -> list[tuple[str, dict[str, str]]]:
    """Metric and label matchers of every selector; the expression is parsed as Prometheus would."""
    readable = expression.replace("$__rate_interval", "5m")
    promql_parser.parse(readable)
    found = re.findall(r"([a-z_]+)\{(.*?)\}", readable)
    assert found
    return [(name, dict(re.findall(r'(\w+)(?:=|!=|=~|!~)"(.*?)"', text))) for name, text in found]


def alerts(values: dict[str, Any]) -> dict[str, Object]:
    (group,) = only(render(values), "PrometheusRule")["spec"]["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def dashboard(values: dict[str, Any]) -> Any:
    (text,) = only(render(values), "ConfigMap")["data"].values()
    return json.loads(text)


MONITORED = values_of("monitoring-values.yaml")


@pytest.mark.parametrize("name", ["monitoring-values.yaml", "full-values.yaml", "open-values.yaml"])
def test_alerts_read_this_releases_metrics(name: str) -> None:
    objects = render(values_of(name))
    service = only(objects, "Service", "-metrics")["metadata"]["name"]
    rules = alerts(values_of(name))
    for rule in rules.values():
        for metric, matchers in selectors(rule["expr"]):
            assert matchers.pop("namespace") == "ml"
            assert matchers.pop("service") == service
            assert matchers.keys() <= metrics()[metric]


def test_few_alerts_wake_somebody() -> None:
    rules = alerts(MONITORED)
    severities = {name: rule["labels"]["severity"] for name, rule in rules.items()}
    assert severities == {
        "StringEmbeddingDown": "critical",
        "StringEmbeddingStalled": "critical",
        "StringEmbeddingErrors": "critical",
        "StringEmbeddingWrongModel": "critical",
        "StringEmbeddingAtCapacity": "warning",
        "StringEmbeddingSlow": "warning",
    }
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| `(\w+)` \| (critical|warning) \|", readme, re.M)) == severities


def test_a_pod_that_answers_but_is_not_ready_is_down() -> None:
    expression = alerts(MONITORED)["StringEmbeddingDown"]["expr"]
    assert [name for name, _ in selectors(expression)] == ["featrix_strings_ready"]
    assert expression.startswith("absent(") and expression.endswith("== 1)")


def test_a_pod_that_computes_nothing_while_requests_wait_is_stalled() -> None:
    expression = alerts(MONITORED)["StringEmbeddingStalled"]["expr"]
    assert [name for name, _ in selectors(expression)] == [
        "featrix_strings_waiting_requests",
        "featrix_strings_computed_texts_total",
    ]
    waiting, nothing = expression.split(" and ")
    assert waiting.strip().endswith("> 0") and nothing.endswith("== 0")
    assert waiting.count("by (pod)") == nothing.count("by (pod)") == 1


def test_alerts_on_requests_read_those_for_vectors() -> None:
    from featrix_core.strings.metrics import ROUTES, STATUSES

    rules = alerts(MONITORED)
    for name, statuses in (
        ("StringEmbeddingErrors", {500, 503}),
        ("StringEmbeddingAtCapacity", {429}),
    ):
        some, every = (matchers for _, matchers in selectors(rules[name]["expr"]))
        assert every["route"] == some["route"]
        read = [route for route in ROUTES if re.fullmatch(every["route"], route)]
        assert read == ["/embed", "/v1/embeddings"]
        assert {s for s in STATUSES if re.fullmatch(some["status"], str(s))} == statuses
        assert "status" not in every


def test_thresholds_are_values() -> None:
    limits = {"errorPercent": 1.5, "rejectedPercent": 33, "slowSeconds": 0.25}
    rules = alerts(MONITORED | {"prometheusRule": {"enabled": True, **limits}})
    assert rules["StringEmbeddingErrors"]["expr"].endswith("> 1.5")
    assert rules["StringEmbeddingAtCapacity"]["expr"].endswith("> 33")
    assert rules["StringEmbeddingSlow"]["expr"].endswith("> 0.25")
    assert "1.5%" in rules["StringEmbeddingErrors"]["annotations"]["summary"]


def test_wrong_model_means_another_than_the_pinned_one() -> None:
    pinned = chart().values["model"]["fingerprint"]
    assert f'fingerprint!="{pinned}"' in alerts(MONITORED)["StringEmbeddingWrongModel"]["expr"]
    unpinned = alerts(MONITORED | {"model": {"fingerprint": ""}})["StringEmbeddingWrongModel"]
    assert "fingerprint!=" not in unpinned["expr"]
    assert unpinned["expr"].endswith("> 1"), "then, that all pods serve one model"


def test_monitor_reads_the_metrics_service_only() -> None:
    objects = render(MONITORED)
    spec = only(objects, "ServiceMonitor")["spec"]
    found = [
        o["metadata"]["name"]
        for o in objects
        if o["kind"] == "Service"
        and spec["selector"]["matchLabels"].items() <= o["metadata"]["labels"].items()
    ]
    assert found == ["demo-string-embedding-metrics"]
    (endpoint,) = spec["endpoints"]
    ports = only(objects, "Service", "-metrics")["spec"]["ports"]
    assert [port["name"] for port in ports] == [endpoint["port"]]
    # Labels that the operator adds; Prometheus would rename the service's own of these names.
    added = {"namespace", "service", "pod", "container", "endpoint", "job", "instance"}
    assert not added & set().union(*metrics().values())
    assert only(objects, "ServiceMonitor")["metadata"]["labels"]["release"] == "prometheus"


def test_dashboard() -> None:
    board = dashboard(MONITORED)
    variables = {v["name"]: v["query"] for v in board["templating"]["list"]}
    assert variables == {
        "datasource": "prometheus",
        "namespace": "ml",
        "service": "demo-string-embedding-metrics",
    }
    shown = set()
    for panel in board["panels"]:
        assert panel["title"] and panel["targets"]
        references = [target["refId"] for target in panel["targets"]]
        assert references == ["A", "B", "C"][: len(references)]
        for target in panel["targets"]:
            for metric, matchers in selectors(target["expr"]):
                assert matchers.pop("namespace") == "$namespace"
                assert matchers.pop("service") == "$service"
                assert matchers.keys() <= metrics()[metric]
                shown.add(metric)
            in_legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            grouped = re.search(r"by \((.*?)\)", target["expr"])
            assert in_legend <= set(re.split(", ", grouped[1]) if grouped else [])
    assert shown == names() | {"up"}, "all that the chart names is shown"


def test_panels_do_not_cover_each_other() -> None:
    panels = dashboard(MONITORED)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells
    rows = {y for _, y in taken}
    assert len(taken) == 24 * len(rows), "no gaps"


def test_two_releases_have_two_dashboards() -> None:
    first, second = (
        only(render(MONITORED, release), "ConfigMap")["data"] for release in ("one", "two")
    )
    uids = [json.loads(text)["uid"] for text in (*first.values(), *second.values())]
    assert len(set(uids)) == 2
    assert all(len(uid) <= 40 for uid in uids)


def names() -> set[str]:
    (source,) = (t["data"] for t in chart().templates if t["name"].endswith("_metrics.tpl"))
    return set(re.findall(r"featrix_strings_\w+", source))


def test_names_of_metrics_are_kept_in_one_place() -> None:
    holders = [t["name"] for t in chart().templates if "featrix_strings_" in t["data"]]
    assert holders == ["templates/_metrics.tpl"]
    assert names() <= metrics().keys()
