"""Child spaces: a JSON column is read by a space of its own, trained on its flattened cells (ENC-5, JOIN-4).

The parent's column encoder sees only the child's row embeddings, which it projects to its own width.

Shape legend: V distinct texts, M row width of the child.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featrix_core.errors import BundleError, FeatrixUserError
from featrix_core.files import read_json, write_json
from featrix_core.strings.embedder import TextEmbedder, get_default_embedder
from featrix_core.tables.flatten import flat_columns, flatten, spoken
from featrix_core.tables.schema import ColumnType, TableSchema
from featrix_core.tables.table import Table, TypedColumn
from featrix_core.training.plan import plan_space

FOLDER = "children"
LEAST_CELLS = 10
"""Distinct cells below which no space can be trained."""
MOST_CELLS = 5_000
"""Distinct cells that a child space learns from at most."""
EPOCHS_SHARE = 0.25
"""Share of a space's planned epochs: on 1,000 sessions of events a linear probe of the vectors scored the
same after a quarter, half and all of them."""
_CHUNK = 5_000
_KEPT_CHUNKS = 16
_SPOKEN = 2_000


class Space(Protocol):
    """What a child needs of an embedding space."""

    name: str
    seed: int
    schema: TableSchema
    training_info: dict[str, Any]

    @property
    def d_model(self) -> int:
        """Length of a row embedding."""

    def encode(self, data: Table, *, embedder: TextEmbedder | None = None) -> NDArray[np.float32]:
        """Row embeddings (V, M)."""

    def write_into(self, folder: Path) -> None:
        """Write the space's files."""


Train = Callable[[Table, str, int, int], Space]
"""(table, name, epochs, seed) → trained space; `FeatrixUserError` if no column of the table is usable."""


@dataclass(frozen=True)
class JsonChild:
    """Vectors of a JSON column's cells.

    `space` is None where no space could be trained (few distinct cells, no column that varies); the cells'
    plain words then go through the sentence model. `cells`: distinct cells that were learned from.
    """

    column: str
    space: Space | None
    cells: int
    # What was read last, so that a table whose codecs were just fitted is not read a second time. Parts are
    # kept whole: a text's vector differs in its last bits with the texts beside it, and what was read
    # before must not change an answer.
    _read: deque[tuple[tuple[str | None, bytes], NDArray[np.float32]]] = field(
        default_factory=lambda: deque(maxlen=_KEPT_CHUNKS), init=False, repr=False, compare=False
    )

    @classmethod
    def fit(
        cls, column: str, texts: Sequence[str], train: Train, seed: int, epochs: int | None = None
    ) -> JsonChild:
        """Train on the distinct JSON texts of a column, at most `MOST_CELLS` of them.

        Args:
            seed: the parent's; the child's own follows from it and the column's name.
            epochs: the parent's, where they are given: a child trains no longer than its parent.
        """
        own_seed = child_seed(seed, column)
        if len(texts) > MOST_CELLS:
            chosen = np.random.default_rng(own_seed).choice(len(texts), MOST_CELLS, replace=False)
            texts = [texts[place] for place in np.sort(chosen).tolist()]
        names = flat_columns(texts)
        if len(texts) < LEAST_CELLS or not names:
            return cls(column, None, len(texts))
        planned = max(1, round(EPOCHS_SHARE * plan_space(len(texts)).epochs))
        planned = min(planned, epochs or planned)
        try:
            space = train(flatten(texts, names), column, planned, own_seed)
        except FeatrixUserError:  # every flat column is uniform or an identifier
            return cls(column, None, len(texts))
        return cls(column, space, len(texts))

    def vectors(
        self, texts: Sequence[str], embedder: TextEmbedder | None = None
    ) -> NDArray[np.float32]:
        """Vectors (V, M) of V distinct texts, float32; the child reads them in parts, for memory.

        `embedder`: for words that the child has never met; the process's own when left out.
        """
        parts = [
            self._part(texts[start : start + _CHUNK], embedder)
            for start in range(0, max(len(texts), 1), _CHUNK)
        ]
        return np.concatenate(parts)

    def _part(self, texts: Sequence[str], embedder: TextEmbedder | None) -> NDArray[np.float32]:
        digest = hashlib.blake2b(digest_size=16)
        for text in texts:
            raw = text.encode("utf-8", "surrogatepass")
            digest.update(len(raw).to_bytes(8, "little") + raw)
        key = (None if embedder is None else embedder.fingerprint, digest.digest())
        for known, vectors in list(self._read):
            if known == key:
                return vectors
        vectors = self._vectors(texts, embedder)
        self._read.append((key, vectors))
        return vectors

    def _vectors(self, texts: Sequence[str], embedder: TextEmbedder | None) -> NDArray[np.float32]:
        if self.space is None:
            words = [spoken(text)[:_SPOKEN] for text in texts]
            return (embedder or get_default_embedder()).embed(words)
        return self.space.encode(flatten(texts, self.space.schema.names), embedder=embedder)

    def lineage(self) -> dict[str, Any]:
        """Where the vectors come from, as the parent stores it."""
        if self.space is None:
            return {"kind": "sentences", "cells": self.cells}
        return {
            "kind": "space",
            "cells": self.cells,
            "name": self.space.name,
            "seed": self.space.seed,
            "d_model": self.space.d_model,
            "columns": list(self.space.schema.names),
            "epochs": self.space.training_info.get("epochs"),
            "final_validation_loss": self.space.training_info.get("final_validation_loss"),
        }


def child_seed(seed: int, column: str) -> int:
    """Seed of a column's child space."""
    name = zlib.crc32(column.encode("utf-8", "replace"))
    return int(np.random.SeedSequence([seed, name]).generate_state(1)[0])


def fit_children(
    schema: TableSchema,
    typed: Mapping[str, TypedColumn],
    train: Train,
    seed: int,
    epochs: int | None = None,
    known: Mapping[str, JsonChild] | None = None,
) -> dict[str, JsonChild]:
    """Children of all JSON columns; those in `known` are kept as they are (EXT-1)."""
    children = dict(known or {})
    for column in schema.of_type(ColumnType.JSON):
        if column.name not in children:
            texts = typed[column.name].texts
            children[column.name] = JsonChild.fit(column.name, texts, train, seed, epochs)
    return children


def write_children(folder: Path, schema: TableSchema, children: Mapping[str, JsonChild]) -> None:
    """Write every child below `folder/children/`, in the schema's order."""
    for number, column in enumerate(schema.of_type(ColumnType.JSON)):
        child, place = children[column.name], folder / FOLDER / str(number)
        place.mkdir(parents=True)
        write_json(place / "child.json", {"column": column.name, **child.lineage()})
        if child.space is not None:
            child.space.write_into(place)


def read_children(
    folder: Path, schema: TableSchema, read: Callable[[Path], Space]
) -> dict[str, JsonChild]:
    """Read what `write_children` wrote.

    Raises:
        BundleError: a child is missing or belongs to another column.
    """
    children: dict[str, JsonChild] = {}
    for number, column in enumerate(schema.of_type(ColumnType.JSON)):
        place = folder / FOLDER / str(number)
        try:
            info = read_json(place / "child.json")
            fits = info["column"] == column.name
            space = read(place) if info["kind"] == "space" else None
            children[column.name] = JsonChild(column.name, space, info["cells"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _unreadable(place, column.name) from error
        if not fits:
            raise _unreadable(place, column.name)
    return children


def _unreadable(place: Path, column: str) -> BundleError:
    return BundleError(
        f"The child space at {place} cannot be read", column=column, remedy="Train the space again"
    )
