"""Spreadsheets are no tables that can be read, and the user is told what to do (DATA-1)."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.reading import read_table


def sheet(kind: str) -> bytes:
    """The first bytes or the members that tell a spreadsheet of this kind."""
    if kind == "xls":
        return bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in {"xlsx": ("[Content_Types].xml", "xl/workbook.xml")}.get(
            kind, ("mimetype", "content.xml")
        ):
            archive.writestr(name, "<x/>")
    return held.getvalue()


@pytest.mark.parametrize("kind", ["xlsx", "xls", "ods"])
def test_spreadsheets_are_refused_with_advice(kind: str, tmp_path: Path) -> None:
    """By name, by content under another name, and inside of an archive."""
    files = {f"t.{kind}": sheet(kind), "t.csv": sheet(kind), "T." + kind.upper(): b"a,b\n1,2\n"}
    files[f"t.{kind}.gz"] = gzip.compress(sheet(kind))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f"t.{kind}", sheet(kind))
    files["t.zip"] = packed.getvalue()
    for name, data in files.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(FeatrixUserError, match="is a spreadsheet; save the sheet as CSV"):
            read_table(path)


def test_a_table_in_an_archive_is_no_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("t.csv", "a,b\n1,2\n3,4\n")
    assert read_table(path).n_rows == 2
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(FeatrixUserError, match="damaged or cut short"):
        read_table(path)
