"""JSON cells become a flat table of texts, whatever they hold (ENC-5, JOIN-4)."""

from __future__ import annotations

import json
import time

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featrix_core.tables.build import build_schema
from featrix_core.tables.flatten import (
    CELL_VALUES,
    COLUMNS,
    LEVELS,
    VALUES,
    flat_columns,
    flatten,
    spoken,
)
from featrix_core.tables.schema import ColumnType

ORDER = {
    "id": 4711,
    "customer": {"name": "Ada Lovelace", "vip": True, "address": {"city": "Kiel"}},
    "tags": ["gift", "express"],
    "weights": [1.5, 2.5, 5.0],
    "items": [
        {"sku": "A-1", "price": 10, "options": {"colour": "red"}},
        {"sku": "B-7", "price": 30},
    ],
    "note": None,
}
TAGS = ["new", "sale", "eco", "local", "vegan", "gift", "rare"]


def _row(*cells: object, row: int = 0) -> dict[str, str]:
    frame = flatten([json.dumps(cell) for cell in cells]).to_pandas()
    return dict(frame.iloc[row].dropna())


def test_objects_lists_and_lists_of_objects() -> None:
    assert _row(ORDER) == {
        "$.id": "4711",
        "$.customer.name": "Ada Lovelace",
        "$.customer.vip": "true",
        "$.customer.address.city": "Kiel",
        "$.tags[*]": "gift; express",
        "$.tags[*]#count": "2",
        "$.weights[*]#count": "3",
        "$.weights[*]#mean": "3.0",
        "$.weights[*]#std": "1.4719601443879744",
        "$.weights[*]#min": "1.5",
        "$.weights[*]#max": "5.0",
        "$.weights[*]#first": "1.5",
        "$.weights[*]#last": "5.0",
        "$.items[*]#count": "2",
        "$.items[*].sku": "A-1; B-7",
        "$.items[*].price#mean": "20.0",
        "$.items[*].price#min": "10.0",
        "$.items[*].price#max": "30.0",
        "$.items[*].options.colour": "red",
        "$.items[0].sku": "A-1",
        "$.items[0].price": "10",
        "$.items[0].options.colour": "red",
        "$.items[-1].sku": "B-7",
        "$.items[-1].price": "30",
    }


def test_roots_that_are_lists() -> None:
    steps = [{"event": "view", "ms": 20}, {"event": "buy", "ms": 40}]
    assert _row(steps)["$[*].event"] == "view; buy"
    assert _row(steps)["$[-1].event"] == "buy"
    assert _row([7, 9])["$[*]#last"] == "9.0"
    assert _row([[1, 2], [3]])["$[*][*]#mean"] == "2.0"


def test_columns_are_sorted_and_independent_of_the_order_of_cells_and_keys() -> None:
    texts = ['{"b": 1, "a": {"z": 2, "y": 3}}', '{"c": [1], "b": 4}']
    turned = ['{"c": [1], "b": 4}', '{"a": {"y": 3, "z": 2}, "b": 1}']
    names = flat_columns(texts)
    assert list(names) == sorted(names)
    assert names == flat_columns(turned)
    pd.testing.assert_frame_equal(
        flatten(texts).to_pandas(), flatten(turned).to_pandas().iloc[::-1].reset_index(drop=True)
    )


def test_frozen_columns_ignore_new_keys_and_miss_absent_ones() -> None:
    table = flatten(['{"b": 1, "new": 2}', "{}", "[1]"], ["$.a", "$.b"])
    assert table.names == ["$.a", "$.b"]
    assert table.to_pandas().isna().to_numpy().tolist() == [
        [True, False],
        [True, True],
        [True, True],
    ]


def test_keys_cannot_pass_for_paths_or_columns_of_control() -> None:
    row = _row({"a.b": 1, "a": {"b": 2}, "x#count": 3, "x[*]": 4, "": 5, "__featrix_row_weight": 6})
    assert row == {
        "$.a\\.b": "1",
        "$.a.b": "2",
        "$.x\\#count": "3",
        "$.x\\[*]": "4",
        "$.": "5",
        "$.__featrix_row_weight": "6",
    }


