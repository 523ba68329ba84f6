"""A bundle is what was saved, byte for byte, or it is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from featrix_core import EmbeddingSpace, FeatrixUserError, SinglePredictor, SinglePredictorMLP
from featrix_core.bundle import (
    BESIDE,
    BESIDE_SEAL,
    FORMAT,
    MANIFEST,
    SEAL,
    bundle_digest,
    bundle_kind,
    read_tensors,
    seal_beside,
    verify_bundle,
    write_tensors,
    writing_bundle,
)
from featrix_core.errors import BundleError
from featrix_core.files import read_json, sha256_of, write_json, write_text

SPACE_FILES = {
    "weights.safetensors",
    "codecs.safetensors",
    "schema.json",
    "space.json",
    "training_timeline.json",
    "pair_decisions.json",
    "movie.safetensors",
    MANIFEST,
    SEAL,
}
PREDICTOR_FILES = {
    "members.safetensors",
    "peers.safetensors",
    *(f"boosted-{k}.cbm" for k in range(5)),
    "reference.safetensors",
    "predictor.json",
    "training_timeline.json",
    *(f"space/{name}" for name in SPACE_FILES - {MANIFEST, SEAL}),
    MANIFEST,
    SEAL,
}
LOAD: dict[str, Callable[[Path], object]] = {
    "space": EmbeddingSpace.load,
    "predictor": SinglePredictor.load,
}


@pytest.fixture(scope="module")
def saved(
    credit_space: EmbeddingSpace,
    credit_predictor: SinglePredictorMLP,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder with a saved `space` and a saved `predictor`."""
    folder = tmp_path_factory.mktemp("saved")
    credit_space.save(folder / "space")
    credit_predictor.save(folder / "predictor")
    return folder


