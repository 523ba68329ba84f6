"""Parquet files to an Arrow table, as a stream of batches (DATA-1)."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.arrow_types import plain_table
from featrix_core.tables.byte_source import OnBytes
from featrix_core.tables.limits import check_names
from featrix_core.tables.sampling import RowSample

_BATCH_CELLS = 1_000_000
_MOST_BATCH_ROWS = 65_536


def read_parquet(
    path: Path, where: str, sample: RowSample, on_bytes: OnBytes | None
) -> list[pa.Table]:
    """Pieces of the sample, in order; cells keep their types as far as they are plain.

    Raises:
        FeatrixUserError: the file is damaged, or its column names are not distinct.
    """
    total = path.stat().st_size
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            check_names(names, where)
            # pandas stores a non-trivial index as extra columns; it is no column of the table.
            kept = [name for name in names if not name.startswith("__index_level_")]
            rows = max(1, min(_MOST_BATCH_ROWS, _BATCH_CELLS // len(names)))
            positions = [names.index(name) for name in kept]
            for batch in file.iter_batches(batch_size=rows):
                chosen, keys = sample.admit(batch.num_rows)
                part = pa.Table.from_batches([batch]).select(positions)
                if len(chosen) < part.num_rows:
                    part = part.take(pa.array(chosen))
                sample.add(plain_table(part, where), keys)
                if on_bytes is not None and file.metadata.num_rows:
                    on_bytes(total * sample.n_seen // file.metadata.num_rows, total)
            empty = file.schema_arrow.empty_table().select(positions)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise FeatrixUserError(
            f"{where} is not a readable Parquet file: {error}",
            remedy="Write the file again; it is damaged or of another format",
        ) from error
    return sample.tables() or [plain_table(empty, where)]