def test_only_frequent_columns_are_kept_and_the_rest_is_counted() -> None:
    texts = [json.dumps({"plan": "pro", "seen": k, f"user_{k}": {"n": k}}) for k in range(300)]
    assert flat_columns(texts) == ("$.plan", "$.seen", VALUES)
    assert flatten(texts).to_pandas()[VALUES].unique().tolist() == ["3"]
    wide = [json.dumps({f"k{k:03d}": {"deep": k} for k in range(100)} | {"top": 1})] * 3
    names = flat_columns(wide)
    assert len(names) == COLUMNS + 1
    assert "$.top" in names, "values near the root go first"


def test_values_below_the_last_level_are_counted_only() -> None:
    value: object = {"deep": 1, "deeper": 2}
    for _ in range(LEVELS):
        value = {"k": value}
    assert _row(value) == {"$" + ".k" * LEVELS + "#count": "2"}


BROKEN = {
    "no JSON": "{'a': 1}",
    "cut off": '{"a": [1, 2',
    "empty": "",
    "deep list": "[" * 1000 + "]" * 1000,
    "deep object": '{"a":' * 1000 + "1" + "}" * 1000,
    "very deep": "[" * 200_000,
    "endless integer": "[" + "9" * 5000 + "]",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_broken_cells_are_rows_without_a_value(text: str) -> None:
    table = flatten([text, '{"a": 1}'], ["$.a"])
    assert table.to_pandas()["$.a"].isna().tolist() == [True, False]
    assert spoken(text) == ""


def test_odd_values() -> None:
    row = _row({"huge": 10**400, "list": [10**400, 1e308, 1e308], "ok": 1})
    assert row["$.ok"] == "1"
    assert row["$.list[*]#max"] == "1e+308"
    assert "$.list[*]#mean" not in row, "the sum is beyond the range of numbers"
    texts = ['{"a": 1e999, "b": NaN, "c": "\\ud800", "d": "", "e": "na\\u0000me"}']
    odd = dict(flatten(texts).to_pandas().iloc[0].dropna())
    assert odd == {"$.c": "?", "$.e": "na\x00me"}


def test_a_large_cell_takes_no_longer_than_reading_it() -> None:
    many = [{f"key_{k}_{j}": j for j in range(10)} for k in range(20_000)]
    nested: object = list(range(2_000))
    for _ in range(6):
        nested = [{"a": nested, "b": nested if isinstance(nested, int) else 1}]
    started = time.process_time()
    table = flatten(
        [
            json.dumps(many),
            json.dumps(nested),
            json.dumps(dict.fromkeys(map(str, range(100_000)), 1)),
        ]
    )
    assert time.process_time() - started < 10
    assert len(table.names) <= COLUMNS + 1 < CELL_VALUES


def test_spoken_is_plain_words_without_nulls() -> None:
    assert (
        spoken('{"plan": "pro", "owner": {"age": 41, "fax": null}}') == "owner age: 41, plan: pro"
    )


def test_types_are_found_in_the_flat_table() -> None:
    rows = [
        {
            "placed": f"2024-{1 + k % 12:02d}-{1 + k % 28:02d}",
            "total": 10 + 0.5 * k,
            "gift": k % 3 == 0,
            "city": ["Kiel", "Bonn", "Ulm"][k % 3],
            "tags": [TAGS[(k * step) % 7] for step in range(1, 2 + k % 4)],
        }
        for k in range(120)
    ]
    schema = build_schema(flatten([json.dumps(row) for row in rows]))
    assert {column.name: column.type for column in schema.columns} == {
        "$.placed": ColumnType.TIMESTAMP,
        "$.total": ColumnType.SCALAR,
        "$.gift": ColumnType.BOOLEAN,
        "$.city": ColumnType.SET,
        "$.tags[*]": ColumnType.LIST,
        "$.tags[*]#count": ColumnType.SCALAR,
    }


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=40,
)


@settings(deadline=None, max_examples=150)
@given(st.lists(_JSON | st.text(), max_size=5))
def test_any_cells_give_one_row_each(cells: list[object]) -> None:
    texts = [json.dumps(cell) for cell in cells] + [str(cell) for cell in cells]
    table = flatten(texts)
    assert table.n_rows == len(texts) or not table.names
    assert len(table.names) <= COLUMNS + 1
    assert len(set(table.names)) == len(table.names)
    again = flatten(texts[::-1], table.names)
    if table.names:
        assert again.arrow.to_pylist() == table.arrow.to_pylist()[::-1]
