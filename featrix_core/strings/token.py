"""The bearer token of the strings service, as both sides read it (STR-1, STR-2)."""

from __future__ import annotations

from pathlib import Path

from featrix_core.errors import FeatrixUserError


def read_token(path: str | Path) -> str:
    """The token in a file, without the white space around it.

    Only printable ASCII without white space fits into a header; of anything else the HTTP library
    would complain in words that show the token.

    Raises:
        FeatrixUserError: the file cannot be read, is empty or holds other characters; the message
            does not show them.
    """
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise FeatrixUserError(
            f"The token file {path} cannot be read: {type(error).__name__}",
            remedy="Name a readable text file that holds the token",
        ) from None
    if not token:
        raise FeatrixUserError(f"The token file {path} is empty", remedy="Write the token into it")
    if not all("!" <= character <= "~" for character in token):
        raise FeatrixUserError(
            f"The token file {path} holds more than one token of printable ASCII characters",
            remedy="Write one token without blanks, line breaks or other characters into it",
        )
    return token
