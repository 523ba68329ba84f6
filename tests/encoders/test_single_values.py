"""A column of one value beside gaps tells rows apart by its gaps (DATA-4): every family takes it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from featrix_core import EmbeddingSpace
from featrix_core.input_data_set import as_table
from featrix_core.tables.build import typed_columns

ROWS = 40
VALUES: dict[str, object] = {
    "set": "special",
    "boolean": True,
    "scalar": 3.5,
    "timestamp": "2024-05-01",
    "url": "https://example.com/a/b.html",
    "email": "anna.berg@example.com",
    "vector": [0.5] * 100,
}


@pytest.mark.parametrize("kind", VALUES)
def test_a_single_value_beside_gaps(kind: str) -> None:
    gap = np.arange(ROWS) % 3 == 0
    frame = pd.DataFrame(
        {
            "x": [None if gone else VALUES[kind] for gone in gap],
            "y": np.linspace(0.0, 1.0, ROWS),
        }
    )
    space = EmbeddingSpace(frame, n_epochs=1).train()
    vectors = space.encode(frame)
    assert "x" in space.column_names
    assert np.isfinite(vectors).all()


def test_national_phone_numbers_are_read_in_their_country() -> None:
    numbers = [f"020 7{100 + k} {1000 + 37 * k}" for k in range(60)]
    frame = pd.DataFrame({"phone": numbers, "y": np.linspace(0.0, 1.0, 60)})
    space = EmbeddingSpace(frame, n_epochs=1)
    column = space.schema.column("phone")
    assert (column.type.value, column.region) == ("phone", "GB")
    # Read in another country none of them is a number, and nothing would be left of the column.
    batch = space.tokenizer.encode(typed_columns(as_table(frame), space.schema))
    assert bool((batch.class_NYQ[:, 0] > 0).any(dim=1).all())
