"""The prediction response (PRED-5): its models, its JSON schema, and how arrays become rows of it.

`docs/response-schema.md` describes the fields; `response.schema.json` beside this module is made by
`python -m featrix_core.predictor.response` and a test keeps it fresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from featrix_core.files import write_json
from featrix_core.predictor.guardrails import UNLIKE_SIGMA, UNUSUAL_SIGMA
from featrix_core.predictor.prediction_sets import PredictionSets
from featrix_core.tables.bad_rows import BadRows
from featrix_core.tables.schema import Notice

Floats = NDArray[np.float64]
Confidence = Literal["high", "medium", "low"]

RESPONSE_VERSION: Literal[1] = 1
UNREADABLE = "unreadable_row"
SCHEMA_PATH = Path(__file__).with_name("response.schema.json")

_LEVELS = np.array(["low", "medium", "high"], dtype=object)
_MARGIN_HIGH, _MARGIN_MEDIUM = 0.5, 0.2
_WIDTH_HIGH, _WIDTH_MEDIUM = 0.5, 0.8

Share = Field(ge=0.0, le=1.0)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class ResponseMetadata(_Model):
    """What a reader needs to know about the model behind a prediction; the same for all rows."""

    response_version: Literal[1] = RESPONSE_VERSION
    model_version: str | None = Field(
        default=None, description="Version in the registry, where the model was loaded from one"
    )
    featrix_version: str = Field(description="Version of the library that answers")
    trained_date: str = Field(
        description="Day (UTC) on which training ended, as its first moment in ISO 8601",
        json_schema_extra={"format": "date-time"},
    )
    target: str = Field(description="Name of the predicted column")
    positive_class: str | None = Field(
        default=None, description="Two classes: the one that the threshold is about"
    )
    threshold: float | None = Field(
        default=None,
        ge=0.0,
        le=1.0,
        description="Two classes: the positive class is predicted from this probability on",
    )
    class_distribution_train: dict[str, float] | None = Field(
        default=None, description="Share of every class among the training rows"
    )
    prediction_set_level: float | None = Field(
        default=None, gt=0.0, lt=1.0, description="Classes: the prediction sets' nominal coverage"
    )
    interval_level: float | None = Field(
        default=None, gt=0.0, lt=1.0, description="Numbers: the intervals' nominal coverage"
    )
    note: str | None = Field(default=None, description="What to bear in mind, such as imbalance")


class PredictionRow(_Model):
    """The answer for one row."""

    row_id: int = Field(ge=0, description="Position of the row in the input, from 0")
    prediction: str | float | None = Field(
        description="Predicted class, or number in the target's unit; null for an unreadable row"
    )
    probability: float | None = Field(
        default=None, ge=0.0, le=1.0, description="Two classes: of the predicted class, calibrated"
    )
    probabilities: dict[str, float] | None = Field(
        default=None, description="More than two classes: of every class, calibrated, sum 1"
    )
    expected_level: float | None = Field(
        default=None,
        ge=0.0,
        description="Classes in an order: mean place by the probabilities, 0 for the lowest class",
    )
    prediction_set: list[str] | None = Field(
        default=None,
        min_length=1,
        description="Classes: those that may well be the true one, most probable first",
    )
    interval_low: float | None = Field(default=None, description="Numbers: lower end")
    interval_high: float | None = Field(default=None, description="Numbers: upper end")
    std: float | None = Field(default=None, ge=0.0, description="Numbers: expected error size")
    confidence: Confidence = Field(description="See docs/response-schema.md for the rule")
    ood_sigma: float | None = Field(
        default=None, description="Distance from the training rows, in sigma; above 2 unusual"
    )
    warnings: list[str] = Field(description="Sentences; empty for an ordinary row")
    warning_codes: list[str] = Field(description="One code per warning, in the same order")
    feature_importance: dict[str, float] | None = Field(
        default=None, description="Signed contribution of every column; None if not asked for"
    )
    importance_base: float | None = Field(
        default=None,
        description="What the contributions add up from: base + sum = explained figure",
    )
    importance_error: float | None = Field(
        default=None, ge=0.0, description="Size of what base + sum misses the explained figure by"
    )
    metadata: ResponseMetadata


def response_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of one row of the response."""
    schema = PredictionRow.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "featrix prediction",
        **{key: value for key, value in schema.items() if key != "title"},
    }


