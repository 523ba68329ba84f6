"""The six panels of a training as one picture (TRAIN-5, D12)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from featrix_core.files import atomic_file
from featrix_core.report.figures import ALARM, GREY, PALETTE
from featrix_core.report.training_content import Timeline
from featrix_core.report.training_view import AMBER, PANELS, on_log_axis, recorded

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE, RESOLUTION = (13.5, 7.6), 120
INK, GRID = "#40454f", "#e7e5df"


def draw_timeline(timeline: Timeline, title: str, path: Path) -> None:
    """Write the picture; the same timeline gives the same bytes with the same libraries."""
    from matplotlib import rc_context, rcdefaults, rcParams
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "font.size": 9, "axes.edgecolor": GRID, "axes.labelcolor": INK, "text.color": INK,
        "xtick.color": INK, "ytick.color": INK, "axes.grid": True, "grid.color": GRID,
        "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False,
        "legend.frameon": False, "xtick.major.size": 0, "ytick.major.size": 0,
        "ytick.minor.size": 0,
    }  # fmt: skip
    with rc_context():
        rcdefaults()  # a user's own style must not change the picture
        rcParams.update(style)
        figure = Figure(figsize=SIZE, dpi=RESOLUTION, layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
        for axes, (name, series, scale, _) in zip(figure.subplots(2, 3).flat, PANELS, strict=True):
            _panel(axes, timeline, name, series, scale)
        with atomic_file(path) as aside:
            figure.savefig(aside, format="png", metadata={"Software": None})


def _panel(axes: Axes, timeline: Timeline, name: str, series: dict[str, str], scale: str) -> None:
    axes.set_title(name, loc="left", fontsize=10.5)
    x = [entry.epoch for entry in timeline.epochs]
    axes.set_xlim(min(x), max(max(x), min(x) + 1))
    values = [recorded(timeline.epochs, key) for key in series.values()]
    if scale == "log":
        values = [on_log_axis(column) for column in values]
    if said := _nothing_to_draw(values, scale):
        axes.text(0.5, 0.5, said, transform=axes.transAxes, ha="center", color=GREY)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    for colour, label, column in zip(PALETTE, series, values, strict=False):
        axes.plot(x, column, color=colour, label=label, marker="" if len(x) > 1 else "o")
    if scale == "log":
        axes.set_yscale("log")
    elif scale == "zero":
        top = max(1e-9, *(float(np.nanmax(column)) for column in values)) * 1.08
        top = top if top > 1e-6 else 1.0
        axes.set_ylim(bottom=-0.02 * top, top=top)
    if name == "Loss":
        _mark_events(axes, timeline)
    if name == "Learning rate":
        _mark_boosts(axes, timeline)
    axes.set_xlabel("epoch", fontsize=8.5)
    if len(axes.get_legend_handles_labels()[1]) > 1:
        axes.legend(fontsize=8)


def _nothing_to_draw(values: list[npt.NDArray[np.float32]], scale: str) -> str:
    """What stands in a panel in place of curves: without any value, or with one that never changes."""
    found = np.concatenate(values)
    found = found[np.isfinite(found)]
    if not len(found):
        return "not recorded"
    if scale == "zero" and len(values[0]) > 1 and float(np.ptp(found)) <= 1e-6 * abs(found[0]):
        return f"constant at {found[0]:.4g}"
    return ""


def _mark_boosts(axes: Axes, timeline: Timeline) -> None:
    """Boosted stretches in red, a circle where one starts and a square where it ends."""
    for k, (first, last) in enumerate(timeline.boosted()):
        part = [entry for entry in timeline.epochs if first <= entry.epoch <= last]
        if not part:
            continue
        x, y = [entry.epoch for entry in part], recorded(part, "learning_rate")
        axes.plot(x, y, color=ALARM, linewidth=2.2, label="" if k else "boosted")
        axes.axvspan(first, last, color=ALARM, alpha=0.06, linewidth=0)
        axes.plot(x[:1], y[:1], "o", color=ALARM, label="" if k else "boost starts")
        axes.plot(x[-1:], y[-1:], "s", color=ALARM, label="" if k else "boost ends")


def _mark_events(axes: Axes, timeline: Timeline) -> None:
    """Failures, interventions, exchanges of validation rows, and the epoch that was kept."""
    heights = {
        e.epoch: e.validation_loss if e.validation_loss is not None else e.train_loss
        for e in timeline.epochs
    }
    for acted, marker, colour, label in (
        (False, "v", AMBER, "failure seen"),
        (True, "D", ALARM, "intervention"),
    ):
        episodes = [e for e in timeline.episodes() if e.acted is acted and (acted or e.failures)]
        at = [e.first for e in episodes]
        at = [epoch for epoch in at if heights[epoch] is not None]
        if at:
            y = [heights[epoch] for epoch in at]
            axes.plot(at, y, marker, color=colour, markersize=5, label=label)  # type: ignore[arg-type]
    exchanged = [entry.epoch for entry in timeline.epochs if entry.val_set_resampled]
    for k, epoch in enumerate(exchanged):
        label = "" if k else "validation rows exchanged"
        axes.axvline(epoch, color=GREY, linewidth=0.8, alpha=0.5, label=label)
    if timeline.best_epoch is not None:
        axes.axvline(timeline.best_epoch, color=INK, linestyle=":", label="weights kept")
