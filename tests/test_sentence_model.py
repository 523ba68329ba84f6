"""A space reads texts with the sentence model that it learned with, and with no other (STR-2)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from featrix_core import EmbeddingSpace
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.errors import FeatrixUserError
from featrix_core.input_data_set import as_table
from featrix_core.strings.embedder import LocalTextEmbedder, get_default_embedder
from featrix_core.strings.same_model import model_of
from featrix_core.tables.build import build_schema, typed_columns

WORDS = ["lamp", "courier", "refund", "invoice"]
ROWS = 60
OTHER = "all-MiniLM-L12-v2:00112233aabbccdd"


class Other:
    """An embedder with another model."""

    fingerprint, dimension = OTHER, 384

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.full((len(texts), self.dimension), 384**-0.5, np.float32)


def _frame(word: str = "lamp") -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"price": rng.random(ROWS), "thing": rng.choice(WORDS, ROWS)})
    frame.loc[0, "thing"] = word
    return frame


def _cells(word: str) -> list[str]:
    """JSON of fewer distinct values than a child space needs: the sentence model reads the words."""
    return [json.dumps({"item": word if n == 0 else WORDS[n % 4], "n": n % 2}) for n in range(ROWS)]


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingSpace:
    """A space with words, saved and read again; that it never trained does not matter here."""
    made = EmbeddingSpace(_frame().assign(detail=_cells("lamp")), n_epochs=1)
    folder = tmp_path_factory.mktemp("space") / "saved"
    made.save(folder)
    stored = json.loads((folder / "space.json").read_text())["sentence_model"]
    assert stored == model_of(get_default_embedder().fingerprint)
    return EmbeddingSpace.load(folder)


def _both(word: str, cell: str) -> pd.DataFrame:
    return _frame(word).assign(detail=_cells(cell))


@pytest.mark.parametrize(("word", "cell"), [("umbrella", "lamp"), ("lamp", "umbrella")])
def test_another_model_is_refused(space: EmbeddingSpace, word: str, cell: str) -> None:
    with pytest.raises(FeatrixUserError) as refused:
        space.encode(_both(word, cell), embedder=Other())
    said = str(refused.value)
    assert OTHER in said and model_of(get_default_embedder().fingerprint) in said
    assert "FEATRIX_SENTENCE_MODEL" in said and "train" in said
    assert space.encode(_both(word, cell)).shape == (ROWS, space.d_model)


def test_known_words_need_no_model(space: EmbeddingSpace) -> None:
    table = as_table(_frame())
    schema = build_schema(table)
    own = Tokenizer(schema, space.tokenizer.states, sentence_model=OTHER)
    typed = typed_columns(table, schema)
    assert own.encode(typed).n_rows == ROWS


def test_the_other_engine_is_the_same_model(space: EmbeddingSpace) -> None:
    onnx = LocalTextEmbedder(engine="onnx")
    assert onnx.fingerprint != get_default_embedder().fingerprint
    found = space.encode(_both("umbrella", "teapot"), embedder=onnx)
    np.testing.assert_allclose(found, space.encode(_both("umbrella", "teapot")), atol=1e-3)


def test_an_extension_keeps_to_the_model(space: EmbeddingSpace) -> None:
    table = as_table(_frame().assign(place=["attic", "cellar"] * (ROWS // 2)))
    schema = build_schema(table)
    typed = typed_columns(table, schema)
    base = Tokenizer(
        schema.model_copy(update={"columns": schema.columns[:2]}),
        {name: space.tokenizer.states[name] for name in ("price", "thing")},
        sentence_model=OTHER,
    )
    with pytest.raises(FeatrixUserError, match="learned with the sentence model all-MiniLM-L12"):
        Tokenizer.fit(schema, typed, base=base)
    assert Tokenizer.fit(schema, typed, Other(), base=base).sentence_model == OTHER


def test_a_space_of_numbers_names_no_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({"a": rng.random(ROWS), "b": rng.random(ROWS)})
    made = EmbeddingSpace(frame, n_epochs=1)
    made.save(tmp_path / "saved")
    assert "sentence_model" not in json.loads((tmp_path / "saved" / "space.json").read_text())
    loaded = EmbeddingSpace.load(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.encode(frame, embedder=Other()), made.encode(frame))


def test_a_space_that_names_no_model_reads_with_any(space: EmbeddingSpace) -> None:
    earlier = Tokenizer(space.schema, space.tokenizer.states, space.tokenizer.children)
    table = as_table(_both("umbrella", "umbrella"))
    assert earlier.encode(typed_columns(table, space.schema), Other()).n_rows == ROWS


def test_the_extension_of_a_space_that_names_no_model_names_none(space: EmbeddingSpace) -> None:
    table = as_table(_frame().assign(place=["attic", "cellar"] * (ROWS // 2)))
    schema = build_schema(table)
    known = schema.model_copy(update={"columns": schema.columns[:2]})
    states = {name: space.tokenizer.states[name] for name in ("price", "thing")}
    typed = typed_columns(table, schema)
    assert Tokenizer.fit(schema, typed, base=Tokenizer(known, states)).sentence_model is None
    numbers = schema.model_copy(update={"columns": schema.columns[:1]})
    alone = Tokenizer(numbers, {"price": states["price"]})
    assert Tokenizer.fit(schema, typed, base=alone).sentence_model == space.tokenizer.sentence_model


def test_a_vector_of_this_fingerprint() -> None:
    """Pooling and grid are not in the fingerprint: other figures here need another model's name."""
    embedder = get_default_embedder()
    assert embedder.fingerprint == "all-MiniLM-L6-v2:acad6cf67a9c2a78"
    steps = np.rint(embedder.embed(["courier"])[0, :8] * 10_000)
    np.testing.assert_allclose(steps, [-1038, 86, -281, 469, -369, -349, 700, -156], atol=1)
