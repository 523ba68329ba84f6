"""What trees and linear model read of categories that are numbers (PRED-7)."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.input_data_set import as_table
from featrix_core.predictor.boosted import Sample, fit_boosted
from featrix_core.predictor.design import Design, Features
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


def test_classes_that_a_fold_lacks_are_no_news(capfd: pytest.CaptureFixture[str]) -> None:
    read = Features(np.arange(60, dtype=np.float32)[:, None], np.zeros((60, 0), np.int64))
    target_N = np.arange(60) % 3
    target_N[0] = 3
    train, held = np.arange(1, 40), np.arange(40, 60)
    answer = fit_boosted(Sample(read, target_N, 4), train, held, 5).answer(read.rows(held))
    assert answer.shape == (20, 4)
    assert capfd.readouterr() == ("", "")
