"""Every column is decoded from the row embedding: class mapping, losses per cell, missing cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from featrix_core import EmbeddingSpace, FeatrixInputDataSet
from featrix_core.encoders.scalar_codec import BUCKETS, ScalarState
from featrix_core.encoders.scalar_encoder import piecewise_linear
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


def test_scalar_loss_is_that_of_code_missing_flag_and_z(
    decoders: Decoders, trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    batch = _tokens(trip_space.tokenizer, trips.iloc[:6])
    rows = torch.nn.functional.normalize(torch.randn(6, MODEL), dim=-1)
    losses = decoders(rows[None], batch)[0][:, 0].detach().numpy()
    scaled = rows.numpy() * np.sqrt(MODEL)
    said = scaled @ decoders.code_SKM[0].detach().numpy().T
    said += decoders.code_bias_SK[0].detach().numpy()
    state = trip_space.tokenizer.states[trip_space.tokenizer.groups[0][0]]
    assert isinstance(state, ScalarState)
    bits = len(state.edges) - 2
    true = np.clip(batch.position_NS[:, :1].numpy() - np.arange(bits), 0.0, 1.0)
    code = np.logaddexp(0.0, said[:, :bits]) - true * said[:, :bits]
    absent = np.logaddexp(0.0, said[:, -1])
    off = np.abs(scaled @ decoders.z_SM[0].detach().numpy() - batch.z_NS[:, 0].numpy())
    smooth = np.where(off < 1, 0.5 * off**2, off - 0.5)
    np.testing.assert_allclose(losses, 4.0 * code.mean(axis=1) + absent + smooth, rtol=1e-4)


def test_buckets_are_read_off_the_code(trip_space: EmbeddingSpace, trips: pd.DataFrame) -> None:
    """A code that is sure of itself gives the bucket that the number lies in."""
    decoders = Decoders(trip_space.tokenizer, MODEL)
    batch = _tokens(trip_space.tokenizer, trips.iloc[:1])
    code = piecewise_linear(batch.position_NS)[0]
    with torch.no_grad():
        decoders.code_SKM.zero_()
        decoders.code_bias_SK[:, :-1] = (code.round() - 0.5) * 40.0
        decoders.code_bias_SK[:, -1] = -20.0
    bucket, _ = decoders.targets(batch)
    logits, _ = decoders.logits(torch.zeros(1, MODEL))
    logits = logits.detach()
    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(logits.shape[:2]))
    nearest = (batch.position_NS - batch.position_NS.round()).abs() < 0.4
    near = (logits.argmax(-1) - bucket).abs()
    assert bool((near[nearest] <= 1).all()) and bool((logits.exp().amax(-1) > 0.9).all())


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
