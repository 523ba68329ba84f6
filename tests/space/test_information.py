"""Bits between columns: asymmetric, never negative, most about a column itself (TRAIN-8)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from featrix_core import EmbeddingSpace, FeatrixUserError


@pytest.fixture(scope="module")
def learned(german_credit: object) -> EmbeddingSpace:
    """A space that was trained long enough to know its columns, on 400 rows of four columns."""
    frame = pd.read_csv(str(german_credit)).iloc[:400]
    columns = ["checking_status", "credit_amount", "duration", "housing", "property_magnitude"]
    return EmbeddingSpace(frame[columns], n_epochs=30).train()


def test_bits(learned: EmbeddingSpace) -> None:
    bits = learned.mutual_information_matrix()
    columns = len(learned.column_names)
    assert bits.shape == (columns, columns)
    assert np.isfinite(bits).all()
    assert (bits >= 0).all()
    assert not np.allclose(bits, bits.T)
    for place in range(columns):
        others = np.delete(bits[:, place], place)
        assert bits[place, place] > 0.3
        assert bits[place, place] > others.max()
        # Nothing can tell more about a category than its entropy, at most log2 of its classes.
        assert bits[place, place] <= np.log2(66)


def test_related_columns_tell_more_than_unrelated_ones(learned: EmbeddingSpace) -> None:
    bits = pd.DataFrame(
        learned.mutual_information_matrix(),
        index=list(learned.column_names),
        columns=list(learned.column_names),
    )
    # Those who live for free own no real estate; a checking account says nothing of that.
    related = bits.loc["housing", "property_magnitude"]
    assert related > bits.loc["checking_status", "property_magnitude"]


def test_every_type_has_its_place(trip_space: EmbeddingSpace) -> None:
    bits = trip_space.get_mutual_information_matrix()
    assert bits.shape == (5, 5)
    assert np.isfinite(bits).all()
    assert (bits >= 0).all()


def test_an_untrained_space_has_none(credit: pd.DataFrame) -> None:
    with pytest.raises(FeatrixUserError, match="not trained"):
        EmbeddingSpace(credit[["age", "job"]]).mutual_information_matrix()
