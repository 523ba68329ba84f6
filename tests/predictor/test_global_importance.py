"""Columns that matter rank above those that do not, with intervals apart (PRED-5)."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from featrix_core import EmbeddingSpace
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.predictor.global_importance import global_importance
from featrix_core.predictor.importance import explained_rows
from featrix_core.tables.build import typed_columns

NAMES = ("up", "down", "idle", "noise")


def numbers(rows: int = 400) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(0).normal(size=(rows, 4)), columns=list(NAMES))


@pytest.fixture(scope="module")
def batch() -> TokenBatch:
    torch.set_num_threads(1)
    frame = numbers()
    space = EmbeddingSpace(frame, n_epochs=1)
    return space.tokenizer.encode(typed_columns(as_table(frame), space.schema))


def said(batch: TokenBatch) -> NDArray[np.float64]:
    """`up` and `down` decide, `noise` adds a trace, `idle` nothing."""
    z = batch.z_NS.double().numpy()
    result: NDArray[np.float64] = 1 / (1 + np.exp(-2 * z[:, 0] + z[:, 1] - 0.05 * z[:, 3]))
    return result


def test_relevant_columns_lead_with_intervals_apart(batch: TokenBatch) -> None:
    found = explained_rows(said, batch, torch.arange(200), torch.arange(200, 400))
    assert found.error_B.max() < 1e-6
    z = batch.z_NS[:200].double().numpy()
    columns = global_importance(found.values_BA, NAMES, 0, z).columns
    assert [column.name for column in columns] == ["up", "down", "noise", "idle"]
    for better, worse in pairwise(columns):
        assert better.low > worse.high
    assert all(column.low <= column.mean <= column.high for column in columns)
    assert columns[3].mean == columns[3].high == 0.0 and columns[3].direction is None
    assert sum(column.share for column in columns) == pytest.approx(1.0)
    up, down = columns[0].direction, columns[1].direction
    assert up is not None and down is not None and up > 0.9 and down < -0.8


def test_the_interval_is_that_of_a_mean() -> None:
    """Against the normal approximation, which is good for so many rows."""
    values = np.random.default_rng(1).exponential(size=(2000, 1))
    (column,) = global_importance(values, ["a"]).columns
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert column.high - column.low == pytest.approx(2 * half, rel=0.1)
    assert column.mean == pytest.approx(values.mean())
    assert column.direction is None


def test_directions_need_numbers_that_vary() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(40, 3))
    cells = np.stack([values[:, 0] * 3, np.full(40, np.nan), np.ones(40)], axis=1)
    cells[:20, 0] = np.nan
    by_name = {c.name: c.direction for c in global_importance(values, "abc", 0, cells).columns}
    assert by_name == {"a": pytest.approx(1.0), "b": None, "c": None}


def test_it_is_json_and_the_seed_decides() -> None:
    values = np.random.default_rng(3).normal(size=(50, 3))
    one = global_importance(values, "abc", 1)
    assert one == global_importance(values, "abc", 1) != global_importance(values, "abc", 2)
    document = json.loads(json.dumps(one.to_dict()))
    assert document["n_rows"] == 50
    assert set(document["columns"][0]) == {"name", "mean", "low", "high", "share", "direction"}


def test_nothing_to_sum_up_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        global_importance(np.zeros((0, 2)), "ab")
    with pytest.raises(ValueError, match="shape"):
        global_importance(np.zeros((5, 3)), "ab")
    with pytest.raises(ValueError, match="numbers"):
        global_importance(np.zeros((5, 2)), "ab", 0, np.zeros((5, 3)))
    assert all(c.share == 0.0 for c in global_importance(np.zeros((5, 2)), "ab").columns)
