"""Do a row's columns fit one another? A second statistic beside the embedding's distance (PRED-6).

Every column's encoding is cut to its main axes (at most 8). Over all columns at once these numbers have a
covariance, over each column alone another. The joint squared Mahalanobis distance less the columns' own is, but
for a constant, twice the log-ratio of two Gaussians: one that knows which columns belong together, and one in
which they have nothing to do with each other. It is large where each value is ordinary and their combination is
not, which a distance between rows hardly sees: there the rarity of single values is as loud as the combination.

It is fitted on the predictor's rows in closed form and cross-fitted, so the space may have seen the same rows.

Legend: N rows · A columns · D token width · R axes kept per column · P = A · R.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.model_selection import KFold

Floats = NDArray[np.float64]

AXES = 8
"""Axes kept of a column's encoding; 4 and 16 find about as many strangers."""
MOST_AXES = 1024
"""Of all columns together; wide tables keep fewer per column, so that one matrix stays small."""
_QUIET, _LOUD = 0.5, 0.99
"""Quantiles of ordinary rows between which a column's disagreement is read."""


@dataclass(frozen=True)
class ColumnAxes:
    """Main axes of every column's encoding, as long as the first one is wide. Tokens (N, A, D) → (N, A, R)."""

    mean_AD: Floats
    axes_ADR: Floats

    @classmethod
    def fit(cls, tokens_NAD: NDArray[np.floating[Any]]) -> ColumnAxes:
        """Principal axes of each column; those without any spread become zero."""
        columns, width = tokens_NAD.shape[1:]
        kept = int(np.clip(MOST_AXES // max(columns, 1), 1, min(AXES, width)))
        mean_AD = tokens_NAD.mean(axis=0, dtype=np.float64)
        axes_ADR = np.zeros((columns, width, kept))
        for column in range(
            columns
        ):  # one at a time: all centred tokens at once would fill the memory
            centred_ND = tokens_NAD[:, column].astype(np.float64) - mean_AD[column]
            values_D, vectors_DD = np.linalg.eigh(centred_ND.T @ centred_ND / len(centred_ND))
            values_R, vectors_DR = values_D[::-1][:kept], vectors_DD[:, ::-1][:, :kept]
            # The sign of an axis is open; its largest part is made positive.
            most_R = np.abs(vectors_DR).argmax(axis=0)
            vectors_DR = vectors_DR * np.sign(vectors_DR[most_R, np.arange(kept)])
            first = float(values_R[0])
            if first > 1e-12:
                axes_ADR[column] = vectors_DR * (values_R > 1e-6 * first) / np.sqrt(first)
        return cls(mean_AD, axes_ADR)

    def apply(self, tokens_NAD: NDArray[np.floating[Any]]) -> Floats:
        """Coordinates `(N, A, R)`.

        Raises:
            ValueError: tokens of another shape than those it was fitted on.
        """
        if tokens_NAD.shape[1:] != self.mean_AD.shape:
            raise ValueError(
                f"tokens of shape {tokens_NAD.shape[1:]}, fitted on {self.mean_AD.shape}"
            )
        centred_AND = (tokens_NAD - self.mean_AD).swapaxes(0, 1)
        coordinates: Floats = (centred_AND @ self.axes_ADR).swapaxes(0, 1)
        return coordinates


@dataclass(frozen=True)
class _Gaussians:
    """Precision over all columns `(P, P)`, within each column, and of a column given all others (A, R, R)."""

    mean_P: Floats
    joint_PP: Floats
    own_ARR: Floats
    given_ARR: Floats

    @classmethod
    def fit(cls, parts_NAR: Floats) -> _Gaussians:
        rows, columns, axes = parts_NAR.shape
        fitted = LedoitWolf(store_precision=False).fit(parts_NAR.reshape(rows, -1))
        covariance_PP: Floats = fitted.covariance_
        # A table whose columns never change has no precision; a little spread everywhere gives it one.
        floor = max(1e-8 * float(np.trace(covariance_PP)) / max(len(covariance_PP), 1), 1e-12)
        covariance_PP = covariance_PP + floor * np.eye(len(covariance_PP))
        joint_PP = _inverse(covariance_PP)
        own_ARR = _inverse(_diagonal_blocks(covariance_PP, columns, axes))
        given_ARR = _inverse(_diagonal_blocks(joint_PP, columns, axes))
        return cls(fitted.location_, joint_PP, own_ARR, given_ARR)

    def apply(self, parts_NAR: Floats) -> tuple[Floats, Floats]:
        """Disagreement of rows `(N,)`, and of every column with the others `(N, A)`."""
        centred_NP = parts_NAR.reshape(len(parts_NAR), len(self.mean_P)) - self.mean_P
        pulled_NAR = (centred_NP @ self.joint_PP).reshape(parts_NAR.shape)
        centred_NAR = centred_NP.reshape(parts_NAR.shape)
        own_NA = _quadratic(centred_NAR, self.own_ARR)
        row_N: Floats = (pulled_NAR * centred_NAR).sum(axis=(1, 2)) - own_NA.sum(axis=1)
        # P_aa⁻¹ (P x)_a is what the others did not foresee of column a.
        return row_N, _quadratic(pulled_NAR, self.given_ARR) - own_NA


def _inverse(matrices: Floats) -> Floats:
    found: Floats = np.asarray(np.linalg.inv(np.asarray(matrices, np.float64)), np.float64)
    return found


def _diagonal_blocks(matrix_PP: Floats, columns: int, axes: int) -> Floats:
    place = np.arange(columns)
    blocks: Floats = matrix_PP.reshape(columns, axes, columns, axes)[place, :, place, :]
    return blocks


def _quadratic(parts_NAR: Floats, matrix_ARR: Floats) -> Floats:
    parts_ANR = parts_NAR.swapaxes(0, 1)
    result: Floats = ((parts_ANR @ matrix_ARR) * parts_ANR).sum(axis=2).T
    return result


@dataclass(frozen=True)
class ColumnAgreement:
    """How well the columns of training rows agree; `quiet_A`, `loud_A`: quantiles of each column's part."""

    gaussians: _Gaussians
    quiet_A: Floats
    loud_A: Floats

    @classmethod
    def fit(cls, parts_NAR: Floats, folds: int, seed: int) -> tuple[ColumnAgreement, Floats]:
        """The reference, and the cross-fitted disagreement `(N,)` of its own rows."""
        row_N, column_NA = np.empty(len(parts_NAR)), np.empty(parts_NAR.shape[:2])
        for rows, held in KFold(folds, shuffle=True, random_state=seed).split(parts_NAR):
            row_N[held], column_NA[held] = _Gaussians.fit(parts_NAR[rows]).apply(parts_NAR[held])
        quiet_A, loud_A = np.quantile(column_NA, [_QUIET, _LOUD], axis=0)
        return cls(_Gaussians.fit(parts_NAR), quiet_A, loud_A), row_N

    def apply(self, parts_NAR: Floats) -> tuple[Floats, Floats]:
        """Disagreement of rows `(N,)`; part of every column `(N, A)`: 0 at the median of ordinary rows, 1 where
        one ordinary row in a hundred lies."""
        row_N, column_NA = self.gaussians.apply(parts_NAR)
        span_A = np.maximum(self.loud_A - self.quiet_A, 1e-9)
        return row_N, (column_NA - self.quiet_A) / span_A

    def to_dict(self) -> dict[str, Any]:
        """float64 arrays."""
        return {
            "joint_mean": self.gaussians.mean_P,
            "joint": self.gaussians.joint_PP,
            "own": self.gaussians.own_ARR,
            "given": self.gaussians.given_ARR,
            "quiet": self.quiet_A,
            "loud": self.loud_A,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> ColumnAgreement:
        """The inverse of `to_dict`."""
        names = ["joint_mean", "joint", "own", "given", "quiet", "loud"]
        *gaussians, quiet, loud = (np.asarray(value[name], dtype=np.float64) for name in names)
        return cls(_Gaussians(*gaussians), quiet, loud)
