"""Step batch-score: one output row per input row, in the same order (OPS-6)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from featrix_core.files import atomic_file, write_json
from featrix_core.predictor.labelled import told_as_notices
from featrix_core.predictor.response import to_arrow
from featrix_core.single_predictor import SinglePredictor
from featrix_core.steps.figures import write_figures
from featrix_core.steps.outputs import SCORE_ENDINGS, check_output_file
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import Notice
from featrix_core.tables.table import Table


@told_as_notices()
def write_scores(model: SinglePredictor, table: Table, out: Path, explain: bool = False) -> None:
    """Score a table into `.parquet` (a row per row) or `.jsonl` (a response per line)."""
    if out.suffix == ".jsonl":
        lines = model.predict(table, explain=explain)
        with atomic_file(out) as aside, aside.open("w", encoding="utf-8") as handle:
            handle.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    else:
        frame = model.predict_frame(table, explain=explain)
        with atomic_file(out) as aside:
            pq.write_table(to_arrow(frame), aside)


def score_notices(model: SinglePredictor, table: Table) -> tuple[Notice, ...]:
    """What is odd about a table that was scored as a whole."""
    place = {"action": "each has a row of its own, without a prediction"}
    read = (n.model_copy(update=place) if n.code == "bad_rows" else n for n in table.notices)
    return (*read, *model.scoring_notices(table))


def batch_score(
    predictor: str | Path, data: str, out: Path, *, explain: bool = False
) -> dict[str, Any]:
    """Score a table with a saved predictor, or one of the registry (`models:/NAME@ALIAS`)."""
    out = Path(out)
    check_output_file(out, SCORE_ENDINGS, data)
    table = read_table(data)
    folder = Path(predictor)
    if str(predictor).startswith("models:/"):
        from featrix_core.registry.store import Registry

        registry = Registry()
        folder = registry.fetch_bundle(registry.resolve(str(predictor)), out.parent / "model")
    model = SinglePredictor.load(folder)
    write_scores(model, table, out, explain)
    notices = score_notices(model, table)
    write_json(out.parent / "notices.json", [n.model_dump(mode="json") for n in notices])
    return write_figures(out.parent, {"rows": table.n_records, "notices": len(notices)})
