"""What stands above or beside a CSV's table: titles, comments, `sep=`, empty fields at line ends (DATA-1).

Only files that could not be read otherwise are looked at this way, and those whose first line holds one
cell: all others are read as they stand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from featrix_core.tables.schema import Notice

Kind = Callable[[str], str]
_SEPARATOR_LINE = re.compile(rb'[ \t]*"?sep=([,;\t|])"?[ ,;\t|]*(?:\r\n|\n|\r)', re.IGNORECASE)
_NUMBER_LINE = re.compile(r"[+-]?\d[\d.]*(?:,\d+)? ?[%€$£]?")
_MOST_LINES = 30  # above a header
_FILLED_SHARE = 0.9
_EVEN_SHARE = 0.9
_TYPED_SHARE = 0.9
_LEAST_TEXT_ROWS = 5
_SHOWN_LINES, _SHOWN_CHARS = 3, 60


def separator_line(text: bytes) -> tuple[str, int]:
    """Delimiter and length of the first line `sep=;`, as Excel writes it; ("", 0) where there is none."""
    found = _SEPARATOR_LINE.match(text)
    return (found[1].decode(), found.end()) if found else ("", 0)


def is_number_column(text: bytes, delimiters: str) -> bool:
    """Whether the text is a name without delimiters above numbers, some with a decimal comma."""
    lines = text[: 64 * 1024].decode("utf-8", "replace").splitlines()[:200]
    name, *cells = [line.strip() for line in lines if line.strip()] or [""]
    if not cells or any(delimiter in name for delimiter in delimiters):
        return False
    fitting = sum(_NUMBER_LINE.fullmatch(cell) is not None for cell in cells)
    return fitting >= _EVEN_SHARE * len(cells) and any("," in cell for cell in cells)


def empty_tail(records: Sequence[Sequence[str]]) -> int:
    """How many empty fields the rows have beyond the header; 0 where any of them says something."""
    header, rows = records[0], records[1:]
    if not rows:
        return 0
    width, count = Counter(map(len, rows)).most_common(1)[0]
    if width <= len(header) or count < _EVEN_SHARE * len(rows):
        return 0
    filled = any(any(row[len(header) :]) for row in rows if len(row) == width)
    return 0 if filled else width - len(header)


def header_place(records: Sequence[Sequence[str]], kind: Kind) -> int:
    """How many records stand above the header.

    The header is the first record as wide as most, with (nearly) all cells filled and words above the
    columns of numbers or dates. What is above it are comments, or lines of few cells. 0: the first record
    is the header, or none is like that.
    """
    width = Counter(map(len, records)).most_common(1)[0][0]
    first = records[0]
    padded = len(first) == width  # a title that was filled up to the table's width
    if width < 2 or (padded and (width < 3 or _filled(first) > 1)):
        return 0
    place, only_titles = 0, True
    while place < min(len(records) - 1, _MOST_LINES + 1):
        record = records[place]
        if len(record) == width and _filled(record) >= _FILLED_SHARE * width:
            break
        comment = record[0].lstrip().startswith("#")
        most = (width + 1) // 2 if place else max(1, width // 2)
        if not comment and _filled(record) > most:
            return 0
        only_titles &= comment or _filled(record) <= 1
        place += 1
    else:
        return 0
    rows = [row for row in records[place + 1 :] if len(row) == width]
    if not rows or len(rows) < _EVEN_SHARE * (len(records) - place - 1):
        return 0
    header = records[place]
    typed = [_is_typed([row[at] for row in rows], kind) for at in range(width)]
    words = [kind(cell) == "text" for cell in header]
    if any(typed):
        above = sum(word for word, is_typed in zip(words, typed, strict=True) if is_typed)
        return place if above * 2 > sum(typed) else 0
    sure = not padded and only_titles and width > 2 and len(rows) >= _LEAST_TEXT_ROWS
    return place if sure and all(words) else 0


def lines_above_header(lines: Sequence[str]) -> Notice:
    """What is said about lines that were skipped."""
    shown = ", ".join(repr(line.strip()[:_SHOWN_CHARS]) for line in lines[:_SHOWN_LINES])
    more = ", …" if len(lines) > _SHOWN_LINES else ""
    one = len(lines) == 1
    return Notice(
        code="lines_above_header",
        message=f"{len(lines)} line{' stands' if one else 's stand'} above the header: {shown}{more}",
        figure=float(len(lines)),
        action="skipped",
    )


def trailing_delimiters(tail: int) -> Notice:
    """What is said about empty fields beyond the header."""
    return Notice(
        code="trailing_delimiter",
        message=f"The rows end with {tail} empty field{'s' if tail > 1 else ''} more than the header has",
        figure=float(tail),
        action="left out",
    )


def _filled(record: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in record)


def _is_typed(cells: Sequence[str], kind: Kind) -> bool:
    kinds = Counter(map(kind, cells))
    present = len(cells) - kinds.pop("missing", 0)
    return present > 0 and max(kinds["number"], kinds["date"]) >= _TYPED_SHARE * present
