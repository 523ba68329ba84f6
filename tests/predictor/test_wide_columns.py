"""What trees read of texts: the directions that help, and a category where a text recurs (PRED-7)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featrix_core import EmbeddingSpace, SinglePredictor
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.predictor.design import TEXT_PARTS, Design
from featrix_core.predictor.wide_columns import choose_shown
from featrix_core.tables.build import build_schema, typed_columns
from featrix_core.tables.schema import ColumnType
from featrix_core.tables.splits import kfold

ROWS, SEED = 600, 3
FEELINGS = (
    ("broken on arrival", "stopped working", "a bad smell", "the wrong size"),
    ("works as it should", "arrived early", "looks lovely", "a perfect fit"),
)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """`note`: no two alike, and their sense tells the label. `lot`: recurs, each with a rate of its own.
    `serial`: nothing but noise."""
    rng = np.random.default_rng(SEED)
    lot = rng.integers(0, 30, ROWS)
    rate = rng.uniform(0.05, 0.95, 30)
    size = rng.normal(size=ROWS)
    label = rng.random(ROWS) < rate[lot]
    notes = [
        f"{rng.choice(FEELINGS[int(bad)])}, says customer number {k}" for k, bad in enumerate(label)
    ]
    notes = [
        note if rng.random() < 0.5 else f"no comment from customer {k}"
        for k, note in enumerate(notes)
    ]
    names = [f"LT{4711 * (k + 1) % 99991:05d}{'AXQ'[k % 3]}" for k in range(30)]
    serials = [
        f"N{rng.integers(100, 999)}{''.join(rng.choice(list('ABCDEFGHJK'), 2))}"
        for _ in range(ROWS)
    ]
    return pd.DataFrame(
        {
            "size": size,
            "note": notes,
            "lot": np.array(names)[lot],
            "serial": serials,
            "label": np.where(label, "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def space(frame: pd.DataFrame) -> EmbeddingSpace:
    types = {"note": ColumnType.TEXT, "lot": ColumnType.CODE, "serial": ColumnType.CODE}
    schema = build_schema(as_table(frame), targets=["label"], overrides=types)
    return EmbeddingSpace(frame, n_epochs=1, schema=schema, seed=SEED)


def _tokens(space: EmbeddingSpace, frame: pd.DataFrame) -> TokenBatch:
    batch: TokenBatch = space.tokenizer.encode(typed_columns(as_table(frame), space.schema))
    return batch


@pytest.fixture(scope="module")
def batch(space: EmbeddingSpace, frame: pd.DataFrame) -> TokenBatch:
    return _tokens(space, frame)


@pytest.fixture(scope="module")
def design(space: EmbeddingSpace, batch: TokenBatch) -> Design:
    return Design.fit(space.tokenizer, batch)


def test_a_text_that_recurs_is_a_category(
    space: EmbeddingSpace, frame: pd.DataFrame, batch: TokenBatch, design: Design
) -> None:
    place = len(design.offsets) + space.tokenizer.groups[3].index("lot")
    codes = design.features(batch).codes_NK[:, place]
    assert (codes >= 2).all() and len(np.unique(codes)) == design.sizes[place] - 2 == 30
    assert (pd.Series(codes).groupby(frame["lot"].to_numpy()).nunique() == 1).all()
    # The most frequent ones come first, as in the vocabulary of a category.
    assert pd.Series(codes).value_counts()[2] == frame["lot"].value_counts().max()
    other = frame.iloc[[7, 3, 5]].assign(lot=[None, "never seen", frame["lot"][5]])
    again = design.features(_tokens(space, other)).codes_NK[:, place]
    assert again.tolist() == [0, 1, codes[5]]
    # Texts that never recur are no category.
    for name in ("note", "serial"):
        assert design.sizes[len(design.offsets) + space.tokenizer.groups[3].index(name)] == 2


def test_directions_of_noise_are_hidden_from_trees(
    space: EmbeddingSpace, frame: pd.DataFrame, batch: TokenBatch, design: Design
) -> None:
    labels = np.asarray(frame["label"] == "yes", np.int64)
    shown = choose_shown(design, batch, labels, 2, kfold(labels, 5, SEED), SEED, None, 200)
    texts = space.tokenizer.groups[3]
    start = batch.position_NS.shape[1]
    read = {
        name: shown.numbers_F[start + TEXT_PARTS * k : start + TEXT_PARTS * (k + 1)].all()
        for k, name in enumerate(texts)
    }
    assert read["note"] and not read["serial"]
    assert shown.codes_K[len(design.offsets) + texts.index("lot")]
    assert shown.numbers_F[:start].all()
    seen = replace(design, shown=shown).shown.of(design.features(batch))
    assert seen.numbers_NF.shape == (ROWS, int(shown.numbers_F.sum()))


@pytest.mark.filterwarnings("ignore:The space does not know")
def test_a_bundle_knows_what_its_trees_read(
    space: EmbeddingSpace, frame: pd.DataFrame, tmp_path: Path
) -> None:
    predictor = SinglePredictor(space, seed=SEED)
    predictor.prep_for_training(frame, "label", "set").train(1)
    predictor.save(tmp_path / "predictor")
    some = frame.drop(columns="label").head(40)
    again = SinglePredictor.load(tmp_path / "predictor")
    assert again.predict(some) == predictor.predict(some)
