"""The training movie: the sphere of rows, epoch by epoch (D4.5, D15, VIEW-2).

The page's script moves the points: it puts them between two frames on the way from one to the next, so that a
training of few epochs flows as well. Frames travel as 16-bit numbers, a thirty-thousandth of the radius.
"""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np

from featrix_core.report.content import ReportContent
from featrix_core.report.figures import Plot, compact, globe_figure
from featrix_core.report.training_content import Movie

SCALE = 32_000
GLOBE_TRACES = 2


def movie_plot(movie: Movie) -> Plot:
    """The last frame as a figure; all frames in `layout.meta`, rows in the order of the traces."""
    frames = compact(movie.frames)
    rows = frames.shape[1]
    figure, groups = globe_figure(
        frames[-1], movie.labels, movie.values, movie.colour_name, [""] * rows
    )
    figure.update_traces(selector={"type": "scatter3d", "mode": "markers"}, hovertemplate=None)
    figure.update_traces(selector={"type": "scatter3d", "mode": "markers"}, hoverinfo="name")
    ordered = frames[:, np.concatenate(groups)]
    coded = np.round(ordered * SCALE).astype("<i2").tobytes()
    figure.update_layout(
        meta={
            "points": base64.b64encode(coded).decode(),
            "scale": SCALE,
            "first": GLOBE_TRACES,
            "counts": [len(group) for group in groups],
            "epochs": list(movie.epochs),
            "losses": [None if v is None else round(v, 4) for v in movie.losses],
        }
    )
    of_all = f" of {movie.n_rows:,}" if movie.n_rows else ""
    colour = f" Colour is {movie.colour_name}." if movie.colour_name else ""
    caption = (
        f"The same {rows:,}{of_all} rows in {len(frames)} states of the space, from "
        f"{'before the first update' if movie.epochs[0] == 0 else f'epoch {movie.epochs[0]}'} "
        f"to the epoch that was kept, {movie.epochs[-1]}; all along the axes of the finished space."
        f"{colour} Drag to rotate."
    )
    return Plot(figure, "Rows, epoch by epoch", caption, "movie", 560)


def write_movie(movie: Movie, title: str, path: Path) -> None:
    """A page with nothing but the movie, complete in itself."""
    from featrix_core.report.html import write_report

    write_report(ReportContent(title=title, movie=movie), path)
