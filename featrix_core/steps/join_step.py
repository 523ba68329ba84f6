"""Step join-validate: is a join specification fit to be trained on (JOIN-1, JOIN-2)?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featrix_core.errors import FeatrixUserError
from featrix_core.files import atomic_directory, write_text
from featrix_core.steps.figures import write_figures
from featrix_core.steps.names import JOINS


def join_validate(spec: str, out: Path) -> dict[str, Any]:
    """Validate the joins of a specification file and write `join_report.json`; none for an empty `spec`.

    Raises:
        FeatrixUserError: the specification is wrong, or a join is not fit to be trained on.
    """
    if not spec:
        with atomic_directory(Path(out)) as folder:
            return write_figures(folder, {"joins": 0})
    from featrix_core.tables.join_spec import load_join_spec
    from featrix_core.tables.joins import validate_joins

    report = validate_joins(load_join_spec(Path(spec)))
    broken = [j for j in report.joins if j.verdict == "error"]
    if broken:
        first = next(f for f in broken[0].findings if f.level == "error")
        raise FeatrixUserError(
            f"The join {broken[0].name!r} is not fit to be trained on: {first.message}",
            remedy=first.remedy or "Mend the tables or the specification",
        )
    with atomic_directory(Path(out)) as folder:
        write_text(folder / JOINS, report.model_dump_json(indent=1) + "\n")
        warned = sum(j.verdict == "warning" for j in report.joins)
        least = min((j.coverage for j in report.joins), default=1.0)
        metrics = {"joins": len(report.joins), "warnings": warned, "least_coverage": least}
        return write_figures(folder, metrics)
