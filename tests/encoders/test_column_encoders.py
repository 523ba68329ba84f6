"""Cells become tokens: missing ones by a learned vector, unseen categories by their words alone."""

from __future__ import annotations

import copy

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featrix_core import EmbeddingSpace
from featrix_core.encoders.column_encoders import ColumnEncoders
from featrix_core.encoders.scalar_codec import BINS
from featrix_core.encoders.scalar_encoder import piecewise_linear
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.tables.build import typed_columns


def _tokens(space: EmbeddingSpace, frame: pd.DataFrame) -> TokenBatch:
    return space.tokenizer.encode(typed_columns(as_table(frame), space.schema))


@pytest.fixture
def encoders(trip_space: EmbeddingSpace) -> ColumnEncoders:
    return copy.deepcopy(trip_space.model.encoders)


@settings(deadline=None)
@given(st.lists(st.floats(min_value=0, max_value=BINS), min_size=1, max_size=20))
def test_piecewise_linear_code(values: list[float]) -> None:
    place = torch.tensor(sorted(values), dtype=torch.float64).unsqueeze(-1)
    code = piecewise_linear(place)
    assert code.shape == (len(values), 1, BINS)
    assert float(code.min()) >= 0.0
    assert float(code.max()) <= 1.0
    torch.testing.assert_close(code.sum(dim=-1), place)
    assert bool((code.diff(dim=0) >= 0).all())
    # At most one bin is passed in part; those before it are full, those after it empty.
    assert bool((code.diff(dim=-1) <= 0).all())


@pytest.mark.parametrize("rows", [0, 1])
def test_small_batches(
    rows: int, encoders: ColumnEncoders, trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    batch = _tokens(trip_space, trips)
    with torch.no_grad():
        part = encoders(batch.rows(slice(0, rows)))
        torch.testing.assert_close(part, encoders(batch)[:rows])
    assert part.shape == (rows, 5, trip_space.model.config.width)


def test_missing_cells_show_the_learned_vector(
    encoders: ColumnEncoders, trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    batch = _tokens(trip_space, trips)
    missing = batch.missing_NA
    with torch.no_grad():
        before = encoders(batch)
        encoders.missing_AD.copy_(torch.arange(5.0).unsqueeze(-1).expand_as(encoders.missing_AD))
        after = encoders(batch)
    torch.testing.assert_close(after[~missing], before[~missing], rtol=0, atol=0)
    column = missing.nonzero()[:, 1]
    assert set(column.tolist()) == {1, 2, 3, 4}
    expected = column.float().unsqueeze(-1).expand(-1, after.shape[-1])
    torch.testing.assert_close(after[missing], expected, rtol=0, atol=0)


def test_missing_vector_is_learned(
    encoders: ColumnEncoders, trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    batch = _tokens(trip_space, trips)
    encoders(batch).square().sum().backward()
    assert encoders.missing_AD.grad is not None
    reached = encoders.missing_AD.grad.abs().sum(dim=1) > 0
    assert reached.tolist() == batch.missing_NA.any(dim=0).tolist()


def test_unseen_category_takes_the_semantic_path_alone(
    encoders: ColumnEncoders, trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    rows = trips.iloc[:4].copy()
    rows["carrier"] = ["Zeppelin", "UA", "Balloon", "Zeppelin"]
    batch = _tokens(trip_space, rows)
    place = trip_space.column_names.index("carrier")
    assert encoders.set is not None
    with torch.no_grad():
        before = encoders(batch)[:, place]
        encoders.set.learned_VD.add_(1.0 * torch.randn(encoders.set.learned_VD.shape))
        after = encoders(batch)[:, place]
    assert torch.equal(before[[0, 2, 3]], after[[0, 2, 3]])
    assert not torch.allclose(before[1], after[1])
    assert torch.equal(after[0], after[3])
    assert not torch.allclose(after[0], after[2])
