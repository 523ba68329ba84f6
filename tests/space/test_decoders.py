"""Every column is decoded from the row embedding: class mapping, losses per cell, missing cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from featrix_core import EmbeddingSpace, FeatrixInputDataSet
from featrix_core.encoders.scalar_codec import BUCKETS
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.space.decoders import LARGEST_VOCABULARY, Decoders, decoded_classes
from featrix_core.tables.build import typed_columns
from featrix_core.tables.schema import ColumnType

MODEL = 32


def _tokens(tokenizer: Tokenizer, frame: pd.DataFrame) -> TokenBatch:
    return tokenizer.encode(typed_columns(as_table(frame), tokenizer.schema))


@pytest.fixture(scope="module")
def decoders(trip_space: EmbeddingSpace) -> Decoders:
    torch.manual_seed(0)
    return Decoders(trip_space.tokenizer, MODEL)


def test_classes_number_the_vocabulary(credit_space: EmbeddingSpace) -> None:
    tokenizer = credit_space.tokenizer
    classes, counts = decoded_classes(tokenizer)
    assert len(classes) == tokenizer.vocabulary
    assert counts.tolist() == list(tokenizer.set_sizes)
    for offset, size in zip(tokenizer.set_offsets, tokenizer.set_sizes, strict=True):
        assert classes[offset : offset + size].tolist() == list(range(size))


def test_rare_categories_share_the_class_of_unknown_values(flights: object) -> None:
    planes = pd.read_parquet(f"{flights}/planes.parquet")
    data = FeatrixInputDataSet(planes[["model", "engine"]], overrides={"model": ColumnType.SET})
    table, schema = data.table, data.schema()
    assert schema.column("model").n_unique > LARGEST_VOCABULARY
    tokenizer = Tokenizer.fit(schema, typed_columns(table, schema))
    classes, counts = decoded_classes(tokenizer)
    start = tokenizer.set_offsets[tokenizer.groups[1].index("model")]
    kept = LARGEST_VOCABULARY + 2
    size = 2 + len(schema.column("model").categories)
    assert counts.tolist() == [kept, 2 + schema.column("engine").n_unique]
    assert classes[start : start + kept].tolist() == list(range(kept))
    assert set(classes[start + kept : start + size].tolist()) == {1}


def test_targets_of_missing_and_unseen_cells(
    decoders: Decoders, trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    rows = trips.iloc[[3, 9, 0, 1]].copy()
    rows["carrier"] = [None, "UA", "Zeppelin", "UA"]
    bucket, classes = decoders.targets(_tokens(trip_space.tokenizer, rows))
    known = trip_space.schema.column("carrier").categories.index("UA") + 2
    assert classes[:, 0].tolist() == [0, known, 1, known]
    delay = trip_space.tokenizer.groups[0].index("dep_delay")
    assert int(bucket[1, delay]) == BUCKETS
    assert bool((bucket[[0, 2, 3], delay] < BUCKETS).all())


def test_classes_beyond_a_column_are_impossible(credit_space: EmbeddingSpace) -> None:
    decoders = credit_space.model.decoders
    rows = torch.nn.functional.normalize(torch.randn(3, credit_space.d_model), dim=-1)
    _, logits = decoders.logits(rows)
    for place, size in enumerate(credit_space.tokenizer.set_sizes):
        assert bool(torch.isfinite(logits[:, place, :size]).all())
        assert bool(torch.isneginf(logits[:, place, size:]).all())


def test_a_loss_for_every_cell(
    decoders: Decoders, trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    batch = _tokens(trip_space.tokenizer, trips)
    rows = torch.nn.functional.normalize(torch.randn(batch.n_rows, MODEL), dim=-1)
    losses = decoders(rows.unsqueeze(0), batch)[0].detach()
    assert losses.shape == (batch.n_rows, 5)
    assert bool(torch.isfinite(losses).all())
    assert bool((losses >= 0).all())
    # A missing moment or text has nothing to decode; a missing number or category is a class.
    assert float(losses[5, 3]) == 0.0
    assert float(losses[7, 4]) == 0.0
    assert float(losses[9, 1]) > 0.0
    assert float(losses[3, 2]) > 0.0
    assert decoders(rows[None, :0], batch.rows(slice(0, 0))).shape == (1, 0, 5)


def test_scalar_loss_is_cross_entropy_and_smooth_l1(
    decoders: Decoders, trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    batch = _tokens(trip_space.tokenizer, trips.iloc[:6])
    rows = torch.nn.functional.normalize(torch.randn(6, MODEL), dim=-1)
    losses = decoders(rows[None], batch)[0][:, 0].detach().numpy()
    scaled = rows.numpy() * np.sqrt(MODEL)
    logits = scaled @ decoders.bucket_SMK[0].detach().numpy()
    logits += decoders.bucket_bias_SK[0].detach().numpy()
    true = batch.discrete_NSJ[:, 0, 0].numpy()
    cross = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(6), true]
    off = np.abs(scaled @ decoders.z_SM[0].detach().numpy() - batch.z_NS[:, 0].numpy())
    smooth = np.where(off < 1, 0.5 * off**2, off - 0.5)
    np.testing.assert_allclose(losses, cross + smooth, rtol=1e-4)


def test_rows_of_their_own_can_be_decoded(trip_space: EmbeddingSpace, trips: pd.DataFrame) -> None:
    batch = _tokens(trip_space.tokenizer, trips).rows(slice(0, 24))
    torch.manual_seed(0)
    decoders = Decoders(trip_space.tokenizer, MODEL)
    rows = torch.nn.functional.normalize(torch.eye(MODEL)[:24] + 0.01, dim=-1)
    optimizer = torch.optim.Adam(decoders.parameters(), lr=0.05)
    before = decoders(rows[None], batch)[0].mean(dim=0).detach()
    for _ in range(120):
        optimizer.zero_grad()
        decoders(rows[None], batch).mean().backward()
        optimizer.step()
    after = decoders(rows[None], batch)[0].mean(dim=0)
    assert bool((after < 0.2 * before).all()), (before, after)
