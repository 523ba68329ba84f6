"""JSON schemas of the custom resources, as far as the chart uses them.

kubernetes-validate knows the API of Kubernetes itself and no custom resources. What is not listed here
is refused, so that a field that the chart comes to use has to be looked up first.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def _object(required: str, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required.split(),
        "properties": properties,
    }


def _list(items: Schema, most: int = 64) -> Schema:
    return {"type": "array", "items": items, "minItems": 1, "maxItems": most}


def _text(pattern: str = ".") -> Schema:
    return {"type": "string", "pattern": pattern}


def _resource(group: str, kind: str, spec: Schema) -> Schema:
    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    metadata = _object(
        "name namespace labels", name=_NAME, namespace=_NAME, labels=texts, annotations=texts
    )
    return _object(
        "apiVersion kind metadata spec",
        apiVersion={"const": group},
        kind={"const": kind},
        metadata=metadata,
        spec=spec,
    )


_NAME = _text(r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
_DURATION = _text(r"^[1-9][0-9]*(s|m|h)$")
_LABELS = {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}

_SERVICE_MONITOR = _object(
    "selector endpoints",
    selector=_object("matchLabels", matchLabels=_LABELS),
    endpoints=_list(
        _object(
            "port path interval scrapeTimeout",
            port=_text(),
            path=_text("^/"),
            interval=_DURATION,
            scrapeTimeout=_DURATION,
        )
    ),
)

_PROMETHEUS_RULE = _object(
    "groups",
    groups=_list(
        _object(
            "name rules",
            name=_text(),
            rules=_list(
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["alert", "expr", "for", "labels", "annotations"],
                    "properties": {
                        "alert": _text("^[A-Za-z]+$"),
                        "expr": _text(),
                        "for": _DURATION,
                        "labels": _object("severity", severity={"enum": ["critical", "warning"]}),
                        "annotations": _object(
                            "summary description", summary=_text(), description=_text()
                        ),
                    },
                }
            ),
        )
    ),
)

_HTTP_ROUTE = _object(
    "parentRefs hostnames rules",
    parentRefs=_list(_object("name", name=_NAME, namespace=_NAME, sectionName=_NAME), 32),
    hostnames=_list(_text(r"^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"), 16),
    rules=_list(
        _object(
            "matches backendRefs",
            matches=_list(
                _object("path", path=_object("type value", type={"const": "Exact"}, value=_text()))
            ),
            backendRefs=_list(_object("name port", name=_NAME, port=_PORT), 16),
        ),
        16,
    ),
)

SCHEMAS: dict[str, Schema] = {
    "ServiceMonitor": _resource("monitoring.coreos.com/v1", "ServiceMonitor", _SERVICE_MONITOR),
    "PrometheusRule": _resource("monitoring.coreos.com/v1", "PrometheusRule", _PROMETHEUS_RULE),
    "HTTPRoute": _resource("gateway.networking.k8s.io/v1", "HTTPRoute", _HTTP_ROUTE),
}
