"""The in-process sentence model, with its real weights (ENC-2)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.strings.embedder import (
    MAX_CHARACTERS,
    MODEL_ENVIRONMENT,
    LocalTextEmbedder,
    TextEmbedder,
    get_default_embedder,
)
from featrix_core.strings.grid import DIMENSION

TEXTS = ["unemployed", "out of work", "radio/tv", "", "unemployed", "größer 東京"]


@pytest.fixture(scope="module")
def embedder() -> LocalTextEmbedder:
    return get_default_embedder()


def test_it_is_a_text_embedder(embedder: LocalTextEmbedder) -> None:
    assert isinstance(embedder, TextEmbedder)
    assert embedder is get_default_embedder()
    assert embedder.dimension == DIMENSION == 384
    assert embedder.fingerprint.startswith("all-MiniLM-L6-v2:")


def test_shape_type_length_and_order(embedder: LocalTextEmbedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (6, 384) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3)
    np.testing.assert_array_equal(vectors[0], vectors[4])
    np.testing.assert_array_equal(embedder.embed(TEXTS[::-1]), vectors[::-1])
    assert embedder.embed([]).shape == (0, 384)


def test_meaning(embedder: LocalTextEmbedder) -> None:
    jobless, synonym, radio = embedder.embed(TEXTS[:3])
    assert jobless @ synonym > 0.5 > jobless @ radio


def test_vectors_lie_on_the_grid_and_are_the_same_bytes_in_any_call(
    embedder: LocalTextEmbedder,
) -> None:
    fresh = LocalTextEmbedder()
    alone = np.vstack([fresh.embed([text]) for text in TEXTS])
    together = embedder.embed(TEXTS)
    np.testing.assert_allclose(together * 1e4, np.round(together * 1e4), atol=1e-2)
    assert alone.tobytes() == together.tobytes()


def test_texts_that_no_model_can_read_whole(embedder: LocalTextEmbedder) -> None:
    odd = ["\ud800", "\x00", "x" * 3_000_000, " " * 3_000_000, "🙂" * 400, "\u202eabc"]
    vectors = embedder.embed(odd)
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3)
    np.testing.assert_array_equal(vectors[0], embedder.embed(["?"])[0])
    np.testing.assert_array_equal(vectors[2], embedder.embed(["x" * MAX_CHARACTERS])[0])


def test_long_work_reports_its_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = LocalTextEmbedder()
    heard: list[tuple[str, float, float]] = []
    with fresh.reporting(lambda what, done, total: heard.append((what, done, total))):
        fresh.embed(["short", "work"])  # loading the model is not embedding
        assert not heard or heard[-1][1:] == (2.0, 2.0)
        heard.clear()
        monkeypatch.setattr("featrix_core.strings.caching._SILENT_SECONDS", 0.0)
        monkeypatch.setattr("featrix_core.strings.caching._SLAB", 50)
        fresh.embed([f"text {n}" for n in range(120)] * 2)
    assert {what for what, _, _ in heard} == {"texts embedded"}
    assert [done for _, done, _ in heard] == sorted({done for _, done, _ in heard})
    assert heard[-1] == ("texts embedded", 120.0, 120.0)
    heard.clear()
    fresh.embed(["another text"])
    assert heard == []


def test_missing_weights_are_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FeatrixUserError, match="No sentence model"):
        LocalTextEmbedder(tmp_path)
    monkeypatch.setenv(MODEL_ENVIRONMENT, str(tmp_path / "nowhere"))
    with pytest.raises(FeatrixUserError, match=MODEL_ENVIRONMENT):
        LocalTextEmbedder()


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    LocalTextEmbedder().embed(["quiet"])
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == ""
