"""Targets: kind, classes, encoding, and everything a target can be wrong with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.reading import read_table
from featrix_core.tables.table import Table
from featrix_core.tables.targets import TargetSchema, detect_target, encode_target

DATA = Path(__file__).parents[2] / "examples" / "data"


def table(values: Sequence[object]) -> Table:
    return read_table(pd.DataFrame({"y": np.array(values, dtype=object), "x": range(len(values))}))


def test_german_credit() -> None:
    data = read_table(DATA / "german_credit.csv")
    target = detect_target(data, "class")
    assert (target.kind, target.classes, target.positive) == ("binary", ("bad", "good"), "bad")
    assert target.class_counts == {"bad": 300, "good": 700}
    encoded = encode_target(data, target)
    assert encoded.dtype == np.float64
    assert encoded.sum() == 700.0
    assert TargetSchema.model_validate_json(target.model_dump_json()) == target


def test_flights_have_scalar_and_multiclass_targets() -> None:
    data = read_table(DATA / "flights" / "flights.parquet")
    delay = detect_target(data, "arr_delay")
    assert delay.kind == "scalar"
    frame = data.to_pandas()
    assert delay.n_missing == frame["arr_delay"].isna().sum()
    assert delay.statistics["mean"] == pytest.approx(frame["arr_delay"].mean())
    np.testing.assert_array_equal(np.isnan(encode_target(data, delay)), frame["arr_delay"].isna())
    origin = detect_target(data, "origin")
    assert (origin.kind, origin.classes) == ("multiclass", ("EWR", "JFK", "LGA"))
    codes = encode_target(data, origin).astype(int)
    assert [origin.classes[code] for code in codes[:50]] == frame["origin"].tolist()[:50]


@pytest.mark.parametrize(
    ("values", "kind", "classes"),
    [
        ([0, 1] * 5, "binary", ("0", "1")),
        ([True, False] * 5, "binary", ("false", "true")),
        (["True", "False"] * 5, "binary", ("false", "true")),
        ([1.5, 2.5] * 5, "binary", ("1.5", "2.5")),
        ([1, 2, 10] * 5, "multiclass", ("1", "2", "10")),
        (["lo", "mid", "hi"] * 5, "ordinal", ("lo", "mid", "hi")),
        ([0.1, 0.2, 0.3] * 5, "scalar", ()),
        (list(range(11)) * 2, "scalar", ()),
        (["$1,200", "$1,300", "$900", "12.5"] * 5, "scalar", ()),
    ],
)
def test_kinds(values: list[object], kind: str, classes: tuple[str, ...]) -> None:
    target = detect_target(table(values), "y")
    assert (target.kind, target.classes) == (kind, classes)


def test_the_kind_can_be_set() -> None:
    counts = table([1, 2, 3] * 5)
    assert detect_target(counts, "y", "scalar").kind == "scalar"
    assert detect_target(table(list(range(12)) * 2), "y", "multiclass").classes[-1] == "11"
    assert detect_target(table([0, 1] * 5), "y", "multiclass").kind == "multiclass"


def test_the_positive_class_is_the_rarer_one() -> None:
    assert detect_target(table([0] * 3 + [1] * 9), "y").positive == "0"
    assert detect_target(table([0] * 5 + [1] * 5), "y").positive == "1"


def test_missing_and_unknown_labels() -> None:
    data = table(["a", None, "b", "N/A", "a", "b", "b"])
    target = detect_target(data, "y")
    assert (target.n_rows, target.n_missing) == (7, 2)
    expected = [0.0, np.nan, 1.0, np.nan, 0.0, 1.0, 1.0]
    np.testing.assert_array_equal(encode_target(data, target), expected)
    np.testing.assert_array_equal(encode_target(table(["b", "z"]), target), [1.0, np.nan])


def test_one_row_of_a_third_class_is_noticed() -> None:
    target = detect_target(table(["a"] * 5 + ["b"] * 5 + ["c"]), "y")
    assert target.class_counts["c"] == 1
    assert [notice.code for notice in target.notices] == ["single_row_classes"]


def test_unparsed_cells_of_a_scalar_target_are_noticed() -> None:
    target = detect_target(table([str(n / 7) for n in range(40)] + ["much"]), "y")
    assert (target.kind, target.n_missing) == ("scalar", 1)
    assert "'much'" in target.notices[0].message


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        ([None, "", "NULL"], None, "no value"),
        (["a", "a", None], None, "constant"),
        (["3", "none", "3", "-"], None, "constant"),
        ([2.0, 2.0, 2.0], "scalar", "constant"),
        (["a"] * 9 + ["b"], None, "1 of the target's 2 classes have one row"),
        (["a", "b"], None, "one row"),
        (["a"] * 9 + ["b", "c"], None, "2 of the target's 3 classes have one row"),
        ([f"name {n}" for n in range(50)], None, "occurs once"),
        ([f"c{n % 1001}" for n in range(3003)], None, "1001 classes"),
        (["a", "b", "c"] * 4, "binary", "two classes"),
        (["a", "b", "c"] * 4, "scalar", "needs numbers"),
        (["a", "b"] * 4, "ranking", "binary, multiclass or scalar"),
        ([f"2020-01-{n % 28 + 1:02d}" for n in range(90)], None, "Timestamps"),
    ],
)
def test_targets_that_cannot_be_learned(values: list[object], kind: str | None, words: str) -> None:
    with pytest.raises(FeatrixUserError, match=words) as caught:
        detect_target(table(values), "y", kind)
    assert caught.value.column == "y"


def test_a_misspelt_target() -> None:
    data = read_table(DATA / "german_credit.csv")
    with pytest.raises(FeatrixUserError, match="Did you mean 'credit_amount'"):
        detect_target(data, "credit_amout")
    target = detect_target(data, "class")
    with pytest.raises(FeatrixUserError, match="no column 'class'"):
        encode_target(data.drop(["class"]), target)


def test_a_scalar_target_keeps_its_decimal_mark_and_unit() -> None:
    data = table([f"{n},5 kg" for n in range(40)])
    target = detect_target(data, "y")
    assert (target.kind, target.decimal, target.unit) == ("scalar", ",", "kg")
    np.testing.assert_array_equal(encode_target(data, target), np.arange(40) + 0.5)
    np.testing.assert_array_equal(encode_target(table(["1.000", "2 lb"]), target), [1000.0, np.nan])
    np.testing.assert_array_equal(encode_target(table([1.234, 7.0]), target), [1.234, 7.0])


def test_a_negative_zero_is_zero() -> None:
    found = detect_target(table(np.round([-0.3, 0.2, 1.1, -1.0] * 10).tolist()), "y")
    assert found.classes == ("-1", "0", "1") and found.class_counts["0"] == 20


def test_infinity_is_no_class_of_numbers() -> None:
    found = detect_target(table([0.0, 1.0, np.inf, -np.inf] * 10), "y")
    assert (found.kind, found.classes, found.n_missing) == ("binary", ("0", "1"), 20)
    assert [n.code for n in found.notices] == ["unparsed_target"]
    words = detect_target(table(["inf", "sup", "min"] * 10), "y")
    assert words.classes == ("inf", "min", "sup") and words.n_missing == 0
    assert detect_target(table(["inf", "none"] * 10), "y").classes == ("inf", "none")
    with pytest.raises(FeatrixUserError, match="constant"):
        detect_target(table([1.0, np.inf] * 10), "y")
