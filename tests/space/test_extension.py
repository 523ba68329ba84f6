"""Extending: every old weight is copied, phase 1 touches new columns only, lineage is recorded (EXT-1)."""

from __future__ import annotations

import copy
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from featrix_core import EmbeddingSpace, FeatrixInputDataSet, FeatrixUserError, FeatureEngineer
from featrix_core.embedding_space import extension_epochs
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.space.extension import extended_pairs, only_new_columns
from featrix_core.space.objective import SpaceObjective
from featrix_core.space.plan import SHARE
from featrix_core.space.relationships import PairSampler
from featrix_core.tables.build import typed_columns
from featrix_core.tables.schema import ColumnType
from featrix_core.training.loop import run_loop
from featrix_core.training.plan import plan_space
from featrix_core.training.timeline import Timeline

SPEED = {"kind": "ratio", "name": "speed", "numerator": "distance", "denominator": "minutes"}
NEW = ["minutes", "speed", "weekday", "note"]


@pytest.fixture(scope="module")
def enriched(trips: pd.DataFrame) -> pd.DataFrame:
    """New numbers, a new category with more classes than the old one, and a second text."""
    minutes = trips["distance"] / 7.0 + np.arange(len(trips)) % 13
    moments = pd.to_datetime(trips["time_hour"], utc=True)
    half = moments.dt.hour.map(lambda hour: "morning" if hour < 17 else "evening")
    days = moments.dt.day_name().str.cat(half, sep=" ").fillna("none")
    return trips.assign(
        minutes=minutes,
        speed=trips["distance"] / minutes,
        weekday=days.astype("object"),
        note=[
            f"Flight number {k} to {name}, which lies {miles} miles away"
            for k, (name, miles) in enumerate(zip(trips["name"], trips["distance"], strict=True))
        ],
    )


@pytest.fixture(scope="module")
def extended(trip_space: EmbeddingSpace, enriched: pd.DataFrame) -> EmbeddingSpace:
    """Extended, not yet trained."""
    return EmbeddingSpace.extend_from_existing(
        trip_space, enriched, n_epochs=2, feature_metadata={"source": "by hand"}
    )


def _tokens(space: EmbeddingSpace, frame: pd.DataFrame) -> TokenBatch:
    return space.tokenizer.encode(typed_columns(as_table(frame), space.schema))


def _old_part(name: str, value: Tensor, old: EmbeddingSpace, new: EmbeddingSpace) -> Tensor:
    """The part of an extended parameter that belongs to old columns, found by column names alone."""
    source = old.model.state_dict()[name]
    if value.shape == source.shape:
        return value
    first = value.shape[0]
    before, after = old.tokenizer, new.tokenizer
    if first == after.vocabulary != len(after.names):
        rows = [
            after.set_offsets[after.groups[1].index(column)] + k
            for c, column in enumerate(before.groups[1])
            for k in range(before.set_sizes[c])
        ]
    elif first == len(after.names):
        rows = [after.names.index(column) for column in before.names]
    else:
        group = next(
            g
            for g, key in product(range(4), ("scalar", "set", "timestamp", "text", "code", "z_"))
            if key in name
            and {"scalar": 0, "code": 0, "z_": 0, "set": 1, "timestamp": 2, "text": 3}[key] == g
        )
        rows = [after.groups[group].index(column) for column in before.groups[group]]
    return value[rows][tuple(slice(0, n) for n in source.shape)]


def test_new_columns_stand_within_their_groups(extended: EmbeddingSpace) -> None:
    assert extended.schema.column("note").type is ColumnType.TEXT
    assert extended.schema.column("weekday").type is ColumnType.SET
    assert extended.column_names == (
        *("distance", "dep_delay", "minutes", "speed"),
        *("carrier", "weekday"),
        "time_hour",
        *("name", "note"),
    )


