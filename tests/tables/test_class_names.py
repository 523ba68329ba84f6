"""Names of classes that look like one class, and names that only seem to."""

from __future__ import annotations

import pytest

from featrix_core.tables.class_names import similar_classes, similar_classes_notice


@pytest.mark.parametrize(
    ("counts", "groups"),
    [
        ({"good": 50, "Good": 40, "GOOD": 2, "bad": 9}, [("good", "Good", "GOOD")]),
        ({"not paid": 30, "not_paid": 3, "Not  Paid": 2, "not-paid": 1}, None),
        (
            {"<=50K": 700, "<=50K.": 300, ">50K": 200, ">50K.": 100},
            [("<=50K", "<=50K."), (">50K", ">50K.")],
        ),
        ({"caf\u00e9": 30, "cafe\u0301": 30, "bar": 9}, [("cafe\u0301", "caf\u00e9")]),
        ({"approved": 100, "aproved": 2, "approoved": 1, "apprvoed": 1}, None),
        ({"in review": 90, "in reveiw": 2, "closed": 70}, [("in review", "in reveiw")]),
    ],
)
def test_names_of_one_class(counts: dict[str, int], groups: list[tuple[str, ...]] | None) -> None:
    found = similar_classes(counts)
    if groups is None:
        assert found == [tuple(sorted(counts, key=lambda name: (-counts[name], name)))]
    else:
        assert found == groups


@pytest.mark.parametrize(
    "counts",
    [
        {"<=50K": 700, ">50K": 300},
        {"A": 500, "A-": 20, "A+": 2, "B": 90},
        {"grade 1": 900, "grade 2": 9, "grade a": 900, "grade b": 9},
        {"1-2": 90, "12": 3, "1 3": 2, "-1": 40, "1": 900},
        {"male": 900, "female": 9},
        {"typical": 900, "atypical": 9},
        {"Iran": 500, "Iraq": 3, "Niger": 700, "Nigeria": 2},
        {"stable": 50, "staple": 45},
        {"yes": 100, "yes?": 2},
        {"...": 9, "..": 9},
    ],
)
def test_names_of_different_classes(counts: dict[str, int]) -> None:
    assert similar_classes(counts) == []
    assert similar_classes_notice("y", counts) == ()


def test_the_notice_names_them_with_their_rows() -> None:
    (notice,) = similar_classes_notice("state", {"paid": 70, "Paid": 30, "open": 20})
    assert (notice.code, notice.column, notice.figure) == ("similar_classes", "state", 1.0)
    assert "'paid' (70 rows) and 'Paid' (30 rows)" in notice.message
    many = {f"name {k:03d}{mark}": 5 for k in range(15) for mark in ("", ".")}
    (notice,) = similar_classes_notice("state", many)
    assert notice.figure == 15.0 and notice.message.endswith("and 5 more")


def test_a_thousand_long_names_take_no_time() -> None:
    counts = {f"{'x' * 200}{chr(97 + k % 26)}{chr(97 + k // 26)} {k}": 5 for k in range(1000)}
    assert similar_classes(counts) == []
