"""Spellings of yes and no, and cells that mean a known category though they are written otherwise (DATA-4)."""

from __future__ import annotations

from collections.abc import Sequence

from featrix_core.tables.scales import normalised

BOOLEAN_PAIRS = (
    frozenset({"true", "false"}),
    frozenset({"yes", "no"}),
    frozenset({"0", "1"}),
    frozenset({"t", "f"}),
    frozenset({"y", "n"}),
    frozenset({"on", "off"}),
    frozenset({"ja", "nein"}),
    frozenset({"wahr", "falsch"}),
    frozenset({"oui", "non"}),
    frozenset({"vrai", "faux"}),
    frozenset({"si", "no"}),
    frozenset({"sí", "no"}),
)
_YES = frozenset(["true", "yes", "1", "t", "y", "on", "ja", "wahr", "oui", "vrai", "si", "sí"])
_NO = frozenset().union(*BOOLEAN_PAIRS) - _YES


def as_pair(values: Sequence[str], categories: Sequence[str]) -> list[str | None]:
    """Values in lower case, and every spelling of yes and no as the one of the two `categories`.

    Categories that do not mean yes and no are left alone.
    """
    yes = [text for text in categories if text in _YES]
    no = [text for text in categories if text in _NO]
    lowered = [value.lower() for value in values]
    if len(yes) != 1 or len(no) != 1:
        return list(lowered)
    meaning = dict.fromkeys(_YES, yes[0]) | dict.fromkeys(_NO, no[0])
    return [meaning.get(value, value) for value in lowered]


def as_known(values: Sequence[str], categories: Sequence[str]) -> list[str | None]:
    """Values, and those that differ from a category in case, blanks and signs alone as that category."""
    known = set(categories)
    alike: dict[str, str] = {}
    for category in categories:  # the most frequent comes first
        alike.setdefault(normalised(category), category)
    return [v if v in known else alike.get(normalised(v), v) for v in values]