@pytest.fixture
def copies(saved: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    shutil.copytree(saved, tmp_path / "copies")
    return tmp_path / "copies"


def _contents(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


@contextmanager
def _changed(file: Path, place: int) -> Iterator[None]:
    """One bit of the file is another inside the block."""

    def flip() -> None:
        with file.open("r+b") as handle:
            handle.seek(place)
            byte = handle.read(1)[0]
            handle.seek(place)
            handle.write(bytes([byte ^ 1]))

    flip()
    try:
        yield
    finally:
        flip()


def _reseal(folder: Path, **changes: object) -> None:
    """What somebody would do who writes a manifest of their own."""
    write_json(folder / MANIFEST, {**read_json(folder / MANIFEST), **changes})
    write_text(folder / SEAL, sha256_of(folder / MANIFEST) + "\n")


def test_the_files_of_a_bundle(saved: Path) -> None:
    assert _contents(saved / "space").keys() == SPACE_FILES
    assert _contents(saved / "predictor").keys() == PREDICTOR_FILES


@pytest.mark.parametrize("kind", ["space", "predictor"])
def test_saved_loaded_and_saved_again(kind: str, saved: Path, tmp_path: Path) -> None:
    loaded = LOAD[kind](saved / kind)
    loaded.save(tmp_path / "again")  # type: ignore[attr-defined]
    first, again = _contents(saved / kind), _contents(tmp_path / "again")
    assert first.keys() == again.keys()
    assert [name for name in first if first[name] != again[name]] == []
    assert bundle_digest(saved / kind) == bundle_digest(tmp_path / "again")


def test_loaded_models_answer_as_before(
    copies: Path,
    credit: pd.DataFrame,
    credit_space: EmbeddingSpace,
    credit_predictor: SinglePredictorMLP,
) -> None:
    """From a copy in another place: a bundle can be moved."""
    space = EmbeddingSpace.load(copies / "space")
    predictor = SinglePredictor.load(copies / "predictor")
    np.testing.assert_array_equal(space.encode(credit), credit_space.encode(credit))
    np.testing.assert_array_equal(
        space.mutual_information_matrix(), credit_space.mutual_information_matrix()
    )
    assert predictor.predict(credit.iloc[:4]) == credit_predictor.predict(credit.iloc[:4])
    assert predictor.timeline == credit_predictor.timeline
    assert predictor.notices == credit_predictor.notices
    # Calibration can be chosen again, because held-out answers were saved too.
    assert predictor.calibrate().to_dict() == credit_predictor.outputs.to_dict()  # type: ignore[union-attr]


DAMAGE = [("space", name) for name in sorted(SPACE_FILES)]
DAMAGE += [("predictor", name) for name in sorted(PREDICTOR_FILES)]


@pytest.mark.parametrize("kind, name", DAMAGE)
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_a_changed_byte_is_found(kind: str, name: str, where: str, saved: Path) -> None:
    file = saved / kind / name
    size = file.stat().st_size
    place = {"first": 0, "middle": size // 2, "last": size - 1}[where]
    with _changed(file, place), pytest.raises(BundleError) as caught:
        LOAD[kind](saved / kind)
    assert str(saved / kind) in str(caught.value)
    assert caught.value.remedy
    assert (MANIFEST if name == SEAL else name) in str(caught.value)


@pytest.mark.parametrize("kind, name", DAMAGE)
def test_a_missing_file_is_found(kind: str, name: str, saved: Path) -> None:
    file = saved / kind / name
    aside = file.rename(saved / "aside")
    try:
        with pytest.raises(BundleError, match=name.replace(".", r"\.")):
            LOAD[kind](saved / kind)
    finally:
        aside.rename(file)


@pytest.mark.parametrize("kind", ["space", "predictor"])
def test_a_shortened_file_is_found(kind: str, copies: Path) -> None:
    file = next((copies / kind).glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(BundleError, match=file.name):
        LOAD[kind](copies / kind)


def test_a_foreign_kind(saved: Path) -> None:
    assert bundle_kind(saved / "space") == "space"
    with pytest.raises(BundleError, match="holds a space, not a predictor"):
        SinglePredictor.load(saved / "space")
    with pytest.raises(BundleError, match="holds a predictor, not a space"):
        EmbeddingSpace.load(saved / "predictor")


@pytest.mark.parametrize("kind", ["space", "predictor"])
def test_another_format(kind: str, copies: Path) -> None:
    _reseal(copies / kind, format=1)
    with pytest.raises(BundleError, match=f"format 1, this version reads {FORMAT}"):
        LOAD[kind](copies / kind)


@pytest.mark.parametrize("content", ["[]", '"x"', "7"])
def test_a_manifest_that_is_none(content: str, copies: Path) -> None:
    write_text(copies / "space" / MANIFEST, content)
    write_text(copies / "space" / SEAL, sha256_of(copies / "space" / MANIFEST) + "\n")
    with pytest.raises(BundleError, match="damaged"):
        EmbeddingSpace.load(copies / "space")


def test_no_bundle_at_all(tmp_path: Path, german_credit: Path) -> None:
    for path in (tmp_path / "nothing", german_credit):
        with pytest.raises(BundleError, match="There is no bundle"):
            EmbeddingSpace.load(path)
    with pytest.raises(BundleError, match="not a complete bundle"):
        EmbeddingSpace.load(tmp_path)
    assert issubclass(BundleError, FeatrixUserError)


def test_writing_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    with writing_bundle(path, "space") as folder:
        write_text(folder / "a.txt", "one")
    before = _contents(path)
    with pytest.raises(RuntimeError), writing_bundle(path, "space") as folder:
        write_text(folder / "a.txt", "two")
        raise RuntimeError
    assert _contents(path) == before
    with writing_bundle(path, "space") as folder:
        write_text(folder / "b.txt", "three")
    assert _contents(path).keys() == {"b.txt", MANIFEST, SEAL}
    verify_bundle(path, "space")
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def test_what_is_laid_beside_a_bundle_is_sealed_apart(copies: Path) -> None:
    path = copies / "space"
    before = bundle_digest(path)
    write_text(path / "figures" / "curve.json", "{}")
    EmbeddingSpace.load(path)
    seal_beside(path)
    seal_beside(path)
    EmbeddingSpace.load(path)
    assert bundle_digest(path) == before
    assert read_json(path / BESIDE)["files"].keys() == {"figures/curve.json"}
    for name in ("figures/curve.json", BESIDE, BESIDE_SEAL):
        with _changed(path / name, 0), pytest.raises(BundleError, match="damaged"):
            EmbeddingSpace.load(path)
    (path / BESIDE_SEAL).unlink()
    with pytest.raises(BundleError, match="not a complete bundle"):
        EmbeddingSpace.load(path)


def test_others_may_read_a_bundle(saved: Path) -> None:
    """A step that runs as another user has to load what this one wrote."""
    for path in saved.rglob("*"):
        needed = 0o555 if path.is_dir() else 0o444
        assert path.stat().st_mode & needed == needed, path


def test_tensors_are_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    one, other = torch.arange(6.0).view(2, 3).T, torch.tensor([True, False])
    write_tensors(tmp_path / "x", {"a": one, "b": other})
    write_tensors(tmp_path / "y", {"b": other, "a": one})
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
    read = read_tensors(tmp_path / "x")
    assert torch.equal(read["a"], one)
    assert torch.equal(read["b"], other)


def test_an_untrained_predictor_cannot_be_saved(
    credit_space: EmbeddingSpace, tmp_path: Path
) -> None:
    with pytest.raises(FeatrixUserError, match="not trained"):
        SinglePredictor(credit_space).save(tmp_path / "p")
    assert list(tmp_path.iterdir()) == []
