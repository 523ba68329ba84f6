"""What a suggestion file may say; everything else is refused, whatever it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featrix_core.errors import FeatrixUserError
from featrix_core.features.suggestions import load_suggestions, parse_suggestions
from tests.features.samples import KINDS

RATIO: dict[str, Any] = {"kind": "ratio", "name": "rate", "numerator": "a", "denominator": "b"}


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_a_suggestion_word_for_word_counts_once_and_reasons_do_not_matter() -> None:
    (only,) = parse_suggestions([RATIO, {**RATIO, "reason": "said again", "gain": 0.1}])
    assert only.inputs == ("a", "b")


@pytest.mark.parametrize(
    "altered",
    [
        {"kind": "eval"},
        {"kind": "__import__('os').system('true')"},
        {"kind": None},
        {"expression": "a / b"},
        {"numerator": ["a"]},
        {"numerator": 1},
        {"numerator": ""},
        {"numerator": "a" * 501},
        {"name": "__featrix_train"},
        {"name": "_hidden"},
        {"name": "rate\n"},
        {"name": "a;b"},
        {"name": "../rate"},
        {"name": "9rate"},
        {"name": "r" * 101},
        {"name": ""},
        {"reason": "r" * 2001},
        {"gain": "high"},
        {"gain": float("nan")},
        {"denominator": nested(300)},
        {"denominator": nested(100_000)},
        {"denominator": "\ud800"},
        {"denominator": b"b"},
    ],
    ids=lambda altered: next(iter(altered)),
)
def test_hostile_entries_are_refused(altered: dict[str, Any]) -> None:
    with pytest.raises(FeatrixUserError, match="Suggestion 1 "):
        parse_suggestions([{**RATIO, **altered}])


@pytest.mark.parametrize(
    ("suggestion", "says"),
    [
        ({"kind": "bin", "column": "a"}, "either n_bins"),
        ({"kind": "bin", "column": "a", "n_bins": 3, "edges": [1]}, "either n_bins"),
        ({"kind": "bin", "column": "a", "n_bins": 1}, "n_bins"),
        ({"kind": "bin", "column": "a", "edges": [2, 1]}, "ascend"),
        ({"kind": "bin", "column": "a", "edges": []}, "edges"),
        ({"kind": "sum", "columns": ["a"]}, "columns"),
        ({"kind": "interaction", "columns": ["a"] * 5}, "columns"),
        ({"kind": "aggregate", "by": "a", "statistic": "mean"}, "need a column"),
        ({"kind": "aggregate", "by": "a", "statistic": "count", "column": "b"}, "takes none"),
        ({"kind": "aggregate", "by": "a", "statistic": "target", "column": "b"}, "statistic"),
        ({"kind": "flag", "conditions": []}, "conditions"),
        ({"kind": "flag", "conditions": [{"column": "a", "op": "lt", "value": "x"}]}, "value"),
        ({"kind": "flag", "conditions": [{"column": "a", "op": "in", "value": 1}]}, "conditions"),
        ({"kind": "flag", "conditions": [{"column": "a", "op": "eval"}]}, "conditions"),
        ({"kind": "date_part", "column": "a", "part": "second"}, "part"),
    ],
)
def test_kinds_check_their_own_entries(suggestion: dict[str, Any], says: str) -> None:
    with pytest.raises(FeatrixUserError, match=says):
        parse_suggestions([{"name": "made", **suggestion}])


def test_two_meanings_under_one_name_are_refused() -> None:
    with pytest.raises(FeatrixUserError, match="same name") as refusal:
        parse_suggestions([RATIO, {**RATIO, "denominator": "c"}])
    assert refusal.value.column == "rate"


def test_too_many_or_too_large() -> None:
    many = [{**RATIO, "name": f"rate{k}"} for k in range(201)]
    with pytest.raises(FeatrixUserError, match="201 suggestions"):
        parse_suggestions(many)
    assert len(parse_suggestions(many[:200])) == 200
    with pytest.raises(FeatrixUserError, match="larger than 1 MB"):
        parse_suggestions([{**RATIO, "reason": "x" * 1_000_001}])


@pytest.mark.parametrize("raw", [{"suggestions": []}, "ratio", b"ratio", None, 7])
def test_what_is_no_list_is_refused(raw: Any) -> None:
    with pytest.raises(FeatrixUserError, match="list of objects"):
        parse_suggestions(raw)


@pytest.mark.parametrize(
    "form",
    [
        [RATIO],
        {"suggestions": [RATIO]},
        {"history": [{"suggestions": []}, {"run": "r1", "suggestions": [RATIO]}]},
    ],
    ids=["list", "suggestions", "history"],
)
def test_the_three_forms_of_a_file(form: Any, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps(form), encoding="utf-8")
    assert load_suggestions(path) == [RATIO]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"import os",
        b"{",
        b"\xff\xfe\x00",
        b"[" * 200_000,
        b"1" * 5000,
        b'"ratio"',
        b"null",
        b'{"suggestions": {}}',
        b'{"history": [1]}',
        b'{"history": {"suggestions": []}}',
        b" " * 1_000_001,
    ],
    ids=range(12),
)
def test_files_that_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_bytes(content)
    with pytest.raises(FeatrixUserError, match=r"The file of engineered columns 's.json'"):
        load_suggestions(path)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(FeatrixUserError, match="cannot be read"):
            load_suggestions(path)


# fmt: off
ENTRIES = [
    "kind", "name", "reason", "gain", "numerator", "denominator", "left", "right",
    "columns", "column", "n_bins", "edges", "conditions", "combine", "part", "max_categories",
    "by", "statistic", "op", "value", "values",
]
# fmt: on
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=8),
    st.sampled_from([*KINDS, *ENTRIES, "lt", "in", "and", "mean", "count", "year"]),
)
DATA = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(ENTRIES), inner, max_size=6)
    ),
    max_leaves=12,
)
RECORDS = st.builds(
    lambda kind, rest: {"name": "made", **rest, "kind": kind},
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(ENTRIES), DATA, max_size=6),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.one_of(DATA, st.lists(st.one_of(RECORDS, DATA), max_size=3)))
def test_any_data_is_parsed_or_refused(raw: Any) -> None:
    try:
        parsed = parse_suggestions(raw)
    except FeatrixUserError as refusal:
        assert str(refusal)
    else:
        assert all(not name.name.startswith("_") and name.inputs for name in parsed)