def test_every_old_weight_is_copied_exactly(
    trip_space: EmbeddingSpace, extended: EmbeddingSpace
) -> None:
    weights = extended.model.state_dict()
    grown = 0
    for name, value in trip_space.model.state_dict().items():
        if name == "pairs_Q2":
            continue
        part = _old_part(name, weights[name], trip_space, extended)
        assert torch.equal(part, value), name
        grown += weights[name].shape != value.shape
    assert grown > 30
    assert weights.keys() == trip_space.model.state_dict().keys()


def test_old_columns_are_encoded_as_before(
    trip_space: EmbeddingSpace, extended: EmbeddingSpace, enriched: pd.DataFrame
) -> None:
    places = [extended.column_names.index(name) for name in trip_space.column_names]
    with torch.no_grad():
        before = trip_space.model.encoders(_tokens(trip_space, enriched))
        after = extended.model.encoders(_tokens(extended, enriched))
    torch.testing.assert_close(after[:, places], before, rtol=1e-6, atol=1e-6)


def test_phase_one_changes_new_columns_only(
    trip_space: EmbeddingSpace, extended: EmbeddingSpace, enriched: pd.DataFrame
) -> None:
    space = copy.deepcopy(extended)
    batch = _tokens(space, enriched)
    model, fresh = space.model, space._fresh
    assert fresh is not None
    assert space._rows is not None
    with torch.no_grad():
        before = model.encoders(batch)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    sampler = PairSampler(len(space.column_names), 3, space.seed)
    objective = SpaceObjective(model, space._rows, space._sides, sampler)
    plan = plan_space(batch.n_rows, epochs=3).model_copy(update={"weight_decay": 0.0})
    with only_new_columns(model, fresh):
        result = run_loop(objective, plan, Timeline(plan))
    assert result.best_epoch > 0
    changed = []
    for name, value in model.state_dict().items():
        if name == "pairs_Q2":
            continue
        old = _old_part(name, value, trip_space, space)
        assert torch.equal(old, trip_space.model.state_dict()[name]), name
        if not torch.equal(value, weights[name]):
            changed.append(name)
    assert len(changed) > 30
    with torch.no_grad():
        after = model.encoders(batch)
    places = [space.column_names.index(name) for name in trip_space.column_names]
    new = [space.column_names.index(name) for name in NEW]
    # The last bits of texts follow how many columns still have a strategy.
    torch.testing.assert_close(after[:, places], before[:, places], rtol=0, atol=2e-6)
    for place in new:
        assert not torch.allclose(after[:, place], before[:, place])
    # Afterwards everything can be trained again, and no hook is left.
    assert all(p.requires_grad for p in model.parameters())
    assert not any(p._backward_hooks for p in model.parameters())


def test_both_phases_run(extended: EmbeddingSpace, trips: pd.DataFrame) -> None:
    space = copy.deepcopy(extended)
    space.train()
    assert space.timeline is not None
    assert space.timeline["metadata"]["phase_1_epochs"] == 1
    assert len(space.timeline["timeline"]) == 2
    old = extended.model.state_dict()
    moved = [n for n, v in space.model.state_dict().items() if not torch.equal(v, old[n])]
    assert "joint.cls_D" in moved
    assert space.mutual_information_matrix().shape == (9, 9)


def test_extension_metadata(extended: EmbeddingSpace) -> None:
    metadata = extended.extension_metadata
    assert metadata is not None
    assert metadata.keys() >= {
        "extended_from_es_name",
        "extended_from_es_version",
        "extension_date",
        "new_columns_added",
        "original_column_count",
        "extended_column_count",
        "training_epochs_used",
        "feature_metadata",
    }
    assert metadata["extended_from_es_name"] == "trips"
    assert metadata["extended_from_es_version"].keys() == {"version"}
    assert sorted(metadata["new_columns_added"]) == sorted(NEW)
    assert (metadata["original_column_count"], metadata["extended_column_count"]) == (5, 9)
    assert metadata["training_epochs_used"] == 2
    assert metadata["feature_metadata"] == {"source": "by hand"}
    assert metadata["previous"] is None
    assert extended.name == "trips_extended"


