"""What trees and linear model read of categories that are numbers (PRED-7)."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.input_data_set import as_table
from featrix_core.predictor.design import Design
from featrix_core.tables.build import build_schema, typed_columns
from featrix_core.tables.schema import ColumnType


@pytest.mark.parametrize("huge", ["1e308", "-1e40", "inf"])
def test_huge_numbers_as_categories_have_a_finite_place(huge: str) -> None:
    frame = pd.DataFrame({"level": ["1", "2", huge, "2"] * 20, "size": np.arange(80.0)})
    schema = build_schema(as_table(frame), overrides={"level": ColumnType.SET})
    typed = typed_columns(as_table(frame), schema)
    tokenizer = Tokenizer.fit(schema, typed)
    batch = tokenizer.encode(typed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numbers_NF = Design.fit(tokenizer, batch).features(batch).numbers_NF
    assert np.isfinite(numbers_NF).all()
    told = [c for c in numbers_NF.T if (c[[0, 1, 3]] == [1.0, 2.0, 2.0]).all()]
    assert len(told) == 1 and (told[0][2] > 2.0) == (huge != "-1e40")
