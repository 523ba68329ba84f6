"""`EmbeddingSpace`: one table's self-supervised embedding space (D2.1, D5–D15, E).

>>> space = EmbeddingSpace(train_data, validation_data, name="credit").train()
>>> vectors = space.encode(df)          # (rows, d_model), unit length
>>> space.save("credit_space")
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from featrix_core.bundle import verify_bundle, writing_bundle
from featrix_core.child_space import fit_children
from featrix_core.encoders.pca_start import first_weights
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.errors import FeatrixUserError
from featrix_core.features.engineer import FeatureEngineer
from featrix_core.input_data_set import FeatrixInputDataSet, TableLike, as_table
from featrix_core.space.extension import copy_weights, extended_pairs, extension_record
from featrix_core.space.model import SpaceModel
from featrix_core.space.plan import pair_budget, plan_shape
from featrix_core.space.relationships import PairSampler
from featrix_core.space_training import OnNotice, Resume, train_space
from featrix_core.strings.embedder import TextEmbedder
from featrix_core.tables.build import build_schema, missing_column, typed_columns
from featrix_core.tables.control import row_weights, usable_rows
from featrix_core.tables.schema import TableSchema
from featrix_core.tables.table import Table, in_parts
from featrix_core.training.checkpoint import EVERY_SECONDS
from featrix_core.training.device import deterministic
from featrix_core.training.launch import writes
from featrix_core.training.loop import OnEpoch
from featrix_core.training.loop import OnProgress as OnProgress
from featrix_core.training.plan import plan_space
from featrix_core.training.rotation import Sides
from featrix_core.training.snapshots import Movie

KIND = "space"
PART_ROWS = 24 * 2048
"""Rows that `encode` turns into tensors at once."""


class EmbeddingSpace:
    """A trained (or yet to be trained) space.

    Args:
        train_data: rows to learn from; a data set, DataFrame, table or path.
        val_data: rows for validation, which never train; when left out, a tenth of the training rows
            validates, and a tenth of that tenth is exchanged every 25 epochs (DATA-8).
        n_epochs: epochs; the plan decides when left out.
        name: shown in lineage and registry.
        seed: same data, same seed, same machine: same bytes (TRAIN-7).
        output_dir: `training_timeline.json` and `checkpoints/` are written there while training runs.
        on_progress: told of the training of child spaces, which JSON columns need before anything else.

    Attributes:
        d_model: length of a row embedding. schema: the frozen `TableSchema`.
        training_info: figures of the training; extension_metadata: where an extended space comes from.
        training_notices: sentences on what the last training was resumed from, and on a limit that ended it.
        pair_report: decision log of all column pairs with the scores' own check (JOINT-3, JOINT-4); an extended
            space has that of the original, and under `pairs_added` how many pairs with new columns it reads besides.
        movie: where a sample of the training rows stood, epoch by epoch (VIEW-2).
    """

    training_notices: tuple[str, ...] = ()
    pair_report: dict[str, Any] | None = None
    # Digest of the weights that the first training started from, once it is known.
    _initial_weights: str | None = None

    def __init__(
        self,
        train_data: TableLike | FeatrixInputDataSet,
        val_data: TableLike | FeatrixInputDataSet | None = None,
        n_epochs: int | None = None,
        name: str = "embedding_space",
        *,
        seed: int = 42,
        output_dir: str | Path | None = None,
        schema: TableSchema | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.name = name
        self.seed = seed
        self.n_epochs = n_epochs
        self.batch_size: int | None = None
        self.output_dir = Path(output_dir) if output_dir else None
        self.training_info: dict[str, Any] = {}
        self.extension_metadata: dict[str, Any] | None = None
        self.timeline: dict[str, Any] | None = None
        self.movie: Movie | None = None
        self.engineer: FeatureEngineer | None = None
        self.information_bits: NDArray[np.float32] | None = None
        self._fresh: dict[str, torch.Tensor] | None = None
        table = usable_rows(as_table(train_data))
        if schema is None:
            if isinstance(train_data, FeatrixInputDataSet):  # noqa: SIM108 (mypy narrows blocks only)
                schema = train_data.schema()
            else:
                schema = build_schema(table)
        typed = typed_columns(table, schema)
        train_child = partial(_train_child, on_progress)
        self.children = fit_children(schema, typed, train_child, seed, n_epochs)
        tokenizer = Tokenizer.fit(schema, typed, children=self.children)
        self._set_rows(table, None if val_data is None else as_table(val_data), tokenizer)
        config = plan_shape()
        columns = len(tokenizer.names)
        sampler = PairSampler(columns, pair_budget(columns), seed)
        with deterministic(seed):
            self._model = SpaceModel(tokenizer, config, sampler.first())
        assert self._rows is not None
        first_weights(self._model.encoders, tokenizer, self._rows)

    def _set_rows(self, train: Table, validation: Table | None, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.schema = tokenizer.schema
        self.train_table: Table | None = train
        self._rows: TokenBatch | None = self._tokens(train)
        self._sides = Sides.split(train.n_rows, self.seed)
        if validation is not None:
            validation = usable_rows(validation)
            self._sides = Sides.given(train.n_rows, validation.n_rows)
            self._rows = self._rows.followed_by(self._tokens(validation), tokenizer.vocabulary)
        weights_N = row_weights(train)
        # Weights of given validation rows choose no epoch: all of them count once.
        held = np.ones(self._rows.n_rows - train.n_rows)
        self._weights_N = None if weights_N is None else np.append(weights_N, held)

    def _tokens(self, table: Table) -> TokenBatch:
        return self.tokenizer.encode(typed_columns(self.enriched(table), self.schema))

    def enriched(self, table: Table, absent: str | None = None) -> Table:
        """The table with the engineered columns that this space knows and the table lacks.

        `absent`: a column that may be lacking, such as the target of rows that are to be scored.
        """
        lacking = set(self.schema.names) - {*table.names, absent}
        if self.engineer is None or not lacking:
            return table
        # A column of the data that is missing is named itself, not the feature made from it.
        given = [n for n in self.schema.names if n in lacking and n not in self.engineer.names]
        if given:
            raise missing_column(given[0], table.names)
        frame = self.engineer.transform(table.to_pandas())
        return Table(pa.Table.from_pandas(frame, preserve_index=False), table.source, table.notices)

    @property
    def d_model(self) -> int:
        """Length of a row embedding."""
        return self._model.config.d_model

    @property
    def model(self) -> SpaceModel:
        """The torch module."""
        return self._model

    # -- training ---------------------------------------------------------------------------------

    def train(
        self,
        batch_size: int | None = None,
        n_epochs: int | None = None,
        *,
        resume: bool = False,
        existing_epochs: int | None = None,
        checkpoint_seconds: float = EVERY_SECONDS,
        max_seconds: float | None = None,
        on_progress: OnProgress | None = None,
        on_epoch: OnEpoch | None = None,
        on_notice: OnNotice | None = None,
    ) -> EmbeddingSpace:
        """Learn the space without labels; an extended space is trained in its two phases.

        With an `output_dir` the state is written to `checkpoints/` below it, after an epoch and at most every
        `checkpoint_seconds`. A training that was killed and is resumed ends with the same bytes as one that
        was not. Asked for more epochs than before, a training goes on under the longer schedule, whose rate
        is higher at that place: another result than that of one long training (D19).

        Under `torchrun` all processes have to call this, with the same rows: they train together, and all end
        with the space that a single one would have made, but for rounding (TRAIN-9).

        Args:
            max_seconds: the schedule is compressed to fit into this time, and training ends after the epoch
                in which it is over. How far it is compressed depends on the machine's speed: for the same
                bytes again, train with the `n_epochs` of `training_info["epochs"]` and no limit.
            resume: go on from the newest valid checkpoint; `training_notices` says what was found.
            existing_epochs: go on from the newest one that is not later than this epoch.
            on_epoch: told of every epoch, with the module as it was validated.
            on_notice: told each of the `training_notices` when it comes up.

        Raises:
            FeatrixUserError: the space was loaded and has no rows to train on; the checkpoints are of other
                data, another plan or another seed.
            TrainingError: training failed in a way that no intervention mends.
        """
        if self._rows is None:
            raise FeatrixUserError(
                "A loaded space has no rows to train on",
                remedy="Make a new EmbeddingSpace from data, or extend this one",
            )
        asked = self.n_epochs if n_epochs is None else n_epochs
        if asked is not None and asked < 1:
            raise FeatrixUserError(
                "A space is trained for at least one epoch",
                value=asked,
                remedy="Leave n_epochs out to let the plan decide",
            )
        plan = plan_space(
            self._sides.n_train,
            epochs=asked,
            batch_size=batch_size or self.batch_size,
            seed=self.seed,
        )
        going_on = Resume(resume, existing_epochs, checkpoint_seconds)
        train_space(self, self._rows, plan, going_on, on_progress, on_epoch, max_seconds, on_notice)
        return self

    # -- reading ----------------------------------------------------------------------------------

    def encode(
        self, data: TableLike, *, embedder: TextEmbedder | None = None
    ) -> NDArray[np.float32]:
        """Row embeddings (rows, d_model), each of unit length; the process's own embedder by default."""
        typed = typed_columns(self.enriched(as_table(data)), self.schema)
        batches = (self.tokenizer.encode(part, embedder) for part in in_parts(typed, PART_ROWS))
        return np.concatenate([self._model.row_embeddings(b).numpy() for b in batches])

    def encode_short(self, data: TableLike) -> NDArray[np.float32]:
        """Short vectors (rows, 3) on the unit sphere, for looking (D15)."""
        rows_NM = torch.from_numpy(self.encode(data))
        return self._model.short(rows_NM).numpy()

    def encode_columns(self, data: TableLike) -> dict[str, NDArray[np.float32]]:
        """Contextual embedding of every cell: column name → (rows, token width)."""
        _, tokens = self._model.encode_rows(self._tokens(as_table(data)))
        return {name: tokens[:, k].numpy() for k, name in enumerate(self.tokenizer.names)}

    def mutual_information_matrix(self) -> NDArray[np.float32]:
        """Bits that column i tells about column j, (columns, columns), in `column_names` order (TRAIN-8)."""
        if self.information_bits is None:
            raise FeatrixUserError("The space is not trained yet", remedy="Call train() first")
        return self.information_bits

    get_mutual_information_matrix = mutual_information_matrix

    @property
    def column_names(self) -> tuple[str, ...]:
        """Columns in the order of the model's tokens."""
        return self.tokenizer.names

    # -- saving -----------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the bundle; an existing one is replaced at once or not at all.

        Under `torchrun` the first process writes; for the others this does nothing (TRAIN-9).
        """
        if not writes():
            return
        with writing_bundle(Path(path), KIND) as folder:
            self.write_into(folder)

    def write_into(self, folder: Path) -> None:
        """Write the bundle's files into a folder that somebody else seals."""
        from featrix_core.space_bundle import write_space

        write_space(self, folder)

    @classmethod
    def load(cls, path: str | Path) -> EmbeddingSpace:
        """Read a bundle after checking every digest.

        Raises:
            BundleError: missing, damaged, of another kind or another version.
        """
        verify_bundle(Path(path), KIND)
        return cls.read_from(Path(path))

    @classmethod
    def read_from(cls, folder: Path) -> EmbeddingSpace:
        """Read the files of a folder whose digests were checked already."""
        from featrix_core.space_bundle import read_space

        return read_space(folder)

    # -- extending --------------------------------------------------------------------------------

    @classmethod
    def extend_from_existing(
        cls,
        existing_es: EmbeddingSpace,
        enriched_train_df: TableLike,
        enriched_val_df: TableLike | None = None,
        n_epochs: int | None = None,
        batch_size: int | None = None,
        output_dir: str | Path | None = None,
        name: str | None = None,
        feature_metadata: dict[str, Any] | None = None,
        *,
        engineer: FeatureEngineer | None = None,
        on_progress: OnProgress | None = None,
    ) -> EmbeddingSpace:
        """A new space with the old one's weights and the new columns of the enriched data (EXT-1).

        Old codecs and weights are copied exactly; `train()` then runs phase 1 (new columns only) and
        phase 2 (everything). Epochs: a quarter of the original's, at least 10, at most half of them.

        Args:
            engineer: how the new columns are made; with it the space computes them from raw rows itself.
            on_progress: told of the training of new JSON columns' child spaces.

        Raises:
            FeatrixUserError: the data holds no column that the space does not know already.
        """
        table = usable_rows(as_table(enriched_train_df))
        known = set(existing_es.schema.names)
        never = {d.name for d in existing_es.schema.dropped}
        detected = build_schema(table, exclude=sorted(never & set(table.names)))
        added = tuple(c for c in detected.columns if c.name not in known)
        if not added:
            raise FeatrixUserError(
                f"No new columns found: the space {existing_es.name!r} knows every column already",
                remedy="Apply the features to the data first (FeatureEngineer.fit_transform)",
            )
        old = existing_es.tokenizer
        names = {column.name for column in added}
        noticed = tuple(notice for notice in detected.notices if notice.column in names)
        schema = existing_es.schema.model_copy(
            update={
                "columns": existing_es.schema.columns + added,
                "notices": existing_es.schema.notices + noticed,
            }
        )
        space = cls.__new__(cls)
        space.name = name or f"{existing_es.name}_extended"
        space.seed = existing_es.seed
        space.output_dir = Path(output_dir) if output_dir else None
        space.training_info, space.timeline, space.movie = {}, None, None
        space.information_bits, log = None, existing_es.pair_report
        space.engineer = engineer
        typed, known_ones = typed_columns(table, schema), existing_es.children
        train_child = partial(_train_child, on_progress)
        space.children = fit_children(schema, typed, train_child, space.seed, n_epochs, known_ones)
        tokenizer = Tokenizer.fit(schema, typed, base=old, children=space.children)
        validation = None if enriched_val_df is None else as_table(enriched_val_df)
        space._set_rows(table, validation, tokenizer)
        config = existing_es._model.config
        pairs = extended_pairs(existing_es._model.pairs_Q2, old, tokenizer, space.seed)
        more = 0 if log is None else len(pairs) - log["pairs_kept"]
        space.pair_report = None if log is None else {**log, "pairs_added": more}
        with deterministic(space.seed):
            space._model = SpaceModel(tokenizer, config, pairs)
        assert space._rows is not None
        first_weights(space._model.encoders, tokenizer, space._rows)
        space._fresh = copy_weights(existing_es._model, space._model, old, tokenizer)
        original = int(existing_es.training_info.get("epochs", 40))
        space.n_epochs = n_epochs or extension_epochs(original)
        space.batch_size = batch_size or existing_es.training_info.get("batch_size")
        space.extension_metadata = {
            **extension_record([c.name for c in added], old, tokenizer),
            "extended_from_es_name": existing_es.name,
            "training_epochs_used": space.n_epochs,
            "feature_metadata": feature_metadata or {},
            "previous": existing_es.extension_metadata,
        }
        return space


def _train_child(
    on_progress: OnProgress | None, table: Table, name: str, epochs: int, seed: int
) -> EmbeddingSpace:
    space = EmbeddingSpace(table, None, epochs, name, seed=seed, on_progress=on_progress)
    return space.train(on_progress=on_progress)


def extension_epochs(original: int) -> int:
    """A quarter of the original epochs, at least 10, at most half of them (E, "Use Appropriate Epochs")."""
    return max(1, min(max(10, original // 4), math.ceil(original / 2)))


def load_embedding_space(path: str | Path) -> EmbeddingSpace:
    """Read a saved space."""
    return EmbeddingSpace.load(path)
