"""A space trained with the strings service, which is killed and started again meanwhile (STR-1, STR-2)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from featrix_core import EmbeddingSpace, FeatrixInputDataSet
from featrix_core.strings.embedder import get_default_embedder
from tests.strings.services import Service, free_port, running

WORDS = [
    "late",
    "order",
    "refund",
    "asked",
    "broken",
    "lamp",
    "courier",
    "friendly",
    "replaced",
    "invoice",
    "twice",
]


def _reviews() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(WORDS, 50)) for _ in range(150)]
    return pd.DataFrame(
        {"review": texts, "stars": rng.integers(1, 6, 150), "price": rng.random(150)}
    )


def _train(reviews: pd.DataFrame) -> bytes:
    get_default_embedder.cache_clear()
    torch.set_num_threads(1)
    space = EmbeddingSpace(FeatrixInputDataSet(reviews), n_epochs=1, name="reviews").train()
    return np.asarray(space.encode(reviews)).tobytes()


def test_training_outlives_its_service(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviews, port = _reviews(), free_port()
    try:
        monkeypatch.setenv("FEATRIX_STRINGS_URL", service.url)
        undisturbed = _train(reviews)
        assert service.metric("texts_total") >= 150
        monkeypatch.setenv("FEATRIX_STRINGS_URL", f"http://127.0.0.1:{port}")
        with ThreadPoolExecutor(1) as pool:
            with running(tmp_path, port=port, threads=1) as first:
                training = pool.submit(_train, reviews)
                while not first.metric("waiting_texts") and not training.done():
                    threading.Event().wait(0.005)
                first.process.kill()
                first.process.wait(timeout=30)
            assert not training.done()
            with running(tmp_path, port=port, threads=1) as second:
                assert training.result(300) == undisturbed
                assert second.metric("texts_total") > 0
    finally:
        get_default_embedder.cache_clear()
