"""Figures of a space: the sphere of rows, the mutual-information map; the style of all figures (VIEW-2).

Every builder returns a `Plot`: a plotly figure plus what the page says about it. Colours of text,
grid and surfaces are left out here; the page's script sets them for light and dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go  # type: ignore[import-untyped, unused-ignore]

from featrix_core.report.content import MutualInformation, Sphere
from featrix_core.report.text import label, lines

# Told apart by readers with colour-blindness and at least 3 : 1 against both backgrounds.
PALETTE = ("#3f74d1", "#d9731a", "#1a9a86", "#c2497f", "#8467d0", "#8a8a1f", "#a9683f", "#3797c4")
GREY = "#8a909c"
UP, DOWN = PALETTE[0], PALETTE[1]
ALARM = "#cf4f45"
MAX_POINTS = 1500
MAX_CURVE = 300
MAX_MAP = 60


@dataclass(frozen=True)
class Plot:
    """A figure with its title, how to read it, and its size class on the page."""

    figure: go.Figure
    title: str
    caption: str = ""
    size: str = "half"  # third | half | wide | sphere
    height: int = 320


def new_figure(x_title: str = "", y_title: str = "", **layout: object) -> go.Figure:
    """An empty figure in the report's style: no template, automatic margins, quiet axes."""
    figure = go.Figure(layout={"template": {}})
    axis = {"automargin": True, "ticks": "", "title": {"standoff": 8}, "zeroline": False}
    figure.update_layout(
        margin={"l": 8, "r": 12, "t": 8, "b": 8},
        xaxis={**axis, "title": {"text": x_title, "standoff": 8}, "showgrid": False},
        yaxis={**axis, "title": {"text": y_title, "standoff": 8}, "nticks": 6},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "xanchor": "left"},
        dragmode=False,
        hovermode="closest",
        showlegend=False,
        uirevision="keep",
    )
    figure.update_layout(**layout)
    return figure


def guide(figure: go.Figure, x: Sequence[float], y: Sequence[float]) -> None:
    """A quiet dashed line behind the data: a diagonal, a base rate, a promise."""
    figure.add_scatter(
        x=list(x),
        y=list(y),
        mode="lines",
        line={"dash": "dot", "width": 1.2, "color": GREY},
        hoverinfo="skip",
        showlegend=False,
    )


def spaced(length: int, limit: int) -> npt.NDArray[np.intp]:
    """At most `limit` evenly spaced indexes of `length` items, first and last among them."""
    return np.unique(np.linspace(0, length - 1, min(length, limit)).round().astype(np.intp))


def compact(values: object) -> npt.NDArray[np.float32]:
    """Values as float32 (None becomes NaN): half the bytes in the page, still 7 digits."""
    return np.asarray(values, dtype=np.float64).astype(np.float32)


def sphere_plot(sphere: Sphere) -> Plot:
    """Rows on the unit sphere, in three dimensions; drag to rotate."""
    points = compact(sphere.points).reshape(-1, 3)
    hover = [lines(text) for text in sphere.hover] or [""] * len(points)
    figure, _ = globe_figure(points, sphere.labels, sphere.values, sphere.colour_name, hover)
    of_all = f" of {sphere.n_rows:,}" if sphere.n_rows else ""
    colour = f" Colour is {sphere.colour_name}." if sphere.colour_name else ""
    caption = (
        f"Each point is a row ({len(points):,}{of_all} shown); rows that the space holds for alike "
        f"lie close together.{colour} Drag to rotate, hover to read a row."
    )
    return Plot(figure, "Rows on the sphere", caption, "sphere", 560)


def globe_figure(
    points: npt.NDArray[np.float32],
    labels: Sequence[str],
    values: Sequence[float | None],
    colour_name: str,
    hover: Sequence[str],
) -> tuple[go.Figure, list[npt.NDArray[np.intp]]]:
    """A globe with rows on it, one trace per colour, and the row numbers of each trace in order."""
    figure = new_figure(showlegend=bool(labels), dragmode="orbit")
    hidden = {"visible": False, "showspikes": False, "range": [-1.12, 1.12]}
    figure.update_layout(
        scene={
            "xaxis": hidden, "yaxis": hidden, "zaxis": hidden,
            "domain": {"x": [0, 1], "y": [0, 0.95]}, "aspectmode": "cube", "dragmode": "orbit",
            "camera": {"eye": _eye(points)},
        },
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        legend={"itemsizing": "constant", "y": 1, "yanchor": "top"},
    )  # fmt: skip
    _add_globe(figure)
    groups: list[tuple[str, npt.NDArray[np.intp], dict[str, object]]] = []
    if labels:
        own, counts = np.unique(np.asarray(labels, dtype=str), return_counts=True)
        shown = [str(own[i]) for i in np.lexsort((own, -counts))[: len(PALETTE)]]
        place = np.array([shown.index(name) if name in shown else len(shown) for name in labels])
        for k, name in enumerate([*shown, "other"]):
            colour = PALETTE[k] if k < len(shown) else GREY
            groups.append((label(name), np.flatnonzero(place == k), {"color": colour}))
    else:
        marker: dict[str, object] = {"color": PALETTE[0]}
        if values:
            marker = {"color": compact(values), "coloraxis": "coloraxis"}
            title = {"text": label(colour_name, 20), "side": "top"}
            bar = {"title": title, "thickness": 10, "len": 0.5, "outlinewidth": 0, "x": 1}
            figure.update_layout(coloraxis={"colorbar": {**bar, "xanchor": "right"}})
        groups.append(("rows", np.arange(len(points)), marker))
    groups = [group for group in groups if len(group[1]) or not labels]
    texts = np.asarray(hover, dtype=object)
    for name, rows, marker in groups:
        _add_points(figure, points[rows], texts[rows], marker, name)
    return figure, [rows for _, rows, _ in groups]


