"""Step report: one page over all that a run left behind (VIEW-2)."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from featrix_core.report.content import ReportContent, Step
from featrix_core.report.html import write_report
from featrix_core.steps.data_step import load_dataset
from featrix_core.steps.pages import (
    data_sections,
    join_sections,
    lineage_section,
    predictor_notices,
    space_sections,
    target_section,
)


def report(
    out: Path,
    *,
    dataset: Path,
    space: Path,
    predictor: Path,
    joins: Path | None = None,
    registration: Path | None = None,
    seconds: dict[str, float] | None = None,
) -> dict[str, Any]:
    """Write the self-contained page and tell its size in bytes."""
    data = load_dataset(Path(dataset))
    target = target_section(Path(predictor))
    sections = data_sections(data, Path(space))
    sections["notices"] += tuple(predictor_notices(Path(predictor), sections["notices"]))
    space_parts = space_sections(Path(space), data, target.target)
    space_parts.pop("key_figures")
    content = ReportContent(
        title=f"{target.target} from {data.summary['source']}",
        subtitle="One self-supervised space, and a predictor on top of it",
        created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        **(sections | {"key_figures": (*target.key_figures[:3], *sections["key_figures"][:2])}),
        **space_parts,
        **(join_sections(Path(joins)) if joins else {}),
        targets=(target,),
        lineage=lineage_section(Path(registration)) if registration else None,
        steps=tuple(Step(name=name, seconds=s) for name, s in (seconds or {}).items()),
    )
    write_report(content, Path(out))
    return {"bytes": Path(out).stat().st_size}
