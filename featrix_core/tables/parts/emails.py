"""Parts of e-mail addresses (ENC-5): what stands before the `@`, and the domain's parts."""

from __future__ import annotations

import re

from featrix_core.tables.parts.hosts import (
    HOST_CATEGORIES,
    HOST_FIGURES,
    HOST_PIECES,
    Host,
    parse_host,
)
from featrix_core.tables.parts.mail_lists import ROLE_OF, ROLES
from featrix_core.tables.parts.spec import MAX_PIECE, PartSpec, Row, scaled, signed

SPEC = PartSpec(
    pieces=("local", *HOST_PIECES),
    categories=(("role", ROLES), *HOST_CATEGORIES),
    figures=("local_digits", "local_length", "local_words", "plus_tag", *HOST_FIGURES),
)

_ATOM = r"[\w!#$%&'*/=?^`{|}~+-]+"
_SIMPLE = re.compile(
    rf"({_ATOM}(?:\.{_ATOM})*)@((?:[a-z0-9](?:[a-z0-9-]{{0,61}}[a-z0-9])?\.)*[a-z]{{1,63}})",
    re.I | re.ASCII,
)
_NAMED = re.compile(r"[^<>]*<\s*([^<>\s]+)\s*>")
_NOT_LETTERS = re.compile(r"[\x00-@\[-`{-\x7f\s\d]+")
_MAX_LOCAL = 64
_MAX_EMAIL = 320


def split_address(text: str) -> tuple[str, Host] | None:
    """Local part and host of one address (also `Name <address>` and `mailto:`); None if neither.

    Plain addresses are matched by a pattern; only doubtful ones (quotes, other scripts, numbers
    as domains) go to email-validator, which is asked for no DNS look-up.
    """
    if "<" in text and (named := _NAMED.fullmatch(text)) is not None:
        text = named[1]
    if text[:7].lower() == "mailto:":
        text = text[7:].partition("?")[0]
    if "@" not in text or len(text) > _MAX_EMAIL:
        return None
    simple = _SIMPLE.fullmatch(text)
    if simple is not None and len(simple[1]) <= _MAX_LOCAL:
        local, name = simple[1], simple[2]
    else:
        found = _validated(text)
        if found is None:
            return None
        local, name = found
    host = parse_host(name)
    return None if host is None else (local, host)


def _validated(text: str) -> tuple[str, str] | None:
    from email_validator import EmailNotValidError, validate_email

    try:
        found = validate_email(
            text,
            check_deliverability=False,
            test_environment=True,
            globally_deliverable=False,
            allow_quoted_local=True,
            allow_domain_literal=True,
        )
    except EmailNotValidError:
        return None
    return found.local_part, found.domain.removeprefix("[IPv6:")


def split_email(text: str) -> Row | None:
    """Parts of one e-mail address; None if it is none."""
    found = split_address(text)
    if found is None:
        return None
    local, host = found
    before, plus, _ = local.partition("+")
    name = before or local
    spoken = _NOT_LETTERS.sub(" ", name).strip()
    digits = sum(letter.isdigit() for letter in name)
    return Row(
        pieces=(spoken[:MAX_PIECE], *host.row.pieces),
        categories=(_role(spoken), *host.row.categories),
        figures=(
            2.0 * digits / len(name) - 1.0,
            scaled(len(name), _MAX_LOCAL),
            scaled(len(spoken.split()), 6),
            signed(bool(plus and before)),
            *host.row.figures,
        ),
    )


def _role(spoken: str) -> str:
    """The mailbox's function: by its whole name (no-reply) or by its first word (sales.eu)."""
    name = spoken.lower()
    first, _, _ = name.partition(" ")
    return ROLE_OF.get(name.replace(" ", "")) or ROLE_OF.get(first, "personal")
