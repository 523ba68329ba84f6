"""The head: an ensemble over row embedding, tokens and raw cells; how its members are combined (PRED-1)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from featrix_core import EmbeddingSpace
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.predictor.network import Dropout, Head, HeadConfig, NumberEmbedding
from featrix_core.predictor.objective import PredictorNet, combine, loss_of
from featrix_core.tables.build import typed_columns

CONFIG = HeadConfig(outputs=3, width=32, members=4)


def _tokens(space: EmbeddingSpace, frame: pd.DataFrame) -> TokenBatch:
    return space.tokenizer.encode(typed_columns(as_table(frame), space.schema))


@pytest.fixture(scope="module")
def net(trip_space: EmbeddingSpace) -> PredictorNet:
    torch.manual_seed(0)
    config = trip_space.model.config
    head = Head(trip_space.tokenizer, config.d_model, config.width, CONFIG)
    return PredictorNet(trip_space.model, head).eval()


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_logits(
    rows: int, net: PredictorNet, trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    batch = _tokens(trip_space, trips)
    with torch.no_grad():
        logits = net(batch.rows(slice(0, rows)))
        whole = net(batch)[:, :rows]
    assert logits.shape == (4, rows, 3)
    assert bool(torch.isfinite(logits).all())
    torch.testing.assert_close(logits, whole, rtol=1e-4, atol=1e-5)


def test_a_further_layer_adds_to_what_is_there(
    trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    torch.manual_seed(0)
    sizes = trip_space.model.config
    config = CONFIG.model_copy(update={"hidden_layers": 3})
    deep = Head(trip_space.tokenizer, sizes.d_model, sizes.width, config).eval()
    batch = _tokens(trip_space, trips.iloc[:5])
    read = deep.inputs(*trip_space.model.encode_rows(batch), batch)
    with torch.no_grad():
        before = deep(read)
        for parameter in deep.hidden.parameters():
            parameter.zero_()
        silent = deep(read)
        deep.hidden = torch.nn.ModuleList()
        torch.testing.assert_close(silent, deep(read))
    assert not torch.allclose(before, silent)
    assert not torch.allclose(silent[:, 0], silent[:, 1])


def test_members_differ(net: PredictorNet, trip_space: EmbeddingSpace, trips: pd.DataFrame) -> None:
    with torch.no_grad():
        logits = net(_tokens(trip_space, trips.iloc[:5]))
    for member in range(1, 4):
        assert not torch.allclose(logits[member], logits[0], atol=1e-3)


@pytest.mark.parametrize("column", ["distance", "dep_delay", "carrier", "time_hour", "name"])
def test_every_column_reaches_the_head(
    column: str, net: PredictorNet, trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    """Also without the encoder: row embedding and tokens are held fixed here (the raw skip)."""
    rows = trips.iloc[[0, 1]].copy()
    differ = next(k for k in range(10, 60) if trips[column].iloc[k] != rows[column].iloc[0])
    other = rows.copy()
    other.iloc[0, other.columns.get_loc(column)] = trips[column].iloc[differ]
    batch, changed = _tokens(trip_space, rows), _tokens(trip_space, other)
    row, context = trip_space.model.encode_rows(batch)
    with torch.no_grad():
        before, after = (net.head(net.head.inputs(row, context, b)) for b in (batch, changed))
    assert not torch.allclose(before[:, 0], after[:, 0])
    torch.testing.assert_close(before[:, 1], after[:, 1])


def test_a_missing_number_is_no_number(
    net: PredictorNet, trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    """A missing number is told apart from the number that stands in for it."""
    rows = trips.iloc[[0, 0]].copy()
    rows["dep_delay"] = [trip_space.tokenizer.states["dep_delay"].parameters[0], None]
    batch = _tokens(trip_space, rows)
    row, context = trip_space.model.encode_rows(batch)
    with torch.no_grad():
        logits = net.head(
            net.head.inputs(row[:1].expand(2, -1), context[:1].expand(2, -1, -1), batch)
        )
    assert not torch.allclose(logits[:, 0], logits[:, 1])


def test_unseen_categories_share_one_vector(
    net: PredictorNet, trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    rows = trips.iloc[[0, 0]].copy()
    rows["carrier"] = ["Zeppelin", "Balloon"]
    batch = _tokens(trip_space, rows)
    row, context = trip_space.model.encode_rows(batch)
    with torch.no_grad():
        logits = net.head(
            net.head.inputs(row[:1].expand(2, -1), context[:1].expand(2, -1, -1), batch)
        )
        own = net(batch)
    torch.testing.assert_close(logits[:, 0], logits[:, 1])
    # Their words differ, so the space tells them apart.
    assert not torch.allclose(own[:, 0], own[:, 1])


def test_number_embedding_is_periodic() -> None:
    torch.manual_seed(0)
    embedding = NumberEmbedding(2, 3, 4)
    with torch.no_grad():
        embedding.frequency_SF.fill_(0.5)
        one = embedding(torch.tensor([[0.3, 1.0]]))
        other = embedding(torch.tensor([[2.3, -1.0]]))
    assert one.shape == (1, 8)
    assert bool((one >= 0).all())
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_combined_classes_are_mean_probabilities() -> None:
    logits = torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(0)) * 3
    combined = combine(logits, classification=True)
    torch.testing.assert_close(combined.exp(), torch.softmax(logits, dim=-1).mean(dim=0))
    torch.testing.assert_close(combined.exp().sum(dim=1), torch.ones(6))


def test_combined_numbers_are_means() -> None:
    answers = torch.randn(4, 6, 1, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(combine(answers, classification=False), answers.mean(dim=0))


def test_loss_is_the_mean_of_the_members_losses() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, classes = torch.randn(4, 6, 3, generator=generator), torch.tensor([0, 1, 2, 0, 1, 2])
    each = [float(torch.nn.functional.cross_entropy(member, classes)) for member in logits]
    assert float(loss_of(logits, classes)) == pytest.approx(np.mean(each), rel=1e-5)
    numbers = torch.randn(6, generator=generator)
    squares = [float(((member[:, 0] - numbers) ** 2).mean()) for member in logits]
    assert float(loss_of(logits, numbers)) == pytest.approx(np.mean(squares), rel=1e-5)
    assert float(loss_of(torch.zeros(4, 6, 3), classes)) == pytest.approx(math.log(3))


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    dropout, ones = Dropout(0.25), torch.ones(3, 999, 100, requires_grad=True)
    said = dropout(ones)
    assert said.shape == ones.shape
    assert said.unique().tolist() == pytest.approx([0.0, 4 / 3])
    dropped = (said == 0).float()
    assert float(dropped.mean()) == pytest.approx(0.25, abs=0.005)
    # Neither a row's places nor a place's rows fall together.
    assert float((dropped.mean(dim=(0, 1)) - 0.25).abs().max()) < 0.04
    assert float((dropped.mean(dim=2) - 0.25).abs().max()) < 0.2
    said.sum().backward()
    assert ones.grad is not None and torch.equal(ones.grad, said.detach())
    assert torch.equal(dropout.eval()(ones), ones)
    assert torch.equal(Dropout(0.0)(ones), ones)
    assert not Dropout(1.0)(ones).any()
    assert Dropout(0.5)(ones.bfloat16()).dtype is torch.bfloat16
