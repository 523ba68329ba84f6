"""Rows lie on the unit sphere, hidden cells say nothing, chunks and batch sizes change nothing (JOINT-1)."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from featrix_core import EmbeddingSpace, FeatrixUserError
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.space.axes import main_axes
from featrix_core.space.joint_encoder import (
    PRODUCT_LENGTH,
    PRODUCT_WIDTH,
    RANDOM_FEATURES,
    Attention,
)
from featrix_core.space.model import evaluating
from featrix_core.space.plan import plan_shape
from featrix_core.tables.build import typed_columns
from featrix_core.tables.table import TypedColumn
from featrix_core.training.device import recompute_blocks


@pytest.fixture(scope="module")
def batch(trip_space: EmbeddingSpace, trips: pd.DataFrame) -> TokenBatch:
    return trip_space.tokenizer.encode(typed_columns(as_table(trips), trip_space.schema))


def test_row_embeddings_have_unit_length(trip_space: EmbeddingSpace, trips: pd.DataFrame) -> None:
    rows = trip_space.encode(trips)
    assert rows.shape == (len(trips), trip_space.d_model)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    assert len(np.unique(rows.round(4), axis=0)) > 0.9 * len(trips)


def test_short_vectors_lie_on_the_sphere(trip_space: EmbeddingSpace, trips: pd.DataFrame) -> None:
    short = trip_space.encode_short(trips)
    assert short.shape == (len(trips), 3)
    np.testing.assert_allclose(np.linalg.norm(short, axis=1), 1.0, atol=1e-5)


def test_short_vectors_show_the_main_axes(trip_space: EmbeddingSpace, batch: TokenBatch) -> None:
    rows = trip_space.model.row_embeddings(batch)
    axes = main_axes(rows)
    torch.testing.assert_close(axes.T @ axes, torch.eye(3), rtol=0, atol=1e-5)
    along = (rows @ axes).var(dim=0)
    assert float(along[0]) >= float(along[1]) >= float(along[2])
    turn = torch.linalg.qr(
        torch.randn(trip_space.d_model, 3, generator=torch.Generator().manual_seed(0))
    )[0]
    assert float(along.sum()) > 2 * float((rows @ turn).var(dim=0).sum())
    # The same rows in another order give the same picture.
    torch.testing.assert_close(main_axes(rows.flip(0)), axes, rtol=1e-3, atol=1e-3)


def test_column_embeddings(trip_space: EmbeddingSpace, trips: pd.DataFrame) -> None:
    columns = trip_space.encode_columns(trips)
    assert tuple(columns) == trip_space.column_names
    width = trip_space.model.config.width
    assert {v.shape for v in columns.values()} == {(len(trips), width)}


@pytest.mark.parametrize("rows", [0, 1])
def test_small_batches(rows: int, trip_space: EmbeddingSpace, batch: TokenBatch) -> None:
    embeddings, tokens = trip_space.model.encode_rows(batch.rows(slice(0, rows)))
    whole, _ = trip_space.model.encode_rows(batch)
    assert embeddings.shape == (rows, trip_space.d_model)
    assert tokens.shape == (rows, 5, trip_space.model.config.width)
    torch.testing.assert_close(embeddings, whole[:rows], rtol=1e-4, atol=1e-5)


def test_a_frame_without_rows_is_a_users_mistake(
    trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    assert trip_space.encode(trips.iloc[:1]).shape == (1, trip_space.d_model)
    with pytest.raises(FeatrixUserError, match="no rows"):
        trip_space.encode(trips.iloc[:0])


def test_chunks_change_nothing(trip_space: EmbeddingSpace, batch: TokenBatch) -> None:
    whole, whole_tokens = trip_space.model.encode_rows(batch)
    parts, part_tokens = trip_space.model.encode_rows(batch, chunk=48)
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(part_tokens, whole_tokens, rtol=1e-4, atol=1e-5)


def test_row_embeddings_alone_hold_no_tokens(
    trip_space: EmbeddingSpace, batch: TokenBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trip_space.model
    whole, _ = model.encode_rows(batch, chunk=48)
    seen: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []
    rows_of = model.rows_of

    def watching(tokens: torch.Tensor, hidden: None) -> torch.Tensor:
        alive.append(sum(earlier() is not None for earlier in seen))
        seen.append(weakref.ref(tokens))
        return rows_of(tokens, hidden)

    monkeypatch.setattr(model, "rows_of", watching)
    model.train()
    alone = model.row_embeddings(batch, chunk=48)
    torch.testing.assert_close(alone, whole, rtol=1e-5, atol=1e-6)
    assert not alone.requires_grad
    assert model.training and torch.is_grad_enabled()
    model.eval()
    assert len(alive) > 2 and max(alive) <= 1, "at most the tokens of the chunk before"


def test_long_tables_are_encoded_in_parts(
    trip_space: EmbeddingSpace, trips: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trip_space.encode(trips)
    monkeypatch.setattr("featrix_core.embedding_space.PART_ROWS", 50)
    sizes: list[int] = []
    tokens_of = Tokenizer.encode

    def watching(self: Tokenizer, typed: Mapping[str, TypedColumn], *rest: Any) -> TokenBatch:
        found = tokens_of(self, typed, *rest)
        sizes.append(found.n_rows)
        return found

    monkeypatch.setattr(Tokenizer, "encode", watching)
    np.testing.assert_allclose(trip_space.encode(trips), whole, rtol=1e-4, atol=1e-5)
    assert sum(sizes) == len(trips) and max(sizes) == 50 and len(sizes) > 2


def test_hidden_cells_say_nothing(trip_space: EmbeddingSpace, batch: TokenBatch) -> None:
    model = trip_space.model
    with torch.no_grad():
        tokens = model.encoders(batch)
        hidden = torch.zeros(tokens.shape[:2], dtype=torch.bool)
        hidden[:, 1] = hidden[:, 3] = True
        other = tokens.clone()
        other[:, [1, 3]] = torch.randn(other[:, [1, 3]].shape)
        row = model.rows_of(tokens, hidden)
        torch.testing.assert_close(model.rows_of(other, hidden), row, rtol=0, atol=0)
        assert not torch.allclose(model.rows_of(other, None), row)


def test_extra_tokens_are_read_but_do_not_attend() -> None:
    torch.manual_seed(0)
    attention = Attention(8, 2)
    x, extra = torch.randn(3, 4, 8), torch.randn(3, 5, 8)
    read = attention(x, torch.cat([x, extra], dim=1))
    assert read.shape == x.shape
    assert not torch.allclose(read, attention(x, x))
    # Without extra tokens it is plain attention over the sequence.
    q = attention.query(x).view(3, 4, 2, 4).transpose(1, 2)
    k, v = (t.view(3, 4, 2, 4).transpose(1, 2) for t in attention.key_value(x).chunk(2, dim=-1))
    weights = torch.softmax(q @ k.transpose(2, 3) / 2.0, dim=-1)
    plain = attention.out((weights @ v).transpose(1, 2).reshape(3, 4, 8))
    torch.testing.assert_close(attention(x, x), plain)
    # A single place that asks goes another way to the same answer.
    torch.testing.assert_close(attention(x[:, :1], x), plain[:, :1])


def test_shape_has_room_for_all_parts() -> None:
    config = plan_shape()
    assert config.d_model > 2 * RANDOM_FEATURES + PRODUCT_WIDTH, "most of it is learned"
    assert config.width % config.heads == 0


def test_a_row_has_three_parts_of_fixed_lengths(
    trip_space: EmbeddingSpace, batch: TokenBatch
) -> None:
    """Learned | random | products, as 1 : 1 : 0.5, whatever is hidden and whichever pairs are active."""
    model = trip_space.model
    sizes = [model.joint.cls_out.out_features, RANDOM_FEATURES, PRODUCT_WIDTH]
    assert sum(sizes) == trip_space.d_model
    with torch.no_grad():
        tokens = model.encoders(batch)
        hidden = torch.rand(tokens.shape[:2], generator=torch.Generator().manual_seed(1)) < 0.5
        for hidden_BA in (None, hidden, torch.ones_like(hidden)):
            for pairs in (model.pairs_Q2, model.pairs_Q2[:0]):
                rows = model.rows_of(tokens, hidden_BA, pairs)
                lengths = [part.norm(dim=1) for part in rows.split(sizes, dim=1)]
                for length, share in zip(lengths, (1.0, 1.0, PRODUCT_LENGTH), strict=True):
                    expected = torch.full_like(length, share / (2 + PRODUCT_LENGTH**2) ** 0.5)
                    torch.testing.assert_close(length, expected)


def test_computing_blocks_again_changes_neither_rows_nor_gradients(
    trip_space: EmbeddingSpace, batch: TokenBatch
) -> None:
    """What a training does when memory runs out (TRAIN-3)."""
    found = []
    for recompute in (False, True):
        model = copy.deepcopy(trip_space.model)
        assert recompute_blocks(model) if recompute else not model.joint.recompute
        rows = model.rows_of(model.encoders(batch), None)
        rows[:, :7].sum().backward()
        found.append((rows.detach(), model.joint.blocks[0].attention.query.weight.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] is not None and float(found[0][1].abs().sum()) > 0
    torch.testing.assert_close(found[1][1], found[0][1])


def test_a_state_with_other_pairs_can_be_loaded(trip_space: EmbeddingSpace) -> None:
    model = copy.deepcopy(trip_space.model)
    for pairs in (torch.zeros((0, 2), dtype=torch.int64), torch.tensor([[0, 1], [1, 2], [2, 4]])):
        model.load_state_dict({**model.state_dict(), "pairs_Q2": pairs})
        assert torch.equal(model.pairs_Q2, pairs)


def test_modes_are_what_they_were_after_evaluating() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Linear(2, 2), nn.Dropout()))
    model[1].eval()  # as a frozen part of a network that learns
    before = [part.training for part in model.modules()]
    with evaluating(model):
        assert not any(part.training for part in model.modules())
    assert [part.training for part in model.modules()] == before
    with pytest.raises(ValueError, match="stop"), evaluating(model):
        raise ValueError("stop")
    assert [part.training for part in model.modules()] == before
