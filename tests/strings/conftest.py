"""The service that the tests share, and the model that it holds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from featrix_core.strings.embedder import LocalTextEmbedder, find_weights
from featrix_core.strings.onnx_engine import OnnxMiniLM
from tests.strings.services import Service, running


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service that most tests share."""
    with running(tmp_path_factory.mktemp("service"), threads=2) as started:
        yield started


@pytest.fixture(scope="session")
def model() -> OnnxMiniLM:
    """The service's model in this process."""
    return OnnxMiniLM(find_weights())


@pytest.fixture(scope="session")
def local(model: OnnxMiniLM) -> LocalTextEmbedder:
    """The embedder of this process with the service's engine."""
    return LocalTextEmbedder(engine="onnx")
