"""ONNX Runtime's vectors: a text's own to the byte, and those of torch to 1e-4 (STR-1)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featrix_core.strings.embedder import LocalTextEmbedder, find_weights
from featrix_core.strings.engine import engine_of, fingerprint_of, load_engine
from featrix_core.strings.grid import DIMENSION
from featrix_core.strings.onnx_engine import OnnxMiniLM

TEXTS = ["red", "a used car", "", "größer 東京 🙂", "\x00", "x" * 300, "word " * 400]
TEXTS += [f"product {n} {'of a kind ' * (n % 9)}" for n in range(30)]


@given(seed=st.integers(0, 2**32 - 1), sizes=st.lists(st.integers(1, 12), min_size=1, max_size=6))
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_the_same_bytes_in_any_batch(model: OnnxMiniLM, seed: int, sizes: list[int]) -> None:
    """Company, order, batch size and with them the padding say nothing about a vector."""
    tokens = model.tokenize(TEXTS)
    expected = np.vstack([model.forward([ids]) for ids in tokens])
    order = np.random.default_rng(seed).permutation(len(TEXTS)).tolist()
    start, turn = 0, 0
    while start < len(order):
        rows = order[start : start + sizes[turn % len(sizes)]]
        np.testing.assert_array_equal(model.forward([tokens[row] for row in rows]), expected[rows])
        start, turn = start + len(rows), turn + 1


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_the_same_bytes_with_any_number_of_threads(model: OnnxMiniLM, threads: int) -> None:
    """What a batch that is alone is computed with."""
    several = OnnxMiniLM(find_weights(), threads)
    tokens = model.tokenize(TEXTS)
    for some in (tokens, *([ids] for ids in tokens)):
        expected = model.forward(some)
        np.testing.assert_array_equal(several.forward(some, alone=True), expected)
        np.testing.assert_array_equal(several.forward(some), expected)


def test_the_same_bytes_side_by_side(model: OnnxMiniLM) -> None:
    expected = model.embed(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: model.embed(TEXTS), range(4)):
            np.testing.assert_array_equal(found, expected)


def test_it_agrees_with_torch(model: OnnxMiniLM) -> None:
    torch_steps = load_engine("torch", find_weights()).embed(TEXTS).astype(np.int64)
    off = np.abs(model.embed(TEXTS) - torch_steps)
    assert off.max() <= 1  # rounded to 1e-4: a neighbouring step at most
    assert off.mean() < 2e-3


def test_both_engines_compute_batches_of_tokens(model: OnnxMiniLM) -> None:
    for engine in (model, load_engine("torch", find_weights())):
        some = TEXTS[:9]
        np.testing.assert_array_equal(engine.forward(engine.tokenize(some)), engine.embed(some))


def test_progress_and_nothing(model: OnnxMiniLM) -> None:
    heard: list[int] = []
    assert model.embed(TEXTS * 3, heard.append).shape == (3 * len(TEXTS), DIMENSION)
    assert heard == sorted(set(heard)) and heard[-1] == 3 * len(TEXTS) and len(heard) > 1
    assert model.embed([]).shape == (0, DIMENSION)


def test_each_engine_has_its_fingerprint() -> None:
    names = [fingerprint_of(name, find_weights()) for name in ("torch", "onnx")]
    assert names[1] == f"{names[0]}:onnx"
    assert [engine_of(name) for name in names] == ["torch", "onnx"]
    assert LocalTextEmbedder(engine="onnx").fingerprint == names[1]
    assert LocalTextEmbedder().fingerprint == names[0]


def test_another_tokenizer_is_another_model(tmp_path: Path) -> None:
    """Its vectors mean something else, so that the fingerprint must tell."""
    weights = find_weights()
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).symlink_to(weights / name)
    tokenizer = (weights / "tokenizer.json").read_bytes()
    (tmp_path / "tokenizer.json").write_bytes(tokenizer)
    same = fingerprint_of("onnx", tmp_path)
    assert same == fingerprint_of("onnx", weights)
    cased = tokenizer.replace(b'"lowercase":true', b'"lowercase":false')
    cased = cased.replace(b'"lowercase": true', b'"lowercase": false')
    assert cased != tokenizer
    (tmp_path / "tokenizer.json").write_bytes(cased)
    assert fingerprint_of("onnx", tmp_path) != same
    assert LocalTextEmbedder(tmp_path, engine="onnx").fingerprint != same


def test_the_embedder_takes_it(local: LocalTextEmbedder, model: OnnxMiniLM) -> None:
    vectors = local.embed(TEXTS)
    np.testing.assert_array_equal(np.rint(vectors * 10_000), model.embed(TEXTS))
    assert vectors.dtype == np.float32
    with pytest.raises(TypeError):
        local.embed(None)  # type: ignore[arg-type]
