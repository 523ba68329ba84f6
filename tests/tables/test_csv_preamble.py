"""Titles, comments and `sep=` above a table, empty fields beyond it, and one column of decimal commas."""

from __future__ import annotations

from pathlib import Path

import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.reading import read_table
from featrix_core.tables.table import Table

ROWS = "region,units,price\nNorth,3,2.50\nSouth,5,3.75\nWest,8,1.20\n"
BANK = (
    "Buchungstag;Empfänger;Betrag\n01.03.2024;Bäckerei, Bonn;-4,80\n"
    "04.03.2024;Stadtwerke;-81,37\n05.03.2024;Gehalt;2.410,00\n"
)


def read(folder: Path, text: str) -> Table:
    path = folder / "t.csv"
    path.write_text(text, encoding="utf-8")
    return read_table(path)


ABOVE: dict[str, tuple[str, str, int]] = {
    "a title": ("Sales report Q1 2024\n", ROWS, 1),
    "a title and a blank line": ("Sales report Q1 2024\n\n", ROWS, 1),
    "a title with a comma": ("Sales report, Q1\n", ROWS.replace("\n", ",a\n"), 1),
    "padded titles": ("Kontoauszug;;\nKonto;DE02 1203;\n;;\n", BANK, 3),
    "titles": ("Kontoauszug\nKonto: DE02 1203\n", BANK, 2),
    "comments": ("# made by hand\n# units: pieces, thousands\n", ROWS, 2),
    "separator": ("sep=;\n", BANK, 1),
    "separator of Excel": ('"sep=;"\r\n', BANK.replace("\n", "\r\n"), 1),
    "only words": ("Members\n", "name,town,trade\n" + "Ada,Bonn,mason\nEva,Kiel,smith\n" * 3, 1),
}


@pytest.mark.parametrize("case", sorted(ABOVE))
def test_lines_above_the_header_are_skipped_and_shown(tmp_path: Path, case: str) -> None:
    above, rows, n = ABOVE[case]
    table, plain = read(tmp_path, above + rows), read(tmp_path, rows)
    assert table.arrow.equals(plain.arrow)
    (notice,) = table.notices
    assert (notice.code, notice.figure) == ("lines_above_header", float(n))
    assert above.splitlines()[0].strip() in notice.message
    assert plain.notices == ()


def test_bad_rows_below_a_title_keep_their_line(tmp_path: Path) -> None:
    table = read(tmp_path, "Sales report\n\n" + ROWS + "East,1\n" + "Mid,2,2.20\n" * 30)
    assert table.bad is not None and table.bad.positions_B.tolist() == [3]
    assert table.bad.reasons() == ["Line 7 cannot be read: 2 fields, 3 are expected."]


NORMAL: dict[str, str] = {
    "comment as name": "# id,town\n1,Bonn\n2,Kiel\n",
    "unnamed columns": "name,,\na,1,2\nb,3,4\n",
    "words below an unnamed header": "name,,\nAda,Bonn,mason\nEva,Kiel,smith\n",
    "first row with gaps": "id,town,size\n1,,\n2,Kiel,3\n",
    "one column": "a\n1\n2\n",
}


@pytest.mark.parametrize("case", sorted(NORMAL))
def test_first_lines_that_are_headers_stay(tmp_path: Path, case: str) -> None:
    text = NORMAL[case]
    table = read(tmp_path, text)
    assert table.names[0] == text.splitlines()[0].split(",")[0]
    assert table.n_rows == text.count("\n") - 1
    assert "lines_above_header" not in [notice.code for notice in table.notices]


def test_too_few_names_are_no_title(tmp_path: Path) -> None:
    with pytest.raises(FeatrixUserError, match="rows cannot be read"):
        read(tmp_path, "a,b\n" + "1,2,3,4\n" * 9)


@pytest.mark.parametrize("tail", [1, 3])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_empty_fields_beyond_the_header_are_left_out(tmp_path: Path, tail: int, end: str) -> None:
    extra = "," * tail
    table = read(tmp_path, end.join(["a,b,c", *[f'1,"x, y",3{extra}'] * 60]))
    assert table.names == ["a", "b", "c"] and table.source.bad_rows == 0
    assert table.arrow["c"].to_pylist() == ["3"] * 60
    assert [notice.code for notice in table.notices] == ["trailing_delimiter"]


def test_a_value_beyond_the_header_is_a_bad_row(tmp_path: Path) -> None:
    table = read(tmp_path, "a,b\n" + "1,2,\n" * 300 + "3,4,5\n6,\n")
    assert table.n_rows == 300 and table.bad is not None
    assert table.bad.positions_B.tolist() == [300, 301]
    assert "beyond the last column" in table.bad.reasons()[0]
    with pytest.raises(FeatrixUserError, match="rows cannot be read"):
        read(tmp_path, "a,b\n" + "1,2,x\n" * 9)


@pytest.mark.parametrize("start", ["<!DOCTYPE html>", "\n<html lang='en'>", "<!-- x -->\n<HTML>"])
def test_an_html_page_is_told_as_such(tmp_path: Path, start: str) -> None:
    with pytest.raises(FeatrixUserError, match="is an HTML page"):
        read(tmp_path, start + "<head><title>Sign in</title></head>\n<body>a, b</body></html>\n")


def test_json_that_cannot_be_read_gets_advice_on_json(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"a": 1\n{"a": 2\n')
    with pytest.raises(FeatrixUserError, match="rows cannot be read") as caught:
        read_table(tmp_path / "t.jsonl")
    assert "JSON object" in caught.value.remedy and "delimiter" not in caught.value.remedy


def test_too_many_columns(tmp_path: Path) -> None:
    with pytest.raises(FeatrixUserError, match="2001 columns; at most 2,000"):
        read(tmp_path, ",".join(f"c{k}" for k in range(2001)) + "\n" + "1," * 2000 + "1\n")


def test_one_column_of_decimal_commas(tmp_path: Path) -> None:
    cells = ["81,37", "-1.204,50", "7", "0,5 €"]
    table = read(tmp_path, "\n".join(["a", *cells]))
    assert table.arrow.to_pydict() == {"a": cells} and table.notices == ()
    assert read(tmp_path, "a,b\n81,37\n82,38\n").names == ["a", "b"]
