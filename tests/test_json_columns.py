"""JSON columns are read by child spaces that are trained, saved, extended and checked with their parent."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from featrix_core import EmbeddingSpace, FeatrixInputDataSet, SinglePredictor, SinglePredictorMLP
from featrix_core import child_space as module
from featrix_core.bundle import bundle_digest
from featrix_core.child_space import JsonChild, child_seed
from featrix_core.errors import BundleError
from featrix_core.files import read_json
from featrix_core.strings.embedder import get_default_embedder
from featrix_core.tables.flatten import flatten
from featrix_core.tables.schema import ColumnType
from featrix_core.tables.table import Table
from featrix_core.training.loop import Progress

ROWS = 240


def _cell(rng: np.random.Generator, leaving: bool) -> dict[str, Any]:
    kinds = rng.choice(["search", "view", "cart", "help"], rng.integers(1, 6)).tolist()
    kinds.append("complaint" if leaving else "order")
    return {
        "device": {"os": str(rng.choice(["android", "ios", "linux"])), "age": int(rng.integers(9))},
        "events": [{"kind": kind, "seconds": int(rng.integers(2, 90))} for kind in kinds],
        "beta": bool(rng.random() < 0.3),
    }


def _visits(rows: int, seed: int) -> pd.DataFrame:
    """Only the last event of the session tells who leaves; a tenth of the answers is wrong."""
    rng = np.random.default_rng(seed)
    leaving = rng.random(rows) < 0.5
    cells = [json.dumps(_cell(rng, bool(flag))) for flag in leaving]
    frame = pd.DataFrame({"minutes": rng.integers(1, 60, rows), "session": cells})
    frame.loc[3, "session"] = None
    frame.loc[4, "session"] = '{"device": '
    frame["left"] = np.where(leaving ^ (rng.random(rows) < 0.1), "yes", "no")
    return frame


@pytest.fixture(scope="module")
def visits() -> pd.DataFrame:
    torch.set_num_threads(1)
    return _visits(ROWS, 3)


@pytest.fixture(scope="module")
def plain(visits: pd.DataFrame) -> pd.DataFrame:
    return visits.drop(columns="left")


@pytest.fixture(scope="module")
def space(plain: pd.DataFrame) -> EmbeddingSpace:
    return EmbeddingSpace(plain, n_epochs=3, name="visits").train()


@pytest.fixture(scope="module")
def saved(space: EmbeddingSpace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("json") / "space"
    space.save(path)
    return path


def test_the_bundle_names_the_child_and_where_it_comes_from(
    space: EmbeddingSpace, saved: Path
) -> None:
    assert space.schema.column("session").type is ColumnType.JSON
    lineage = read_json(saved / "space.json")["children"]["session"]
    assert lineage == space.children["session"].lineage()
    assert (lineage["kind"], lineage["cells"], lineage["epochs"]) == ("space", ROWS - 2, 3)
    assert lineage["seed"] == child_seed(42, "session") != 42
    assert "$.events[-1].kind" in lineage["columns"]
    schema = read_json(saved / "children" / "0" / "schema.json")
    assert {c["name"]: c["type"] for c in schema["columns"]}["$.device.os"] == "set"


def test_loading_keeps_the_vectors(space: EmbeddingSpace, saved: Path, plain: pd.DataFrame) -> None:
    loaded = EmbeddingSpace.load(saved)
    np.testing.assert_array_equal(loaded.encode(plain), space.encode(plain))


def test_same_seed_same_bytes(saved: Path, plain: pd.DataFrame, tmp_path: Path) -> None:
    EmbeddingSpace(plain, n_epochs=3, name="visits").train().save(tmp_path / "again")
    assert bundle_digest(tmp_path / "again") == bundle_digest(saved)


def test_a_damaged_child_is_found(space: EmbeddingSpace, tmp_path: Path) -> None:
    space.save(tmp_path / "space")
    weights = tmp_path / "space" / "children" / "0" / "weights.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(BundleError, match=r"children/0/weights\.safetensors has changed"):
        EmbeddingSpace.load(tmp_path / "space")


def test_a_child_of_another_column_is_refused(space: EmbeddingSpace, tmp_path: Path) -> None:
    space.write_into(tmp_path)
    info = tmp_path / "children" / "0" / "child.json"
    info.write_text(info.read_text().replace('"session"', '"basket"'))
    with pytest.raises(BundleError, match="session"):
        EmbeddingSpace.read_from(tmp_path)


def test_cells_that_training_never_saw(space: EmbeddingSpace) -> None:
    cells = [
        '{"device": {"os": "ios", "age": 3}, "beta": true}',
        '{"beta": true, "device": {"age": 3, "os": "ios"}, "colour": "red", "gone": null}',
        "{}",
        "[1, 2]",
        None,
        "{broken",
        '{"deep": ' * 1000 + "1" + "}" * 1000,
        '{"device": {"os": {"name": "\\ud800"}}}',
    ]
    frame = pd.DataFrame({"minutes": [5] * len(cells), "session": pd.Series(cells, dtype=object)})
    rows = space.encode(frame)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(
        rows[0], rows[1], atol=1e-6, err_msg="new keys and nulls say nothing"
    )
    np.testing.assert_allclose(rows[4], rows[5], atol=1e-6, err_msg="a broken cell is missing")
    np.testing.assert_allclose(rows[4], rows[6], atol=1e-6, err_msg="so is one too deep to read")
    assert np.abs(rows[2] - rows[4]).max() > 1e-3, "an empty object is not the same as no object"


def test_objects_in_a_frame_and_their_texts_are_the_same(space: EmbeddingSpace) -> None:
    rng = np.random.default_rng(8)
    cells = [_cell(rng, leaving) for leaving in (True, False, True)]
    texts = pd.DataFrame({"minutes": [1, 2, 3], "session": [json.dumps(cell) for cell in cells]})
    np.testing.assert_array_equal(
        space.encode(texts.assign(session=pd.Series(cells))), space.encode(texts)
    )


def test_events_inside_of_rows_predict(
    visits: pd.DataFrame, space: EmbeddingSpace, tmp_path: Path
) -> None:
    predictor = SinglePredictorMLP(space, "left", fine_tune=False).train(visits, n_epochs=4)
    unseen = _visits(120, 4)
    said = predictor.predict_proba(unseen).argmax(axis=1)
    right = np.array(predictor.classes)[said] == unseen["left"].to_numpy()
    assert right.mean() > 0.7, "without the sessions half of the answers would be right"
    predictor.save(tmp_path / "predictor")
    assert (tmp_path / "predictor" / "space" / "children" / "0" / "weights.safetensors").is_file()
    loaded = SinglePredictor.load(tmp_path / "predictor")
    np.testing.assert_array_equal(loaded.predict_proba(unseen), predictor.predict_proba(unseen))


def _menu(k: int) -> object:
    return {"dish": ["soup", "pie"][k % 2], "price": 3 + k % 2}


def _same(k: int) -> object:
    return {"unit": "kg", "visits": [], "key": f"{k * 7919:032x}"}


@pytest.mark.parametrize("cell", [_menu, _same], ids=["few cells", "no column of use"])
def test_columns_without_a_space_are_read_as_words(
    cell: Callable[[int], object], tmp_path: Path
) -> None:
    numbers = np.arange(60)
    texts = [json.dumps(cell(k)) for k in numbers.tolist()]
    frame = pd.DataFrame({"place": numbers % 7, "cell": texts})
    space = EmbeddingSpace(frame, n_epochs=1).train()
    assert space.children["cell"].lineage()["kind"] == "sentences"
    assert space.children["cell"].vectors(texts[:2]).shape == (2, 384)
    space.save(tmp_path / "space")
    loaded = EmbeddingSpace.load(tmp_path / "space")
    np.testing.assert_array_equal(loaded.encode(frame), space.encode(frame))


def test_json_inside_of_json_has_a_child_of_its_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = [
        json.dumps({"source": f"feed {k % 3}", "payload": json.dumps({"x": k, "y": k % 5})})
        for k in rng.permutation(60).tolist()
    ]
    frame = pd.DataFrame({"place": np.arange(60) % 7, "message": rows})
    space = EmbeddingSpace(frame, n_epochs=1).train()
    space.save(tmp_path / "space")
    inner = read_json(tmp_path / "space" / "children" / "0" / "children" / "0" / "child.json")
    assert (inner["column"], inner["columns"]) == ("$.payload", ["$.x", "$.y"])
    loaded = EmbeddingSpace.load(tmp_path / "space")
    np.testing.assert_array_equal(loaded.encode(frame), space.encode(frame))


def test_an_extension_keeps_known_children_and_trains_new_ones(
    space: EmbeddingSpace, saved: Path, plain: pd.DataFrame, tmp_path: Path
) -> None:
    wider = plain.assign(earlier=_visits(ROWS, 5)["session"])
    told: list[Progress] = []
    extended = EmbeddingSpace.extend_from_existing(
        EmbeddingSpace.load(saved), wider, n_epochs=2, on_progress=told.append
    )
    assert told and told[-1].epoch == 2
    before, after = space.children["session"].space, extended.children["session"].space
    assert isinstance(before, EmbeddingSpace) and isinstance(after, EmbeddingSpace)
    for name, weight in before.model.state_dict().items():
        assert torch.equal(weight, after.model.state_dict()[name]), name
    assert extended.children["earlier"].lineage()["kind"] == "space"
    extended.train().save(tmp_path / "wider")
    loaded = EmbeddingSpace.load(tmp_path / "wider")
    np.testing.assert_array_equal(loaded.encode(wider), extended.encode(wider))


def test_many_cells_are_sampled_the_same_way_each_time(
    plain: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CELLS", 50)
    data = FeatrixInputDataSet(plain, ignore_cols=["minutes"])
    one, other = (EmbeddingSpace(data, n_epochs=1).children["session"] for _ in range(2))
    assert one.cells == 50
    texts = plain["session"].dropna().tolist()[:20]
    np.testing.assert_array_equal(one.vectors(texts), other.vectors(texts))


def test_vectors_are_computed_in_parts(
    space: EmbeddingSpace, plain: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    child: JsonChild = space.children["session"]
    texts = plain["session"].dropna().tolist()
    whole = child.vectors(texts)
    assert whole.dtype == np.float32 and whole.shape == (ROWS - 1, space.d_model)
    assert child.vectors([]).shape == (0, space.d_model)
    monkeypatch.setattr(module, "_CHUNK", 50)
    np.testing.assert_allclose(child.vectors(texts), whole, atol=1e-6)


def test_a_table_that_was_just_fitted_is_not_read_twice(
    plain: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def counting(texts: Sequence[str], names: Sequence[str]) -> Table:
        read.append(len(texts))
        return flatten(texts, names)

    monkeypatch.setattr("featrix_core.child_space.flatten", counting)
    child = EmbeddingSpace(plain, n_epochs=1).children["session"]
    assert read == [ROWS - 2] * 2, "once to train the child, once for its vectors"
    texts = plain["session"].dropna().tolist()
    monkeypatch.setattr(module, "_CHUNK", 10)
    first = child.vectors(texts)
    # Chunks cut elsewhere: other sums of the same numbers, equal but for the last bits.
    np.testing.assert_allclose(child.vectors(texts[-20:]), first[-20:], atol=1e-6)
    np.testing.assert_array_equal(child.vectors(texts), first)
    assert len(child._read) == module._KEPT_CHUNKS
    fresh = dataclasses.replace(child)
    assert not fresh._read and fresh == child
    np.testing.assert_array_equal(fresh.vectors(texts), first)


class Flat:
    """An embedder that says the same of every text."""

    dimension = 384

    def __init__(self) -> None:
        # As if another engine ran the same model: spaces refuse another model.
        self.fingerprint = f"{get_default_embedder().fingerprint}:flat"
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += texts
        return np.full((len(texts), self.dimension), 384**-0.5, np.float32)


def test_the_callers_embedder_reads_the_cells(space: EmbeddingSpace, plain: pd.DataFrame) -> None:
    words = JsonChild("cell", None, 2)
    flat = Flat()
    texts = [json.dumps(_menu(k)) for k in range(2)]
    own = words.vectors(texts)
    assert np.ptp(words.vectors(texts, flat)) == 0.0 and len(flat.texts) == 2
    np.testing.assert_array_equal(words.vectors(texts), own)
    # A child space passes it on to its own columns of texts.
    cells = [cell.replace("linux", "plan nine") for cell in plain["session"].dropna()[:20]]
    flat.texts.clear()
    table = plain[:20].assign(session=cells)
    own = space.encode(table)
    assert not np.array_equal(space.encode(table, embedder=flat), own)
    assert any("plan nine" in text for text in flat.texts)
    np.testing.assert_array_equal(space.encode(table), own)
