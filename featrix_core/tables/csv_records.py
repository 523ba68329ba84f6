"""Where the records of a CSV begin and end, and which of them are no good (DATA-1, DATA-3).

A block is looked at as a whole: the positions of its delimiters, quotes and line ends say everything, as
long as quotes stand where they belong. Where one does not, the block's lines are judged one by one.

Shape legend: S special characters of a block, R records, L lines, Q quotes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from featrix_core.tables.bad_rows import BadRows
from featrix_core.tables.byte_source import BLOCK_BYTES
from featrix_core.tables.csv_fields import UNCLOSED, Dialect, Record, read_record
from featrix_core.tables.csv_specials import (
    Bools,
    Ints,
    Specials,
    first_line_end,
    line_ends,
)

MAX_RECORD_BYTES = 32 * 1024 * 1024
_TOO_LONG = "a line of more than 32 MB"
_LF, _CR = 10, 13


@dataclass(frozen=True)
class Records:
    """Good records of a block: record r is `data[starts_R[r]:ends_R[r]]`, its line end included."""

    data: bytes
    starts_R: Ints
    ends_R: Ints

    def __len__(self) -> int:
        return len(self.starts_R)

    def bytes_of(self, chosen: Ints) -> bytes:
        """The chosen records (ascending), one after the other."""
        if len(chosen) == 0:
            return b""
        starts, ends = self.starts_R[chosen], self.ends_R[chosen]
        if int((ends - starts).sum()) == len(self.data):
            return self.data
        # Records that follow each other are taken in one piece.
        first = np.flatnonzero(np.append(True, starts[1:] != ends[:-1]))
        last = np.append(first[1:], len(starts)) - 1
        pieces = zip(starts[first].tolist(), ends[last].tolist(), strict=True)
        return b"".join(self.data[a:b] for a, b in pieces)


@dataclass
class _Found:
    """Records of a block before they are judged: `fields_R` is 0 where `reasons` says why."""

    starts_R: Ints
    ends_R: Ints
    fields_R: Ints
    reasons: dict[int, str]
    end: int  # what follows is not a whole record yet
    n_lines: int | None = None  # where it is known already
    is_open: bool = False  # what follows starts with a record whose quote is still open


class RecordScanner:
    """Splits a UTF-8 stream into records of `width` fields; all others go to `bad`.

    A record of the wrong width, with bytes that are no text, or beyond 32 MB is bad as a whole. Of a record
    whose quotes do not close as they should, the first line is bad, and reading goes on with the next line.

    Args:
        skip: records at the start that are no rows (the header).
        tail: fields at the end of every record that must be empty, counted in `width`.
        line: number of the first line.
    """

    def __init__(
        self,
        dialect: Dialect,
        width: int,
        bad: BadRows,
        skip: int = 0,
        tail: int = 0,
        line: int = 1,
    ) -> None:
        self._dialect, self._width, self._bad, self._skip = dialect, width, bad, skip
        self._tail = tail
        self._line = line  # of the next byte
        self._row = 1  # of the next record

    def scan(self, blocks: Iterator[bytes]) -> Iterator[Records]:
        """Good records, block by block."""
        stream = _Pushback(blocks)
        carry, discard = b"", False
        while (block := stream.next()) is not None:
            data = carry + block if carry else block
            if discard:
                data = data[first_line_end(data) :]
                discard = not data
            usable = _last_line_end(data)
            if not usable and len(data) > MAX_RECORD_BYTES:
                self._bad.add(self._row, self._line, _TOO_LONG, data)
                self._row, carry, discard = self._row + 1, b"", True
                continue
            records, found = self._records(data, usable, final=False)
            carry = data[found.end :]
            if len(records):
                yield records
            if found.is_open:
                yield from self._open_record(carry, stream)
                carry = b""
            elif len(carry) > 2 * MAX_RECORD_BYTES:  # nothing but escaped line ends
                self._bad.add(self._row, self._line, _TOO_LONG, carry)
                self._row, carry, discard = self._row + 1, b"", True
        while carry:
            if not carry.endswith((b"\n", b"\r")):
                carry += b"\n"
            records, found = self._records(carry, len(carry), final=True)
            carry = carry[found.end :]
            if len(records):
                yield records

    def _open_record(self, data: bytes, stream: _Pushback) -> Iterator[Records]:
        """The record at the start of `data`, whose quote does not close there: it is read by itself."""
        quote = self._dialect.quote.encode()
        while True:
            block = stream.next() if len(data) < MAX_RECORD_BYTES else None
            final = block is None and len(data) < MAX_RECORD_BYTES
            if final and not data.endswith((b"\n", b"\r")):
                data += b"\n"
            if block is not None:
                data += block
                if quote not in block and not block.startswith(b"\n"):
                    continue
            stop = min(len(data), MAX_RECORD_BYTES)
            record = read_record(data, 0, self._dialect, stop)
            if not final and (record.reason == UNCLOSED or record.end == stop):
                if stop < MAX_RECORD_BYTES:
                    continue
                record = Record(0, reason=UNCLOSED)
            break
        end = record.end or first_line_end(data, self._dialect.escape)
        reasons = {0: record.reason} if record.reason else {}
        stream.push(data[end:])
        one = np.zeros(1, np.int64)
        found = _Found(one, one + end, one + len(record.fields), reasons, end)
        records = self._judged(data[:end], found)
        if len(records):
            yield records

    def _records(self, data: bytes, usable: int, final: bool) -> tuple[Records, _Found]:
        """Good records of `data`, whose lines end before `usable`."""
        if not usable:
            none = np.zeros(0, np.int64)
            return Records(b"", none, none), _Found(none, none, none, {}, 0)
        whole = data if usable == len(data) else data[:usable]
        found = _without_quotes(whole, self._dialect)
        if found is None:
            specials = Specials(whole, self._dialect)
            found = _by_parity(specials, final) or self._by_line(specials, data, final)
        return self._judged(whole, found), found

    # --- line by line -----------------------------------------------------------------------------

    def _by_line(self, specials: Specials, data: bytes, final: bool) -> _Found:
        """Lines that are records by themselves at once; those with other quotes one by one."""
        last_S = np.flatnonzero(specials.line_S)
        ends = specials.at_S[last_S].astype(np.int64) + 1
        if len(ends) == 0:  # only escaped line ends
            one = np.ones(int(final), np.int64)
            reason = {0: "a backslash before the last line end"} if final else {}
            end = len(data) if final else 0
            return _Found(one - 1, one * end, one, reason, end)
        specials.cut(int(last_S[-1]) + 1)
        starts = np.append(0, ends[:-1])
        n_lines = len(ends)
        line_S: Ints = (
            np.cumsum(specials.line_S) - specials.line_S
        )  # the line that a character is in
        quotes_L = np.bincount(line_S[specials.quote_S], minlength=n_lines)
        before_L = np.append(0, np.cumsum(quotes_L)[:-1])
        inside_S = ((np.cumsum(specials.quote_S) - before_L[line_S]) & 1).astype(bool)
        doubtful = (quotes_L & 1).astype(bool)
        doubtful[line_S[specials.misplaced(inside_S)]] = True
        fields = np.bincount(line_S[specials.delimiter_S & ~inside_S], minlength=n_lines) + 1
        is_start = np.ones(n_lines, bool)
        reasons: dict[int, str] = {}
        done, end, is_open = 0, int(ends[-1]), False
        for line in np.flatnonzero(doubtful).tolist():
            if line < done:
                continue
            start = int(starts[line])
            record = read_record(data, start, self._dialect)
            if not final and (record.reason == UNCLOSED or record.end == len(data)):
                end, n_lines, is_open = start, line, True  # it may close in the next block
                break
            if record.reason or record.end - start > MAX_RECORD_BYTES:
                reasons[line] = record.reason or UNCLOSED
                continue
            fields[line] = len(record.fields)
            one_line = record.end == ends[line]
            done = line + 1 if one_line else int(np.searchsorted(ends, record.end)) + 1
            is_start[line + 1 : done] = False
            end = max(end, record.end)  # its last line end may be an escaped one
        kept = np.flatnonzero(is_start[:n_lines])
        record_ends = np.append(starts[kept[1:]], end) if len(kept) else starts[:0]
        numbers = np.searchsorted(kept, list(reasons)).tolist()
        by_record = dict(zip(numbers, reasons.values(), strict=True))
        return _Found(starts[kept], record_ends, fields[kept], by_record, end, is_open=is_open)

    # --- judging ----------------------------------------------------------------------------------

    def _judged(self, data: bytes, found: _Found) -> Records:
        starts, ends, fields = found.starts_R, found.ends_R, found.fields_R
        blank = _blank(data, found, self._width)
        reasons = found.reasons | _no_text(data, found.end, starts)
        good: Bools = (fields == self._width) & ~blank
        good[list(reasons)] = False
        if self._tail:
            good[good] = _ends_empty(data, ends[good], self._dialect, self._tail)
        bad = ~good & ~blank
        rows: Ints = np.cumsum(~blank)
        if self._skip and rows[-1:].any():
            header = int(np.searchsorted(rows, 1))
            good[header] = bad[header] = False
            self._skip, rows = 0, rows - 1
        listed = np.flatnonzero(bad)[: self._bad.room]
        lines = self._line + np.searchsorted(_line_ends_where(listed, data, found), starts[listed])
        for r, line in zip(listed.tolist(), lines.tolist(), strict=True):
            reason = reasons.get(r) or f"{fields[r]} fields, {self._width} are expected"
            if self._tail and r not in reasons and fields[r] == self._width:
                reason = "a value beyond the last column of the header"
            raw = data[starts[r] : ends[r]]
            self._bad.add(self._row + int(rows[r]) - 1, line, reason, raw)
        unlisted = np.flatnonzero(bad)[len(listed) :]
        if len(unlisted):
            self._bad.count_rows(self._row + rows[unlisted] - 1)
        self._row += int(rows[-1]) if len(rows) else 0
        self._line += len(line_ends(data, found.end)) if found.n_lines is None else found.n_lines
        return Records(data, starts[good], ends[good])


def _without_quotes(data: bytes, dialect: Dialect) -> _Found | None:
    """All records of a block in which every line is one; None where there are quotes."""
    if dialect.quote.encode() in data or (dialect.escape and b"\\" in data):
        return None
    delimiters = np.flatnonzero(np.frombuffer(data, np.uint8) == ord(dialect.delimiter))
    ends = line_ends(data) + 1
    fields = np.diff(np.searchsorted(delimiters, ends), prepend=0) + 1
    starts = np.append(0, ends[:-1])
    if (ends - starts).max() > MAX_RECORD_BYTES:
        return None
    return _Found(starts, ends, fields, {}, int(ends[-1]), n_lines=len(ends))


def _by_parity(specials: Specials, final: bool) -> _Found | None:
    """All records of a block in which every quote opens or closes a field; else None."""
    if specials.quoted:
        inside_S = np.bitwise_xor.accumulate(specials.quote_S)
        if len(specials.misplaced(inside_S)) or (final and inside_S[-1:].any()):
            return None
        last_S = np.flatnonzero(specials.line_S & ~inside_S)
        counted = np.cumsum(specials.delimiter_S & ~inside_S, dtype=np.int32)[last_S]
        fields = np.diff(counted, prepend=0) + 1
    else:
        last_S = np.flatnonzero(specials.line_S)
        fields = np.diff(last_S, prepend=-1)
    ends = specials.at_S[last_S].astype(np.int64) + 1
    starts = np.append(0, ends[:-1])
    if len(ends) == 0 or (ends - starts).max() > MAX_RECORD_BYTES:
        return None
    return _Found(starts, ends, fields, {}, int(ends[-1]))


class _Pushback:
    """Blocks of a stream, to which bytes can be given back."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._given: list[bytes] = []

    def next(self) -> bytes | None:
        """The next block; None at the end."""
        return self._given.pop() if self._given else next(self._blocks, None)

    def push(self, data: bytes) -> None:
        """Bytes that come next, in blocks of the usual size."""
        pieces = [data[at : at + BLOCK_BYTES] for at in range(0, len(data), BLOCK_BYTES)]
        self._given.extend(reversed(pieces))


