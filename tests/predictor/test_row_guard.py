"""The row guard finds ordinary values in a combination that training never had, and names the column (PRED-6)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from featrix_core import EmbeddingSpace
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.predictor import row_guard
from featrix_core.predictor.agreement import ColumnAgreement, ColumnAxes
from featrix_core.predictor.guardrails import sigma_flags
from featrix_core.predictor.row_guard import RowGuard, Surprise, to_blame
from featrix_core.space.model import SpaceModel
from featrix_core.tables.build import typed_columns


def people(rows: int, seed: int) -> pd.DataFrame:
    """`height`, `weight` and `reach` go together; `age` and `shade` go with nothing."""
    rng = np.random.default_rng(seed)
    height = rng.normal(170, 10, rows)
    return pd.DataFrame(
        {
            "height": height,
            "weight": 70 + 0.9 * (height - 170) + rng.normal(0, 3, rows),
            "reach": 1.02 * height + rng.normal(0, 5, rows),
            "age": rng.uniform(18, 80, rows),
            "shade": rng.uniform(0, 1, rows),
        }
    )


@pytest.fixture(scope="module")
def space() -> EmbeddingSpace:
    torch.set_num_threads(1)
    return EmbeddingSpace(people(600, 0), n_epochs=2, name="people").train()


@pytest.fixture(scope="module")
def guard(space: EmbeddingSpace) -> RowGuard:
    return RowGuard.fit(space.model, tokens(space, people(600, 0)))


def tokens(space: EmbeddingSpace, frame: pd.DataFrame) -> TokenBatch:
    batch: TokenBatch = space.tokenizer.encode(typed_columns(as_table(frame), space.schema))
    return batch


def test_ordinary_rows_are_rarely_flagged(space: EmbeddingSpace, guard: RowGuard) -> None:
    sigma = guard.apply(space.model, tokens(space, people(1000, 1))).sigma_N
    assert (sigma > 2).mean() < 0.05
    assert (sigma > 3).mean() < 0.012
    assert abs(np.median(sigma)) < 0.3


def test_a_value_that_does_not_fit_the_others_is_found_and_named(
    space: EmbeddingSpace, guard: RowGuard
) -> None:
    """Heights and weights of other people: each value is ordinary."""
    frame = people(400, 2)
    frame["weight"] = people(400, 3)["weight"]
    wrong = (frame["weight"] - 70 - 0.9 * (frame["height"] - 170)).abs().to_numpy() > 18
    surprise = guard.apply(space.model, tokens(space, frame))
    assert wrong.sum() > 50
    assert (surprise.sigma_N[wrong] > 2).mean() > 0.7
    # Each number is ordinary, the combination is not.
    assert (surprise.parts_N3[wrong, 1] > 2).mean() > 0.9
    assert (surprise.parts_N3[wrong, 2] > 2).mean() < 0.2
    named = to_blame(surprise, space.tokenizer.names)
    flagged = [row for row in np.flatnonzero(wrong) if surprise.sigma_N[row] > 2]
    assert np.mean(["weight" in named[row] for row in flagged]) > 0.8
    assert np.mean(["age" in named[row] or "shade" in named[row] for row in flagged]) < 0.15


def test_a_far_number_is_found_and_named(space: EmbeddingSpace, guard: RowGuard) -> None:
    frame = people(100, 4)
    frame["shade"] = 4.0
    surprise = guard.apply(space.model, tokens(space, frame))
    assert (surprise.sigma_N > 3).mean() > 0.9
    named = to_blame(surprise, space.tokenizer.names)
    assert np.mean([bool(row) and row[0] == "shade" for row in named]) > 0.9


def test_the_notice_names_the_columns() -> None:
    surprise = Surprise(
        np.array([2.5, 3.5, 2.2, 2.1, 1.0]),
        np.zeros((5, 3)),
        np.array(
            [[0.2, 1.7, 3.0], [2.0, 9.0, 3.0], [2.0, 3.0, 2.5], [0.1, 0.2, 0.3], [9.0, 9.0, 9.0]]
        ),
    )
    named = to_blame(surprise, ("a", "b", "c"))
    assert named == [["c", "b"], ["b"], ["b", "c", "a"], [], []]
    flags = sigma_flags(surprise.sigma_N, named)
    assert [[flag.code for flag in row] for row in flags] == [
        ["unusual_row"], ["unlike_training"], ["unusual_row"], ["unusual_row"], [],
    ]  # fmt: skip
    assert flags[0][0].message.endswith("What is unusual most of all: 'c' and 'b'.")
    assert flags[1][0].message.endswith("What is unusual most of all: 'b'.")
    assert flags[2][0].message.endswith("What is unusual most of all: 'b', 'c' and 'a'.")
    assert flags[3][0].message.endswith("less certain than usual.")


def test_the_state_is_arrays_and_survives(space: EmbeddingSpace, guard: RowGuard) -> None:
    state = guard.to_dict()
    kept = {key: torch.as_tensor(np.asarray(value)).numpy() for key, value in state.items()}
    batch = tokens(space, people(50, 5))
    one, other = (g.apply(space.model, batch) for g in (guard, RowGuard.from_dict(kept)))
    np.testing.assert_array_equal(one.sigma_N, other.sigma_N)
    np.testing.assert_array_equal(one.blame_NA, other.blame_NA)


def test_a_row_is_told_the_same_alone_and_no_rows_are_no_trouble(
    space: EmbeddingSpace, guard: RowGuard
) -> None:
    batch = tokens(space, people(40, 6))
    together = guard.apply(space.model, batch).sigma_N
    alone = guard.apply(space.model, batch.rows(slice(7, 8))).sigma_N
    np.testing.assert_allclose(alone, together[7:8], atol=1e-4)
    nothing = guard.apply(space.model, batch.rows(slice(0, 0)))
    assert nothing.sigma_N.shape == (0,) and nothing.blame_NA.shape == (0, 5)


def test_the_chunk_changes_no_figure_and_bounds_what_is_held(
    space: EmbeddingSpace, guard: RowGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = tokens(space, people(100, 7))
    whole = guard.apply(space.model, batch)
    held: list[int] = []
    read = row_guard._read

    def counted(model: SpaceModel, axes: ColumnAxes, rows: TokenBatch) -> row_guard._Read:
        held.append(rows.n_rows)
        return read(model, axes, rows)

    monkeypatch.setattr(row_guard, "_read", counted)
    monkeypatch.setattr(row_guard, "_CHUNK", 32)
    cut = guard.apply(space.model, batch)
    assert held == [32, 32, 32, 4]
    np.testing.assert_allclose(cut.sigma_N, whole.sigma_N, atol=1e-4)
    np.testing.assert_allclose(cut.parts_N3, whole.parts_N3, atol=1e-4)
    np.testing.assert_allclose(cut.blame_NA, whole.blame_NA, atol=1e-4)
    nothing = guard.apply(space.model, batch.rows(slice(0, 0)))
    assert nothing.parts_N3.shape == (0, 3) and nothing.blame_NA.shape == (0, 5)


def test_the_same_rows_and_seed_give_the_same_guard(space: EmbeddingSpace, guard: RowGuard) -> None:
    again = RowGuard.fit(space.model, tokens(space, people(600, 0)))
    for key, value in guard.to_dict().items():
        np.testing.assert_array_equal(again.to_dict()[key], value, err_msg=key)


def test_too_few_rows_are_refused(space: EmbeddingSpace) -> None:
    with pytest.raises(ValueError, match="too few"):
        RowGuard.fit(space.model, tokens(space, people(9, 0)))


def test_missing_cells_and_every_kind_of_column(
    trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    batch = tokens(trip_space, trips)
    guard = RowGuard.fit(trip_space.model, batch)
    surprise = guard.apply(trip_space.model, batch)
    assert np.isfinite(surprise.sigma_N).all() and np.isfinite(surprise.blame_NA).all()
    empty = trips.iloc[:3].astype(object)
    empty[:] = None
    assert np.isfinite(guard.apply(trip_space.model, tokens(trip_space, empty)).sigma_N).all()


def correlated(rows: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(rows, 1))
    first, second = shared + 0.1 * rng.normal(size=(2, rows, 1))
    return np.stack([first, second, rng.normal(size=(rows, 1))], axis=1)


def test_disagreement_is_the_log_ratio_of_two_gaussians() -> None:
    parts_NAR = correlated(20_000, 0)
    agreement, _ = ColumnAgreement.fit(parts_NAR, 5, 0)
    probe = np.array([[[1.0], [1.0], [0.5]], [[1.0], [-1.0], [0.5]]])
    row_N, blame_NA = agreement.apply(probe)
    # Known covariance: variance 1.01 and covariance 1 of the first two columns.
    joint = np.linalg.inv(np.array([[1.01, 1.0], [1.0, 1.01]]))
    exact = [float(p[:2, 0] @ joint @ p[:2, 0] - (p[:2, 0] ** 2).sum() / 1.01) for p in probe]
    np.testing.assert_allclose(row_N, exact, rtol=0.1)
    assert (blame_NA[1, :2] > 5).all() and blame_NA[1, 2] < 1


def test_columns_that_never_change_disagree_with_nothing() -> None:
    tokens_NAD = np.ones((60, 3, 8), np.float32)
    parts_NAR = ColumnAxes.fit(tokens_NAD).apply(tokens_NAD)
    row_N, blame_NA = ColumnAgreement.fit(parts_NAR, 5, 0)[0].apply(parts_NAR)
    assert (row_N == 0).all() and (blame_NA <= 1).all()


def test_tokens_of_another_shape_are_refused() -> None:
    axes = ColumnAxes.fit(np.random.default_rng(0).normal(size=(30, 3, 8)))
    with pytest.raises(ValueError, match="shape"):
        axes.apply(np.zeros((2, 4, 8)))


def test_wide_tables_keep_fewer_axes() -> None:
    axes = ColumnAxes.fit(np.random.default_rng(0).normal(size=(20, 300, 16)))
    assert axes.axes_ADR.shape == (300, 16, 3)
