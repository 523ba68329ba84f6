"""Where the records of a CSV begin and end, and which of them are no good (DATA-1, DATA-3).

A block is looked at as a whole: the positions of its delimiters, quotes and line ends say everything, as
long as quotes stand where they belong. Where one does not, the block's lines are judged one by one.

Shape legend: S special characters of a block, R records, L lines, Q quotes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featrix_core.tables.bad_rows import BadRows
from featrix_core.tables.csv_fields import UNCLOSED, Dialect, read_record

MAX_RECORD_BYTES = 32 * 1024 * 1024
_TOO_LONG = "a line of more than 32 MB"
_LF, _CR, _BACKSLASH = 10, 13, 92

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


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


class RecordScanner:
    """Splits a UTF-8 stream into records of `width` fields; all others go to `bad`.

    A record of the wrong width, with bytes that are no text, or beyond 32 MB is bad as a whole. Of a record
    whose quotes do not close as they should, the first line is bad, and reading goes on with the next line.

    Args:
        skip: records at the start that are no rows (the header).
    """

    def __init__(self, dialect: Dialect, width: int, bad: BadRows, skip: int = 0) -> None:
        self._dialect, self._width, self._bad, self._skip = dialect, width, bad, skip
        self._line = 1  # of the next byte
        self._row = 1  # of the next record

    def scan(self, blocks: Iterator[bytes]) -> Iterator[Records]:
        """Good records, block by block."""
        carry, discard = b"", False
        for block in blocks:
            data = carry + block if carry else block
            if discard:
                data = data[_first_line_end(data) :]
                discard = not data
            usable = _last_line_end(data)
            if not usable and len(data) > MAX_RECORD_BYTES:
                self._bad.add(self._row, self._line, _TOO_LONG, data)
                self._row, carry, discard = self._row + 1, b"", True
                continue
            records, end = self._records(data, usable, final=False)
            carry = data[end:]
            if len(records):
                yield records
            if len(carry) > 2 * MAX_RECORD_BYTES:  # nothing but escaped line ends
                self._bad.add(self._row, self._line, _TOO_LONG, carry)
                self._row, carry, discard = self._row + 1, b"", True
        while carry:
            if not carry.endswith((b"\n", b"\r")):
                carry += b"\n"
            records, end = self._records(carry, len(carry), final=True)
            carry = carry[end:]
            if len(records):
                yield records

    def _records(self, data: bytes, usable: int, final: bool) -> tuple[Records, int]:
        """Good records of `data`, whose lines end before `usable`, and where the rest begins."""
        if not usable:
            return Records(b"", np.zeros(0, np.int64), np.zeros(0, np.int64)), 0
        whole = data if usable == len(data) else data[:usable]
        specials = _Specials(whole, self._dialect)
        found = _by_parity(specials, final) or self._by_line(specials, data, final)
        return self._judged(whole, found), found.end

    # --- line by line -----------------------------------------------------------------------------

    def _by_line(self, specials: _Specials, data: bytes, final: bool) -> _Found:
        """Lines that are records by themselves at once; those with other quotes one by one."""
        last_S = np.flatnonzero(specials.line_S)
        ends = specials.at_S[last_S] + 1
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
        done, end = 0, int(ends[-1])
        for line in np.flatnonzero(doubtful).tolist():
            if line < done:
                continue
            start = int(starts[line])
            stop = min(len(data), start + MAX_RECORD_BYTES)
            record = read_record(data, start, self._dialect, stop)
            open_end = stop < len(data) or not final
            unsure = record.reason == UNCLOSED or (record.end == stop and open_end)
            if unsure and open_end and stop == len(data):
                end, n_lines = start, line  # it may close in the next block
                break
            if record.reason or unsure:
                reasons[line] = record.reason or UNCLOSED
                continue
            fields[line] = len(record.fields)
            done = int(np.searchsorted(ends, record.end)) + 1
            is_start[line + 1 : done] = False
        kept = np.flatnonzero(is_start[:n_lines])
        record_ends = np.append(starts[kept[1:]], end) if len(kept) else starts[:0]
        numbers = np.searchsorted(kept, list(reasons)).tolist()
        by_record = dict(zip(numbers, reasons.values(), strict=True))
        return _Found(starts[kept], record_ends, fields[kept], by_record, end)

    # --- judging ----------------------------------------------------------------------------------

    def _judged(self, data: bytes, found: _Found) -> Records:
        starts, ends, fields = found.starts_R, found.ends_R, found.fields_R
        lengths = ends - starts
        blank = (lengths <= 2) & (fields == 1) & _first_is_line_end(data, starts)
        if self._width > 1:
            for at in np.flatnonzero((fields == 1) & ~blank & (lengths < 256)).tolist():
                blank[at] = not data[starts[at] : ends[at]].strip()
        good = (fields == self._width) & ~blank
        reasons = {r: _width_reason(int(fields[r]), self._width) for r in _where(~good & ~blank)}
        reasons |= found.reasons
        reasons |= _no_text(data[: found.end], starts)
        for r in reasons:
            good[r] = False
        rows = np.cumsum(~blank)
        if self._skip and rows[-1:].any():
            header = int(np.searchsorted(rows, 1))
            good[header] = False
            reasons.pop(header, None)
            self._skip, rows = 0, rows - 1
        newlines = None
        for r in sorted(reasons):
            if newlines is None:
                newlines = _line_ends(np.frombuffer(data, np.uint8)[: found.end])
            line = self._line + int(np.searchsorted(newlines, starts[r]))
            raw = data[starts[r] : ends[r]]
            self._bad.add(self._row + int(rows[r]) - 1, line, reasons[r], raw)
        self._row += int(rows[-1]) if len(rows) else 0
        self._line += _count_lines(data, found.end)
        return Records(data, starts[good], ends[good])


def _by_parity(specials: _Specials, final: bool) -> _Found | None:
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
    ends = specials.at_S[last_S] + 1
    starts = np.append(0, ends[:-1])
    if len(ends) == 0 or (ends - starts).max() > MAX_RECORD_BYTES:
        return None
    return _Found(starts, ends, fields, {}, int(ends[-1]))


class _Specials:
    """Positions `at_S` of delimiters, quotes and line ends of a block that ends with a line end."""

    def __init__(self, data: bytes, dialect: Dialect) -> None:
        self._all = np.frombuffer(data, np.uint8)
        self._delimiter, self._quote = ord(dialect.delimiter), ord(dialect.quote)
        self.quoted = dialect.quote.encode() in data
        chosen = self._all == _LF
        # A carriage return by itself ends a line, as it does for other readers.
        if b"\r" in data:
            chosen[_lone_returns(self._all)] = True
        chosen |= self._all == self._delimiter
        if self.quoted:
            chosen |= self._all == self._quote
        if dialect.escape:
            chosen[_escaped(self._all)] = False
        self.at_S = np.flatnonzero(chosen)
        codes = self._all[self.at_S]
        self.quote_S: Bools = codes == self._quote if self.quoted else np.zeros(len(codes), bool)
        self.delimiter_S: Bools = codes == self._delimiter
        self.line_S: Bools = ~(self.delimiter_S | self.quote_S)

    def cut(self, n: int) -> None:
        """Forget all but the first `n`."""
        self.at_S = self.at_S[:n]
        self.quote_S, self.line_S = self.quote_S[:n], self.line_S[:n]
        self.delimiter_S = self.delimiter_S[:n]

    def misplaced(self, inside_S: Bools) -> Ints:
        """Quotes that open or close where no field begins or ends, given what is inside of quotes."""
        if not self.quoted or len(self.at_S) == 0:
            return np.zeros(0, np.int64)
        # A field begins behind, and ends before, another special character (or the text's own ends).
        next_to = np.zeros(len(self.at_S) + 1, bool)
        next_to[0] = self.at_S[0] == 0
        next_to[1:-1] = self.at_S[1:] - self.at_S[:-1] == 1
        opening = np.flatnonzero(self.quote_S & inside_S & ~next_to[:-1])
        closing = np.flatnonzero(self.quote_S & ~(inside_S | next_to[1:]))
        closing = closing[self._all[self.at_S[closing] + 1] != _CR]  # a line end is always last
        return np.concatenate([opening, closing])


def _escaped(characters: NDArray[np.uint8]) -> Ints:
    """Positions whose character a backslash takes the meaning of."""
    slashes = np.flatnonzero(characters == _BACKSLASH)
    if len(slashes) == 0:
        return slashes
    run_start = np.append(True, np.diff(slashes) != 1)
    first = slashes[np.flatnonzero(run_start)][np.cumsum(run_start) - 1]
    active: Ints = slashes[(slashes - first) % 2 == 0] + 1
    return active[active < len(characters)]


def _last_line_end(data: bytes) -> int:
    """Length of `data` up to its last sure line end; a CR at the very end may be half of one."""
    end = data.rfind(b"\n") + 1
    return max(end, data.rfind(b"\r", end, len(data) - 1) + 1)


def _lone_returns(characters: NDArray[np.uint8]) -> Ints:
    returns = np.flatnonzero(characters == _CR)
    following = characters[np.minimum(returns + 1, len(characters) - 1)]
    lone: Ints = returns[following != _LF]
    return lone


def _line_ends(characters: NDArray[np.uint8]) -> Ints:
    ends = characters == _LF
    ends[_lone_returns(characters)] = True
    return np.flatnonzero(ends)


def _count_lines(data: bytes, end: int) -> int:
    characters = np.frombuffer(data, np.uint8)[:end]
    lone = len(_lone_returns(characters)) if b"\r" in data else 0
    return int(np.count_nonzero(characters == _LF)) + lone


def _first_is_line_end(data: bytes, starts_R: Ints) -> Bools:
    first = np.frombuffer(data, np.uint8)[starts_R]
    result: Bools = (first == _LF) | (first == _CR)
    return result


def _width_reason(fields: int, width: int) -> str:
    return f"{fields} fields, {width} are expected"


def _where(mask: Bools) -> list[int]:
    found: list[int] = np.flatnonzero(mask).tolist()
    return found


def _no_text(data: bytes, starts_R: Ints) -> dict[int, str]:
    """Records with NUL characters or bytes that are no UTF-8, with the reason."""
    reasons: dict[int, str] = {}
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


def _first_line_end(data: bytes) -> int:
    found = data.find(b"\n")
    return found + 1 if found >= 0 else len(data)