def _last_line_end(data: bytes) -> int:
    """Length of `data` up to its last sure line end; a CR at the very end may be half of one."""
    end = data.rfind(b"\n") + 1
    return max(end, data.rfind(b"\r", end, len(data) - 1) + 1)


def _line_ends_where(listed: Ints, data: bytes, found: _Found) -> Ints:
    """The block's line ends, where any record is listed; they are not looked for in vain."""
    return line_ends(data, found.end) if len(listed) else listed


def _blank(data: bytes, found: _Found, width: int) -> Bools:
    """Records without any text; in tables of one column, blanks are text."""
    starts, ends = found.starts_R, found.ends_R
    first = np.frombuffer(data, np.uint8)[starts]
    blank: Bools = (found.fields_R == 1) & ((first == _LF) | (first == _CR))
    if width > 1:
        spaces = (found.fields_R == 1) & ((first == ord(" ")) | (first == ord("\t")))
        for at in np.flatnonzero(spaces).tolist():
            blank[at] = not data[starts[at] : min(ends[at], starts[at] + 256)].strip()
    return blank


def _ends_empty(data: bytes, ends_R: Ints, dialect: Dialect, n: int) -> Bools:
    """Records whose last `n` fields are empty: as many delimiters stand before the line end."""
    characters = np.frombuffer(data, np.uint8)
    windows = (characters[ends_R - 1] == _LF) & (characters[ends_R - 2] == _CR)
    last = ends_R - 1 - windows
    empty: Bools = np.ones(len(ends_R), bool)
    for back in range(1, n + 1):
        empty &= characters[last - back] == ord(dialect.delimiter)
    return empty


def _no_text(data: bytes, end: int, starts_R: Ints) -> dict[int, str]:
    """Records before `end` with NUL characters or bytes that are no UTF-8, with the reason."""
    reasons: dict[int, str] = {}
    if b"\0" not in data and data.isascii():
        return reasons
    data = data[:end]
    at = data.find(b"\0")
    while at >= 0:
        record = int(np.searchsorted(starts_R, at, side="right")) - 1
        reasons[record] = "a NUL character"
        if record + 1 >= len(starts_R):
            break
        at = data.find(b"\0", int(starts_R[record + 1]))
    if not data.isascii() and not _is_utf8(data):
        beyond = np.flatnonzero(np.frombuffer(data, np.uint8) > 127)
        ends = np.append(starts_R[1:], len(data))
        for record in np.unique(np.searchsorted(starts_R, beyond, side="right") - 1).tolist():
            if not _is_utf8(data[starts_R[record] : ends[record]]):
                reasons[record] = "bytes that are not UTF-8"
    return reasons


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
