"""Without the optional packages, a user is told which extra has them (STR-1, STR-2)."""

from __future__ import annotations

import sys

import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.strings.embedder import LocalTextEmbedder
from featrix_core.strings.extra import ONNX, SERVER, TORCH
from featrix_core.strings.http_embedder import HttpTextEmbedder
from featrix_core.strings.serve import serve


@pytest.mark.parametrize("name", [*ONNX, *SERVER, *TORCH])
def test_the_service_names_its_extra(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(FeatrixUserError, match=rf"{name} is not installed.*featrix\[strings\]"):
        serve(port=1, metrics_port=0, engine="torch" if name in TORCH else "onnx")


@pytest.mark.parametrize("name", ONNX)
def test_the_fallback_names_its_extra(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    away = HttpTextEmbedder("http://127.0.0.1:1", retries=0, fallback=True)
    for embedder in (away, LocalTextEmbedder(engine="onnx")):
        with pytest.raises(FeatrixUserError, match=rf"{name} is not installed.*featrix\[strings\]"):
            embedder.embed(["text"])
