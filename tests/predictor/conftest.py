"""Tokens, labels and folds of `few` for the models beside the nets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from featrix_core import EmbeddingSpace
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.predictor.design import Design
from featrix_core.tables.build import typed_columns
from featrix_core.tables.splits import kfold

SEED = 5
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
Names = tuple[tuple[str, ...], ...]


@pytest.fixture(scope="module")
def batch(few_space: EmbeddingSpace, few: pd.DataFrame) -> TokenBatch:
    return few_space.tokenizer.encode(typed_columns(as_table(few), few_space.schema))


@pytest.fixture(scope="module")
def design(few_space: EmbeddingSpace, batch: TokenBatch) -> Design:
    return Design.fit(few_space.tokenizer, batch)


@pytest.fixture(scope="module")
def labels(few: pd.DataFrame) -> NDArray[np.int64]:
    return np.asarray(few["class"] == "bad", np.int64)


@pytest.fixture(scope="module")
def folds(labels: NDArray[np.int64]) -> list[Fold]:
    return kfold(labels, 3, SEED)


@pytest.fixture(scope="module")
def names(few_space: EmbeddingSpace) -> Names:
    return few_space.tokenizer.groups