def _eye(points: npt.NDArray[np.float32]) -> dict[str, float]:
    """A camera in front of where most rows are, a little from above."""
    middle = points.mean(axis=0, dtype=np.float64) if len(points) else np.zeros(3)
    if np.linalg.norm(middle) < 0.1:
        middle = np.array([1.0, 1.0, 0.4])
    eye = 1.3 * middle / np.linalg.norm(middle) + np.array([0.0, 0.0, 0.15])
    return dict(zip("xyz", (round(float(value), 4) for value in eye), strict=True))


def _add_globe(figure: go.Figure) -> None:
    """A translucent globe with meridians: it gives depth and dims the rows on the far side."""
    theta, phi = np.linspace(0, np.pi, 25), np.linspace(0, 2 * np.pi, 49)
    x, y, z = (
        np.outer(np.sin(theta), np.cos(phi)),
        np.outer(np.sin(theta), np.sin(phi)),
        np.outer(np.cos(theta), np.ones_like(phi)),
    )
    quiet = {"hoverinfo": "skip", "showlegend": False}
    figure.add_surface(
        x=compact(0.97 * x), y=compact(0.97 * y), z=compact(0.97 * z),
        surfacecolor=np.zeros_like(x, dtype=np.float32), cmin=0, cmax=1, opacity=0.66,
        showscale=False, meta="globe", contours={"x": {"highlight": False},
        "y": {"highlight": False}, "z": {"highlight": False}},
        lighting={"ambient": 1, "diffuse": 0, "specular": 0, "fresnel": 0}, **quiet,
    )  # fmt: skip
    rings = [np.stack([grid[i] for grid in (x, y, z)]) for i in (4, 8, 12, 16, 20)]
    rings += [np.stack([grid[:, j] for grid in (x, y, z)]) for j in range(0, 48, 6)]
    gap = np.full((3, 1), np.nan)
    wire = np.concatenate([part for ring in rings for part in (0.975 * ring, gap)], axis=1)
    figure.add_scatter3d(
        x=compact(wire[0]), y=compact(wire[1]), z=compact(wire[2]), mode="lines",
        line={"width": 1, "color": GREY}, opacity=0.35, meta="wire", **quiet,
    )  # fmt: skip


def _add_points(
    figure: go.Figure,
    points: npt.NDArray[np.float32],
    hover: npt.NDArray[np.object_],
    marker: dict[str, object],
    name: str,
) -> None:
    figure.add_scatter3d(
        x=points[:, 0],
        y=points[:, 1],
        z=points[:, 2],
        mode="markers",
        name=name,
        marker={"size": 3.4, "line": {"width": 0}, **marker},
        hovertext=list(hover),
        hovertemplate="%{hovertext}<br><b>%{fullData.name}</b><extra></extra>",
    )


def mutual_information_plot(information: MutualInformation) -> Plot:
    """Heat map of what each column (line) tells about each other column, in bits."""
    bits = compact(information.bits).reshape(len(information.names), -1).astype(np.float64)
    off_diagonal = bits.copy()
    np.fill_diagonal(off_diagonal, np.nan)
    filled = np.nan_to_num(off_diagonal)
    busiest = np.argsort(-(filled.sum(axis=0) + filled.sum(axis=1)), kind="stable")[:MAX_MAP]
    keep = np.sort(busiest)
    shown = off_diagonal[np.ix_(keep, keep)]
    names = [information.names[i] for i in keep]
    n = len(names)
    ticks = {"tickvals": list(range(n)), "ticktext": [label(name, 24) for name in names]}
    figure = new_figure()
    figure.add_heatmap(
        z=shown.astype(np.float32),
        hovertemplate="%{y} tells %{z:.3f} bits about %{x}<extra></extra>",
        coloraxis="coloraxis",
        xgap=1,
        ygap=1,
        texttemplate="%{z:.2f}" if n <= 12 else None,
    )
    top = float(np.nanmax(shown)) if np.isfinite(shown).any() else 1.0
    figure.update_layout(
        coloraxis={
            "cmin": 0, "cmax": max(top, 1e-6),
            "colorbar": {"thickness": 10, "outlinewidth": 0, "title": {"text": "bits"}},
        },
        xaxis={**ticks, "tickangle": -45, "showgrid": False, "range": [-0.5, n - 0.5]},
        yaxis={**ticks, "showgrid": False, "range": [n - 0.5, -0.5], "nticks": 0},
    )  # fmt: skip
    part = "" if n == len(information.names) else f" The {n} busiest columns are shown."
    caption = (
        "Line to column: how many bits the column on the left tells about the one below. "
        f"The two directions differ; a column's own entropy is left blank.{part}"
    )
    return Plot(figure, "Bits per pair of columns", caption, "wide", min(190 + 24 * n, 860))
