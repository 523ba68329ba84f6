"""A small table that holds every column type, for the tests of codecs and encoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from featrix_core import FeatrixInputDataSet
from featrix_core.encoders.column_encoders import ColumnEncoders
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.strings.embedder import TextEmbedder, get_default_embedder
from featrix_core.tables.build import typed_columns
from featrix_core.tables.schema import ColumnType, TableSchema

ROWS = 60
WIDTH = 16
TYPE_OF = {
    "amount": ColumnType.SCALAR,
    "celsius": ColumnType.SCALAR,
    "carrier": ColumnType.SET,
    "size": ColumnType.ORDINAL,
    "insured": ColumnType.BOOLEAN,
    "moment": ColumnType.TIMESTAMP,
    "remark": ColumnType.TEXT,
    "story": ColumnType.DOCUMENT,
    "tags": ColumnType.LIST,
    "part": ColumnType.CODE,
    "mail": ColumnType.EMAIL,
    "host": ColumnType.DOMAIN,
    "link": ColumnType.URL,
    "phone": ColumnType.PHONE,
    "address": ColumnType.ADDRESS,
    "position": ColumnType.VECTOR,
    "options": ColumnType.JSON,
}

_CARRIERS = ("Delta Air Lines", "United Airlines", "JetBlue", "Envoy Air")
_REMARKS = (
    "delivered late because of heavy snow",
    "the box was wet when it arrived",
    "customer asked for a second delivery",
    "left with the neighbour at number four",
    "paid on delivery in cash",
)
_TAGS = ("red", "green", "blue", "fragile", "heavy", "cold")
_NAMES = ("maria", "john", "li.wei", "a.novak", "ines")
_HOSTS = ("gmail.com", "example.co.uk", "mail.uni-bonn.de", "acme.org")
_AREAS = ("+49 228", "+44 20 7", "+49 30", "+48 22")
_STREETS = ("12 Baker Street, London NW1 6XE", "Hauptstr. 5, 53111 Bonn", "1 Main St, Springfield")


class SentenceChild:
    """Vectors of JSON texts by the sentence model, in place of a trained child space."""

    def vectors(
        self, texts: Sequence[str], embedder: TextEmbedder | None = None
    ) -> NDArray[np.float32]:
        """Vectors (V, 384)."""
        return (embedder or get_default_embedder()).embed(texts)


def pick(values: Sequence[str], k: int) -> str:
    """Value number `k`, counted round and round."""
    return values[k % len(values)]


@pytest.fixture(scope="session")
def kinds() -> pd.DataFrame:
    """Sixty rows of seventeen types; a cell of every column is missing in rows 40 to 56."""
    rng = np.random.default_rng(5)
    place = rng.normal(size=(ROWS, 5)).round(3)
    frame = pd.DataFrame(
        {
            "amount": np.exp(rng.normal(3.0, 1.5, ROWS)).round(2),
            "celsius": rng.normal(12.0, 6.0, ROWS).round(1),
            "carrier": [pick(_CARRIERS, k) for k in range(ROWS)],
            "size": [pick(("small", "medium", "large"), k // 2) for k in range(ROWS)],
            "insured": [pick(("yes", "no"), k // 3) for k in range(ROWS)],
            "moment": [
                str(pd.Timestamp("2023-12-01 08:00") + pd.Timedelta(hours=13 * k))
                for k in range(ROWS)
            ],
            "remark": [f"{pick(_REMARKS, k)}, parcel {k}" for k in range(ROWS)],
            "story": [
                " ".join(pick(_REMARKS, k + n) for n in range(20 + k % 30)) for k in range(ROWS)
            ],
            "tags": [", ".join(_TAGS[k % 4 : k % 4 + 1 + k % 3]) for k in range(ROWS)],
            "part": [f"{'ABC'[k % 3]}{k % 7}-{1000 + 37 * k}" for k in range(ROWS)],
            "mail": [f"{pick(_NAMES, k)}{k}@{pick(_HOSTS, k // 2)}" for k in range(ROWS)],
            "host": [f"{pick(('www', 'shop', 'api'), k)}.{pick(_HOSTS, k)}" for k in range(ROWS)],
            "link": [
                f"https://{pick(_HOSTS, k)}/{pick(_TAGS, k)}/list?page={k}" for k in range(ROWS)
            ],
            "phone": [f"{pick(_AREAS, k)} {731000 + 11 * k}" for k in range(ROWS)],
            "address": [f"{k} {pick(_STREETS, k)}" for k in range(ROWS)],
            "position": [f"[{', '.join(map(str, row))}]" for row in place.tolist()],
            "options": [f'{{"gift": {k % 5}, "wrap": "{pick(_TAGS, k)}"}}' for k in range(ROWS)],
        }
    ).astype(object)
    for c in range(frame.shape[1]):
        frame.iloc[40 + c, c] = None
    frame["amount"] = frame["amount"].astype(float)
    frame["celsius"] = frame["celsius"].astype(float)
    return frame


@pytest.fixture(scope="session")
def kinds_schema(kinds: pd.DataFrame) -> TableSchema:
    """The schema of `kinds`, every type given."""
    return FeatrixInputDataSet(kinds, overrides=TYPE_OF).schema()


@pytest.fixture(scope="session")
def kinds_tokenizer(kinds: pd.DataFrame, kinds_schema: TableSchema) -> Tokenizer:
    """Codecs fitted on `kinds`."""
    typed = typed_columns(as_table(kinds), kinds_schema)
    return Tokenizer.fit(kinds_schema, typed, children={"options": SentenceChild()})


@pytest.fixture(scope="session")
def tokens_of(kinds_tokenizer: Tokenizer) -> Callable[[pd.DataFrame], TokenBatch]:
    """Tokens of a frame with the columns of `kinds`."""
    return lambda frame: kinds_tokenizer.encode(
        typed_columns(as_table(frame), kinds_tokenizer.schema)
    )


@pytest.fixture(scope="session")
def kinds_batch(tokens_of: Callable[[pd.DataFrame], TokenBatch], kinds: pd.DataFrame) -> TokenBatch:
    """Tokens of `kinds`; tests must not write to them."""
    return tokens_of(kinds)


@pytest.fixture
def kinds_encoders(kinds_tokenizer: Tokenizer) -> ColumnEncoders:
    """Untrained encoders of every family."""
    torch.manual_seed(3)
    return ColumnEncoders(kinds_tokenizer, WIDTH)
