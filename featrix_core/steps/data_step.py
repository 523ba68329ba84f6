"""Step ingest: a file to a data set folder with types, filter decisions and a hold-out (DATA-1 … DATA-7)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from featrix_core.errors import FeatrixUserError
from featrix_core.files import atomic_directory, read_json, sha256_of, write_json, write_text
from featrix_core.steps.config import StepConfig
from featrix_core.steps.figures import write_figures
from featrix_core.tables.build import build_schema, typed_columns
from featrix_core.tables.cleaning import typed_column
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import ColumnType, Notice, TableSchema
from featrix_core.tables.splits import Split, drift_report, random_split, stratified_split
from featrix_core.tables.table import Table
from featrix_core.tables.targets import TargetSchema, detect_target, encode_target

DEVELOPMENT, HOLDOUT = "development.parquet", "holdout.parquet"
ROW_FILTER, ROW_WEIGHT = "__featrix_train", "__featrix_weight"
LEAST_ROWS = 20
_NO = {"0", "false", "no", "n", "f", "0.0"}


@dataclass(frozen=True)
class DataSet:
    """An ingested data set: what `ingest` wrote, read back."""

    folder: Path
    schema: TableSchema
    targets: tuple[TargetSchema, ...]
    summary: dict[str, Any]

    @property
    def development(self) -> Table:
        """Rows that may be trained on."""
        return read_table(self.folder / DEVELOPMENT)

    @property
    def holdout(self) -> Table:
        """Rows that figures are measured on."""
        return read_table(self.folder / HOLDOUT)

    def target(self, name: str) -> TargetSchema:
        """The target called `name`; FeatrixUserError if the data set was ingested for others."""
        for target in self.targets:
            if target.name == name:
                return target
        raise FeatrixUserError(
            "The data set was not ingested for this target",
            column=name,
            remedy=f"It has {', '.join(t.name for t in self.targets)}; ingest again",
        )


def load_dataset(folder: Path) -> DataSet:
    """Read a data set folder."""
    return DataSet(
        folder,
        TableSchema.model_validate_json((folder / "schema.json").read_bytes()),
        tuple(TargetSchema.model_validate(t) for t in read_json(folder / "targets.json")),
        read_json(folder / "ingest.json"),
    )


def _usable(table: Table) -> tuple[Table, list[Notice]]:
    """Rows that the user's own control columns let in."""
    notices: list[Notice] = []
    if ROW_FILTER in table.names:
        column = typed_column(ROW_FILTER, table.arrow[ROW_FILTER], ColumnType.SET, None)
        assert column.codes_N is not None
        refused = np.array([text.lower() in _NO for text in column.texts] + [False])
        keep = np.flatnonzero(~refused[column.codes_N])
        if len(keep) < table.n_rows:
            notices.append(
                Notice(
                    code="rows_filtered",
                    column=ROW_FILTER,
                    figure=float(table.n_rows - len(keep)),
                    message=f"{table.n_rows - len(keep)} rows are switched off by {ROW_FILTER}",
                    action="they take part in nothing",
                )
            )
            table = table.take(keep)
    if ROW_WEIGHT in table.names:
        notices.append(
            Notice(
                code="row_weights_unused",
                column=ROW_WEIGHT,
                message="Row weights were given; this version trains on unweighted rows",
                action="the column is kept out of the space",
            )
        )
    return table, notices


def _split(table: Table, target: TargetSchema, share: float, seed: int) -> Split:
    """Stratified by the first target's classes; rows without its label go to the development part."""
    labels: NDArray[np.float64] = encode_target(table, target)
    known = np.flatnonzero(np.isfinite(labels))
    if target.kind == "scalar":
        inner = random_split(len(known), share, seed)
    else:
        inner = stratified_split(labels[known].astype(np.int64), share, seed)
    held = known[inner.validation_rows]
    rest = np.setdiff1d(np.arange(table.n_rows), held)
    return Split(rest, np.sort(held), inner.coverage, inner.rare_classes, inner.notices)


def ingest(
    data: str, targets: list[str], out: Path, *, config: StepConfig | None = None, seed: int = 42
) -> dict[str, Any]:
    """Read a table, find types, filter columns, split off the hold-out.

    Writes `development.parquet`, `holdout.parquet`, `schema.json`, `targets.json`, `ingest.json`.

    Raises:
        FeatrixUserError: unreadable file, unusable target, no usable column, too few rows.
    """
    config = config or StepConfig()
    table, notices = _usable(read_table(data))
    if not targets:
        raise FeatrixUserError("No target is named", remedy="Give at least one --target COLUMN")
    found = [detect_target(table, name, config.target_kinds.get(name)) for name in targets]
    if table.n_rows < LEAST_ROWS:
        raise FeatrixUserError(
            f"The table has {table.n_rows} rows; at least {LEAST_ROWS} are needed to train and measure",
            column=str(data),
            remedy="Give more rows",
        )
    split = _split(table, found[0], config.holdout, seed)
    development, holdout = table.take(split.train_rows), table.take(split.validation_rows)
    for target in found:
        labelled = int(np.isfinite(encode_target(development, target)).sum())
        if labelled < LEAST_ROWS // 2:
            raise FeatrixUserError(
                f"Only {labelled} rows to train on have a label; at least {LEAST_ROWS // 2} are needed",
                column=target.name,
                remedy="Label more rows",
            )
    schema = build_schema(
        development, targets=targets, exclude=config.ignore, overrides=config.types
    )
    drifts = drift_report(typed_columns(development, schema), typed_columns(holdout, schema))
    notices += [
        Notice(
            code="drift",
            column=drift.column,
            figure=drift.kl,
            message=f"{drift.column!r} is distributed differently in the hold-out (KL {drift.kl:.2f})",
            action="look at how the rows are ordered or grouped",
        )
        for drift in drifts
        if drift.kl > 1.0
    ]
    notices += [*split.notices, *(n for t in found for n in t.notices)]
    with atomic_directory(Path(out)) as folder:
        pq.write_table(development.arrow, folder / DEVELOPMENT)
        pq.write_table(holdout.arrow, folder / HOLDOUT)
        write_text(folder / "schema.json", schema.model_dump_json(indent=1) + "\n")
        write_json(folder / "targets.json", [t.model_dump(mode="json") for t in found])
        summary: dict[str, Any] = {
            "source": Path(str(data)).name,
            "source_sha256": table.source.sha256,
            "rows": table.n_rows,
            "development_rows": development.n_rows,
            "holdout_rows": holdout.n_rows,
            "holdout_sha256": sha256_of(folder / HOLDOUT),
            "development_sha256": sha256_of(folder / DEVELOPMENT),
            "columns_kept": len(schema.columns),
            "columns_dropped": len(schema.dropped),
            "notices": [n.model_dump(mode="json") for n in [*table.notices, *notices]],
        }
        write_json(folder / "ingest.json", summary)
        keys = ("rows", "development_rows", "holdout_rows", "columns_kept", "columns_dropped")
        write_figures(folder, {key: summary[key] for key in keys})
    return summary
