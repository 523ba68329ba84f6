"""Row embeddings of a table into a Parquet file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from featrix_core.bundle import bundle_kind
from featrix_core.embedding_space import EmbeddingSpace
from featrix_core.errors import FeatrixUserError
from featrix_core.files import atomic_file
from featrix_core.single_predictor import SinglePredictor
from featrix_core.tables.reading import read_table


def write_embeddings(model: Path, data: str, out: Path) -> tuple[int, int]:
    """Write a column `embedding` (fixed-size list of float32), one row per input row; (rows, width).

    Args:
        model: folder of a space, of a predictor, or of a `featrix fit`.
    """
    if out.suffix != ".parquet":
        raise FeatrixUserError(
            "Embeddings are written as Parquet", value=str(out), remedy="Let --out end in .parquet"
        )
    folder = model / "space" if (model / "space" / "manifest.json").is_file() else model
    predicts = bundle_kind(folder) == "predictor"
    space = SinglePredictor.load(folder).space if predicts else EmbeddingSpace.load(folder)
    vectors = space.encode(read_table(data))
    flat = pa.array(vectors.reshape(-1), pa.float32())
    column = pa.FixedSizeListArray.from_arrays(flat, space.d_model)
    with atomic_file(out) as aside:
        pq.write_table(pa.table({"embedding": column}), aside)
    return len(vectors), space.d_model
