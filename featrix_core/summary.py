"""Tables that the command line ends with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

TITLES = {
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "ece": "calibration error",
    "accuracy": "accuracy",
    "level_distance": "distance in levels",
    "quadratic_kappa": "weighted kappa",
    "r2": "R²",
    "rmse": "RMSE",
}


def seconds_table(seconds: Mapping[str, float]) -> Table:
    """Steps with the seconds that they took."""
    table = Table("step", "seconds", title="Steps")
    table.columns[1].justify = "right"
    for name, value in seconds.items():
        table.add_row(name, f"{value:.1f}")
    table.add_row("[bold]total[/bold]", f"[bold]{sum(seconds.values()):.1f}[/bold]")
    return table


def comparison_table(
    target: str, ours: Mapping[str, Any], others: Mapping[str, Mapping[str, float]]
) -> Table:
    """Hold-out figures of this run beside the baselines on the same rows."""
    shown = [name for name in TITLES if name in ours]
    table = Table("model", *(TITLES[name] for name in shown), title=f"Hold-out, target {target!r}")
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("[bold]featrix[/bold]", *(f"[bold]{ours[name]:.4f}[/bold]" for name in shown))
    for name, figures in sorted(others.items()):
        table.add_row(name, *(f"{figures[key]:.4f}" if key in figures else "" for key in shown))
    served = ours.get("accuracy_at_threshold")
    if served is not None and served != ours["accuracy"]:
        table.caption = (
            f"Accuracy is that of the likelier class; answers follow the threshold: {served:.4f}"
        )
    return table
