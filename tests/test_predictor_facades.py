"""What a user meets in predictors of every kind, from rows to answers and back from disk."""

from __future__ import annotations

import asyncio
import copy
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_wine

from featrix_core import (
    EmbeddingSpace,
    FeatrixInputDataSet,
    FeatrixUserError,
    SimpleMLP,
    SinglePredictor,
    SinglePredictorMLP,
)
from featrix_core.predictor.response import ClassScores, NumberScores, response_schema


@pytest.fixture(scope="module")
def diabetes() -> pd.DataFrame:
    return load_diabetes(as_frame=True, scaled=False).frame.iloc[:200]


@pytest.fixture(scope="module")
def numbers(diabetes: pd.DataFrame) -> SinglePredictorMLP:
    space = EmbeddingSpace(FeatrixInputDataSet(diabetes, ["target"]), n_epochs=2).train()
    return SinglePredictorMLP(space, "target").train(n_epochs=4)


@pytest.fixture(scope="module")
def wine() -> pd.DataFrame:
    frame = load_wine(as_frame=True).frame
    return frame.assign(target=frame["target"].map({0: "barolo", 1: "grignolino", 2: "barbera"}))


@pytest.fixture(scope="module")
def wines(wine: pd.DataFrame) -> SinglePredictorMLP:
    space = EmbeddingSpace(FeatrixInputDataSet(wine, ["target"]), n_epochs=2).train()
    return SinglePredictorMLP(space, "target").train(n_epochs=6)


@pytest.fixture(scope="module")
def brief(few_space: EmbeddingSpace, few: pd.DataFrame) -> SinglePredictorMLP:
    """One epoch on `few`, nothing asked for; tests must not change it."""
    return SinglePredictorMLP(few_space, "class").train(few, n_epochs=1)


def _fits_the_schema(answers: list[dict[str, Any]]) -> None:
    for answer in answers:
        jsonschema.validate(answer, response_schema())


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# -- predictors of classes ----------------------------------------------------------------------------


