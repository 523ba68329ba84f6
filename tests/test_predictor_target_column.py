"""The target as a column of the space: hidden, refused where others are made from it, lacking in scored rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from featrix_core import (
    EmbeddingSpace,
    FeatrixUserError,
    SinglePredictor,
    SinglePredictorMLP,
)
from featrix_core.features.engineer import FeatureEngineer


@pytest.fixture(scope="module")
def peeking(few: pd.DataFrame) -> SinglePredictorMLP:
    """Its space was trained with the target among the columns."""
    space = EmbeddingSpace(few, n_epochs=2, name="peeking").train()
    assert "class" in space.column_names
    return SinglePredictorMLP(space, "class").train(n_epochs=2)


def test_a_target_within_the_space_is_hidden(
    peeking: SinglePredictorMLP, few: pd.DataFrame
) -> None:
    rows = few.iloc[:20]
    expected = peeking.predict_proba(rows)
    flipped = rows.assign(**{"class": rows["class"].map({"good": "bad", "bad": "good"})})
    np.testing.assert_array_equal(peeking.predict_proba(flipped), expected)
    np.testing.assert_array_equal(peeking.predict_proba(rows.drop(columns=["class"])), expected)
    assert peeking.predict(flipped) == peeking.predict(rows)
    # It learned no more from its training rows than one column of chance would give away.
    said = (peeking.predict_proba(few)[:, 1] > 0.5) == (few["class"] == "bad")
    assert said.mean() < 0.95


def test_a_column_computed_from_the_target_is_refused(few: pd.DataFrame) -> None:
    """Straight from the target, and by way of another engineered column; other targets may have it."""
    rate = {"kind": "ratio", "name": "rate", "numerator": "credit_amount"}
    engineer = FeatureEngineer(
        [
            {**rate, "denominator": "duration"},
            {"kind": "log", "name": "log rate", "column": "rate"},
            {"kind": "log", "name": "log amount", "column": "credit_amount"},
        ]
    )
    wider = engineer.fit_transform(few.drop(columns=["class"]))
    bare = EmbeddingSpace(few[["checking_status", "duration", "credit_amount"]], n_epochs=1).train()
    # The whole of it, and a space that knows only the column of a column.
    for given, named in ((wider, "rate"), (wider.drop(columns=["rate"]), "log rate")):
        space = EmbeddingSpace.extend_from_existing(bare, given, n_epochs=1, engineer=engineer)
        for rows in (few, given):
            with pytest.raises(FeatrixUserError, match="exclude") as caught:
                SinglePredictor(space).prep_for_training(rows, "duration", "scalar")
            assert (caught.value.column, caught.value.value) == (named, "duration")
        if given is wider:
            allowed = SinglePredictor(space).prep_for_training(few, "class", "set")
            assert allowed.notices == ()


def test_rows_without_the_target_of_a_space_that_has_it_and_engineered_columns(
    few: pd.DataFrame,
) -> None:
    engineer = FeatureEngineer([{"kind": "log", "name": "log amount", "column": "credit_amount"}])
    own = few[["duration", "credit_amount", "class"]]
    bare, wider = EmbeddingSpace(own, n_epochs=1).train(), engineer.fit_transform(own)
    space = EmbeddingSpace.extend_from_existing(bare, wider, n_epochs=1, engineer=engineer)
    predictor = SinglePredictor(space).prep_for_training(few, "class", "set").train(2)
    rows = few[["duration", "credit_amount"]]
    said = predictor.predict_proba(rows)
    assert (said == predictor.predict_proba(few)).all()
    with pytest.raises(FeatrixUserError) as caught:
        predictor.predict_proba(rows.drop(columns=["duration"]))
    assert caught.value.column == "duration"


def test_a_hidden_target_has_no_importance_and_no_notice(
    peeking: SinglePredictorMLP, few: pd.DataFrame
) -> None:
    importance = peeking.explain_table(few.iloc[:3])
    values = dict(zip(importance.names, importance.values_NC.T, strict=True))
    assert not np.any(values.get("class", 0.0))
    for rows in (few, few.drop(columns=["class"])):
        assert peeking.scoring_notices(rows) == ()
