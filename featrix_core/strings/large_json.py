"""Large JSON bodies, read text by text: what cannot be valid is refused before it is in memory (STR-1).

A parser that makes objects of a whole body holds the interpreter's lock while it does so, also in a thread
of its own, and 16 MiB of empty lists become hundreds of megabytes. Here a text is the largest piece.
"""

from __future__ import annotations

import json
import re
from json import decoder
from typing import Any

from featrix_core.strings.limits import (
    SMALL_BODY,
    InvalidError,
    Limits,
    MalformedError,
    TooLargeError,
)

TEXT_FIELDS = ("texts", "input")
"""Fields that may be large: a list of texts, or one text."""
_BLANKS = re.compile(r"[ \t\n\r]{0,65536}")
_VALUE = frozenset('"[{tfnNI-0123456789')
_DECODER = json.JSONDecoder()
_scan = decoder.scanstring  # type: ignore[attr-defined]  # what JSONDecoder itself uses


def parse_large(body: bytes | bytearray, limits: Limits) -> Any:
    """The JSON value of a body; all of it but the texts may take up `SMALL_BODY` characters.

    Raises:
        MalformedError: no JSON.
        TooLargeError: more texts than allowed, or too much besides them.
        InvalidError: an item of the texts is something else.
    """
    try:
        return _Reader(body.decode(json.detect_encoding(body), "surrogatepass"), limits).value()
    except (ValueError, RecursionError):
        raise MalformedError("The body is not valid JSON in UTF-8") from None


class _Reader:
    """A place in a text, and what may still be read that is no text of the caller's."""

    def __init__(self, text: str, limits: Limits) -> None:
        self._text = text
        self._limits = limits
        self._place = 0
        self._rest = SMALL_BODY

    def value(self) -> Any:
        """The whole: an object, or a small value of another kind."""
        found = self._fields() if self._sign() == "{" else self._small()
        if self._sign():
            raise ValueError
        return found

    def _fields(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self._take("{")
        if self._sign() == "}":
            self._take("}")
            return found
        while True:
            name = self._string()
            self._spend(len(name) + 1)
            self._take(":")
            sign = self._sign()
            if name in TEXT_FIELDS and sign in ("[", '"'):
                found[name] = self._texts(name) if sign == "[" else self._string()
            else:
                found[name] = self._small()
            if self._take(",}") == "}":
                return found

    def _texts(self, name: str) -> list[str]:
        found: list[str] = []
        self._take("[")
        if self._sign() == "]":
            self._take("]")
            return found
        while True:
            if (sign := self._sign()) not in _VALUE:
                raise ValueError
            if len(found) == self._limits.texts:
                raise TooLargeError(f"More than {self._limits.texts} texts in one request", name)
            if sign != '"':
                raise InvalidError(f"Item {len(found)} of {name!r} is not a string", name)
            found.append(self._string())
            if self._take(",]") == "]":
                return found

    def _string(self) -> str:
        self._take('"')
        found: str
        found, self._place = _scan(self._text, self._place)
        return found

    def _small(self) -> Any:
        """Any value, if it is no longer than what is left of the allowance."""
        self._sign()
        part = self._text[self._place : self._place + self._rest]
        cut = self._place + len(part) < len(self._text)
        try:
            found, end = _DECODER.raw_decode(part)
        except ValueError:
            if cut:
                self._spend(self._rest + 1)
            raise
        self._spend(end + (cut and end == len(part)))  # a number may go on beyond the cut
        self._place += end
        return found

    def _spend(self, characters: int) -> None:
        self._rest -= characters
        if self._rest < 0:
            raise TooLargeError(f"More than {SMALL_BODY} characters besides the texts")

    def _take(self, signs: str) -> str:
        """The next sign, which must be one of these."""
        sign = self._sign()
        if not sign or sign not in signs:
            raise ValueError
        self._place += 1
        return sign

    def _sign(self) -> str:
        """The next sign that is no blank, or nothing at the end."""
        while True:
            blanks = _BLANKS.match(self._text, self._place)
            assert blanks is not None
            if blanks.end() == self._place:
                return self._text[self._place : self._place + 1]
            self._place = blanks.end()
