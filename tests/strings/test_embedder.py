"""The in-process sentence model, with its real weights (ENC-2)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.strings.embedder import (
    DIMENSION,
    MODEL_ENVIRONMENT,
    LocalTextEmbedder,
    TextEmbedder,
    get_default_embedder,
)

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


def test_vectors_lie_on_the_grid_and_other_batches_move_them_one_step_at_most(
    embedder: LocalTextEmbedder,
) -> None:
    fresh = LocalTextEmbedder()
    alone = np.vstack([fresh.embed([text]) for text in TEXTS])
    together = embedder.embed(TEXTS)
    np.testing.assert_allclose(together * 1e4, np.round(together * 1e4), atol=1e-2)
    assert np.abs(alone - together).max() < 1.1e-4
    assert (alone != together).mean() < 0.01


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
