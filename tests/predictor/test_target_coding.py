"""Targets: order of classes, transforms of numbers and their way back (PRED-1, PRED-4)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_diabetes, load_wine

from featrix_core.input_data_set import as_table
from featrix_core.predictor.target_coding import TargetCoding
from featrix_core.tables.targets import detect_target


def _coding(values: object, kind: str | None = None) -> tuple[TargetCoding, np.ndarray]:
    table = as_table(pd.DataFrame({"x": range(len(values)), "y": values}))  # type: ignore[arg-type]
    coding = TargetCoding.fit(table, detect_target(table, "y", kind))
    return coding, coding.labels(table)


def test_the_positive_class_is_last(credit: pd.DataFrame) -> None:
    coding, labels = _coding(credit["class"])
    assert coding.classes == ("good", "bad")
    assert coding.outputs == 2
    np.testing.assert_array_equal(labels, (credit["class"] == "bad").to_numpy())
    target = coding.target.model_copy(update={"positive": "good"})
    table = as_table(pd.DataFrame({"y": credit["class"]}))
    turned = TargetCoding.fit(table, target)
    assert turned.classes == ("bad", "good")
    np.testing.assert_array_equal(turned.labels(table), 1 - labels)


def test_classes_become_integers() -> None:
    coding, labels = _coding(load_wine().target)
    assert coding.classes == ("0", "1", "2")
    assert coding.classification
    tensor = coding.tensor(labels)
    assert tensor.dtype == torch.int64
    np.testing.assert_array_equal(tensor.numpy(), load_wine().target)


def test_rows_without_a_label() -> None:
    _, labels = _coding(["a", None, "b", "a", "b", None])
    np.testing.assert_array_equal(labels, [0, np.nan, 1, 0, 1, np.nan])
    table = as_table(pd.DataFrame({"y": ["a", "new", "b"]}))
    coding, _ = _coding(["a", "b", "a", "b"])
    np.testing.assert_array_equal(coding.labels(table), [0, np.nan, 1])


def _skewed() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "identity": load_diabetes().target,
        "sqrt": rng.gamma(1.0, 10.0, 400),
        "log1p": np.exp(rng.normal(0.0, 3.0, 400)),
        "asinh": rng.standard_t(1.0, 400) * 50.0 - 7.0,
    }


@pytest.mark.parametrize("transform", ["identity", "sqrt", "log1p", "asinh"])
def test_transform_follows_the_skew(transform: str) -> None:
    values = _skewed()[transform]
    coding, labels = _coding(values, "scalar")
    assert coding.transform == transform
    assert coding.outputs == 1
    learned = coding.tensor(labels)
    assert learned.dtype == torch.float32
    assert float(learned.mean()) == pytest.approx(0.0, abs=1e-4)
    assert float(learned.std(unbiased=False)) == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(coding.numbers(learned.numpy()), labels, rtol=1e-4, atol=1e-3)


def test_negative_numbers_are_never_rooted() -> None:
    for values in (_skewed()["log1p"] - 5.0, load_diabetes().target - 150.0):
        coding, labels = _coding(values, "scalar")
        assert coding.transform in ("asinh", "identity") and coding.minimum is None
        np.testing.assert_allclose(labels, values)


def test_answers_stay_finite_and_never_fall_below_zero() -> None:
    for transform in ("sqrt", "log1p", "asinh"):
        coding, _ = _coding(_skewed()[transform], "scalar")
        numbers = coding.numbers(np.array([-1e6, -3.0, 0.0, 1e6], np.float32))
        assert np.isfinite(numbers).all()
        assert (numbers >= 0).all() or transform == "asinh"
        assert (np.diff(numbers) >= 0).all()


def test_it_is_stored_as_json() -> None:
    coding, _ = _coding(_skewed()["sqrt"], "scalar")
    assert TargetCoding.model_validate(coding.model_dump(mode="json")) == coding
