"""Spreadsheet files are told by name and by content, and refused with advice (DATA-1)."""

from __future__ import annotations

import zipfile
from pathlib import Path

from featrix_core.errors import FeatrixUserError

SPREADSHEET_ENDINGS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".fods", ".numbers")
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MEMBERS = frozenset(["xl/workbook.xml", "xl/workbook.bin", "content.xml", "Index/Document.iwa"])


def is_spreadsheet(path: Path, ending: str) -> bool:
    """Whether the file is one by its name's ending or, whatever it is called, by its content."""
    if ending in SPREADSHEET_ENDINGS:
        return True
    with path.open("rb") as handle:
        head = handle.read(len(_OLD_OFFICE))
    if head == _OLD_OFFICE:
        return True
    if not head.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return not _MEMBERS.isdisjoint(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False  # a damaged archive is told as such where it is unpacked


def spreadsheet_error(where: str) -> FeatrixUserError:
    """One file may hold many sheets, with titles, formulas and merged cells: no table as it is."""
    return FeatrixUserError(
        f"{where} is a spreadsheet; save the sheet as CSV",
        remedy="In the spreadsheet program: save as CSV (UTF-8), one file per sheet",
    )