def test_two_classes(credit_predictor: SinglePredictorMLP, credit: pd.DataFrame) -> None:
    rows = credit.iloc[:12]
    assert credit_predictor.classes == ("good", "bad")
    proba = credit_predictor.predict_proba(rows)
    assert proba.shape == (12, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    answers = credit_predictor.predict(rows)
    _fits_the_schema(answers)
    scores = credit_predictor.scores(rows)
    assert isinstance(scores, ClassScores)
    for k, answer in enumerate(answers):
        bad = proba[k, 1] >= scores.threshold
        assert answer["prediction"] == ("bad" if bad else "good")
        assert answer["probability"] == pytest.approx(proba[k, int(bad)])
        assert answer["metadata"]["positive_class"] == "bad"
        assert answer["feature_importance"].keys() == set(credit_predictor.space.column_names)
    frame = credit_predictor.predict_frame(rows)
    assert list(frame["prediction"]) == [answer["prediction"] for answer in answers]
    np.testing.assert_array_equal(frame["probability_bad"], proba[:, 1])


def test_one_row_is_answered_like_many(
    credit_predictor: SinglePredictorMLP, credit: pd.DataFrame
) -> None:
    np.testing.assert_allclose(
        credit_predictor.predict_proba(credit.iloc[5:6]),
        credit_predictor.predict_proba(credit)[5:6],
        rtol=1e-4,
        atol=1e-6,
    )


def test_several_classes(wines: SinglePredictorMLP, wine: pd.DataFrame) -> None:
    assert wines.classes == ("barbera", "barolo", "grignolino")
    proba = wines.predict_proba(wine)
    assert proba.shape == (178, 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    predicted = np.array(wines.classes)[proba.argmax(axis=1)]
    assert (predicted == wine["target"]).mean() > 0.9
    answers = wines.predict(wine.iloc[:3])
    _fits_the_schema(answers)
    assert sum(answers[0]["probabilities"].values()) == pytest.approx(1.0)
    assert [answer["prediction"] for answer in answers] == predicted[:3].tolist()
    assert wines.outputs is not None and wines.outputs.threshold is None


def test_numbers(numbers: SinglePredictorMLP, diabetes: pd.DataFrame) -> None:
    scores = numbers.scores(diabetes)
    assert isinstance(scores, NumberScores)
    assert (scores.low_N <= scores.prediction_N).all()
    assert (scores.prediction_N <= scores.high_N).all()
    assert (scores.low_N < scores.high_N).all()
    assert np.corrcoef(scores.prediction_N, diabetes["target"])[0, 1] > 0.4
    answers = numbers.predict(diabetes.iloc[:3])
    _fits_the_schema(answers)
    assert answers[0]["interval_low"] <= answers[0]["prediction"] <= answers[0]["interval_high"]
    frame = numbers.predict_frame(diabetes.iloc[:3])
    for name in ("row_id", "prediction", "interval_low", "interval_high", "std", "ood_sigma"):
        assert frame[name].tolist() == [answer[name] for answer in answers]


def test_predictors_of_all_kinds_are_saved(
    wines: SinglePredictorMLP,
    wine: pd.DataFrame,
    numbers: SinglePredictorMLP,
    diabetes: pd.DataFrame,
    tmp_path: Path,
) -> None:
    for name, predictor, rows in (("wine", wines, wine), ("diabetes", numbers, diabetes)):
        predictor.save(tmp_path / name)
        loaded = SinglePredictor.load(tmp_path / name)
        assert loaded.predict(rows.iloc[:3]) == predictor.predict(rows.iloc[:3])
        loaded.save(tmp_path / f"{name} again")
        assert _files(tmp_path / name) == _files(tmp_path / f"{name} again")


def test_a_fine_tuned_predictor_is_saved_with_its_own_encoder(
    few_space: EmbeddingSpace, few: pd.DataFrame, tmp_path: Path
) -> None:
    before = few_space.encode(few)
    tuned = SinglePredictorMLP(few_space, "class", fine_tune=True).train(n_epochs=5)
    np.testing.assert_array_equal(few_space.encode(few), before)
    tuned.save(tmp_path / "tuned")
    loaded = SinglePredictor.load(tmp_path / "tuned")
    np.testing.assert_array_equal(loaded.predict_proba(few), tuned.predict_proba(few))
    loaded.save(tmp_path / "again")
    assert _files(tmp_path / "tuned") == _files(tmp_path / "again")


def test_a_loaded_predictor_is_trained_again_as_it_was_asked_for(
    few_space: EmbeddingSpace, few: pd.DataFrame, tmp_path: Path
) -> None:
    predictor = SinglePredictor(
        few_space,
        SimpleMLP.from_config(few_space.d_model, 2, d_hidden=32, n_hidden_layers=1),
        fine_tune=True,
        ensemble=False,
        loss="focal",
        class_weights=False,
        positive_label="good",
        cost_false_positive=1.0,
        cost_false_negative=3.0,
    )
    predictor.prep_for_training(few, "class").train(n_epochs=1).save(tmp_path / "first")
    loaded = SinglePredictor.load(tmp_path / "first")
    again = loaded.prep_for_training(few, "class").train(n_epochs=1)
    assert again.classes == predictor.classes == ("bad", "good")
    assert again.plan == predictor.plan
    assert again.training_info["loss"] == predictor.training_info["loss"]
    assert again.outputs is not None and predictor.outputs is not None
    assert again.outputs.to_dict() == predictor.outputs.to_dict()
    np.testing.assert_array_equal(again.predict_proba(few), predictor.predict_proba(few))
    again.save(tmp_path / "again")
    assert _files(tmp_path / "first") == _files(tmp_path / "again")


# -- the calls of the predictor -------------------------------------------------------------------------


def test_in_steps_and_awaited(few_space: EmbeddingSpace, few: pd.DataFrame) -> None:
    async def train() -> SinglePredictor:
        predictor = SinglePredictor(few_space, name="steps")
        predictor.prep_for_training(few, "class", "set")
        return await predictor.train(n_epochs=1)

    awaited = asyncio.run(train())
    called = SinglePredictor(few_space).prep_for_training(few, "class").train(n_epochs=1)
    np.testing.assert_array_equal(awaited.predict_proba(few), called.predict_proba(few))


def test_calibration_can_come_later(few_space: EmbeddingSpace, few: pd.DataFrame) -> None:
    predictor = SinglePredictor(few_space).prep_for_training(few, "class")
    predictor.train(n_epochs=1, calibrate=False)
    with pytest.raises(FeatrixUserError, match="not calibrated"):
        predictor.predict(few)
    predictor.calibrate()
    assert predictor.predict_proba(few).shape == (200, 2)


def test_order_of_calls(few_space: EmbeddingSpace, few: pd.DataFrame) -> None:
    predictor = SinglePredictor(few_space)
    with pytest.raises(FeatrixUserError, match="no rows to train on"):
        predictor.train()
    with pytest.raises(FeatrixUserError, match="not trained"):
        predictor.predict(few)
    with pytest.raises(FeatrixUserError, match="not trained"):
        predictor.calibrate()


def test_the_positive_label(
    brief: SinglePredictorMLP, few_space: EmbeddingSpace, few: pd.DataFrame
) -> None:
    turned = SinglePredictorMLP(few_space, "class", positive_label="good").train(n_epochs=1)
    assert (brief.classes, turned.classes) == (("good", "bad"), ("bad", "good"))
    assert turned.predict(few.iloc[:1])[0]["metadata"]["positive_class"] == "good"
    with pytest.raises(FeatrixUserError, match="positive label") as caught:
        SinglePredictorMLP(few_space, "class", positive_label="excellent").train(n_epochs=1)
    assert "excellent" in str(caught.value)
    assert "good" in str(caught.value.remedy)


def test_costs_move_the_threshold(
    credit_predictor: SinglePredictorMLP, credit: pd.DataFrame
) -> None:
    cuts, called = [], []
    for costs in ((500.0, 50.0), (50.0, 50.0), (50.0, 500.0)):
        predictor = copy.copy(credit_predictor)
        predictor.costs = costs
        outputs = predictor.calibrate()
        assert outputs.threshold is not None
        assert outputs.threshold.cost_false_positive == costs[0]
        cuts.append(outputs.threshold.threshold)
        called.append(int((predictor.predict_frame(credit)["prediction"] == "bad").sum()))
    assert cuts[0] > cuts[1] > cuts[2]
    assert called == sorted(called)
    assert called[0] < called[2]


def test_costs_are_given_when_it_is_made(few_space: EmbeddingSpace, few: pd.DataFrame) -> None:
    predictor = SinglePredictorMLP(
        few_space, "class", cost_false_positive=1.0, cost_false_negative=99.0
    ).train(few, n_epochs=1)
    assert predictor.outputs is not None and predictor.outputs.threshold is not None
    assert predictor.outputs.threshold.criterion == "cost"
    assert predictor.outputs.threshold.threshold < 0.3


def test_rows_without_a_label_are_left_out(few_space: EmbeddingSpace, few: pd.DataFrame) -> None:
    frame = few.assign(**{"class": few["class"].where(few.index % 4 != 0, None)})
    predictor = SinglePredictorMLP(few_space, "class").train(frame, n_epochs=1)
    assert predictor.training_info["rows"] == 150
    assert predictor.train_df is not None
    assert len(predictor.train_df) == 150
    assert predictor.predict_proba(frame).shape == (200, 2)


def test_the_shape_of_the_head(few_space: EmbeddingSpace, few: pd.DataFrame) -> None:
    shape = SimpleMLP.from_config(few_space.d_model, 2, d_hidden=48, n_hidden_layers=3)
    predictor = SinglePredictor(few_space, shape).prep_for_training(few, "class").train(n_epochs=1)
    config = predictor.members[0].head.config
    assert (config.width, config.hidden_layers) == (48, 3)


def test_importance_adds_up(credit_predictor: SinglePredictorMLP, credit: pd.DataFrame) -> None:
    rows = credit.iloc[:3]
    predictor = copy.copy(credit_predictor)
    importance = predictor.explain_table(rows)
    assert importance.names == predictor.space.column_names
    assert importance.values_NC.shape == (3, 20)
    assert np.abs(importance.values_NC).max() > 0
    np.testing.assert_array_equal(predictor.explain_table(rows).values_NC, importance.values_NC)
    # With one background row the sum is the difference of the two answers, exactly.
    assert predictor.background is not None
    predictor.background = predictor.background.rows(slice(0, 1))
    scores = predictor.explain_table(rows).values_NC.sum(axis=1)
    assert predictor.train_df is not None and predictor.outputs is not None
    positive = predictor.predict_proba(credit)[:, 1]
    remainder = positive[:3] - scores
    np.testing.assert_allclose(remainder, remainder[0], atol=1e-5)
    assert np.abs(positive - remainder[0]).min() < 1e-5


def test_importance_adds_up_to_what_the_response_shows(
    credit_predictor: SinglePredictorMLP,
    credit: pd.DataFrame,
    wines: SinglePredictorMLP,
    wine: pd.DataFrame,
    numbers: SinglePredictorMLP,
    diabetes: pd.DataFrame,
) -> None:
    """Two classes, more than two, and a number that its lower bound cuts."""
    bounded, outputs = copy.copy(numbers), numbers.outputs
    assert outputs is not None and outputs.interval is not None
    bound = float(numbers.predict_frame(diabetes.iloc[:8])["prediction"].median())
    interval = outputs.interval.model_copy(update={"minimum": bound})
    bounded.outputs = replace(outputs, interval=interval)
    for predictor, rows in ((credit_predictor, credit), (wines, wine), (bounded, diabetes)):
        answers = predictor.predict(rows.iloc[:8])
        for row in answers:
            positive = row["metadata"].get("positive_class")
            shown = row["prediction"]
            if positive is not None:
                shown = row["probability"] if shown == positive else 1 - row["probability"]
            elif "probabilities" in row:
                shown = row["probabilities"][shown]
            missed = row["importance_base"] + sum(row["feature_importance"].values()) - shown
            assert abs(missed) <= row["importance_error"] + 1e-9 * max(1.0, abs(shown))
            assert row["importance_error"] < 1e-5 * max(1.0, abs(shown))
            assert any(row["feature_importance"].values())
        frame = predictor.predict_frame(rows.iloc[:8], explain=True)
        assert frame["importance_base"].tolist() == [row["importance_base"] for row in answers]
    assert sum(row["prediction"] == bound for row in answers) >= 4


# -- what must not happen --------------------------------------------------------------------------------


def test_columns_that_the_space_does_not_know_are_said_loudly(
    few_space: EmbeddingSpace, few: pd.DataFrame
) -> None:
    wider = few.assign(monthly=few["credit_amount"] / few["duration"])
    predictor = SinglePredictor(few_space)
    with pytest.warns(UserWarning, match="'monthly'"):
        predictor.prep_for_training(wider, "class")
    notice = next(n for n in predictor.notices if n.code == "columns_unknown_to_space")
    assert notice.figure == 1.0
    assert "create_extended_embedding_space" in notice.action
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SinglePredictor(few_space).prep_for_training(few, "class")


def test_an_extended_space_knows_them(brief: SinglePredictorMLP, few: pd.DataFrame) -> None:
    wider = few.assign(monthly=few["credit_amount"] / few["duration"])
    extended = brief.create_extended_embedding_space(wider, n_epochs=2)
    assert extended.column_names == ("duration", "credit_amount", "monthly", "checking_status")
    assert extended.extension_metadata is not None
    assert extended.extension_metadata["feature_metadata"]["applied_features"] == ["monthly"]
    extended.train()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        renewed = SinglePredictorMLP(extended, "class").train(wider, n_epochs=1)
    assert renewed.predict_proba(wider).shape == (200, 2)
    with pytest.raises(FeatrixUserError, match="No new columns"):
        brief.create_extended_embedding_space(few)


def test_the_table_of_the_space_is_used(
    brief: SinglePredictorMLP, few_space: EmbeddingSpace, few: pd.DataFrame, tmp_path: Path
) -> None:
    own = SinglePredictorMLP(few_space, "class").train(n_epochs=1)
    np.testing.assert_array_equal(own.predict_proba(few), brief.predict_proba(few))
    few_space.save(tmp_path / "space")
    loaded = EmbeddingSpace.load(tmp_path / "space")
    with pytest.raises(FeatrixUserError, match="no rows to train a predictor on"):
        SinglePredictorMLP(loaded, "class").train()
    again = SinglePredictorMLP(loaded, "class").train(few, n_epochs=1)
    np.testing.assert_array_equal(again.predict_proba(few), own.predict_proba(few))


def test_odd_rows_are_flagged(credit_predictor: SinglePredictorMLP, credit: pd.DataFrame) -> None:
    odd = credit.iloc[:2].assign(credit_amount=[1e9, credit["credit_amount"].iloc[1]])
    odd["purpose"] = ["radio/tv", "a trip to the moon"]
    first, second = credit_predictor.predict(odd, explain=False)
    assert any("credit_amount" in text for text in first["warnings"])
    assert any("purpose" in text for text in second["warnings"])
    codes = {notice.code for notice in credit_predictor.scoring_notices(odd.assign(further=1))}
    assert "extra_columns" in codes
    assert any("unknown" in code for code in codes)
