import math

import pytest

from featrix_core.report.text import duration, label, lines, number, percent, plain, shorten, signed


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.79543, "0.7954"),
        (0.5, "0.5000"),
        (12345, "12,345"),
        (1234.567, "1,235"),
        (16.94, "16.94"),
        (-0.0123, "−0.0123"),
        (0.00001234, "1.23e−05"),
        (2.5e9, "2,500,000,000"),
        (0, "0"),
        (None, "–"),
        (math.nan, "–"),
        (-math.inf, "−∞"),
        ("champion", "champion"),
    ],
)
def test_number(value: object, shown: str) -> None:
    assert number(value) == shown


def test_plain_drops_closing_zeros_only_behind_the_point() -> None:
    assert [plain(v) for v in (0.31, 100, 20.0, 0.0712, "1.50")] == [
        "0.31", "100", "20", "0.0712", "1.50",
    ]  # fmt: skip


def test_signed_percent_and_duration() -> None:
    assert [signed(v, 3) for v in (0.0093, -0.5, 0.0)] == ["+0.0093", "−0.500", "0"]
    assert [percent(v) for v in (0.0, 0.0004, 0.154, 1.0, None)] == [
        "0 %", "< 0.1 %", "15.4 %", "100 %", "–",
    ]  # fmt: skip
    assert [duration(v) for v in (0.42, 9.97, 61.2, 600.0)] == [
        "0.4 s", "10 s", "1 min 01 s", "10 min 00 s",
    ]  # fmt: skip


def test_labels_are_cut_before_they_are_escaped() -> None:
    assert shorten("a\n b\t c", 10) == "a b c"
    assert label("<" * 40, 5) == "&lt;&lt;&lt;&lt;…"
    assert lines("<b>\n&") == "&lt;b&gt;<br>&amp;"
