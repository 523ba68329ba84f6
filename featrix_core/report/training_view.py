"""Figures of a training: the six panels of D12 and the diversity of attention heads (VIEW-2, TRAIN-5)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go  # type: ignore[import-untyped, unused-ignore]

from featrix_core.report.figures import (
    ALARM,
    GREY,
    MAX_CURVE,
    PALETTE,
    Plot,
    compact,
    new_figure,
    spaced,
)
from featrix_core.report.text import label, number, plain
from featrix_core.report.training_content import Epoch, Timeline

AMBER = "#c08a1c"
PANELS = (
    ("Loss", {"training": "train_loss", "validation": "validation_loss"}, "",
     "Both should fall; a widening gap is overfitting."),
    ("Learning rate", {"rate": "learning_rate"}, "log", "The schedule: warm-up, then decay."),
    ("Gradient norm", {"raw": "unclipped_norm", "clipped": "clipped_norm"}, "",
     "Raw far above clipped means that the rate is too high."),
    ("Dropout", {"rate": "dropout_rate"}, "zero", "The share of units that are switched off."),
    ("Spread loss", {"loss": "spread_loss"}, "", "Keeps rows from collapsing to one point."),
    ("Spread temperature", {"temperature": "spread_temperature"}, "zero",
     "Lower is sharper contrast between rows."),
)  # fmt: skip
"""Title, series, scale and reading of the six panels."""


def recorded(epochs: Sequence[Epoch], key: str) -> npt.NDArray[np.float32]:
    """One series of a panel; NaN where an epoch did not record it."""
    holders = [e.gradients for e in epochs] if key.endswith("_norm") else epochs
    return compact([getattr(holder, key) for holder in holders])


def on_log_axis(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Values as a logarithmic axis can show them: the zeros of a first or last step become gaps."""
    return np.where(values > 0, values, np.float32(np.nan))


def timeline_plots(timeline: Timeline) -> list[Plot]:
    """The panels of a training; a panel without any recorded value is left out."""
    keep = spaced(len(timeline.epochs), MAX_CURVE)
    epochs = [timeline.epochs[i] for i in keep]
    plots = []
    for title, series, scale, caption in PANELS:
        values = {name: recorded(epochs, key) for name, key in series.items()}
        if scale == "log":
            values = {name: on_log_axis(column) for name, column in values.items()}
        if not any(np.isfinite(column).any() for column in values.values()):
            continue
        figure = _panel([entry.epoch for entry in epochs], values, scale)
        if title == "Loss":
            caption += _mark_events(figure, timeline)
        if title == "Learning rate":
            caption += _mark_boosts(figure, timeline)
        plots.append(Plot(figure, title, caption, "third", 230))
    heads = _heads_plot(epochs)
    return [*plots, heads] if heads else plots


def _panel(x: Sequence[float], values: dict[str, npt.NDArray[np.float32]], scale: str) -> go.Figure:
    several = len(values) > 1
    figure = new_figure("epoch", showlegend=several, hovermode="x unified")
    for colour, (name, column) in zip(PALETTE, values.items(), strict=False):
        figure.add_scatter(
            x=list(x),
            y=column,
            name=name,
            mode="lines" if len(x) > 1 else "markers",
            line={"color": colour, "width": 2},
            hovertemplate="%{y:.4g}",
        )
    figure.update_yaxes(nticks=5)
    if scale == "log":
        figure.update_yaxes(type="log", exponentformat="power", nticks=4)
    elif scale:
        figure.update_yaxes(rangemode="tozero")
    return figure


