"""A bundle of which any byte was changed is refused, and so is one of the wrong kind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from featrix_core.embedding_space import EmbeddingSpace
from featrix_core.errors import BundleError
from featrix_core.single_predictor import SinglePredictor

Refused = Callable[..., str]
LOADERS: dict[str, Callable[[Path], object]] = {
    "space": EmbeddingSpace.load,
    "predictor": SinglePredictor.load,
}


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x01
    path.write_bytes(data)


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    """A copy of the fit that may be damaged; the data lie beside it."""
    shutil.copytree(model, tmp_path / "model")
    shutil.copy(model.parent / "train.csv", tmp_path / "train.csv")
    return tmp_path / "model"


@pytest.mark.parametrize("kind", LOADERS)
def test_every_file_is_sealed(copy: Path, kind: str) -> None:
    LOADERS[kind](copy / kind)
    files = sorted(path for path in (copy / kind).rglob("*") if path.is_file())
    assert len(files) > 8
    for file in files:
        size = file.stat().st_size
        for at in (0, size // 2, size - 1):
            _flip(file, at)
            with pytest.raises(BundleError, match=file.name.partition(".")[0]):
                LOADERS[kind](copy / kind)
            _flip(file, at)
    LOADERS[kind](copy / kind)


@pytest.mark.parametrize("kind", LOADERS)
def test_every_file_is_needed(copy: Path, kind: str) -> None:
    for file in sorted(path for path in (copy / kind).rglob("*") if path.is_file()):
        kept = file.read_bytes()
        file.unlink()
        with pytest.raises(BundleError, match=file.name.partition(".")[0]):
            LOADERS[kind](copy / kind)
        file.write_bytes(kept)
    LOADERS[kind](copy / kind)


@pytest.mark.parametrize(
    "name", ["members.safetensors", "manifest.sha256", "evaluation.json", "space/schema.json"]
)
def test_predict_refuses_a_damaged_predictor(copy: Path, refused: Refused, name: str) -> None:
    _flip(copy / "predictor" / name, 1)
    arguments = ("--model", "model", "--data", "train.csv", "--out", "scores.parquet")
    said = refused("predict", *arguments, cwd=copy.parent)
    assert "model/predictor is damaged" in said
    assert "Restore the folder from a copy or train again" in said


def test_embed_refuses_a_damaged_space(copy: Path, refused: Refused) -> None:
    _flip(copy / "space" / "weights.safetensors", 1000)
    arguments = ("--model", "model", "--data", "train.csv", "--out", "vectors.parquet")
    said = refused("embed", *arguments, cwd=copy.parent)
    assert "model/space is damaged: weights.safetensors has changed" in said


def test_predict_refuses_what_is_no_predictor(
    model: Path, tmp_path: Path, refused: Refused
) -> None:
    arguments = ("--data", model.parent / "train.csv", "--out", "scores.parquet")
    said = refused("predict", "--model", "nowhere", *arguments, cwd=tmp_path)
    assert "There is no bundle at nowhere" in said
    said = refused("predict", "--model", model / "space", *arguments, cwd=tmp_path)
    assert "holds a space, not a predictor" in said
    (tmp_path / "folder").mkdir()
    said = refused("predict", "--model", "folder", *arguments, cwd=tmp_path)
    assert "folder is not a complete bundle: manifest.json is missing" in said


def test_embed_refuses_a_fit_without_its_space(copy: Path, refused: Refused) -> None:
    shutil.rmtree(copy / "space")
    arguments = ("--model", "model", "--data", "train.csv", "--out", "vectors.parquet")
    assert "not a complete bundle" in refused("embed", *arguments, cwd=copy.parent)