@dataclass(frozen=True)
class ClassScores:
    """Calibrated probabilities `(N, K)` of `classes`.

    With two classes number 1 is the positive one and `threshold` decides; with more the most
    probable class is predicted, also where the classes are `ordered`, from low to high: one rule, which the
    prediction sets and the confidence follow. `sets` says which classes may well be the true one.
    """

    classes: tuple[str, ...]
    probabilities_NK: Floats
    threshold: float = 0.5
    sets: PredictionSets | None = None
    ordered: bool = False

    @property
    def predicted_N(self) -> NDArray[np.int64]:
        """Predicted class numbers."""
        if len(self.classes) == 2:
            return (self.probabilities_NK[:, 1] >= self.threshold).astype(np.int64)
        most_probable: NDArray[np.int64] = self.probabilities_NK.argmax(axis=1)
        return most_probable

    @property
    def expected_level_N(self) -> Floats:
        """Mean place of the class, 0 … K-1."""
        levels: Floats = self.probabilities_NK @ np.arange(len(self.classes), dtype=np.float64)
        return levels

    @property
    def set_names(self) -> dict[str, list[list[str]]]:
        """The column `prediction_set`; nothing where there are no sets."""
        if self.sets is None:
            return {}
        return {"prediction_set": self.sets.names(self.probabilities_NK, self.classes)}


@dataclass(frozen=True)
class NumberScores:
    """Predicted numbers with interval and std, each `(N,)`.

    `target_width` is the width of the central part of the training targets at the intervals' own
    level: what one would have to say without a model. 0 where it is unknown or nil: `low` follows.
    """

    prediction_N: Floats
    low_N: Floats
    high_N: Floats
    std_N: Floats
    target_width: float


Scores = ClassScores | NumberScores


@dataclass(frozen=True)
class Importance:
    """Signed contributions `(N, C)` of the named columns, what they add up from, and the error of the sum."""

    names: tuple[str, ...]
    values_NC: Floats
    base_N: Floats
    error_N: Floats

    @property
    def sums(self) -> dict[str, Floats]:
        """The columns `importance_base` and `importance_error`."""
        return {"importance_base": self.base_N, "importance_error": self.error_N}


def confidence_levels(scores: Scores, sigma_N: Floats | None = None) -> NDArray[np.object_]:
    """`high`, `medium` or `low` per row, `(N,)`.

    Two classes: distance of the probability from the threshold as a part of what was possible on
    its side; more: the lead of the first class over the second. From 0.5 on high, from 0.2 on
    medium. Numbers: interval width against `target_width`; up to 0.5 high, up to 0.8 medium. Above
    2 sigma from the training data at most medium, above 3 sigma low.
    """
    if isinstance(scores, ClassScores):
        p = scores.probabilities_NK
        if len(scores.classes) == 2:
            room = np.where(p[:, 1] >= scores.threshold, 1.0 - scores.threshold, scores.threshold)
            margin = np.abs(p[:, 1] - scores.threshold) / np.maximum(room, 1e-12)
        else:
            top = np.partition(p, -2, axis=1)
            margin = top[:, -1] - top[:, -2]
        level = (margin >= _MARGIN_MEDIUM).astype(int) + (margin >= _MARGIN_HIGH)
    else:
        width = (scores.high_N - scores.low_N) / max(scores.target_width, 1e-300)
        level = (width <= _WIDTH_MEDIUM).astype(int) + (width <= _WIDTH_HIGH)
    if sigma_N is not None:
        level = np.where(sigma_N > UNUSUAL_SIGMA, np.minimum(level, 1), level)
        level = np.where(sigma_N > UNLIKE_SIGMA, 0, level)
    named: NDArray[np.object_] = _LEVELS[level]
    return named


def _n_rows(scores: Scores) -> int:
    return len(scores.probabilities_NK if isinstance(scores, ClassScores) else scores.prediction_N)


def build_responses(
    scores: Scores,
    metadata: ResponseMetadata,
    *,
    sigma_N: Floats | None = None,
    flags: Sequence[Sequence[Notice]] | None = None,
    importance: Importance | None = None,
    bad: BadRows | None = None,
) -> list[dict[str, Any]]:
    """One JSON-ready dict per row, in the shape of `PredictionRow` (PRED-5).

    Args:
        scores: what the predictor says.
        metadata: stands in every row, so that each line of a JSON-lines file can be read alone.
        sigma_N: distance from the training data, stands in the row and lowers the confidence.
        flags: warnings per row, from `guardrails`.
        importance: signed contributions per row.
        bad: records that cannot be read; each is answered in its place, with a null prediction.
    """
    n = _n_rows(scores)
    columns: dict[str, list[Any]] = {"row_id": _places(n, bad).tolist()}
    if isinstance(scores, ClassScores):
        predicted = scores.predicted_N
        columns["prediction"] = np.array(scores.classes, dtype=object)[predicted].tolist()
        if len(scores.classes) == 2:
            columns["probability"] = scores.probabilities_NK[np.arange(n), predicted].tolist()
        else:
            columns["probabilities"] = [
                dict(zip(scores.classes, row, strict=True))
                for row in scores.probabilities_NK.tolist()
            ]
        if scores.ordered:
            columns["expected_level"] = scores.expected_level_N.tolist()
        columns |= scores.set_names
    else:
        columns["prediction"] = scores.prediction_N.tolist()
        columns["interval_low"] = scores.low_N.tolist()
        columns["interval_high"] = scores.high_N.tolist()
        columns["std"] = scores.std_N.tolist()
    columns["confidence"] = confidence_levels(scores, sigma_N).tolist()
    if sigma_N is not None:
        columns["ood_sigma"] = sigma_N.tolist()
    rows = flags if flags is not None else [[]] * n
    columns["warnings"] = [[notice.message for notice in row] for row in rows]
    columns["warning_codes"] = [[notice.code for notice in row] for row in rows]
    if importance is not None:
        columns["feature_importance"] = [
            dict(zip(importance.names, row, strict=True)) for row in importance.values_NC.tolist()
        ]
        columns |= {name: values.tolist() for name, values in importance.sums.items()}
    shared = metadata.model_dump(mode="json", exclude_none=True)
    names = list(columns)
    answers = [
        {**dict(zip(names, cells, strict=True)), "metadata": shared}
        for cells in zip(*columns.values(), strict=True)
    ]
    if bad is None:
        return answers
    unread = [
        {
            "row_id": place,
            "prediction": None,
            "confidence": "low",
            "warnings": [reason],
            "warning_codes": [UNREADABLE],
            "metadata": shared,
        }
        for place, reason in zip(bad.positions_B.tolist(), bad.reasons(), strict=True)
    ]
    return sorted(answers + unread, key=lambda row: int(row["row_id"]))