def test_a_chain_of_extensions_is_recorded(
    extended: EmbeddingSpace, enriched: pd.DataFrame
) -> None:
    third = EmbeddingSpace.extend_from_existing(
        extended, enriched.assign(double=enriched["minutes"] * 2.0), name="v3"
    )
    assert third.extension_metadata is not None
    assert third.extension_metadata["previous"] == extended.extension_metadata
    assert third.extension_metadata["new_columns_added"] == ["double"]


def test_a_type_of_column_that_is_new_to_the_space(credit: pd.DataFrame) -> None:
    space = EmbeddingSpace(credit[["age", "duration"]], n_epochs=1).train()
    wider = credit[["age", "duration", "housing"]]
    extended = EmbeddingSpace.extend_from_existing(space, wider, n_epochs=2).train()
    assert extended.column_names == ("age", "duration", "housing")
    assert np.isfinite(extended.encode(wider)).all()


def test_nothing_new(trip_space: EmbeddingSpace, trips: pd.DataFrame) -> None:
    with pytest.raises(FeatrixUserError, match="No new columns"):
        EmbeddingSpace.extend_from_existing(trip_space, trips)


def test_columns_that_were_left_out_do_not_come_back(
    credit_space: EmbeddingSpace, credit: pd.DataFrame
) -> None:
    """A target that was kept out of the space is not a new column."""
    with pytest.raises(FeatrixUserError, match="No new columns"):
        EmbeddingSpace.extend_from_existing(credit_space, credit)
    longer = credit.assign(monthly=credit["credit_amount"] / credit["duration"])
    extended = EmbeddingSpace.extend_from_existing(credit_space, longer)
    assert "class" not in extended.column_names
    assert extended.extension_metadata is not None
    assert extended.extension_metadata["new_columns_added"] == ["monthly"]


@pytest.mark.parametrize(
    "original, expected",
    [(100, 25), (50, 12), (40, 10), (24, 10), (20, 10), (10, 5), (3, 2), (1, 1)],
)
def test_extension_epochs(original: int, expected: int) -> None:
    """A quarter, at least ten, at most half; a single epoch for the shortest trainings."""
    assert extension_epochs(original) == expected


def test_pairs_are_kept_and_new_columns_get_their_share(
    trip_space: EmbeddingSpace, extended: EmbeddingSpace
) -> None:
    old, new = trip_space.tokenizer, extended.tokenizer
    pairs = {frozenset(new.names[k] for k in p) for p in extended.model.pairs_Q2.tolist()}
    kept = {frozenset(old.names[k] for k in p) for p in trip_space.model.pairs_Q2.tolist()}
    assert kept <= pairs
    columns, before = len(new.names), len(old.names)
    fresh = columns * (columns - 1) // 2 - before * (before - 1) // 2
    assert all(pair & set(NEW) for pair in pairs - kept)
    assert len(pairs - kept) == round(SHARE * fresh)
    assert extended.pair_report == {**trip_space.pair_report, "pairs_added": len(pairs - kept)}
    again = extended_pairs(trip_space.model.pairs_Q2, old, new, extended.seed)
    assert torch.equal(again, extended.model.pairs_Q2)


def test_an_engineer_travels_with_the_space(
    trip_space: EmbeddingSpace, trips: pd.DataFrame, tmp_path: object
) -> None:
    raw = trips.assign(minutes=trips["distance"] / 7.0)
    base = EmbeddingSpace(
        FeatrixInputDataSet(raw.drop(columns=["name", "time_hour"])), n_epochs=1
    ).train()
    engineer = FeatureEngineer([SPEED])
    space = EmbeddingSpace.extend_from_existing(
        base, engineer.fit_transform(raw.drop(columns=["name", "time_hour"])), engineer=engineer
    )
    np.testing.assert_array_equal(
        space.encode(raw), space.encode(engineer.transform(raw.reset_index(drop=True)))
    )
    space.save(f"{tmp_path}/space")
    loaded = EmbeddingSpace.load(f"{tmp_path}/space")
    np.testing.assert_array_equal(loaded.encode(raw), space.encode(raw))
