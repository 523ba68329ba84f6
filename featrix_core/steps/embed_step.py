"""Row embeddings of a table into a Parquet file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from featrix_core.embedding_space import EmbeddingSpace
from featrix_core.files import atomic_file
from featrix_core.single_predictor import SinglePredictor
from featrix_core.tables.table import Table


def load_space(folder: Path, kind: str) -> EmbeddingSpace:
    """The space of a bundle; for a predictor the one that it stands on."""
    return (
        SinglePredictor.load(folder).space if kind == "predictor" else EmbeddingSpace.load(folder)
    )


def write_embeddings(space: EmbeddingSpace, table: Table, out: Path) -> tuple[int, int]:
    """Write a column `embedding` (fixed-size list of float32), one row per input row; (rows, width).

    A record that cannot be read has a vector of NaN.
    """
    vectors = space.encode(table)
    if table.bad is not None:  # null lists of fixed size can be written, but not be read
        places = table.bad.positions_B - np.arange(table.bad.count)
        vectors = np.insert(vectors, places, np.nan, axis=0)
    flat = pa.array(vectors.reshape(-1), pa.float32())
    column = pa.FixedSizeListArray.from_arrays(flat, space.d_model)
    with atomic_file(out) as aside:
        pq.write_table(pa.table({"embedding": column}), aside)
    return len(vectors), space.d_model
