"""One CSV record at a time, field by field: for headers, samples, and records with stray quotes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

UNCLOSED = "a quote is never closed"
OPEN_LINE = "a quote is not closed on its line"
STRAY = "text follows a closing quote"


@dataclass(frozen=True)
class Dialect:
    """How fields are told apart. `escape`: a backslash takes the meaning of the next character
    (otherwise a quote is written twice)."""

    delimiter: str = ","
    quote: str = '"'
    escape: bool = False

    @cached_property
    def field_pattern(self) -> re.Pattern[bytes]:
        """One field with what ends it (group 1: delimiter, line end, or nothing at the very end)."""
        quote, delimiter = re.escape(self.quote.encode()), re.escape(self.delimiter.encode())
        if self.escape:
            quoted = rb"%b(?:[^%b\\]|\\.|%b%b)*+%b" % ((quote,) * 5)
            plain = rb"(?!%b)(?:[^%b\r\n\\]|\\.)*+" % (quote, delimiter)
        else:
            quoted = self.quoted_pattern.pattern
            plain = rb"(?!%b)[^%b\r\n]*+" % (quote, delimiter)
        return re.compile(rb"(?:%b|%b)(%b|\r\n|\n|\r|\Z)" % (quoted, plain, delimiter), re.DOTALL)

    @cached_property
    def quoted_pattern(self) -> re.Pattern[bytes]:
        """A quoted field from its opening to its closing quote."""
        quote = re.escape(self.quote.encode())
        if self.escape:
            return re.compile(rb"%b(?:[^%b\\]|\\.|%b%b)*+%b" % ((quote,) * 5), re.DOTALL)
        return re.compile(rb"%b[^%b]*+(?:%b%b[^%b]*+)*+%b" % ((quote,) * 6), re.DOTALL)


@dataclass(frozen=True)
class Record:
    """Raw fields of a record that ends before `end`; or why it is none, with `fields` empty."""

    end: int
    fields: tuple[bytes, ...] = ()
    reason: str = ""


def read_record(data: bytes, start: int, dialect: Dialect, stop: int | None = None) -> Record:
    """The record that starts at `start`; nothing beyond `stop` is looked at."""
    stop = len(data) if stop is None else stop
    delimiter, at, fields = dialect.delimiter.encode(), start, []
    while True:
        found = dialect.field_pattern.match(data, at, stop)
        if found is None:
            closed = dialect.quoted_pattern.match(data, at, stop)
            if closed is None:
                return Record(start, reason=UNCLOSED)
            return Record(start, reason=OPEN_LINE if b"\n" in closed[0] else STRAY)
        fields.append(data[at : found.start(1)])
        at = found.end()
        if found[1] != delimiter:
            return Record(at, tuple(fields))


def cell_text(raw: bytes, dialect: Dialect) -> str:
    """What a raw field says, without its quotes."""
    text = raw.decode("utf-8", "replace")
    if len(text) > 1 and text.startswith(dialect.quote):
        text = text[1:-1].replace(dialect.quote * 2, dialect.quote)
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL) if dialect.escape else text
