"""Alerts and dashboard: valid PromQL over metrics that the service has, of this release only."""

from __future__ import annotations

import json
import re
from typing import Any

import promql_parser
import pytest

from tests.charts.rendering import CHART, Object, chart, only, render, values_of

METRICS = {
    "featrix_strings_requests_total": {"endpoint", "code"},
    "featrix_strings_request_seconds_bucket": {"endpoint", "le"},
    "featrix_strings_cache_hits_total": set(),
    "featrix_strings_cache_misses_total": set(),
    "featrix_strings_cache_evictions_total": set(),
    "featrix_strings_cache_bytes": set(),
    "featrix_strings_queue_texts": set(),
    "featrix_strings_rejected_total": set(),
    "featrix_strings_model_info": {"fingerprint"},
    "up": set(),
}
TARGET = {"namespace", "service", "pod"}


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
            assert matchers.keys() <= METRICS[metric]


def test_few_alerts_wake_somebody() -> None:
    rules = alerts(MONITORED)
    severities = {name: rule["labels"]["severity"] for name, rule in rules.items()}
    assert severities == {
        "StringEmbeddingDown": "critical",
        "StringEmbeddingErrors": "critical",
        "StringEmbeddingWrongModel": "critical",
        "StringEmbeddingAtCapacity": "warning",
        "StringEmbeddingSlow": "warning",
    }
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| `(\w+)` \| (critical|warning) \|", readme, re.M)) == severities


def test_probes_count_in_no_alert() -> None:
    """A pod that starts answers its probes with 503, which is no failed request."""
    expression = alerts(MONITORED)["StringEmbeddingErrors"]["expr"]
    for _, matchers in selectors(expression):
        (left_out,) = re.findall(r"\((.*?)\)", matchers["endpoint"])
        pattern = re.compile(matchers["endpoint"])
        assert "health" in left_out
        assert pattern.fullmatch("/health/ready")
        assert not pattern.fullmatch("/embed") and not pattern.fullmatch("/v1/embeddings")


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
    # Otherwise Prometheus would rename the service's own label to "exported_endpoint".
    assert endpoint["relabelings"] == [{"action": "labeldrop", "regex": "endpoint"}]
    assert only(objects, "ServiceMonitor")["metadata"]["labels"]["release"] == "prometheus"


def test_dashboard_shows_every_metric() -> None:
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
                assert matchers.keys() <= METRICS[metric]
                shown.add(metric)
            in_legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            grouped = re.search(r"by \((.*?)\)", target["expr"])
            assert in_legend <= set(re.split(", ", grouped[1]) if grouped else [])
    assert shown == METRICS.keys()


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


def test_names_of_metrics_are_kept_in_one_place() -> None:
    templates = {t["name"]: t["data"] for t in chart().templates}
    holders = [name for name, text in templates.items() if "featrix_strings_" in text]
    assert holders == ["templates/_metrics.tpl"]
    names = set(re.findall(r"featrix_strings_\w+", templates["templates/_metrics.tpl"]))
    assert names == METRICS.keys() - {"up"}
