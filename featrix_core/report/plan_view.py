"""A stored training plan as lines of a table (TRAIN-2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featrix_core.report.text import plain
from featrix_core.report.training_content import PlanEntry


def plan_entries(document: Mapping[str, Any] | None) -> tuple[PlanEntry, ...]:
    """The automatic values of `training_info["plan"]`, in its order; nothing where none was kept."""
    return tuple(
        PlanEntry(
            name=entry["name"],
            value=_shown(entry["value"], entry.get("unit", "")),
            reason=entry["reason"],
            source=_shown(entry.get("source"), ""),
            why=entry.get("why", ""),
        )
        for entry in (document or {}).get("values", ())
    )


def _shown(value: object, unit: str) -> str:
    text = "–" if value is None else plain(value)
    return f"{text} {unit}" if unit and value is not None else text
