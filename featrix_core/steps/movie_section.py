"""The training movie of a saved space as a report's content (VIEW-2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from featrix_core.bundle import read_tensors
from featrix_core.files import read_json
from featrix_core.report import training_content as shown
from featrix_core.steps.data_step import DataSet
from featrix_core.steps.names import MOVIE, TIMELINE
from featrix_core.tables.control import usable_rows
from featrix_core.tables.targets import TargetSchema, encode_target
from featrix_core.tables.texts import cell_texts
from featrix_core.training.snapshots import Movie


def read_movie(folder: Path) -> Movie | None:
    """The frames of a space whose digests were checked already; None where it keeps none."""
    path = folder / MOVIE
    return Movie.from_tensors(read_tensors(path)) if path.is_file() else None


def bare_movie(movie: Movie, folder: Path) -> shown.Movie:
    """Without labels: a row's colour is its height on the finished sphere, so that its way can be followed."""
    values = tuple(np.round(movie.frames_FR3[-1, :, 2].astype(float), 3).tolist())
    return _content(movie, folder, values=values, colour_name="height at the end")


def movie_section(folder: Path, data: DataSet | None, colour: str) -> shown.Movie | None:
    """The movie coloured by a target of the data that the space was trained on."""
    movie = read_movie(folder)
    if movie is None:
        return None
    if data is None or not data.targets:
        return bare_movie(movie, folder)
    target = next((t for t in data.targets if t.name == colour), data.targets[0])
    table = usable_rows(data.development)
    if int(movie.rows_R.max()) >= table.n_rows:
        return bare_movie(movie, folder)  # the space was trained on other rows
    sample = table.take(movie.rows_R)
    return _content(
        movie, folder, n_rows=table.n_rows, colour_name=target.name, **colours(sample, target)
    )


def colours(sample: Any, target: TargetSchema) -> dict[str, Any]:
    """`labels` of a target with classes, `values` of a number."""
    if target.kind != "scalar":
        return {"labels": tuple(cell_texts(sample.arrow[target.name]))}
    numbers = encode_target(sample, target).tolist()
    return {"values": tuple(None if np.isnan(v) else v for v in numbers)}


def _content(movie: Movie, folder: Path, **more: Any) -> shown.Movie:
    path = folder / TIMELINE
    entries = read_json(path)["timeline"] if path.is_file() else []
    losses = {int(entry["epoch"]): entry.get("validation_loss") for entry in entries}
    epochs = movie.epochs_F.tolist()
    points = np.round(movie.frames_FR3.astype(float), 4).tolist()
    return shown.Movie(
        frames=tuple(tuple(tuple(point) for point in frame) for frame in points),
        epochs=tuple(epochs),
        losses=tuple(losses.get(epoch) for epoch in epochs),
        **more,
    )
