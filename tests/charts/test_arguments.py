"""What the chart hands to the container is what the command understands (STR-1)."""

from __future__ import annotations

from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup

import featrix_core.cli_serving  # noqa: F401  (registers the command)
from featrix_core.cli import app
from tests.charts.rendering import VALUES_FILES, render, server, values_of


def parsed(arguments: list[str]) -> dict[str, Any]:
    """Values that `featrix serve-strings` reads from the arguments; nothing is served."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    command = group.commands["serve-strings"]
    with command.make_context("serve-strings", list(arguments)) as context:
        return context.params


@pytest.mark.parametrize("name", VALUES_FILES)
def test_the_command_understands_the_charts_arguments(name: str) -> None:
    container = server(render(values_of(name)))
    assert container["command"] == ["featrix", "serve-strings"]
    found = parsed(container["args"])
    assert found["host"] == "0.0.0.0" and found["port"] == 8080 and found["metrics_port"] == 9090
    cache = {"entries": 131_072, "memory": "512Mi", **values_of(name).get("cache", {})}
    assert found["cache_entries"] == cache["entries"]
    assert found["cache_mib"] == {"256Mi": 256, "512Mi": 512, "2Gi": 2048}[cache["memory"]]
    extra = values_of(name).get("extraArgs", [])
    assert container["args"][len(container["args"]) - len(extra) :] == extra


@pytest.mark.parametrize(
    "wrong",
    [
        "--log-level=info",
        "--portable",
        "--threads=0",
        "--threads=-1",
        "--cache-entries=0",
        "--cache-mib=0",
        "--max-connections=0",
    ],
)
def test_arguments_that_the_command_refuses(wrong: str) -> None:
    with pytest.raises(Exception, match=r"(?i)no such option|greater than or equal to 1"):
        parsed([wrong])
