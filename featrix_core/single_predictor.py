"""`SinglePredictor`: one target on top of a space, calibrated, explained, guarded (D2.2, D17, D18).

>>> predictor = SinglePredictor(space)
>>> predictor.prep_for_training(df, "class", "set")
>>> predictor.train()                       # or: await predictor.train()
>>> predictor.predict(new_rows)             # list of responses (docs/response-schema.md)
"""

from __future__ import annotations

import copy
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featrix_core.embedding_space import EmbeddingSpace, OnProgress
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.errors import FeatrixUserError
from featrix_core.features.engineer import FeatureEngineer
from featrix_core.input_data_set import TableLike, as_name, as_table
from featrix_core.predictor.ensemble import Ensemble
from featrix_core.predictor.explaining import explain_batch
from featrix_core.predictor.guardrails import merge_flags, sigma_flags, value_flags
from featrix_core.predictor.labelled import (
    LabelledRows,
    met_columns,
    refuse_computed_from,
    unknown_columns,
)
from featrix_core.predictor.leaks import leak_notices
from featrix_core.predictor.objective import PredictorNet
from featrix_core.predictor.outputs import Outputs, class_probabilities, fit_outputs
from featrix_core.predictor.plan import PredictorPlan
from featrix_core.predictor.response import (
    Importance,
    Scores,
    build_frame,
    build_responses,
)
from featrix_core.predictor.row_guard import RowGuard, to_blame
from featrix_core.predictor.shape import SimpleMLP
from featrix_core.predictor.target_coding import TargetCoding, describe_target
from featrix_core.predictor.training import fit_predictor
from featrix_core.predictor.wishes import LossWish, check_wishes
from featrix_core.tables.build import scoring_notices, typed_columns
from featrix_core.tables.control import row_weights, usable_rows
from featrix_core.tables.holdout import fold_groups, fold_times
from featrix_core.tables.schema import Notice, TableSchema
from featrix_core.tables.table import Table, TypedColumn

KIND = "predictor"


