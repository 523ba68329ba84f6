"""What the Kubeflow UI shows of a step: its page, its metrics, ROC and confusion matrix (OPS-2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featrix_core.files import write_json, write_text
from featrix_core.steps.figures import figures
from featrix_core.steps.pages import step_page


def show(
    kind: str, folder: Path, *, page: Any = None, metrics: Any = None, classification: Any = None
) -> None:
    """Fill a step's artifacts for the UI from what the step left in `folder`.

    Args:
        kind: the step's name.
        folder: the step's result.
        page: a `dsl.HTML` artifact.
        metrics: a `dsl.Metrics` artifact; one entry per figure.
        classification: a `dsl.ClassificationMetrics` artifact; stays empty for a scalar target.
    """
    found = figures(folder)
    if page is not None:
        write_text(Path(page.path), step_page(kind, folder))
    # Both kinds of metrics live in the artifact's metadata; the file is what tells kfp's local
    # cache that the artifact is still there.
    if metrics is not None:
        for name, value in sorted(found["metrics"].items()):
            metrics.log_metric(name, float(value))
        write_json(Path(metrics.path), found["metrics"])
    if classification is not None:
        roc, confusion = found["roc"], found["confusion"]
        if roc is not None:
            classification.log_roc_curve(roc["fpr"], roc["tpr"], roc["thresholds"])
        if confusion is not None:
            labels = [str(label) for label in confusion["labels"]]
            classification.log_confusion_matrix(labels, confusion["matrix"])
        write_json(Path(classification.path), {"roc": roc, "confusion": confusion})
