"""`RowGuard`: how unlike its training rows a row is, in sigma, and which columns are to blame (PRED-6).

Three statistics, each read as sigma against rows that it was not fitted on, see different strangers: the Mahalanobis
distance of the row embedding (a row far from all others), the disagreement of columns (`agreement.py`: ordinary
values that do not belong together), and the squared size of standardised numbers (values at the ends of their
ranges, which embeddings saturate on). What lies above -2 sigma in each is squared and added, and the sum is read
as sigma once more, so that about 2.3 % of ordinary rows lie above 2. `benchmarks/guardrails.py` measures each of
the three, their sum, and rivals on planted strangers.

One pass of the column encoders serves the embedding and the agreement.

Legend: N rows · A columns · D token width · R axes kept per column · S scalar columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featrix_core.encoders.tokens import TokenBatch
from featrix_core.predictor.agreement import ColumnAgreement, ColumnAxes
from featrix_core.predictor.guardrails import FOLDS, UNUSUAL_SIGMA, GuardrailReference
from featrix_core.predictor.sigma_scale import SigmaScale
from featrix_core.space.model import SpaceModel, evaluating
from featrix_core.training.device import threads_for

Floats = NDArray[np.float64]

MOST_ROWS = 10_000
_AXES_ROWS = 2_000
_CHUNK = 2048
_BLAMED = 3
_BESIDE = 0.5
STATISTICS = ("distance", "agreement", "extremes")


@dataclass(frozen=True)
class Surprise:
    """sigma_N: how unlike the training rows; parts_N3: the same by each of `STATISTICS`; blame_NA: how much each
    column (in the tokenizer's order) is out of the ordinary, 1 where one ordinary row in a hundred lies."""

    sigma_N: Floats
    parts_N3: Floats
    blame_NA: Floats


@dataclass(frozen=True)
class _Read:
    """Of rows: embeddings (N, M), coordinates of column encodings (N, A, R), standardised numbers (N, S)."""

    rows_NM: Floats
    parts_NAR: Floats
    z_NS: Floats


@dataclass(frozen=True)
class RowGuard:
    """What training rows look like; knots_46: sigma scales of the three statistics and of their sum."""

    axes: ColumnAxes
    reference: GuardrailReference
    agreement: ColumnAgreement
    knots_46: Floats
    loud_S: Floats

    @classmethod
    def fit(cls, model: SpaceModel, batch: TokenBatch, seed: int = 42) -> RowGuard:
        """Learn from the training rows (at most 10,000 drawn ones).

        Raises:
            ValueError: fewer than 10 rows.
        """
        if batch.n_rows < 10:
            raise ValueError(f"{batch.n_rows} rows are too few for a guard; at least 10 are needed")
        order = np.random.default_rng(seed).permutation(batch.n_rows)[:MOST_ROWS]
        few = batch.rows(torch.from_numpy(np.sort(order[:_AXES_ROWS])))
        with torch.no_grad():
            axes = ColumnAxes.fit(_encoders(model, few))
        read = _read(model, axes, batch.rows(torch.from_numpy(np.sort(order))))
        reference, distance_N = GuardrailReference.fit_with_distances(read.rows_NM, seed)
        agreement, disagreement_N = ColumnAgreement.fit(read.parts_NAR, FOLDS, seed)
        figures_N3 = np.stack([distance_N, disagreement_N, _extremes(read.z_NS)], axis=1)
        scales = [SigmaScale.fit(figures_N) for figures_N in figures_N3.T]
        scales.append(SigmaScale.fit(_together(_sigmas(scales, figures_N3))))
        loud_S = np.quantile(np.abs(read.z_NS), 0.99, axis=0)
        knots_46 = np.stack([scale.knots_6 for scale in scales])
        return cls(axes, reference, agreement, knots_46, loud_S)

    def apply(self, model: SpaceModel, batch: TokenBatch) -> Surprise:
        """Surprise of rows; what a row is told does not depend on the others.

        A chunk of rows at a time: their encodings take a thousand times the memory of what is told of them.
        """
        with threads_for(batch.n_rows):
            parts = [
                self._surprise(model, batch.rows(slice(start, start + _CHUNK)))
                for start in range(0, max(batch.n_rows, 1), _CHUNK)
            ]
        return Surprise(
            np.concatenate([part.sigma_N for part in parts]),
            np.concatenate([part.parts_N3 for part in parts]),
            np.concatenate([part.blame_NA for part in parts]),
        )

    def _surprise(self, model: SpaceModel, batch: TokenBatch) -> Surprise:
        read = _read(model, self.axes, batch)
        distance_N = self.reference.distances(read.rows_NM)
        disagreement_N, blame_NA = self.agreement.apply(read.parts_NAR)
        figures_N3 = np.stack([distance_N, disagreement_N, _extremes(read.z_NS)], axis=1)
        scales = [SigmaScale(knots_6) for knots_6 in self.knots_46]
        parts_N3 = _sigmas(scales[:3], figures_N3)
        # Scalar columns come first in the tokenizer's order.
        numbers = read.z_NS.shape[1]
        far_NS = np.abs(read.z_NS) / np.maximum(self.loud_S, 1e-9)
        blame_NA[:, :numbers] = np.maximum(blame_NA[:, :numbers], far_NS)
        return Surprise(scales[3].apply(_together(parts_N3)), parts_N3, blame_NA)

    def to_dict(self) -> dict[str, Any]:
        """Numbers and float64 arrays, to be saved as safetensors."""
        kept = {f"reference.{key}": value for key, value in self.reference.to_dict().items()}
        kept |= {f"agreement.{key}": value for key, value in self.agreement.to_dict().items()}
        return kept | {
            "axes.mean": self.axes.mean_AD,
            "axes.axes": self.axes.axes_ADR,
            "knots": self.knots_46,
            "loud": self.loud_S,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> RowGuard:
        """The inverse of `to_dict`."""

        def under(prefix: str) -> dict[str, Any]:
            return {
                key.removeprefix(prefix): kept
                for key, kept in value.items()
                if key.startswith(prefix)
            }

        mean, axes, knots, loud = (
            np.asarray(value[name], dtype=np.float64)
            for name in ("axes.mean", "axes.axes", "knots", "loud")
        )
        return cls(
            ColumnAxes(mean, axes),
            GuardrailReference.from_dict(under("reference.")),
            ColumnAgreement.from_dict(under("agreement.")),
            knots,
            loud,
        )


def to_blame(surprise: Surprise, names: Sequence[str]) -> list[list[str]]:
    """Per row above 2 sigma at most three columns that are out of the ordinary, the worst first; else none."""
    found: list[list[str]] = [[] for _ in surprise.sigma_N]
    for row in np.flatnonzero(surprise.sigma_N > UNUSUAL_SIGMA).tolist():
        worst = np.argsort(-surprise.blame_NA[row], kind="stable")[:_BLAMED].tolist()
        # One odd value makes the others look a little odd beside it; they are not named.
        least = max(1.0, _BESIDE * float(surprise.blame_NA[row, worst[0]])) if worst else 1.0
        found[row] = [names[k] for k in worst if surprise.blame_NA[row, k] > least]
    return found


def _encoders(model: SpaceModel, batch: TokenBatch) -> NDArray[np.float32]:
    with evaluating(model):
        tokens: NDArray[np.float32] = model.encoders(batch).numpy()
    return tokens


def _read(model: SpaceModel, axes: ColumnAxes, batch: TokenBatch) -> _Read:
    rows, parts = [], []
    with torch.no_grad(), evaluating(model):
        for start in range(0, max(batch.n_rows, 1), _CHUNK):
            tokens_BAD = model.encoders(batch.rows(slice(start, start + _CHUNK)))
            rows.append(model.rows_of(tokens_BAD, None).numpy())
            parts.append(axes.apply(tokens_BAD.numpy()))
    z_NS = batch.z_NS.double().masked_fill(batch.scalar_missing_NS, 0.0).numpy()
    return _Read(np.concatenate(rows).astype(np.float64), np.concatenate(parts), z_NS)


def _extremes(z_NS: Floats) -> Floats:
    size: Floats = (z_NS**2).sum(axis=1)
    return size


def _sigmas(scales: Sequence[SigmaScale], figures_N3: Floats) -> Floats:
    return np.stack([s.apply(figures_N3[:, k]) for k, s in enumerate(scales)], axis=1)


def _together(parts_N3: Floats) -> Floats:
    """Root of the summed squares of what lies above -2 sigma."""
    length: Floats = np.linalg.norm(np.maximum(parts_N3 + 2.0, 0.0), axis=1)
    return length
