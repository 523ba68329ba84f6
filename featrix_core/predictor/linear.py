"""A linear model beside the nets: logistic regression, or ridge, on categories and piecewise-linear codes (PRED-7).

Legend: N rows · O outputs (classes, or 1) · Z design columns · K models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featrix_core.settling import unsettled_is_fine

STRENGTHS = (0.01, 0.1, 1.0)
"""Inverse penalties that are tried; that of the best out-of-fold answers is kept."""
MOST_CLASSES = 100
_ITERATIONS = 300
_LEAST = 1e-7


@dataclass(frozen=True)
class Linear:
    """A linear model of every fold, or of one and of all rows; the mean of what they say.

    Shape: design (N, Z) → log-probabilities (N, O), or standardised numbers (N, 1).
    weight_KZO, bias_KO: of the models on standardised design columns, with mean_Z and scale_Z.
    """

    weight_KZO: NDArray[np.float32]
    bias_KO: NDArray[np.float32]

    @property
    def outputs(self) -> int:
        """Classes, or 1."""
        return int(self.bias_KO.shape[1])

    def answer(self, design_NZ: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean over the models."""
        said = np.mean(
            [
                _linked(design_NZ @ weight_ZO + bias_O)
                for weight_ZO, bias_O in zip(self.weight_KZO, self.bias_KO, strict=True)
            ],
            axis=0,
        )
        return (np.log(said) if self.outputs > 1 else said).astype(np.float32)


def _linked(logit_NO: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities that are nowhere zero, or numbers."""
    logits = logit_NO.astype(np.float64)
    if logits.shape[1] == 1:
        return logits
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    said = np.clip(shifted / shifted.sum(axis=1, keepdims=True), _LEAST, 1.0)
    return np.asarray(said / said.sum(axis=1, keepdims=True))


def fit_linear(
    design_NZ: NDArray[np.float32],
    target_N: NDArray[Any],
    outputs: int,
    strength: float,
    weights_N: NDArray[np.float64] | None = None,
) -> Linear:
    """A model of the rows, of two labels at least."""
    from sklearn.linear_model import LogisticRegression, Ridge

    weights = None if weights_N is None or not weights_N.any() else weights_N
    if outputs == 1:
        model = Ridge(alpha=1.0 / strength).fit(design_NZ, target_N, sample_weight=weights)
        weight, bias = model.coef_.reshape(-1, 1), np.atleast_1d(model.intercept_)
        return Linear(weight[None].astype(np.float32), bias[None].astype(np.float32))
    with unsettled_is_fine():
        found = LogisticRegression(C=strength, max_iter=_ITERATIONS).fit(
            design_NZ, target_N, weights
        )
    weight_ZO = np.zeros((design_NZ.shape[1], outputs), np.float32)
    # A class that no training row has is as good as impossible.
    bias_O = np.full(outputs, -16.0, np.float32)
    classes = found.classes_.astype(np.int64)
    if len(classes) == 2:
        weight_ZO[:, classes[1]] = found.coef_[0]
        bias_O[classes] = 0.0, float(found.intercept_[0])
    else:
        weight_ZO[:, classes] = found.coef_.T
        bias_O[classes] = found.intercept_
    return Linear(weight_ZO[None], bias_O[None])
