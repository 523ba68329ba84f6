"""Where a command may write: refused before any work is done, and without heavy imports."""

from __future__ import annotations

import os
from pathlib import Path

from featrix_core.errors import FeatrixUserError

SCORE_ENDINGS = (".parquet", ".jsonl")
EMBEDDING_ENDINGS = (".parquet",)


def check_output_file(
    out: Path, endings: tuple[str, ...], data: str = "", option: str = "--out"
) -> None:
    """Refuse an output file that cannot be written in the end; `option` is the one that named it.

    Raises:
        FeatrixUserError: an ending of no known format, a folder, the input itself, no place to write.
    """
    if out.suffix not in endings:
        raise FeatrixUserError(
            "The ending of the output names no format that can be written",
            value=str(out),
            remedy=f"Let {option} end in {' or '.join(endings)}",
        )
    if out.is_dir():
        raise FeatrixUserError(
            "The output is a folder, a file is written",
            value=str(out),
            remedy=f"Name another {option}",
        )
    if data and out.exists() and Path(data).exists() and out.samefile(data):
        raise FeatrixUserError(
            "The output would overwrite the data",
            value=str(out),
            remedy=f"Name another {option}",
        )
    _check_parent(out, option)


def check_output_folder(out: Path) -> None:
    """Refuse an output folder that is a file, or that cannot be made.

    Raises:
        FeatrixUserError: says which path is in the way.
    """
    if out.exists() and not out.is_dir():
        raise FeatrixUserError(
            "The output is a file, a folder is written", value=str(out), remedy="Name another --out"
        )
    _check_parent(out)


def _check_parent(out: Path, option: str = "--out") -> None:
    place = out.absolute().parent
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise FeatrixUserError(
            f"{place} is a file, so nothing can be written below it",
            value=str(out),
            remedy=f"Name another {option}",
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise FeatrixUserError(
            f"{place} is not writable",
            value=str(out),
            remedy=f"Change its permissions, or {option}",
        )
