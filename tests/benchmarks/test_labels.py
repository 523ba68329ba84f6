"""The file of labelled columns: complete, consistent and split by table."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from benchmarks import table_installed
from benchmarks.table_sources import SOURCES
from benchmarks.tables import HERE, LABELS, PARTS, labels
from featrix_core.tables.schema import ColumnType

RARE_AT_LEAST = 1


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return labels()


def test_there_are_enough_columns_tables_and_types(frame: pd.DataFrame) -> None:
    assert len(frame) >= 400
    assert len(frame.groupby(["source", "table"])) >= 20
    counts = frame.groupby(["part", "label"]).size()
    for part in PARTS:
        for type in ColumnType:
            assert counts.get((part, type.value), 0) >= RARE_AT_LEAST, (part, type)


def test_labels_are_types_and_the_first_of_the_accepted_ones(frame: pd.DataFrame) -> None:
    known = {type.value for type in ColumnType}
    raw = pd.read_csv(LABELS, dtype=str, keep_default_na=False)
    for row in raw.itertuples():
        accepted = str(row.accepted).split("|") if row.accepted else [str(row.label)]
        assert accepted[0] == row.label, row
        assert set(accepted) <= known, row
        assert len(set(accepted)) == len(accepted), row
        assert row.accepted == "" or len(accepted) > 1, row
    assert frame["accepted"].map(len).max() <= 3


def test_no_column_stands_twice_and_no_table_in_both_parts(frame: pd.DataFrame) -> None:
    assert not frame.duplicated(["source", "table", "column"]).any()
    assert (frame.groupby(["source", "table"])["part"].nunique() == 1).all()
    assert set(frame["part"]) == set(PARTS)


def test_every_source_can_be_read_and_is_pinned(frame: pd.DataFrame) -> None:
    pinned = set(
        re.findall(r"^([a-z0-9-]+)==", (HERE / "data" / "table_packages.txt").read_text(), re.M)
    )
    sources = set(frame["source"])
    assert sources <= {"shared", "installed", *SOURCES}
    assert sources - {"shared", "installed"} == pinned


def test_the_labelled_columns_of_the_environment_are_there(frame: pd.DataFrame) -> None:
    own = frame[frame["source"] == "installed"]
    assert set(own["table"]) == set(table_installed.TABLES)
    for name in ("authors", "colours", "digits", "distributions", "suffixes", "phones"):
        table = table_installed.TABLES[name]()
        assert set(own.loc[own["table"] == name, "column"]) <= set(table.columns), name
        assert len(table) > 100, name