class SinglePredictor:
    """A predictor for one target column.

    Args:
        embedding_space: the trained space that it stands on.
        predictor: optional head shape (`SimpleMLP.from_config`); the plan decides when left out.
        name: shown in lineage and registry.
        fine_tune: train the encoder too (default: by the number of rows); frozen is the fast mode.
        ensemble: the nets answer together with boosted trees and a linear model, in the proportions that their
            out-of-fold answers ask for; otherwise these are only measured beside the nets (PRED-7).
        loss, class_weights: what the nets are trained on; held-out rows decide when left out (PRED-2).
        positive_label: the class of a two-class target that threshold and reasons are about; the rarer one when
            left out.
        cost_false_positive, cost_false_negative: set the threshold of a two-class target.
    """

    def __init__(
        self,
        embedding_space: EmbeddingSpace,
        predictor: SimpleMLP | None = None,
        name: str = "predictor",
        *,
        seed: int = 42,
        fine_tune: bool | None = None,
        ensemble: bool = True,
        loss: LossWish = "auto",
        class_weights: bool | None = None,
        positive_label: str | None = None,
        cost_false_positive: float | None = None,
        cost_false_negative: float | None = None,
    ) -> None:
        self.space = embedding_space
        self.shape = predictor
        self.name = name
        self.registered_version: str | None = None  # set by who loads it from a registry
        self.seed = seed
        self.fine_tune = fine_tune
        self.blended = ensemble
        self.loss: LossWish = loss
        self.class_weights = class_weights
        self.positive_label = positive_label
        self.costs = (cost_false_positive, cost_false_negative)
        self.coding: TargetCoding | None = None
        self.plan: PredictorPlan | None = None
        self.outputs: Outputs | None = None
        self.ensemble: Ensemble | None = None
        self.notices: tuple[Notice, ...] = ()
        self._prepared: tuple[Notice, ...] = ()
        self.training_info: dict[str, Any] = {}
        self.timeline: dict[str, Any] | None = None
        self.peer_seconds: dict[str, float] = {}
        self.train_df: pd.DataFrame | None = None
        self.val_df: pd.DataFrame | None = None
        self.reference: RowGuard | None = None
        self._rows: LabelledRows | None = None
        self.background: TokenBatch | None = None
        self.held_out: dict[str, NDArray[Any]] | None = None

    # -- training ---------------------------------------------------------------------------------

    def prep_for_training(
        self,
        df: TableLike,
        target: str,
        type: str | None = None,
        *,
        group_column: str | None = None,
        time_column: str | None = None,
    ) -> SinglePredictor:
        """Take labelled rows. `type`: `set` for classes, `ordinal` for classes in an order, `scalar` for a
        number; found when left out.

        `group_column`: rows of one of its values are never on both sides of a fold (DATA-7).
        `time_column`: every fold validates on later rows than it trains on.

        Raises:
            FeatrixUserError: missing, constant or unusable target, or one that cannot have the positive label, costs,
                loss or class weights that were asked for; columns that do not fit the space; a column of the space
                that is computed from the target.
        """
        target, group_column, time_column = map(as_name, (target, group_column, time_column))
        refuse_computed_from(self.space, target)
        table = usable_rows(as_table(df))
        schema = describe_target(table, target, type, self.positive_label)
        check_wishes(schema, *self.costs, self.loss, self.class_weights)
        coding = TargetCoding.fit(table, schema)
        labels = coding.labels(table)
        labelled = np.flatnonzero(np.isfinite(labels))
        labels, table = labels[labelled], table.take(labelled)
        weights_N = row_weights(table)
        groups_N, grouping = fold_groups(table, group_column) if group_column else (None, ())
        times_N, timing = fold_times(table, time_column, groups_N) if time_column else (None, ())
        table = self.space.enriched(table, target)
        self.coding = coding
        met = met_columns(self.space, target)
        unknown = unknown_columns(table, met | {group_column or target, time_column or target})
        batch = self.space.tokenizer.encode(self._typed(table))
        classes, known = coding.classification, self._known()
        leaks = leak_notices(table.drop([target]), known, target, labels, classes, self.seed)
        self._prepared = schema.notices + grouping + timing + unknown + leaks
        self.notices = self._prepared
        self._rows = LabelledRows(
            batch, coding.tensor(labels), labels, weights_N, groups_N, times_N, coding.ordered
        )
        self.train_df = table.to_pandas()
        return self

    def _known(self) -> TableSchema:
        """The space's schema without the target."""
        assert self.coding is not None
        schema, target = self.space.schema, self.coding.target.name
        return schema.model_copy(
            update={"columns": tuple(c for c in schema.columns if c.name != target)}
        )

    def _typed(self, table: Table) -> dict[str, TypedColumn]:
        """Columns of a table; the target's own, should the space hold one, is hidden (PRED-1)."""
        assert self.coding is not None
        target = self.coding.target.name
        schema = self.space.schema
        if target not in schema.names:
            return typed_columns(table, schema)
        typed = typed_columns(table.drop([target]), self._known())
        typed[target] = TypedColumn.hidden(target, schema.column(target).type, table.n_rows)
        return typed

    def tokens(self, data: TableLike) -> TokenBatch:
        """Tensors of raw rows, engineered columns added."""
        coding, _ = self._ready()
        table = self.space.enriched(as_table(data), coding.target.name)
        return self.space.tokenizer.encode(self._typed(table))

    def train(
        self,
        n_epochs: int | None = None,
        *,
        calibrate: bool = True,
        on_progress: OnProgress | None = None,
    ) -> SinglePredictor:
        """Train; also awaitable (`await predictor.train()`).

        Args:
            n_epochs: at most so many epochs per member; the plan decides when left out.
            calibrate: fit calibration, threshold and intervals on held-out rows right away.
        """
        if self._rows is None or self.coding is None:
            raise FeatrixUserError(
                "The predictor has no rows to train on", remedy="Call prep_for_training first"
            )
        trained = fit_predictor(
            self.space,
            self._rows,
            self.coding,
            seed=self.seed,
            shape=self.shape,
            fine_tune=self.fine_tune,
            blended=self.blended,
            loss=self.loss,
            class_weights=self.class_weights,
            epochs=n_epochs,
            on_progress=on_progress,
        )
        self.plan, self.ensemble, self.timeline = trained.plan, trained.ensemble, trained.timeline
        self.held_out, self.training_info = trained.held_out, trained.info
        self.reference, self.background = trained.reference, trained.background
        self.peer_seconds = trained.seconds
        self.notices = self._prepared + trained.notices
        self.outputs = None
        if calibrate:
            self.calibrate()
        return self

    def calibrate(self) -> Outputs:
        """Choose calibration and threshold, or intervals, on held-out rows (PRED-2 … PRED-4)."""
        if self.held_out is None or self.coding is None:
            raise FeatrixUserError("The predictor is not trained yet", remedy="Call train() first")
        held = self.held_out
        parts = (held["answer"], held["spread"], held["labels"])
        known = (held.get("weights"), held.get("groups"))
        self.outputs = fit_outputs(self.coding, *parts, self.costs, self.seed, *known)
        return self.outputs

    @property
    def members(self) -> list[PredictorNet]:
        """The nets, one per fold; none before training."""
        return [] if self.ensemble is None else self.ensemble.nets

    def nets_only(self) -> SinglePredictor:
        """This predictor as its nets alone, calibrated on their own out-of-fold answers (PRED-7)."""
        coding, _ = self._ready()
        assert self.held_out is not None
        alone = copy.copy(self)
        alone.ensemble, alone.blended = Ensemble(self.members, coding.classification), False
        selector = self.training_info["selector"] | {"shares": dict(alone.ensemble.weights)}
        alone.training_info = self.training_info | {"selector": selector}
        alone.held_out = {**self.held_out, "answer": self.held_out["nets"]}
        alone.calibrate()
        return alone

    def __await__(self) -> Generator[None, None, SinglePredictor]:
        """Let `await predictor.train()` work as well as the plain call."""
        yield from ()
        return self

    # -- predicting -------------------------------------------------------------------------------

    def _said(self, batch: TokenBatch) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        assert self.ensemble is not None
        return self.ensemble.answer(batch)

    def _ready(self) -> tuple[TargetCoding, Outputs]:
        if self.coding is None or not self.members:
            raise FeatrixUserError("The predictor is not trained yet", remedy="Call train() first")
        if self.outputs is None:
            raise FeatrixUserError(
                "The predictor is not calibrated yet", remedy="Call calibrate() first"
            )
        return self.coding, self.outputs

    def predict_proba(self, data: TableLike) -> NDArray[np.float64]:
        """Calibrated probabilities (rows, classes), classes as in `classes`."""
        return class_probabilities(self.scores(data))

    def scores(self, data: TableLike) -> Scores:
        """Calibrated probabilities or numbers with intervals, as arrays."""
        coding, outputs = self._ready()
        answers, spread = self._said(self.tokens(data))
        return outputs.scores(answers, spread, coding)

    def explain_table(self, data: TableLike) -> Importance:
        """Signed importance of every column for every row of a table."""
        self._ready()
        return self.explain(self.tokens(data))

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the positive one is last where there are two."""
        return () if self.coding is None else self.coding.classes

    def explain(self, batch: TokenBatch) -> Importance:
        """Signed importance of every column for every row of a batch (see `predictor.importance`)."""
        coding, outputs = self._ready()
        assert self.background is not None
        return explain_batch(
            lambda mixed: self._said(mixed)[0],
            batch,
            self.background,
            self.space.tokenizer,
            outputs,
            coding,
            self.seed,
        )

    def _answer_parts(self, data: TableLike, explain: bool) -> dict[str, Any]:
        coding, outputs = self._ready()
        given = as_table(data)
        table = self.space.enriched(given, coding.target.name)
        unknown_columns(table, met_columns(self.space, coding.target.name))
        typed = self._typed(table)
        batch = self.space.tokenizer.encode(typed)
        answers, spread = self._said(batch)
        assert self.reference is not None
        surprise = self.reference.apply(self.space.model, batch)
        unlike = sigma_flags(surprise.sigma_N, to_blame(surprise, self.space.tokenizer.names))
        flags = merge_flags(unlike, value_flags(typed, self._known()))
        return {
            "scores": outputs.scores(answers, spread, coding),
            "sigma_N": surprise.sigma_N,
            "flags": flags,
            "importance": self.explain(batch) if explain and batch.n_rows else None,
            "bad": given.bad,
        }

    def predict(self, data: TableLike, explain: bool = True) -> list[dict[str, Any]]:
        """Responses as plain dicts, one per row (D2.3, docs/response-schema.md)."""
        coding, outputs = self._ready()
        metadata = outputs.metadata(coding, self.training_info, self.registered_version)
        parts = self._answer_parts(data, explain)
        return build_responses(parts.pop("scores"), metadata, **parts)

    def predict_frame(self, data: TableLike, explain: bool = False) -> pd.DataFrame:
        """The same as a table: what batch scoring writes."""
        parts = self._answer_parts(data, explain)
        return build_frame(parts.pop("scores"), **parts)

    def scoring_notices(self, data: TableLike) -> tuple[Notice, ...]:
        """What is odd about a table as a whole: unknown categories, coercions, extra columns."""
        goal = None if self.coding is None else self.coding.target.name
        table = self.space.enriched(as_table(data), goal)
        if goal is None:
            return scoring_notices(table, self.space.schema)
        return scoring_notices(table.drop([goal]), self._known())

    # -- extending --------------------------------------------------------------------------------

    def create_extended_embedding_space(
        self,
        enriched_train_df: TableLike,
        enriched_val_df: TableLike | None = None,
        n_epochs: int | None = None,
        batch_size: int | None = None,
        output_dir: str | Path | None = None,
        *,
        engineer: FeatureEngineer | None = None,
    ) -> EmbeddingSpace:
        """Extend this predictor's space by the columns that the enriched data adds (E)."""
        table = as_table(enriched_train_df)
        applied = [n for n in table.names if n not in self.space.schema.names]
        drop = [] if self.coding is None else [self.coding.target.name]
        return EmbeddingSpace.extend_from_existing(
            self.space,
            table.drop(drop),
            None if enriched_val_df is None else as_table(enriched_val_df).drop(drop),
            n_epochs,
            batch_size,
            output_dir,
            feature_metadata={
                "source": self.name,
                "applied_features": [n for n in applied if n not in drop],
            },
            engineer=engineer,
        )

    # -- saving -----------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the bundle: space, members, calibration, guardrails; all or nothing."""
        from featrix_core.predictor_bundle import save_predictor

        save_predictor(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> SinglePredictor:
        """Read a bundle after checking every digest.

        Raises:
            BundleError: missing, damaged, of another kind or another version.
        """
        from featrix_core.predictor_bundle import load_predictor

        return load_predictor(Path(path))
