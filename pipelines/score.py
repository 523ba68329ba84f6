"""The `score` DAG: new rows through a saved or registered predictor (OPS-6)."""

from kfp import dsl

from components.batch_score.component import batch_score
from pipelines.settings import RUN, settle


@dsl.pipeline(
    name="featrix-score",
    description="New rows through a predictor: a bundle's folder, or models:/NAME@ALIAS.",
    pipeline_config=RUN,
)
def score(model: str, data: str, data_version: str = "") -> None:
    """Score `data` with `model`; one output row per input row, in the same order."""
    task = batch_score(model=model, data=data, data_version=data_version)
    # An alias may name another version by now, which no parameter shows.
    settle(task, "batch_score").set_caching_options(False)