def _places(n: int, bad: BadRows | None) -> NDArray[np.int64]:
    """Positions of the `n` readable rows among all records."""
    if bad is None:
        return np.arange(n)
    return np.delete(np.arange(n + bad.count), bad.positions_B)


def build_frame(
    scores: Scores,
    *,
    sigma_N: Floats | None = None,
    flags: Sequence[Sequence[Notice]] | None = None,
    importance: Importance | None = None,
    bad: BadRows | None = None,
) -> pd.DataFrame:
    """One row per input row: the table that batch scoring writes (PRED-5).

    All: `row_id` first, then, after what follows here, `confidence`, `ood_sigma` where `sigma_N` is given, `warnings`,
    `warning_codes`.
    Classes: `prediction`, `probability_<class>` in the order of `classes`, `expected_level` where that
    order means something, `prediction_set`. Numbers: `prediction`, `interval_low`, `interval_high`, `std`.
    With `importance` a column of that name with `(column, contribution)` pairs, and last `importance_base`
    and `importance_error`. `to_arrow` gives it exact types. Records in `bad` stand in their places with
    nothing but `row_id`, a warning, its code and confidence `low`.
    """
    n = _n_rows(scores)
    columns: dict[str, Any] = {"row_id": _places(n, bad)}
    if isinstance(scores, ClassScores):
        columns["prediction"] = np.array(scores.classes, dtype=object)[scores.predicted_N]
        for k, name in enumerate(scores.classes):
            columns[f"probability_{name}"] = scores.probabilities_NK[:, k]
        if scores.ordered:
            columns["expected_level"] = scores.expected_level_N
        columns |= scores.set_names
    else:
        columns["prediction"] = scores.prediction_N
        columns["interval_low"] = scores.low_N
        columns["interval_high"] = scores.high_N
        columns["std"] = scores.std_N
    columns["confidence"] = confidence_levels(scores, sigma_N)
    if sigma_N is not None:
        columns["ood_sigma"] = sigma_N
    rows = flags if flags is not None else [[]] * n
    columns["warnings"] = [[notice.message for notice in row] for row in rows]
    columns["warning_codes"] = [[notice.code for notice in row] for row in rows]
    if importance is not None:
        columns["importance"] = [
            list(zip(importance.names, row, strict=True)) for row in importance.values_NC.tolist()
        ]
        columns |= importance.sums
    frame = pd.DataFrame(columns)
    if bad is None:
        return frame
    frame.index = pd.Index(frame["row_id"].to_numpy())
    text = pd.Series([[reason] for reason in bad.reasons()], bad.positions_B, dtype=object)
    code = pd.Series([[UNREADABLE]] * bad.count, bad.positions_B, dtype=object)
    frame = frame.reindex(np.arange(n + bad.count))
    frame["row_id"] = frame.index
    frame["confidence"] = frame["confidence"].fillna("low")
    frame["warnings"] = frame["warnings"].fillna(text)
    frame["warning_codes"] = frame["warning_codes"].fillna(code)
    return frame


def to_arrow(frame: pd.DataFrame) -> pa.Table:
    """`build_frame`'s result with fixed Arrow types: the same ones with no rows or no warnings."""
    fixed = {
        "row_id": pa.int64(),
        "prediction_set": pa.list_(pa.string()),
        "confidence": pa.string(),
        "warnings": pa.list_(pa.string()),
        "warning_codes": pa.list_(pa.string()),
        "importance": pa.map_(pa.string(), pa.float64()),
    }
    numeric = "interval_low" in frame.columns
    fields = [
        pa.field(
            name,
            fixed.get(name, pa.string() if name == "prediction" and not numeric else pa.float64()),
        )
        for name in frame.columns
    ]
    return pa.Table.from_pandas(frame, schema=pa.schema(fields), preserve_index=False)


if __name__ == "__main__":
    write_json(SCHEMA_PATH, response_schema())
