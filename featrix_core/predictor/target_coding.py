"""Targets as tensors and answers in the target's own unit (PRED-1, PRED-4).

Legend: N rows · O outputs (classes, or 1).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featrix_core.errors import FeatrixUserError
from featrix_core.predictor.number_scales import Scale, choose_scale, ends, forward, inverse
from featrix_core.predictor.wishes import check_wishes
from featrix_core.tables.schema import Frozen
from featrix_core.tables.table import Table
from featrix_core.tables.targets import TargetSchema, detect_target, encode_target
from featrix_core.tables.texts import class_text

Floats = NDArray[np.float64]
FEWEST_LABELS = 10
"""Rows that guardrails, calibration and prediction sets need to say anything."""


class TargetCoding(Frozen):
    """How a target is learned.

    `classes` ends with the positive class where there are two, and goes from low to high where the target is
    ordinal. A number is learned as `(transform(y) − mean) / std` with the transform of `number_scales.choose_scale`;
    it never leaves `minimum` … `maximum` (None: open).
    """

    target: TargetSchema
    classes: tuple[str, ...] = ()
    transform: Scale = "identity"
    unit: float = 1.0
    mean: float = 0.0
    std: float = 1.0
    minimum: float | None = None
    maximum: float | None = None

    @property
    def classification(self) -> bool:
        """True unless the target is a number."""
        return self.target.kind != "scalar"

    @property
    def ordered(self) -> bool:
        """True where the classes stand from low to high."""
        return self.target.kind == "ordinal"

    @property
    def outputs(self) -> int:
        """Outputs of the network."""
        return len(self.classes) if self.classification else 1

    @classmethod
    def fit(cls, table: Table, target: TargetSchema) -> TargetCoding:
        """Choose class order or transform on the training rows."""
        if target.kind != "scalar":
            classes = target.classes
            if target.positive is not None:
                classes = tuple(sorted(classes, key=lambda name: name == target.positive))
            return cls(target=target, classes=classes)
        y = encode_target(table, target)
        y = y[np.isfinite(y)]
        transform, unit = choose_scale(y)
        values = forward(transform, y, unit)
        least, most = ends(y)
        return cls(
            target=target,
            transform=transform,
            unit=unit,
            mean=float(values.mean()),
            std=float(values.std()) or 1.0,
            minimum=least,
            maximum=most,
        )

    def labels(self, table: Table) -> Floats:
        """Class numbers in the order of `classes`, or numbers; NaN where there is no usable label (N,)."""
        y = encode_target(table, self.target)
        if not self.classification:
            return y
        place = np.array([float(self.classes.index(name)) for name in self.target.classes])
        known = np.isfinite(y)
        labels = np.full(len(y), np.nan)
        labels[known] = place[y[known].astype(np.int64)]
        return labels

    def distribution(self, labels_N: Floats) -> dict[str, float] | None:
        """Share of every class among the rows; None for a number."""
        if not self.classification:
            return None
        counts = np.bincount(labels_N.astype(np.int64), minlength=len(self.classes))
        return {name: float(counts[k] / len(labels_N)) for k, name in enumerate(self.classes)}

    def tensor(self, labels_N: Floats) -> Tensor:
        """What the network learns: int64 classes or float32 standardised numbers."""
        if self.classification:
            return torch.from_numpy(labels_N.astype(np.int64))
        return torch.from_numpy(
            ((forward(self.transform, labels_N, self.unit) - self.mean) / self.std).astype(
                np.float32
            )
        )

    def numbers(self, answer_N: NDArray[np.float32]) -> Floats:
        """Network answers back in the target's unit."""
        values = answer_N.astype(np.float64) * self.std + self.mean
        return inverse(self.transform, values, self.unit)


def describe_target(
    table: Table, name: str, kind: str | None = None, positive: str | None = None
) -> TargetSchema:
    """The target's schema. `kind`: `set` for classes, or a kind of `TargetSchema`; found when left out.

    Raises:
        FeatrixUserError: an unusable target, fewer than 10 labelled rows, or a positive label where there are not
            two classes, or none of these is it.
    """
    schema = detect_target(table, name, None if kind == "set" else kind)
    if kind == "set" and schema.kind == "scalar":
        schema = detect_target(table, name, "multiclass")
    n_labels = schema.n_rows - schema.n_missing
    if n_labels < FEWEST_LABELS:
        raise FeatrixUserError(
            f"{n_labels} of {schema.n_rows} rows have a label, and {FEWEST_LABELS} are needed to train a "
            "predictor and to check it",
            column=name,
            value=str(n_labels),
            remedy="Give more rows with a label",
        )
    if positive is None:
        return schema
    check_wishes(schema, positive_label=positive)
    return schema.model_copy(update={"positive": class_text(positive)})
