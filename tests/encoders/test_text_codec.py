"""Cells of lists are split into their entries (ENC-3)."""

from __future__ import annotations

import pytest

from featrix_core.encoders.text_codec import PARTS, split_list


@pytest.mark.parametrize(
    ("cell", "delimiter", "entries"),
    [
        ('["New York, NY","LA"]', ",", ["New York, NY", "LA"]),
        ("['New York, NY', 'LA']", ",", ["New York, NY", "LA"]),
        ('["a [1]", "", "b"]', ",", ["a [1]", "b"]),
        ("red; green ;;blue", ";", ["red", "green", "blue"]),
        ("[red, green]", ",", ["red", "green"]),
        ("[]", ",", []),
    ],
)
def test_entries(cell: str, delimiter: str, entries: list[str]) -> None:
    assert split_list(cell, delimiter) == entries


def test_no_more_entries_than_are_read() -> None:
    cell = "[" + ",".join(f'"{n}"' for n in range(2 * PARTS)) + "]"
    assert len(split_list(cell, ",")) == PARTS
