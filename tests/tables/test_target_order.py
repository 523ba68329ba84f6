"""Ordinal targets: which classes have an order, which do not, and what is refused (PRED-1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.reading import read_table
from featrix_core.tables.table import Table
from featrix_core.tables.targets import TargetSchema, detect_target, encode_target, refit_target


def table(values: Sequence[object], name: str = "y") -> Table:
    return read_table(pd.DataFrame({name: np.array(values, dtype=object), "x": range(len(values))}))


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["often", "never", "rarely"], ("never", "rarely", "often")),
        ([">=7", "<1", "4<=X<7", "1<=X<4"], ("<1", "1<=X<4", "4<=X<7", ">=7")),
        (["stage 10", "stage 2", "stage 1"], ("stage 1", "stage 2", "stage 10")),
        (["strongly agree", "disagree", "neutral"], ("disagree", "neutral", "strongly agree")),
        (["small shop", "large shop", "medium shop"], ("small shop", "medium shop", "large shop")),
    ],
)
def test_texts_with_an_order_are_ordinal(values: list[str], classes: tuple[str, ...]) -> None:
    data = table([*values * 5, None])
    target = detect_target(data, "y")
    assert (target.kind, target.classes, target.positive) == ("ordinal", classes, None)
    assert target.n_missing == 1 and tuple(target.class_counts) == classes
    wanted = [float(classes.index(value)) for value in values * 5]
    np.testing.assert_array_equal(encode_target(data, target), [*wanted, np.nan])
    assert TargetSchema.model_validate_json(target.model_dump_json()) == target
    assert detect_target(data, "y", "ordinal") == target
    plain = detect_target(data, "y", "multiclass")
    assert (plain.kind, plain.classes) == ("multiclass", tuple(sorted(classes)))
    rows = data.take(np.flatnonzero(np.array([*values * 5, ""]) != classes[1]))
    fewer = refit_target(target, rows)
    assert (fewer.kind, fewer.classes, fewer.class_counts[classes[1]]) == ("ordinal", classes, 0)


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3, 4, 5, 6, 7],  # kinds of forest look like marks
        ["class 1", "class 2", "class 3"],
        ["t1", "t2", "t3"],
        ["1 - van", "2 - car", "3 - bike"],
        ["mon", "tue", "wed", "thu"],
        ["winter", "spring", "summer", "autumn"],
        ["EWR", "JFK", "LGA"],
    ],
)
def test_what_may_be_names_has_no_order(values: list[object]) -> None:
    target = detect_target(table(values * 5), "y")
    assert (target.kind, target.notices) == ("multiclass", ())


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([10, 2, 1], ("1", "2", "10")),
        (["3.5", "-1", "none", "0"], ("-1", "0", "3.5")),
        (["class 2", "class 10", "class 1"], ("class 1", "class 2", "class 10")),
        (["medium", "unknown", "low", "high"], ("low", "medium", "high")),
    ],
)
def test_an_order_on_request(values: list[object], classes: tuple[str, ...]) -> None:
    data = table(values * 5)
    target = detect_target(data, "y", "ordinal")
    assert (target.kind, target.classes) == ("ordinal", classes)
    # Markers for "no value" without a place are no labels.
    assert target.n_missing == 5 * (len(values) - len(classes))
    assert np.isnan(encode_target(data, target)).sum() == target.n_missing


def test_two_levels_are_binary_even_on_request() -> None:
    target = detect_target(table(["good", "bad", "good"] * 4), "y", "ordinal")
    assert (target.kind, target.positive) == ("binary", "bad")


@pytest.mark.parametrize(
    ("values", "value", "words"),
    [
        (["<1", "1<=X<4", "4<=X<7", ">=7", "unemployed"], "unemployed", "no place"),
        (["red", "green", "blue"], "blue", "No order is known"),
        (["low", "medium", "high", "Low"], "Low, low", "share a place"),
    ],
)
def test_an_order_with_a_gap_is_refused_on_request_and_noticed_without(
    values: list[str], value: str, words: str
) -> None:
    data = table(values * 5)
    with pytest.raises(FeatrixUserError, match=words) as caught:
        detect_target(data, "y", "ordinal")
    assert (caught.value.column, caught.value.value) == ("y", value)
    assert "multiclass" in (caught.value.remedy or "")
    target = detect_target(data, "y")
    assert (target.kind, target.classes) == ("multiclass", tuple(sorted(values)))


def test_a_level_outside_of_the_order_is_named() -> None:
    # As the years of employment in German credit are: few enough rows for the others to be ranges.
    data = table(["<1", "1<=X<4", "4<=X<7", ">=7"] * 10 + ["unemployed"] * 3)
    target = detect_target(data, "y")
    assert target.kind == "multiclass"
    assert [notice.code for notice in target.notices] == ["classes_without_order"]
    assert "'unemployed'" in target.notices[0].message
