"""Numbers such as 3,190 follow the marks of the table's other numbers (DATA-3)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from featrix_core.tables import decimal_marks
from featrix_core.tables.build import build_schema, typed_columns
from featrix_core.tables.reading import read_table
from featrix_core.tables.table import Table
from featrix_core.tables.targets import detect_target, encode_target

_LINES = 24


def _written(tmp_path: Path, delimiter: str, **columns: list[str]) -> Table:
    path = tmp_path / "counts.csv"
    rows = [delimiter.join(columns), *map(delimiter.join, zip(*columns.values(), strict=True))]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return read_table(path)


def _first(table: Table, name: str) -> float:
    numbers = typed_columns(table, build_schema(table))[name].numbers_N
    assert numbers is not None
    return float(numbers[0])


MENGE = [f"{3 + n},{190 + 7 * n}" for n in range(_LINES)]


def test_the_neighbours_tell(tmp_path: Path) -> None:
    stand = [f"{105 + n},{43 + n}" for n in range(_LINES)]
    table = _written(tmp_path, ";", Menge=MENGE, Stand=stand)
    assert _first(table, "Menge") == 3.19
    notices = {(n.code, n.column): n for n in build_schema(table).notices}
    notice = notices["ambiguous_numbers", "Menge"]
    assert "'10,239'" in notice.message
    assert notice.action == "read as a decimal mark"
    assert ("ambiguous_numbers", "Stand") not in notices
    target = detect_target(table, "Menge")
    assert encode_target(table, target)[0] == 3.19
    assert [n.code for n in target.notices] == ["ambiguous_numbers"]


def test_points_beside_them_make_thousands(tmp_path: Path) -> None:
    stand = [f"{105 + n}.{43 + n}" for n in range(_LINES)]
    table = _written(tmp_path, ";", Menge=MENGE, Stand=stand)
    assert _first(table, "Menge") == 3190.0
    actions = [n.action for n in build_schema(table).notices if n.code == "ambiguous_numbers"]
    assert actions == ["read as a mark of thousands"]


@pytest.mark.parametrize(("delimiter", "value"), [(";", 3.19), ("\t", 3190.0)])
def test_without_clear_numbers_the_delimiter_hints(
    tmp_path: Path, delimiter: str, value: float
) -> None:
    names = [f"Halle {n % 7}" for n in range(_LINES)]
    assert _first(_written(tmp_path, delimiter, Menge=MENGE, Halle=names), "Menge") == value


def test_numbers_that_arrive_as_numbers_are_not_open() -> None:
    frame = pd.DataFrame({"x": [1.234 + n for n in range(_LINES)], "y": ["1,5", "2,5"] * 12})
    table = read_table(frame)
    assert _first(table, "x") == 1.234
    assert not [n for n in build_schema(table).notices if n.code == "ambiguous_numbers"]


def test_the_neighbours_are_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wide table of open marks would ask all columns for every column."""
    asked = []
    monkeypatch.setattr(
        decimal_marks, "table_decimal", lambda table: asked.append(len(table.names)) or ","
    )
    cells = {f"c{k}": [f"{n + k},{190 + n}" for n in range(_LINES)] for k in range(8)}
    table = read_table(pd.DataFrame(cells))
    schema = build_schema(table)
    assert asked == [8] and {c.decimal for c in schema.columns} == {","}
