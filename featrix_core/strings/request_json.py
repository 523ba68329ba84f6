"""JSON bodies of requests, decoded straight into what may stand in them (STR-1).

msgspec makes no object of a value that has the wrong type or that nobody asked for, so a body of millions
of lists or of a hundred thousand brackets is refused before it grows; 16 MiB of texts take some milliseconds.
"""

from __future__ import annotations

import codecs
import re
from typing import TypeVar

import msgspec

from featrix_core.strings.grid import DIMENSION
from featrix_core.strings.limits import (
    SMALL_BODY,
    InvalidError,
    Limits,
    MalformedError,
    TooLargeError,
)
from featrix_core.strings.schemas import ENCODINGS, MODEL_NAMES

_OTHER_STRINGS = 1024  # names and values besides the texts of a large body
_PART = 64 * 1024
_MALFORMED = "The body is not valid JSON in UTF-8"
_PATH = re.compile(r"`\$\.(\w+)(?:\[(\d+)\])?")
_WANTED = re.compile(r"Expected `([a-z |]+)`")
_LACKING = re.compile(r"Object missing required field `(\w+)`")


class _Embed(msgspec.Struct, forbid_unknown_fields=True):
    texts: list[str]


class _OpenAI(msgspec.Struct):
    model: str
    input: str | list[str]
    encoding_format: str = ENCODINGS[0]
    dimensions: int = DIMENSION
    user: str = ""


_Asked = TypeVar("_Asked", _Embed, _OpenAI)
_EMBED = msgspec.json.Decoder(_Embed)
_OPENAI = msgspec.json.Decoder(_OpenAI)


def embed_texts(body: bytes | bytearray, limits: Limits) -> list[str]:
    """Texts of a request to `/embed`.

    Raises:
        MalformedError, InvalidError, TooLargeError: they are not what they should be.
    """
    return _checked(_decoded(body, _EMBED, limits).texts, "texts", limits)


def openai_request(body: bytes | bytearray, limits: Limits) -> tuple[list[str], bool]:
    """Texts of a request to `/v1/embeddings`, and whether vectors go out in base64.

    Raises:
        MalformedError, InvalidError, TooLargeError: it is not what it should be.
    """
    asked = _decoded(body, _OPENAI, limits)
    _check_passed_over(body)
    if asked.model not in MODEL_NAMES:
        raise InvalidError(f"The field 'model' must be {MODEL_NAMES[0]!r}", "model")
    if asked.encoding_format not in ENCODINGS:
        choice = " or ".join(map(repr, ENCODINGS))
        raise InvalidError(f"The field 'encoding_format' must be {choice}", "encoding_format")
    if asked.dimensions != DIMENSION:
        raise InvalidError(f"The field 'dimensions' can only be {DIMENSION}", "dimensions")
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    return _checked(texts, "input", limits), asked.encoding_format == "base64"


def _decoded(
    body: bytes | bytearray, decoder: msgspec.json.Decoder[_Asked], limits: Limits
) -> _Asked:
    # A string of one character takes 60 bytes of memory and 4 of the body. Two quotes mark a string; those
    # within texts are escaped, so no body with as many texts as are allowed is refused here.
    most = 2 * (limits.texts + _OTHER_STRINGS)
    quotes = body.count(b'"') if len(body) > SMALL_BODY else 0
    if quotes > most and quotes - body.count(b'\\"') > most:
        raise _too_many(limits, None)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # What the parser says may quote the body, and with it somebody's texts.
        raise MalformedError(_MALFORMED) from None


def _check_passed_over(body: bytes | bytearray) -> None:
    """The decoder reads bytes of fields that it does not know as they come."""
    if body.isascii():
        return
    decoder, whole = codecs.getincrementaldecoder("utf-8")(), memoryview(body)
    try:
        # In parts: as one string, a body with a single emoji takes four times its size.
        for start in range(0, len(body), _PART):
            decoder.decode(whole[start : start + _PART], start + _PART >= len(body))
    except UnicodeDecodeError:
        raise MalformedError(_MALFORMED) from None


def _invalid(said: str) -> InvalidError:
    """The error of what msgspec says of types, without names that the caller chose.

    Such a name stands in what is said of unknown fields alone, so that is ruled out first.
    """
    if said.startswith("Object contains unknown field"):
        return InvalidError("Only the field 'texts' is known here")
    if lacking := _LACKING.fullmatch(said):
        return InvalidError(f"The field {lacking[1]!r} is missing", lacking[1])
    found = _PATH.search(said)
    if found is None:
        return InvalidError("The body must be a JSON object")
    name, place = found.groups()
    where = f"The field {name!r}" if place is None else f"Item {place} of {name!r}"
    wanted = _WANTED.match(said)
    return InvalidError(f"{where} must be {wanted[1] if wanted else 'of another kind'}", name)


def _checked(texts: list[str], name: str, limits: Limits) -> list[str]:
    if not texts:
        raise InvalidError(f"The field {name!r} must hold at least one text", name)
    if len(texts) > limits.texts:
        raise _too_many(limits, name)
    for place, text in enumerate(texts):
        if len(text) > limits.characters:
            raise InvalidError(
                f"Item {place} of {name!r} has more than {limits.characters} characters", name
            )
    return texts


def _too_many(limits: Limits, name: str | None) -> TooLargeError:
    return TooLargeError(f"More than {limits.texts} texts in one request", name)
