"""`SinglePredictorMLP`: the one-call form of a predictor (D3.1, D3.2)."""

from __future__ import annotations

from featrix_core.embedding_space import EmbeddingSpace, OnProgress
from featrix_core.errors import FeatrixUserError
from featrix_core.input_data_set import TableLike
from featrix_core.predictor.wishes import LossWish
from featrix_core.single_predictor import SinglePredictor


class SinglePredictorMLP(SinglePredictor):
    """A predictor that is told its target and costs when it is made.

    Args:
        target_column, target_column_type, group_column, time_column: as in `SinglePredictor.prep_for_training`.
        others: as in `SinglePredictor`.

    Example:
        >>> churn = SinglePredictorMLP(embedding_space=space, target_column="churned",
        ...                            cost_false_positive=50, cost_false_negative=500)
        >>> churn.train(df).predict(new_customers)
    """

    def __init__(
        self,
        embedding_space: EmbeddingSpace,
        target_column: str,
        target_column_type: str | None = None,
        positive_label: str | None = None,
        cost_false_positive: float | None = None,
        cost_false_negative: float | None = None,
        *,
        group_column: str | None = None,
        time_column: str | None = None,
        fine_tune: bool | None = None,
        ensemble: bool = True,
        loss: LossWish = "auto",
        class_weights: bool | None = None,
        seed: int = 42,
    ) -> None:
        super().__init__(
            embedding_space,
            name=f"{embedding_space.name}_{target_column}",
            seed=seed,
            fine_tune=fine_tune,
            ensemble=ensemble,
            loss=loss,
            class_weights=class_weights,
            positive_label=positive_label,
            cost_false_positive=cost_false_positive,
            cost_false_negative=cost_false_negative,
        )
        self.target_column = target_column
        self.target_column_type = target_column_type
        self.group_column = group_column
        self.time_column = time_column

    def train(  # type: ignore[override]
        self,
        data: TableLike | None = None,
        n_epochs: int | None = None,
        *,
        calibrate: bool = True,
        on_progress: OnProgress | None = None,
    ) -> SinglePredictorMLP:
        """Train on labelled rows; left out, on the table that the space was trained from in this process.

        Raises:
            FeatrixUserError: no rows are given and the space was loaded from disk, or a refusal of
                `prep_for_training`.
        """
        rows = data if data is not None else self.space.train_table
        if rows is None:
            raise FeatrixUserError(
                "A loaded space carries no rows to train a predictor on",
                remedy="Give them: train(df)",
            )
        self.prep_for_training(
            rows,
            self.target_column,
            self.target_column_type,
            group_column=self.group_column,
            time_column=self.time_column,
        )
        super().train(n_epochs, calibrate=calibrate, on_progress=on_progress)
        return self
