"""Type detection on real columns and on the edges between types (DATA-2, DATA-3)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from featrix_core.tables.build import build_schema
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import ColumnType
from featrix_core.tables.types import detect_type

DATA = Path(__file__).parents[2] / "examples" / "data"
COLUMNS: dict[str, tuple[Sequence[str | None], ColumnType]] = {
    "integers": ([str(n % 4 + 1) for n in range(40)], ColumnType.SCALAR),
    "money": ([f"${n},000" for n in range(1, 40)], ColumnType.SCALAR),
    "numbers with gaps": (["1", "2.5", "none", "-", "?", None] * 5, ColumnType.SCALAR),
    "ages of the source": (["25", "999", "31", "47", "thirty", None], ColumnType.SCALAR),
    "levels with a top code": (["1", "2", "3", "5+"] * 20, ColumnType.SET),
    "codes": ([f"{n:05d}" for n in range(500, 2000)], ColumnType.SET),
    "zeros are no code": (["0", "0.5", "0", "1.5"] * 5, ColumnType.SCALAR),
    "true or false": (["true", "False", None] * 5, ColumnType.BOOLEAN),
    "yes or no": (["Yes", "no", ""] * 5, ColumnType.BOOLEAN),
    "zero or one": (["0", "1"] * 5, ColumnType.BOOLEAN),
    "yes or none": (["yes", "none"] * 5, ColumnType.SET),
    "days": (["2020-01-01", "2020-02-03", "N/A"] * 3, ColumnType.TIMESTAMP),
    "compact days": ([f"202001{n:02d}" for n in range(1, 30)], ColumnType.TIMESTAMP),
    "eight digits": ([str(20_209_900 + n * 7) for n in range(90)], ColumnType.SCALAR),
    "mostly days": (["2020-01-01"] * 7 + ["later"] * 3, ColumnType.TIMESTAMP),
    "few titles": (["Senior Engineer", "Sales Manager", "Head of IT"] * 30, ColumnType.SET),
    "long labels": (["no credit taken at all", "all paid back on time"] * 50, ColumnType.SET),
    "comments": ([f"caller {n} was unhappy with the bill" for n in range(30)], ColumnType.TEXT),
    "names": ([f"Name{n} Surname{n * 7}" for n in range(200)], ColumnType.TEXT),
    "words": ([f"word{n % 90}" for n in range(200)], ColumnType.SET),
    "nothing": ([None, "", "NULL"], ColumnType.SET),
}


@pytest.mark.parametrize("case", sorted(COLUMNS))
def test_detection(case: str) -> None:
    cells, expected = COLUMNS[case]
    decision = detect_type(case, pa.array(cells, pa.string()))
    assert decision.type is expected, decision
    assert decision.evidence


def test_german_credit() -> None:
    schema = build_schema(read_table(DATA / "german_credit.csv"), targets=["class"])
    scalars = {column.name for column in schema.of_type(ColumnType.SCALAR)}
    assert scalars == {
        "duration",
        "credit_amount",
        "installment_commitment",
        "residence_since",
        "age",
        "existing_credits",
        "num_dependents",
    }
    assert {c.name for c in schema.of_type(ColumnType.BOOLEAN)} == {"foreign_worker"}
    assert len(schema.of_type(ColumnType.SET)) == 12
    assert "none" in schema.column("other_parties").categories


def test_flights() -> None:
    flights = build_schema(read_table(DATA / "flights" / "flights.parquet"))
    assert flights.column("time_hour").type is ColumnType.TIMESTAMP
    assert flights.column("carrier").type is ColumnType.SET
    assert flights.column("air_time").type is ColumnType.SCALAR
    airports = build_schema(read_table(DATA / "flights" / "airports.parquet"))
    assert airports.column("name").type is ColumnType.TEXT
    assert airports.column("lat").type is ColumnType.SCALAR
