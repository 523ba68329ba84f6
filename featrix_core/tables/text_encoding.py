"""The text of a file as UTF-8 blocks, whatever encoding it is in (DATA-1)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from itertools import chain

from featrix_core.tables.schema import Notice

_HEAD_BYTES = 4096
_WINDOW_BYTES = 256 * 1024
_ASKED_BYTES = 32 * 1024
_LEAST_FOREIGN = 64  # bytes beyond ASCII from which a guess at other than Western is trusted
_EQUAL_CHAOS, _EQUAL_COHERENCE = 0.02, 0.15  # Western wins unless another fits clearly better
_WESTERN = ("cp1252", "latin_1")
_GUESSED = (
    *_WESTERN,
    "cp1250",
    "cp1251",
    "cp1253",
    "cp1254",
    "cp1255",
    "cp1256",
    "iso8859_2",
    "koi8_r",
    "mac_roman",
    "shift_jis",
    "euc_jp",
    "gb18030",
    "big5",
    "euc_kr",
)
_BOMS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_KEPT = "featrix_kept"  # name of the error handler
_LONGEST_LINE = 64 * 1024**2
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_UTF8_PAIR = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")


class Utf8Text:
    """A stream of blocks as UTF-8 text.

    A byte order mark decides. Without one the text is UTF-8 unless, in the first 256 KB around the
    first byte beyond ASCII, more lines break UTF-8 than use it; then the encoding is guessed. Lines
    that do not decode are passed on as they are: they are no UTF-8, which the next stage notices.

    `encoding` is known, and `notices` are complete, when `blocks` is exhausted.
    """

    def __init__(self, raw: Iterator[bytes]) -> None:
        self._raw = raw
        self.encoding = "utf-8"
        self._guessed = False
        self._other_lines = 0

    def blocks(self) -> Iterator[bytes]:
        """UTF-8 blocks without byte order mark; a guessed encoding's blocks end at line ends."""
        head = next(self._raw, b"")
        while len(head) < _HEAD_BYTES and (more := next(self._raw, None)) is not None:
            head += more
        raw = chain((head,), self._raw)
        marked = next((name for bom, name in _BOMS if head.startswith(bom)), None)
        if marked == "utf-8-sig":
            self.encoding = marked
            yield from _without(raw, len(codecs.BOM_UTF8))
            return
        wide = marked or _unmarked_utf16(head)
        if wide:
            self.encoding, self._guessed = wide, marked is None
            yield from _decoded(raw, wide)
            return
        for block in raw:
            if block.isascii():
                yield block
                continue
            yield from self._beyond_ascii(chain((block,), raw))
            return

    def _beyond_ascii(self, raw: Iterator[bytes]) -> Iterator[bytes]:
        """From the first block on that holds more than ASCII."""
        window = next(raw)
        found = _BEYOND_ASCII.search(window)
        start = found.start() if found else 0
        while len(window) < start + _WINDOW_BYTES and (more := next(raw, None)) is not None:
            window += more
        raw = chain((window,), raw)
        foreign = _foreign_lines(window[start : start + _WINDOW_BYTES])
        if foreign is None:
            yield from raw
            return
        self.encoding, self._guessed = _guess(foreign), True
        for block in _whole_lines(raw):
            yield self._converted(block)

    def _converted(self, block: bytes) -> bytes:
        if block.isascii():
            return block
        if not _UTF8_PAIR.search(block):
            try:
                return block.decode(self.encoding).encode("utf-8")
            except UnicodeDecodeError:
                pass
        return b"\n".join(self._converted_line(line) for line in block.split(b"\n"))

    def _converted_line(self, line: bytes) -> bytes:
        if line.isascii():
            return line
        try:
            line.decode("utf-8")
            self._other_lines += 1
            return line
        except UnicodeDecodeError:
            pass
        try:
            return line.decode(self.encoding).encode("utf-8")
        except UnicodeDecodeError:
            return line

    def notices(self) -> tuple[Notice, ...]:
        """The encoding, where it was not the usual one."""
        if not self._guessed:
            return ()
        mixed = f"; {self._other_lines} lines are UTF-8" if self._other_lines else ""
        return (
            Notice(
                code="encoding_guessed",
                message=f"The text is not UTF-8, it was read as {self.encoding}{mixed}",
                figure=float(self._other_lines) if mixed else None,
                action="check the letters with accents; save the file as UTF-8 to be sure",
            ),
        )


def _without(raw: Iterator[bytes], n: int) -> Iterator[bytes]:
    yield next(raw)[n:]
    yield from raw


def _decoded(raw: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """UTF-16 and UTF-32; what does not decode becomes bytes that are no UTF-8, so that it is seen."""
    codecs.register_error(_KEPT, _lone_surrogate)
    decoder = codecs.getincrementaldecoder(encoding)(_KEPT)
    for block in raw:
        yield decoder.decode(block).encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")


def _lone_surrogate(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


def _unmarked_utf16(head: bytes) -> str | None:
    """UTF-16 without a mark: nearly every other byte of Western text is zero."""
    sample = head[: len(head) // 2 * 2]
    if len(sample) < 4:
        return None
    pairs = len(sample) // 2
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > 0.7 * pairs and even < 0.1 * pairs:
        return "utf-16-le"
    if even > 0.7 * pairs and odd < 0.1 * pairs:
        return "utf-16-be"
    return None


def _foreign_lines(window: bytes) -> list[bytes] | None:
    """The lines that break UTF-8, where they outnumber those that use it beyond ASCII; else None."""
    lines = window.split(b"\n")
    if len(lines) > 2:
        lines = lines[:-1]  # it may be cut inside of a character
    broken, fine = [], 0
    for line in lines:
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
            fine += 1
        except UnicodeDecodeError:
            broken.append(line)
    return broken if len(broken) > fine else None


def _guess(lines: list[bytes]) -> str:
    sample = b"\n".join(lines)[:_ASKED_BYTES]
    if len(_BEYOND_ASCII.findall(sample)) >= _LEAST_FOREIGN:
        from charset_normalizer import from_bytes

        found = from_bytes(sample, cp_isolation=list(_GUESSED), enable_fallback=False)
        best = found.best()
        if best is not None and not any(
            set(_WESTERN) & set(match.could_be_from_charset)
            and match.chaos <= best.chaos + _EQUAL_CHAOS
            and match.coherence >= best.coherence - _EQUAL_COHERENCE
            for match in found
        ):
            return str(best.encoding)
    for name in _WESTERN:
        try:
            sample.decode(name)
            return name
        except UnicodeDecodeError:
            continue
    return "latin_1"


def _whole_lines(raw: Iterator[bytes]) -> Iterator[bytes]:
    """Blocks cut at line ends, so that no character is cut."""
    carry = b""
    for block in raw:
        cut = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
        if not cut and len(carry) < _LONGEST_LINE:
            carry += block
            continue
        yield carry + block[:cut]
        carry = block[cut:]
    if carry:
        yield carry
