"""The README of the benchmarks shows the result files of tables and encoders."""

from __future__ import annotations

import json

import pytest

from benchmarks import encoder_report, table_report
from featrix_core.errors import FeatrixUserError


def test_readme_is_the_result_file() -> None:
    result = json.loads(table_report.RESULT.read_text(encoding="utf-8"))
    shown = table_report.README.read_text(encoding="utf-8")
    assert table_report.filled(shown, table_report.block(result)) == shown, (
        "run `.venv/bin/python -m benchmarks.table_report`"
    )


@pytest.mark.parametrize("text", ["no markers", table_report.END + table_report.START])
def test_a_text_without_markers_in_order_is_refused(text: str) -> None:
    with pytest.raises(FeatrixUserError, match="once each"):
        table_report.filled(text, "table")


def test_readme_is_the_result_of_the_encoders() -> None:
    speed, value = (
        json.loads(path.read_text(encoding="utf-8"))
        for path in (encoder_report.SPEED, encoder_report.VALUE)
    )
    shown = encoder_report.README.read_text(encoding="utf-8")
    assert encoder_report.filled(shown, encoder_report.block(speed, value)) == shown, (
        "run `.venv/bin/python -m benchmarks.encoder_report`"
    )
