"""From network answers to calibrated scores: what is fitted on held-out rows (PRED-2 … PRED-5).

Legend: N rows · O outputs (classes, or 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featrix_core.errors import FeatrixUserError
from featrix_core.predictor.calibration import Calibration, fit_calibration
from featrix_core.predictor.guardrails import imbalance_note
from featrix_core.predictor.intervals import ConformalInterval, fit_intervals
from featrix_core.predictor.number_scales import error_scales
from featrix_core.predictor.prediction_sets import (
    PredictionSets,
    cross_fitted,
    fit_prediction_sets,
)
from featrix_core.predictor.response import ClassScores, NumberScores, ResponseMetadata, Scores
from featrix_core.predictor.target_coding import TargetCoding
from featrix_core.predictor.thresholds import Threshold, choose_threshold
from featrix_core.version import VERSION

Floats = NDArray[np.float64]
LEVEL = 0.9
_SPREAD_PART = 0.5
"""Share of the interval's scale that follows the spread of the heads; the rest is constant."""
_WIDER = 0.1
"""Share by which the score of intervals may be worse than the best one's where their errors are more alike."""


@dataclass(frozen=True)
class Outputs:
    """Calibration, threshold and prediction sets of classes, or intervals of numbers."""

    calibration: Calibration | None = None
    threshold: Threshold | None = None
    sets: PredictionSets | None = None
    interval: ConformalInterval | None = None
    ratio: float = 1.0
    usual_spread: float = 1.0
    target_width: float = 0.0

    def probabilities(self, answer_NO: NDArray[np.float32]) -> Floats:
        """Calibrated probabilities (N, O)."""
        assert self.calibration is not None
        return self.calibration.apply(answer_NO)

    def values(self, answer_NO: NDArray[np.float32], coding: TargetCoding) -> Floats:
        """Numbers in the target's unit; a transformed target's known bias is taken out."""
        return coding.numbers(answer_NO[:, 0]) * self.ratio

    def scale(self, spread_N: NDArray[np.float32]) -> Floats:
        """Expected size of the error, relative: half constant, half by the spread of the heads."""
        relative = spread_N.astype(np.float64) / max(self.usual_spread, 1e-12)
        return (1.0 - _SPREAD_PART) + _SPREAD_PART * np.minimum(relative, 10.0)

    def scores(
        self, answer_NO: NDArray[np.float32], spread_N: NDArray[np.float32], coding: TargetCoding
    ) -> Scores:
        """What the response is built from."""
        if coding.classification:
            threshold = 0.5 if self.threshold is None else self.threshold.threshold
            said_NO = self.probabilities(answer_NO)
            return ClassScores(coding.classes, said_NO, threshold, self.sets, coding.ordered)
        assert self.interval is not None
        values = self.explained(answer_NO, coding)
        low, high, std = self.interval.apply(values, self.scale(spread_N))
        return NumberScores(values, low, high, std, self.target_width)

    def explained_class(self, answer_NO: NDArray[np.float32]) -> NDArray[np.int64]:
        """Class whose probability importance speaks of: the positive one, or each row's most probable."""
        if self.calibration is None:
            return np.zeros(len(answer_NO), np.int64)
        if answer_NO.shape[1] == 2:
            return np.ones(len(answer_NO), np.int64)
        return self.probabilities(answer_NO).argmax(axis=1)

    def explained(
        self, answer_NO: NDArray[np.float32], coding: TargetCoding, number: int = 0
    ) -> Floats:
        """What importance adds up to: the calibrated probability of class `number`, or the predicted number."""
        if coding.classification:
            return self.probabilities(answer_NO)[:, number]
        assert self.interval is not None
        values = self.values(answer_NO, coding)
        return np.clip(values, self.interval.minimum, self.interval.maximum)

    def metadata(
        self, coding: TargetCoding, info: dict[str, Any], version: str | None = None
    ) -> ResponseMetadata:
        """The part of the response that is the same for all rows; `version`: the registry's, if there is one."""
        distribution, chosen = info["class_distribution"], self.threshold
        told = (None, None) if chosen is None else (chosen.threshold, chosen.criterion)
        return ResponseMetadata(
            model_version=version,
            featrix_version=VERSION,
            trained_date=info["trained_date"],
            target=coding.target.name,
            positive_class=coding.classes[-1] if coding.outputs == 2 else None,
            threshold=told[0],
            class_distribution_train=distribution,
            prediction_set_level=None if self.sets is None else self.sets.level,
            interval_level=None if self.interval is None else self.interval.level,
            note=None if distribution is None else imbalance_note(distribution, *told),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "calibration": None if self.calibration is None else self.calibration.to_dict(),
            "threshold": None if self.threshold is None else self.threshold.model_dump(mode="json"),
            "sets": None if self.sets is None else self.sets.to_dict(),
            "interval": None if self.interval is None else self.interval.to_dict(),
            "ratio": self.ratio,
            "usual_spread": self.usual_spread,
            "target_width": self.target_width,
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Outputs:
        """The inverse of `to_dict`."""
        return cls(
            calibration=value["calibration"] and Calibration.from_dict(value["calibration"]),
            threshold=value["threshold"] and Threshold.model_validate(value["threshold"]),
            sets=value["sets"] and PredictionSets.from_dict(value["sets"]),
            interval=value["interval"] and ConformalInterval.from_dict(value["interval"]),
            ratio=value["ratio"],
            usual_spread=value["usual_spread"],
            target_width=value["target_width"],
        )


def class_probabilities(scores: Scores) -> Floats:
    """Probabilities (N, K) of a target of classes.

    Raises:
        FeatrixUserError: the target is a number.
    """
    if isinstance(scores, ClassScores):
        return scores.probabilities_NK
    raise FeatrixUserError(
        "A number has no probabilities", remedy="Use predict or scores, which give an interval"
    )


def fit_outputs(
    coding: TargetCoding,
    answer_NO: NDArray[np.float32],
    spread_N: NDArray[np.float32],
    labels_N: Floats,
    costs: tuple[float | None, float | None],
    seed: int,
    weights_N: Floats | None = None,
    groups_N: NDArray[np.int64] | None = None,
) -> Outputs:
    """Fit everything that needs held-out rows; `groups_N` keeps rows of one group together where folds are made.

    The calibration and the level of numbers follow the rows' weights (DATA-5); the threshold, prediction sets
    and the width of intervals are chosen on the rows as they are.
    """
    if weights_N is not None and not weights_N.any():
        weights_N = None  # held-out rows that all weigh nothing are still the only ones there are
    if coding.classification:
        labels = labels_N.astype(np.int64)
        calibration = fit_calibration(labels, answer_NO, seed, weights_N, groups_N)
        threshold = None
        if coding.outputs == 2:
            positive = calibration.apply(answer_NO)[:, 1]
            threshold = choose_threshold(labels, positive, *costs)
        fitted_N = slice(None) if weights_N is None else weights_N > 0
        labels = labels[fitted_N]
        sets = fit_prediction_sets(
            labels,
            cross_fitted(
                calibration,
                labels,
                answer_NO[fitted_N],
                seed,
                None if weights_N is None else weights_N[fitted_N],
                None if groups_N is None else groups_N[fitted_N],
            ),
            LEVEL,
        )
        return Outputs(calibration=calibration, threshold=threshold, sets=sets)
    values = coding.numbers(answer_NO[:, 0])
    ratio = 1.0
    total = float(np.average(values, weights=weights_N))
    if coding.transform in ("sqrt", "log1p") and total > 0:
        ratio = float(np.clip(np.average(labels_N, weights=weights_N) / total, 0.5, 2.0))
    partial = Outputs(
        ratio=ratio,
        usual_spread=float(np.median(spread_N)),
        target_width=float(np.ptp(np.quantile(labels_N, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))),
    )
    asked = (
        labels_N,
        np.clip(partial.values(answer_NO, coding), coding.minimum, coding.maximum),
        partial.scale(spread_N),
    )
    # How much errors grow with the number, the transform that it is learned by does not tell.
    tried = [
        fit_intervals(
            *asked,
            level=LEVEL,
            minimum=coding.minimum,
            maximum=coding.maximum,
            transform=transform,
            unit=unit,
        )
        for transform, unit in error_scales(labels_N)
    ]
    scored = [(one.score(*asked), one) for one in tried]
    enough = (1.0 + _WIDER) * min(score for score, _ in scored)
    good = [one for score, one in scored if score <= enough]
    interval = min(good, key=lambda one: one.unevenness(*asked))
    return Outputs(
        interval=interval,
        ratio=ratio,
        usual_spread=partial.usual_spread,
        target_width=partial.target_width,
    )
