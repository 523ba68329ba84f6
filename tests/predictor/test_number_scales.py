"""Scales of numbers and the ends they never leave (PRED-4)."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes

from featrix_core.predictor.number_scales import (
    Scale,
    choose_scale,
    ends,
    error_scales,
    forward,
    inverse,
)

NUMBERS = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50).map(np.array)


@given(NUMBERS, st.sampled_from(get_args(Scale)))
def test_there_and_back(y_N: np.ndarray, scale: Scale) -> None:
    if scale in ("sqrt", "log1p"):
        y_N = np.abs(y_N)
    _, unit = choose_scale(y_N)
    back = inverse(scale, forward(scale, y_N, unit), unit)
    np.testing.assert_allclose(back, y_N, rtol=1e-6, atol=1e-6 * unit)


@given(NUMBERS)
def test_any_numbers_have_a_scale_and_ends_around_them(y_N: np.ndarray) -> None:
    scale, unit = choose_scale(y_N)
    assert unit > 0 and np.isfinite(forward(scale, y_N, unit)).all()
    for kind, one in error_scales(y_N):
        assert one > 0 and np.isfinite(forward(kind, y_N, one)).all()
    least, most = ends(y_N)
    assert least is None or least <= y_N.min()
    assert most is None or most >= y_N.max()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (load_diabetes().target, (0.0, None)),
        (load_diabetes().target - 150.0, (None, None)),
        (np.linspace(0.02, 0.97, 200), (0.0, 1.0)),
        (np.linspace(3.0, 99.5, 200), (0.0, 100.0)),
        (np.linspace(3.0, 98.0, 200), (0.0, None)),
        (np.repeat(np.arange(2001.0, 2016.0), 50), (0.0, None)),  # years go on
        (np.array([0.0, 1.0]), (0.0, 1.0)),
        (np.zeros(0), (None, None)),
    ],
)
def test_ends(values: np.ndarray, expected: tuple[float | None, float | None]) -> None:
    assert ends(values) == expected


def test_values_that_were_cut_off_end_there() -> None:
    cut = np.clip(np.random.default_rng(0).normal(0.0, 1.0, 1_000), -1.5, 2.0)
    assert ends(cut) == (-1.5, 2.0)
