"""How a predictor is trained, from the size of its table (TRAIN-2, PRED-1)."""

from __future__ import annotations

import math

from featrix_core.predictor.wishes import LossWish
from featrix_core.tables.schema import Frozen
from featrix_core.training.plan import TrainingPlan

SMALL = 5_000
"""Below this many labelled rows the predictor is a bag over folds (DESIGN, "Predictor")."""
FEW_OF_OTHERS = 500
"""So is one with fewer rows outside of its most frequent class: a validation part of them says little of when to stop,
of shares, calibration and threshold, and is sorely missed in training. Nor are they enough for a deep head."""
LEAST_EPOCHS = 10
"""An epoch of a long table is a part of its rows: weights are judged, and the encoder joins, between epochs."""
FOLDS = 5


class PredictorPlan(Frozen):
    """Values of one predictor's training; stored with it.

    folds: members of the bag, each validated on the fold that it did not see; 1 is a single split.
    loss, class_weights: what the user wants, `auto` and None to have it chosen; once fitted, what was used.
    """

    folds: int
    validation_share: float
    batch_size: int
    updates: int
    learning_rate: float
    weight_decay: float
    dropout: float
    width: int
    members: int
    fine_tune: bool
    ema_decay: float
    loss: LossWish = "auto"
    class_weights: bool | None = None

    def training(self, n_rows: int, seed: int, epochs: int | None = None) -> TrainingPlan:
        """Plan of one bag member that trains on `n_rows` rows."""
        size = max(1, min(self.batch_size, n_rows))
        steps = max(1, min(n_rows // size, self.updates // LEAST_EPOCHS))
        count = epochs or max(1, math.ceil(self.updates / steps))
        return TrainingPlan(
            epochs=count,
            batch_size=size,
            steps_per_epoch=steps,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            ema_decay=self.ema_decay,
            patience=max(6, math.ceil(count / 4)),
            seed=seed,
        )


def plan_predictor(
    n_rows: int,
    fine_tune: bool | None = None,
    *,
    loss: LossWish = "auto",
    class_weights: bool | None = None,
    others: int | None = None,
) -> PredictorPlan:
    """Small tables, and rare classes: five members, lower rate. Large ones: one member, longer.

    Args:
        others: rows outside of the most frequent class (`rows_of_others`); None where they do not matter.
        loss, class_weights: (root of 1 / frequency) chosen by validation unless given (PRED-2). The focal loss has
            class weights unless told otherwise, the others have none.
    """
    small = n_rows < SMALL or (others is not None and others < FEW_OF_OTHERS)
    return PredictorPlan(
        folds=FOLDS if small else 1,
        validation_share=min(0.15, 5_000 / max(n_rows, 1)),
        batch_size=128 if n_rows < 2_000 else 256,
        updates=300 if small else min(1_200, 400 + n_rows // 40),
        learning_rate=5e-4 if small else 1e-3,
        weight_decay=0.02,
        dropout=0.25 if n_rows < 2_000 else 0.15,
        width=256,
        members=16,
        fine_tune=(n_rows >= 2_000) if fine_tune is None else fine_tune,
        ema_decay=0.98,
        loss=loss,
        class_weights=class_weights,
    )
