"""Names of classes that look like one class: case, blanks and typing mistakes (DATA-7)."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping

from featrix_core.tables.schema import Notice

_BETWEEN_WORDS = re.compile(r"(?<=\w)[\s_-]+(?=\w)")
_RARE = 20
"""A typing mistake is rare: the name that it is taken for has this many times its rows."""
_SHORTEST = 5
"""Letters of the longer of two words that one letter tells apart; shorter ones are often two words."""
_SHOWN = 10


def similar_classes(counts: Mapping[str, int]) -> list[tuple[str, ...]]:
    """Groups of names that look like one class, the most frequent name of each first.

    Names are alike when they differ by case, by blanks, underscores or hyphens between words, or by a full
    stop at the end; or when the rarer one, with at most a twentieth of the other's rows, differs by one
    letter (left out, doubled, exchanged or swapped with its neighbour) of one word of five letters or more,
    not the first. Digits and signs are never taken for mistakes: `grade 1` and `grade 2`, `A` and `A-`,
    `<=50K` and `>50K` are different classes.
    """
    order = sorted(counts, key=lambda name: (-counts[name], name))
    spelled: dict[str, list[str]] = defaultdict(list)
    for name in order:
        spelled[_spelling(name)].append(name)
    rows = {text: sum(counts[name] for name in names) for text, names in spelled.items()}
    meant = _mistyped(rows)
    groups: dict[str, list[str]] = defaultdict(list)
    for text, names in spelled.items():
        # A mistake of a mistake is too rare for a chain of more than two.
        groups[meant.get(text, text)].extend(names)
    return [
        tuple(sorted(names, key=lambda name: (-counts[name], name)))
        for names in groups.values()
        if len(names) > 1
    ]


def similar_classes_notice(target: str, counts: Mapping[str, int]) -> tuple[Notice, ...]:
    """One notice with the groups of `similar_classes`; none where all names are different."""
    groups = similar_classes(counts)
    if not groups:
        return ()
    listed = "; ".join(
        " and ".join(f"{name!r} ({counts[name]} rows)" for name in group)
        for group in groups[:_SHOWN]
    )
    more = f"; and {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else ""
    return (
        Notice(
            code="similar_classes",
            message=f"Target {target!r} has names that look like one class: {listed}{more}",
            column=target,
            figure=float(len(groups)),
            action="each is learned as a class of its own; correct the labels that are mistakes",
        ),
    )


def _spelling(name: str) -> str:
    """The name without what is often written in different ways."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return _BETWEEN_WORDS.sub(" ", text).strip().rstrip(".") or text


def _mistyped(rows: Mapping[str, int]) -> dict[str, str]:
    """Rare spellings and the frequent spelling that each is one letter away from."""
    near: dict[str, list[str]] = defaultdict(list)
    for text in rows:
        for key in _one_letter_less(text):
            near[key].append(text)
    meant: dict[str, str] = {}
    for rare in sorted(rows):
        others = {other for key in _one_letter_less(rare) for other in near[key]}
        close = [o for o in others if rows[o] >= _RARE * rows[rare]]
        if close:
            meant[rare] = max(close, key=lambda other: (rows[other], other))
    return {rare: text for rare, text in meant.items() if text not in meant}


def _one_letter_less(text: str) -> set[str]:
    """The text itself and with one letter of one longer word left out, the first letters kept.

    Two texts with one of these in common differ by a letter: no need to compare each with each.
    """
    keys = {text}
    words = text.split(" ")
    start = 0
    for word in words:
        if word.isalpha() and len(word) >= _SHORTEST - 1:
            keys |= {
                text[: start + k] + text[start + k + 1 :]
                for k in range(1, len(word))
                if len(word) >= _SHORTEST
            }
        start += len(word) + 1
    return keys
