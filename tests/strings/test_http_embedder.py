"""The client of the strings service against real services (STR-2)."""

from __future__ import annotations

import logging
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.strings.disk_cache import DiskCache
from featrix_core.strings.embedder import LocalTextEmbedder, TextEmbedder, get_default_embedder
from featrix_core.strings.http_embedder import HttpTextEmbedder, StringsServiceError
from tests.strings.services import Service, free_port, running

TEXTS = ["unemployed", "out of work", "\ud800", "", "unemployed", "größer 東京", "x" * 30_000]


def test_either_embedder_gives_the_same(service: Service, local: LocalTextEmbedder) -> None:
    embedder = HttpTextEmbedder(service.url)
    assert isinstance(embedder, TextEmbedder)
    assert embedder.embed(TEXTS).tobytes() == local.embed(TEXTS).tobytes()
    assert embedder.fingerprint == local.fingerprint and embedder.dimension == 384
    assert embedder.embed([]).shape == (0, 384)


def test_long_calls_are_split_and_told(service: Service, local: LocalTextEmbedder) -> None:
    texts = [f"split {n}" for n in range(1030)]
    heard: list[tuple[str, float, float]] = []
    embedder = HttpTextEmbedder(service.url)
    before = service.metric('requests_total{route="/embed",status="200"}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("featrix_core.strings.caching._SILENT_SECONDS", 0.0)
        with embedder.reporting(lambda *told: heard.append(told)):
            found = embedder.embed(texts)
    assert service.metric('requests_total{route="/embed",status="200"}') - before == 2
    assert [told[1:] for told in heard] == [(1024.0, 1030.0), (1030.0, 1030.0)]
    rows = [0, 1023, 1024, 1029]
    assert found[rows].tobytes() == local.embed([texts[row] for row in rows]).tobytes()


def test_what_is_known_is_not_asked_for(service: Service, tmp_path: Path) -> None:
    embedder = HttpTextEmbedder(service.url, cache=DiskCache(tmp_path))
    first = embedder.embed(["kept on disk"])
    asked = service.metric("texts_total")
    embedder.embed(["kept on disk"])
    again = HttpTextEmbedder(service.url, cache=DiskCache(tmp_path)).embed(["kept on disk"])
    assert service.metric("texts_total") == asked
    assert first.tobytes() == again.tobytes()


def test_another_model_is_refused(service: Service) -> None:
    embedder = HttpTextEmbedder(service.url, fingerprint="all-MiniLM-L6-v2:0000000000000000:onnx")
    with pytest.raises(FeatrixUserError, match="another model than the one wanted"):
        embedder.embed(["text"])


def test_no_service(local: LocalTextEmbedder, caplog: pytest.LogCaptureFixture) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(StringsServiceError, match="cannot be reached"):
        HttpTextEmbedder(url, retries=1).embed(["text"])
    fallback = HttpTextEmbedder(url, retries=1, fallback=True)
    with caplog.at_level(logging.WARNING):
        assert fallback.embed(TEXTS).tobytes() == local.embed(TEXTS).tobytes()
    other = HttpTextEmbedder(url, retries=0, fallback=True, fingerprint="another:0:onnx")
    with pytest.raises(FeatrixUserError, match="is another one"):
        other.embed(["text"])


def test_an_address_that_is_none() -> None:
    for url in ("strings:8080", "", "ftp://strings", "/embed"):
        with pytest.raises(FeatrixUserError, match="address is not valid"):
            HttpTextEmbedder(url)
    with pytest.raises(FeatrixUserError, match="cannot be read"):
        HttpTextEmbedder("http://strings", token_file="/nowhere/token")


def _in_child(embedder: HttpTextEmbedder, pipe: object) -> None:
    pipe.send(embedder.embed(["asked by a child"]).tobytes())  # type: ignore[attr-defined]


def test_forks_do_not_share_connections(service: Service, local: LocalTextEmbedder) -> None:
    embedder = HttpTextEmbedder(service.url)
    embedder.embed(["asked by the parent"])
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_in_child, args=(embedder, theirs))
    child.start()
    assert embedder.embed(["meanwhile"]).shape == (1, 384)
    assert ours.poll(60) and ours.recv() == local.embed(["asked by a child"]).tobytes()
    child.join(30)
    assert child.exitcode == 0


def test_a_service_that_is_killed_and_comes_back(tmp_path: Path, local: LocalTextEmbedder) -> None:
    """The client waits for it, and what it gets in the end is what it would have got."""
    port = free_port()
    texts = [f"{n} " + "word " * (n % 40) for n in range(200)]
    with ThreadPoolExecutor(1) as pool:
        with running(tmp_path, port=port, threads=1) as first:
            embedder = HttpTextEmbedder(first.url)
            assert embedder.fingerprint
            pending = pool.submit(embedder.embed, texts)
            while not first.metric("waiting_texts") and not pending.done():
                threading.Event().wait(0.01)
            first.process.kill()
            first.process.wait(timeout=30)
        assert not pending.done()
        with running(tmp_path, port=port, threads=1):
            np.testing.assert_array_equal(pending.result(120), local.embed(texts))


def test_the_environment_names_a_service(
    service: Service, local: LocalTextEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    get_default_embedder.cache_clear()
    monkeypatch.setenv("FEATRIX_STRINGS_URL", service.url)
    try:
        embedder = get_default_embedder()
        assert isinstance(embedder, HttpTextEmbedder)
        assert embedder.embed(TEXTS).tobytes() == local.embed(TEXTS).tobytes()
    finally:
        get_default_embedder.cache_clear()
