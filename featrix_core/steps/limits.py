"""Limits that a user sets on a training; refused before any work is done, and without heavy imports."""

from __future__ import annotations

from featrix_core.errors import FeatrixUserError

LEAST_SECONDS = 1.0


def check_limit(max_seconds: float | None) -> None:
    """Refuse a time limit in which nothing can be trained.

    Raises:
        FeatrixUserError: less than a second.
    """
    if max_seconds is not None and not max_seconds >= LEAST_SECONDS:
        raise FeatrixUserError(
            "The time limit is too short for any training",
            value=max_seconds,
            remedy="Give at least 1 second, or no limit",
        )
