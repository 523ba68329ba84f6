"""`SinglePredictorMLP`: the one-call form of a predictor (D3.1, D3.2)."""

from __future__ import annotations

from featrix_core.embedding_space import EmbeddingSpace, OnProgress
from featrix_core.errors import FeatrixUserError
from featrix_core.input_data_set import TableLike
from featrix_core.single_predictor import SinglePredictor


class SinglePredictorMLP(SinglePredictor):
    """A predictor that is told its target and costs when it is made.

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
        fine_tune: bool | None = None,
        seed: int = 42,
    ) -> None:
        super().__init__(
            embedding_space,
            name=f"{embedding_space.name}_{target_column}",
            seed=seed,
            fine_tune=fine_tune,
            positive_label=positive_label,
            cost_false_positive=cost_false_positive,
            cost_false_negative=cost_false_negative,
        )
        self.target_column = target_column
        self.target_column_type = target_column_type

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
            FeatrixUserError: no rows are given and the space was loaded from disk.
        """
        rows = data if data is not None else self.space.train_table
        if rows is None:
            raise FeatrixUserError(
                "A loaded space carries no rows to train a predictor on",
                remedy="Give them: train(df)",
            )
        self.prep_for_training(rows, self.target_column, self.target_column_type)
        super().train(n_epochs, calibrate=calibrate, on_progress=on_progress)
        return self
