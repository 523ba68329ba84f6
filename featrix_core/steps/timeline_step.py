"""`featrix timeline`: the picture, the summary and the movie of a training (TRAIN-5, VIEW-2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featrix_core.errors import BundleError, FeatrixUserError
from featrix_core.files import read_json
from featrix_core.steps.names import TIMELINE, WORK_PREFIX
from featrix_core.steps.outputs import check_output_file
from featrix_core.training.timeline import OTHERS

if TYPE_CHECKING:
    from featrix_core.report.training_content import Timeline

PICTURE = "training_timeline_plot.png"
LOOKS_LIKE = 'It holds an object with a list "timeline" of epochs, as training writes it'


def read_document(source: Path) -> tuple[dict[str, Any], Path]:
    """The document of a timeline's file, of a space's or predictor's folder, or of what `fit` wrote.

    Raises:
        FeatrixUserError: nothing there, no JSON, or JSON that is no timeline.
    """
    # A fit at work, or one that was killed, keeps the timeline of its space in its work folder.
    at_work = sorted(source.glob(f"{WORK_PREFIX}*/base*/{TIMELINE}"))
    places = (source, source / TIMELINE, source / "space" / TIMELINE, *at_work)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise FeatrixUserError(
            "There is no training timeline",
            value=str(source),
            remedy=f"Give a {TIMELINE}, the folder of a space, or what `featrix fit` wrote to",
        )
    try:
        found = read_json(path)
    except (ValueError, OSError) as error:
        raise FeatrixUserError(
            f"The file cannot be read as JSON: {error}", value=str(path), remedy=LOOKS_LIKE
        ) from error
    return _completed(found, path), path


def _completed(found: Any, path: Path) -> dict[str, Any]:
    """The document with the keys that it may lack; those of a bag's other members too."""
    entries = found.get("timeline") if isinstance(found, dict) else None
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise FeatrixUserError("The file is no timeline", value=str(path), remedy=LOOKS_LIKE)
    others = found.get(OTHERS, [])
    if not isinstance(others, list):
        raise FeatrixUserError("The file is no timeline", value=str(path), remedy=LOOKS_LIKE)
    if not entries:
        raise FeatrixUserError(
            "The timeline has no epoch yet", value=str(path), remedy="Wait for the fifth epoch"
        )
    missing = {"failures_detected": [], "early_stop_blocked": False, "corrective_actions": []}
    found = {"metadata": {}, "corrective_actions": [], **found}
    whole: dict[str, Any] = {
        "timeline": [missing | entry for entry in entries],
        OTHERS: [_completed(other, path) for other in others],
    }
    return {**found, **whole}


def as_timeline(document: dict[str, Any], path: Path) -> Timeline:
    """The document as a report's content, of a bag all members; the epoch whose weights were kept is marked.

    Raises:
        FeatrixUserError: an epoch that is not one; names the first thing that is wrong with it.
    """
    from featrix_core.report.training_content import Timeline
    from featrix_core.training.timeline import best_epoch, member_of

    with _telling(path):
        best = best_epoch(document)
        return Timeline.from_entries(
            document["timeline"],
            document["corrective_actions"],
            best_epoch=None if best is None else best[0],
            member=member_of(document),
            others=[as_timeline(other, path) for other in document.get(OTHERS, [])],
        )


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """What is wrong inside of a timeline is a user's mistake, and is told as one."""
    from pydantic import ValidationError

    try:
        yield
    except (ValidationError, AttributeError, TypeError, ValueError, KeyError) as error:
        said = repr(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            said = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise FeatrixUserError(
            f"An epoch of the timeline cannot be read ({said})", value=str(path), remedy=LOOKS_LIKE
        ) from error


def show_timeline(source: Path, out: Path, movie: Path | None = None) -> str:
    """Write the picture of the six panels, and the page of the movie if asked; the summary comes back.

    Raises:
        FeatrixUserError: no timeline there, a file that cannot be written, a space that keeps no movie.
    """
    from featrix_core.report.timeline_png import draw_timeline
    from featrix_core.training.timeline import summarise

    check_output_file(out, (".png",))
    if movie is not None:
        check_output_file(movie, (".html",), option="--movie")
    document, path = read_document(source)
    timeline = as_timeline(document, path)
    with _telling(path):
        text = summarise(document)
    if movie is not None:
        _write_movie(path.parent, movie)
    draw_timeline(timeline, f"Training of {_name(path)}", out)
    return text


def _write_movie(folder: Path, out: Path) -> None:
    """A page of the movie that the space in `folder` keeps."""
    from featrix_core.bundle import verify_bundle

    try:
        verify_bundle(folder, "space")
    except BundleError as error:
        raise FeatrixUserError(
            f"A movie is kept with a space, and this is none: {error}",
            value=str(folder),
            remedy="Give the folder of a space, or what `featrix fit` wrote to",
        ) from error
    from featrix_core.report.movie import write_movie
    from featrix_core.steps.movie_section import bare_movie, read_movie

    found = read_movie(folder)
    if found is None:
        raise FeatrixUserError(
            "The space has no movie", value=str(folder), remedy="Train it again with this version"
        )
    write_movie(bare_movie(found, folder), f"Training of {_name(folder)}", out)


def _name(path: Path) -> str:
    """What is drawn: a file's own name, or its folder as in `credit/space`."""
    path = path.absolute()
    if path.suffix and path.name != TIMELINE:
        return path.stem
    folder = path.parent if path.suffix else path
    return f"{folder.parent.name}/{folder.name}" if folder.name == "space" else folder.name
