"""What trees read of texts: the directions that help, and a category where a text recurs (PRED-7)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from featrix_core import EmbeddingSpace, SinglePredictor
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.predictor.design import TEXT_PARTS, Design, Shown
from featrix_core.predictor.standing import BOOSTED, LEAFWISE, RANDOMISED
from featrix_core.predictor.wide_columns import _drawn, choose_shown
from featrix_core.tables.build import build_schema, typed_columns
from featrix_core.tables.schema import ColumnType
from featrix_core.tables.splits import kfold

ROWS, SEED = 600, 3
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
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


def test_another_processor_moves_coordinates_but_no_categories(
    batch: TokenBatch, design: Design
) -> None:
    """Engines and processors are off by a step of 1e-4 here and there."""
    moves = np.random.default_rng(SEED).integers(-1, 2, batch.text_UE.shape).astype(np.float32)
    moved = replace(batch, text_UE=batch.text_UE + torch.from_numpy(moves) * 1e-4)
    assert (design.features(moved).codes_NK == design.features(batch).codes_NK).all()


def test_spellings_that_the_sentence_model_takes_for_one_are_one(
    space: EmbeddingSpace, frame: pd.DataFrame, design: Design
) -> None:
    place = len(design.offsets) + space.tokenizer.groups[3].index("lot")
    mixed = frame.assign(lot=frame["lot"].where(np.arange(ROWS) % 2 == 0, frame["lot"].str.lower()))
    tokens = _tokens(space, mixed)
    fitted = Design.fit(space.tokenizer, tokens)
    assert fitted.sizes[place] == design.sizes[place]
    codes = pd.Series(fitted.features(tokens).codes_NK[:, place])
    assert (codes.groupby(frame["lot"].to_numpy()).nunique() == 1).all()


def _chosen(
    space: EmbeddingSpace,
    batch: TokenBatch,
    design: Design,
    labels: NDArray[np.int64],
    rounds: int = 200,
    folds: list[Fold] | None = None,
) -> tuple[Shown, list[str]]:
    given = folds or kfold(labels, 5, SEED)
    groups = space.tokenizer.groups
    return choose_shown(design, groups, batch, labels, 2, given, SEED, None, rounds)


def test_directions_of_noise_are_hidden_from_trees(
    space: EmbeddingSpace, frame: pd.DataFrame, batch: TokenBatch, design: Design
) -> None:
    labels = np.asarray(frame["label"] == "yes", np.int64)
    shown, hidden = _chosen(space, batch, design, labels)
    texts = space.tokenizer.groups[3]
    start = batch.position_NS.shape[1]
    read = {
        name: shown.numbers_F[start + TEXT_PARTS * k : start + TEXT_PARTS * (k + 1)].all()
        for k, name in enumerate(texts)
    }
    assert read["note"] and not read["serial"]
    assert "serial, in its sense" in hidden and "note, in its sense" not in hidden
    assert shown.codes_K[len(design.offsets) + texts.index("lot")]
    assert shown.numbers_F[:start].all()
    seen = shown.of(design.features(batch))
    assert seen.numbers_NF.shape == (ROWS, int(shown.numbers_F.sum()))


def test_of_labels_without_sense_hardly_anything_is_kept(
    space: EmbeddingSpace, batch: TokenBatch, design: Design
) -> None:
    kept = 0
    for seed in range(5):
        noise = np.random.default_rng(seed).integers(0, 2, ROWS)
        _, hidden = _chosen(space, batch, design, noise, 50)
        kept += 4 - len(hidden)  # the category of lots, and three texts
    assert kept <= 4


def test_a_hidden_text_still_says_whether_there_is_one(
    space: EmbeddingSpace, frame: pd.DataFrame, design: Design
) -> None:
    some = frame.head(6).assign(lot=[None, *frame["lot"][1:6]])
    nothing = Shown(np.zeros_like(design.shown.numbers_F), np.zeros_like(design.shown.codes_K))
    seen = nothing.of(design.features(_tokens(space, some)))
    place = len(design.offsets) + space.tokenizer.groups[3].index("lot")
    assert seen.codes_NK[:, place].tolist() == [0, 1, 1, 1, 1, 1]


def test_rare_labels_are_among_the_rows_that_are_asked() -> None:
    target = np.zeros(50_000, np.int64)
    target[::2_500] = 1
    rows = _drawn(np.random.default_rng(1), target, np.arange(50_000))
    assert target[rows].sum() == 20 and len(rows) < 5_100
    assert (np.diff(rows) > 0).all()


def test_a_fold_of_one_label_hides_nothing(
    space: EmbeddingSpace, batch: TokenBatch, design: Design
) -> None:
    late = (np.arange(ROWS) >= 300).astype(np.int64)
    early = [(np.arange(200), np.arange(250, 350))]
    shown, hidden = _chosen(space, batch, design, late, folds=early)
    assert shown is design.shown and hidden == []


def test_the_number_of_threads_does_not_choose(
    space: EmbeddingSpace, frame: pd.DataFrame, batch: TokenBatch, design: Design
) -> None:
    labels, threads = np.asarray(frame["label"] == "yes", np.int64), torch.get_num_threads()
    found = []
    for count in (1, 2):
        torch.set_num_threads(count)
        found.append(_chosen(space, batch, design, labels, 50)[1])
    torch.set_num_threads(threads)
    assert found[0] == found[1]


@pytest.mark.filterwarnings("ignore:The space does not know")
def test_a_bundle_knows_what_its_trees_read(
    space: EmbeddingSpace, frame: pd.DataFrame, tmp_path: Path
) -> None:
    predictor = SinglePredictor(space, seed=SEED)
    predictor.prep_for_training(frame, "label", "set").train(2)
    selector = predictor.training_info["selector"]
    assert "serial, in its sense" in selector["hidden_from_trees"]
    assert sum(selector["shares"][name] for name in (BOOSTED, LEAFWISE, RANDOMISED)) > 0
    predictor.save(tmp_path / "predictor")
    some = frame.drop(columns="label").head(40)
    again = SinglePredictor.load(tmp_path / "predictor")
    assert again.predict(some) == predictor.predict(some)
