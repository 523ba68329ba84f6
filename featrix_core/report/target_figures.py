"""Figures of one target's predictor: curves, confusion, calibration, residuals, importance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped, unused-ignore]

from featrix_core.report.content import (
    Classification,
    Coverage,
    Curve,
    GlobalImportance,
    Importance,
    Regression,
    Reliability,
    ThresholdCurve,
)
from featrix_core.report.figures import (
    DOWN,
    GREY,
    MAX_CURVE,
    MAX_POINTS,
    PALETTE,
    UP,
    Plot,
    compact,
    guide,
    new_figure,
    spaced,
)
from featrix_core.report.text import label, number, percent, plain

UNIT = [-0.02, 1.02]
MAX_CLASSES = 30
MAX_BARS = 20


def classification_plots(figures: Classification) -> list[Plot]:
    """All figures of a classifier for which there is data."""
    plots = []
    if figures.roc:
        roc = _curves(figures.roc, "false positive rate", "true positive rate", "AUC")
        guide(roc, (0, 1), (0, 1))
        caption = "The further up and left, the better; the dotted diagonal is guessing."
        plots.append(Plot(roc, "ROC", caption, "third"))
    if figures.precision_recall:
        curve = _curves(figures.precision_recall, "recall", "precision", "AP")
        caption = "Of the rows that are found (recall), how many are right (precision)."
        if figures.base_rate is not None:
            guide(curve, (0, 1), (figures.base_rate, figures.base_rate))
            caption += f" The dotted line is guessing: {percent(figures.base_rate)}."
        plots.append(Plot(curve, "Precision and recall", caption, "third"))
    if figures.thresholds is not None:
        plots.append(_threshold_plot(figures.thresholds))
    if figures.reliability:
        plots.append(_reliability_plot(figures.reliability))
    if figures.confusion:
        plots.append(_confusion_plot(figures))
    return plots


def _curves(curves: Sequence[Curve], x_title: str, y_title: str, area: str) -> go.Figure:
    several = len(curves) > 1
    figure = new_figure(x_title, y_title, showlegend=True)
    for k, curve in enumerate(curves):
        keep = spaced(len(curve.x), MAX_CURVE)
        figure.add_scatter(
            x=compact(curve.x)[keep],
            y=compact(curve.y)[keep],
            mode="lines",
            name=label(curve.label)
            + (f" · {area} {plain(curve.area, 3)}" if curve.area is not None else ""),
            line={"color": PALETTE[k % len(PALETTE)], "width": 2 if several else 2.4},
            hovertemplate=f"{x_title} %{{x:.3f}}<br>{y_title} %{{y:.3f}}<extra></extra>",
        )
    figure.update_xaxes(range=UNIT)
    figure.update_yaxes(range=UNIT)
    return figure


def _reliability_plot(states: Sequence[Reliability]) -> Plot:
    figure = new_figure("predicted probability", "observed share", showlegend=True)
    guide(figure, (0, 1), (0, 1))
    colours = (GREY, *PALETTE) if len(states) > 1 else PALETTE
    for colour, state in zip(colours, states, strict=False):
        counts = np.asarray(state.counts or [1] * len(state.predicted), dtype=np.float64)
        sizes = 5 + 9 * np.sqrt(counts / max(counts.max(initial=1.0), 1.0))
        figures = {"ECE": state.ece, "Brier": state.brier}
        told = "".join(f" · {k} {plain(v, 3)}" for k, v in figures.items() if v is not None)
        figure.add_scatter(
            x=compact(state.predicted),
            y=compact(state.observed),
            mode="lines+markers",
            name=label(state.label) + told,
            line={"color": colour, "width": 1.6},
            marker={"size": compact(sizes), "color": colour, "line": {"width": 0}},
            customdata=list(state.counts) or None,
            hovertemplate="predicted %{x:.3f}<br>observed %{y:.3f}"
            + ("<br>%{customdata} rows" if state.counts else "")
            + "<extra></extra>",
        )
    figure.update_xaxes(range=UNIT)
    figure.update_yaxes(range=UNIT)
    caption = (
        "On the diagonal, a predicted 70 % comes true in 70 % of rows. Larger dots hold more rows; "
        "ECE is the mean distance from the diagonal, Brier the mean squared error of the probabilities; "
        "both are better when lower. Before and after calibration are of the same rows, "
        "which the calibration was not fitted on."
    )
    return Plot(figure, "Reliability", caption)


def _threshold_plot(curve: ThresholdCurve) -> Plot:
    figure = new_figure("decision threshold", "", showlegend=True, hovermode="x unified")
    keep = spaced(len(curve.thresholds), MAX_CURVE)
    x = compact(curve.thresholds)[keep]
    for k, (name, values) in enumerate(curve.metrics.items()):
        figure.add_scatter(
            x=x,
            y=compact(values)[keep],
            mode="lines",
            name=label(name),
            line={"color": PALETTE[k % len(PALETTE)], "width": 2},
            hovertemplate="%{y:.3f}",
        )
    caption = "What the decision would score at each threshold."
    if curve.chosen is not None:
        figure.add_vline(x=curve.chosen, line={"dash": "dot", "width": 1.4, "color": GREY})
        caption += f" The dotted line is the one in use: {plain(curve.chosen, 3)}."
    return Plot(figure, "Threshold", caption, "third")


def _confusion_plot(figures: Classification) -> Plot:
    counts = np.asarray(figures.confusion, dtype=np.float64)
    keep = np.sort(np.argsort(-counts.sum(axis=1), kind="stable")[:MAX_CLASSES])
    names = [figures.classes[i] if i < len(figures.classes) else str(i) for i in keep]
    counts = counts[np.ix_(keep, keep)]
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    n = len(names)
    ticks = {"tickvals": list(range(n)), "ticktext": [label(name, 16) for name in names]}
    cells = [[f"{count:,.0f}" for count in line] for line in counts.tolist()]
    figure = new_figure("predicted", "actual")
    figure.add_heatmap(
        z=shares.astype(np.float32),
        text=cells,
        texttemplate="<b>%{text}</b><br>%{z:.1%}" if n <= 5 else None,
        hovertemplate="%{y} predicted as %{x}:<br>%{text} rows, %{z:.1%} of %{y}<extra></extra>",
        coloraxis="coloraxis",
        xgap=2,
        ygap=2,
    )
    figure.update_layout(
        coloraxis={"cmin": 0, "cmax": 1, "showscale": False},
        xaxis={**ticks, "range": [-0.5, n - 0.5]},
        yaxis={**ticks, "range": [n - 0.5, -0.5], "showgrid": False, "nticks": 0},
    )
    caption = "Rows of each actual class (line) by predicted class; shares are of the line."
    if n < len(figures.confusion):
        caption += f" The {n} largest of {len(figures.confusion)} classes are shown."
    return Plot(figure, "Confusion matrix", caption, height=max(320, min(90 + 24 * n, 700)))


def regression_plots(figures: Regression) -> list[Plot]:
    """Predicted against actual, residuals, and the coverage of the intervals."""
    plots = []
    if figures.actual:
        keep = spaced(len(figures.actual), MAX_POINTS)
        actual = np.asarray(figures.actual, dtype=np.float64)[keep]
        predicted = np.asarray(figures.predicted, dtype=np.float64)[keep]
        unit = f" ({label(figures.unit)})" if figures.unit else ""
        low, high = (float(f(np.concatenate([actual, predicted]))) for f in (np.min, np.max))
        fit = _cloud("actual" + unit, "predicted" + unit, actual, predicted)
        guide(fit, (low, high), (low, high))
        caption = "The nearer to the dotted diagonal, the better. "
        plots.append(
            Plot(fit, "Predicted against actual", caption + f"{len(keep):,} rows.", "third")
        )
        residuals = _cloud("predicted" + unit, "actual − predicted" + unit, predicted,
                           actual - predicted)  # fmt: skip
        guide(residuals, (float(predicted.min()), float(predicted.max())), (0.0, 0.0))
        caption = "A shapeless band around zero is what to hope for; a bend or a fan is structure."
        plots.append(Plot(residuals, "Residuals", caption, "third"))
    if figures.coverage:
        plots.append(_coverage_plot(figures.coverage))
    return plots


def _cloud(x_title: str, y_title: str, x: object, y: object) -> go.Figure:
    figure = new_figure(x_title, y_title)
    figure.add_scatter(
        x=compact(x),
        y=compact(y),
        mode="markers",
        marker={"size": 5, "opacity": 0.45, "color": PALETTE[0], "line": {"width": 0}},
        hovertemplate="%{x:.5g} → %{y:.5g}<extra></extra>",
    )
    return figure


def _coverage_plot(coverage: Sequence[Coverage]) -> Plot:
    figure = new_figure("promised coverage", "observed coverage")
    guide(figure, (0, 1), (0, 1))
    ordered = sorted(coverage, key=lambda entry: entry.nominal)
    figure.add_scatter(
        x=[entry.nominal for entry in ordered],
        y=[entry.observed for entry in ordered],
        mode="lines+markers",
        line={"color": PALETTE[0], "width": 2},
        marker={"size": 9},
        customdata=[number(entry.mean_width) for entry in ordered],
        hovertemplate="promised %{x:.0%}<br>observed %{y:.1%}<br>mean width %{customdata}"
        "<extra></extra>",
    )
    figure.update_xaxes(range=UNIT, tickformat=".0%")
    figure.update_yaxes(range=UNIT, tickformat=".0%")
    caption = "Below the diagonal, intervals are too narrow; above it, wider than they need be."
    return Plot(figure, "Interval coverage", caption, "third")


def _whiskers(shown: list[GlobalImportance]) -> dict[str, Any] | None:
    """95 % intervals of the bars, where they are known."""
    if any(entry.low is None or entry.high is None for entry in shown):
        return None
    return {
        "type": "data",
        "symmetric": False,
        "array": [(entry.high or 0.0) - entry.mean_absolute for entry in shown],
        "arrayminus": [entry.mean_absolute - (entry.low or 0.0) for entry in shown],
        "thickness": 1,
        "width": 3,
    }


def _direction(entry: GlobalImportance) -> str:
    if entry.direction is None:
        return ""
    way = "up" if entry.direction > 0 else "down"
    return f"<br>larger numbers push {way} (rank correlation {entry.direction:+.2f})"


def importance_plot(importance: Importance) -> Plot:
    """Bars of mean absolute effect; colour says which way the column pushes on the whole."""
    ranked = sorted(importance.overall, key=lambda entry: (-entry.mean_absolute, entry.name))
    shown = ranked[:MAX_BARS]
    n = len(shown)
    figure = new_figure("mean size of the effect", "", bargap=0.32)
    figure.add_bar(
        x=compact([entry.mean_absolute for entry in shown]),
        y=list(range(n)),
        orientation="h",
        marker={"color": [UP if entry.mean_signed >= 0 else DOWN for entry in shown]},
        error_x=_whiskers(shown),
        hovertext=[
            f"{label(entry.name)}<br>mean size {number(entry.mean_absolute, 3)}"
            f"<br>mean effect {number(entry.mean_signed, 3)}{_direction(entry)}"
            for entry in shown
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    ticktext = [label(entry.name, 24) for entry in shown]
    figure.update_yaxes(
        tickvals=list(range(n)),
        ticktext=ticktext,
        range=[n - 0.4, -0.6],
        showgrid=False,
        nticks=0,
    )
    figure.update_xaxes(showgrid=True, rangemode="tozero", nticks=6)
    lines = "; lines: 95 % intervals over rows" if _whiskers(shown) else ""
    part = f" The {n} largest of {len(ranked)} columns." if n < len(ranked) else ""
    caption = (
        f"How much each column moves {importance.effect_on}. Blue pushes up on the whole, orange "
        f"down{lines}.{part}"
    )
    return Plot(figure, "Importance over all rows", caption, "wide", 90 + 24 * n)