def _mark_boosts(figure: go.Figure, timeline: Timeline) -> str:
    """Boosted stretches in red, a circle where one starts and a square where it ends."""
    if not timeline.boosted():
        return ""
    for first, last in timeline.boosted():
        part = [entry for entry in timeline.epochs if first <= entry.epoch <= last]
        ends = ["circle", *[None] * (len(part) - 2), "square"] if len(part) > 1 else ["circle"]
        figure.add_scatter(
            x=[entry.epoch for entry in part],
            y=recorded(part, "learning_rate"),
            name="boosted",
            mode="lines+markers",
            line={"color": ALARM, "width": 2.4},
            marker={
                "color": ALARM,
                "size": [8 if end else 0 for end in ends],
                "symbol": [end or "circle" for end in ends],
            },
            showlegend=False,
            hovertemplate="%{y:.4g}",
        )
    return " Red: raised to leave a plateau, from circle to square."


def _mark_events(figure: go.Figure, timeline: Timeline) -> str:
    """Mark failures, interventions and the epoch that was kept; the marks in words come back."""
    words = ""
    heights = {
        e.epoch: e.validation_loss if e.validation_loss is not None else e.train_loss
        for e in timeline.epochs
    }
    episodes = timeline.episodes()
    for acted, symbol, colour, what in (
        (False, "triangle-down", AMBER, " Triangles: a failure is first seen."),
        (True, "diamond", ALARM, " Diamonds: interventions."),
    ):
        shown = [e for e in episodes if e.acted is acted and (acted or e.failures)]
        if not shown:
            continue
        texts = [", ".join((*e.failures, *e.actions)) for e in shown]
        figure.add_scatter(
            x=[e.first for e in shown],
            y=compact([heights[e.first] for e in shown]),
            mode="markers",
            showlegend=False,
            marker={"color": colour, "size": 8, "symbol": symbol},
            hovertext=[label(text, 120) for text in texts],
            hovertemplate="%{hovertext}<extra></extra>",
        )
        words += what
    exchanged = [e.epoch for e in timeline.epochs if e.val_set_resampled]
    for epoch in exchanged:
        figure.add_vline(x=epoch, line={"width": 1, "color": GREY}, opacity=0.35)
    if exchanged:
        words += " Thin lines: some validation rows were exchanged."
    if timeline.best_epoch is not None:
        figure.add_vline(x=timeline.best_epoch, line={"dash": "dot", "width": 1.2, "color": GREY})
        words += f" Dotted: epoch {number(timeline.best_epoch)}, whose weights were kept."
    return words


def _heads_plot(epochs: Sequence[Epoch]) -> Plot | None:
    """Diversity of attention heads per epoch, its bands, and the range over pairs where known."""
    seen = [(e.epoch, e.head_diversity) for e in epochs if e.head_diversity is not None]
    if not seen:
        return None
    figure = new_figure("epoch", hovermode="x unified")
    detail = [(x, heads.min, heads.max) for x, heads in seen if heads.min != heads.max]
    if detail:
        figure.add_scatter(
            x=[x for x, _, _ in detail for _ in range(3)],
            y=compact([y for _, low, high in detail for y in (low, high, None)]),
            mode="lines",
            line={"color": GREY, "width": 2},
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=[x for x, _ in seen],
        y=compact([heads.average_similarity for _, heads in seen]),
        name="similarity",
        mode="lines" if len(seen) > 1 else "markers",
        line={"color": PALETTE[4], "width": 2},
        hovertemplate="%{y:.3f}",
    )
    ends = [v for _, h in seen for v in (h.min, h.max, h.average_similarity) if v is not None]
    figure.update_yaxes(range=[min([0.0, *ends]) - 0.04, max([0.76, *ends]) + 0.04])
    for height, colour in ((0.5, AMBER), (0.7, ALARM)):
        figure.add_hline(y=height, line={"dash": "dot", "width": 1.2, "color": colour})
    last = seen[-1][1]
    advice = next((h.advice for _, h in reversed(seen) if h.min is not None), "")
    caption = (
        "How alike two heads' attention is on average: under 0.5 they differ, above 0.7 they "
        f"repeat one another. At the end {plain(last.average_similarity, 3)} ({last.status.lower()})."
        + (" Grey: from the least to the most alike pair." if detail else "")
        + (f" {advice}." if advice else "")
    )
    return Plot(figure, "Similarity of attention heads", caption, "third", 230)
