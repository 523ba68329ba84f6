"""The chart, rendered by Helm itself."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import helm_python
import yaml

Object = dict[str, Any]

CHART = Path(__file__).resolve().parents[2] / "charts" / "string-embedding"
VALUES_FILES = sorted(path.name for path in (CHART / "ci").glob("*-values.yaml"))
NAMESPACE = "ml"


def values_of(name: str) -> dict[str, Any]:
    """Values of one of VALUES_FILES."""
    values: dict[str, Any] = yaml.safe_load((CHART / "ci" / name).read_text(encoding="utf-8"))
    return values


@functools.cache
def chart() -> helm_python.Chart:
    return helm_python.Chart.load(CHART)


@functools.cache
def _texts(values: str, release: str) -> dict[str, str]:
    return chart().render(json.loads(values), name=release, namespace=NAMESPACE)


def texts(values: dict[str, Any] | None = None, release: str = "demo") -> dict[str, str]:
    """Path of each template and what it makes of `values` over the chart's defaults.

    Raises:
        helm_python.HelmError: Helm refuses the values.
    """
    return _texts(json.dumps(values or {}), release)


def render(values: dict[str, Any] | None = None, release: str = "demo") -> list[Object]:
    """All objects, as `texts` has them."""
    manifests = texts(values, release)
    made = [manifests[path] for path in sorted(manifests) if path.endswith(".yaml")]
    return [o for text in made for o in yaml.load_all(text, yaml.CSafeLoader) if o]


def only(objects: list[Object], kind: str, ending: str = "") -> Object:
    """The one object of a kind whose name ends so."""
    found = [o for o in objects if o["kind"] == kind and o["metadata"]["name"].endswith(ending)]
    assert len(found) == 1, f"{len(found)} objects of kind {kind} …{ending}"
    return found[0]


def pods(objects: list[Object]) -> list[Object]:
    """Every pod that the objects lead to: metadata and spec."""
    made = [o["spec"]["template"] for o in objects if "template" in o.get("spec", {})]
    return made + [o for o in objects if o["kind"] == "Pod"]


def server(objects: list[Object]) -> Object:
    """The container of the service."""
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    return container
