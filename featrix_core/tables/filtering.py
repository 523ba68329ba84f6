"""Columns without information stay out: empty, uniform, internal, identifiers (DATA-5)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from featrix_core.strings.embedder import TextEmbedder
from featrix_core.tables.cleaning import DistinctTexts
from featrix_core.tables.control import INTERNAL_PREFIX
from featrix_core.tables.schema import ColumnType, DroppedColumn
from featrix_core.tables.structure import shared_structure
from featrix_core.tables.types import identifier_pattern

IDENTIFIER_THRESHOLD = 0.7
UNIQUENESS_WEIGHT = 0.3
SEMANTIC_WEIGHT = 0.4
STRUCTURE_WEIGHT = 0.5
NAME_WEIGHT = 0.1
UNIQUE_SHARE = 0.95
SCRAMBLED_SIMILARITY = 0.45
NAME_HINTS = frozenset({"id", "uuid", "guid", "hash", "key", "token"})
_SAMPLE = 200
_STRUCTURE_SAMPLE = 2000
# Composite cells (e-mails, URLs, …) have pieces with a meaning; numbers and dates are no texts.
_OF_TEXTS = (ColumnType.SET, ColumnType.TEXT, ColumnType.DOCUMENT, ColumnType.CODE)
_SEED = 42
_UNIFORM_MISSING_SHARE = 0.01
_NAME_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True)
class IdentifierScore:
    """How much a column looks like an identifier; `parts` holds the weights that apply."""

    parts: dict[str, float] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """Sum of the parts."""
        return round(sum(self.parts.values()), 6)


def filter_column(
    name: str,
    texts: DistinctTexts,
    type: ColumnType,
    embedder: TextEmbedder | Callable[[], TextEmbedder],
    *,
    keep_identifier: bool = False,
) -> DroppedColumn | None:
    """Why a column stays out of the space, or None if it enters.

    `embedder` (or a function that gives one) is asked only where the meaning of the texts decides.
    `keep_identifier`: the user named the column's type, so a likeness to identifiers is no reason.
    """
    if name.startswith(INTERNAL_PREFIX):
        return DroppedColumn(
            name=name, reason="internal", message=f"names with {INTERNAL_PREFIX} steer training"
        )
    if not texts.values:
        return DroppedColumn(name=name, reason="all_null", message="no cell has a value")
    n_rows = len(texts.codes_N)
    n_missing = n_rows - texts.n_cells
    # One value beside gaps still tells rows apart: missingness can be information (DATA-4).
    if len(texts.values) == 1 and n_missing < max(2, _UNIFORM_MISSING_SHARE * n_rows):
        return DroppedColumn(
            name=name,
            reason="uniform",
            message=f"has only 1 distinct value ({texts.values[0][:80]!r}) and tells no rows apart",
        )
    if keep_identifier:
        return None
    score = identifier_score(name, texts, type, embedder)
    if score.total <= IDENTIFIER_THRESHOLD:
        return None
    return DroppedColumn(
        name=name,
        reason="identifier",
        message=f"likely an identifier (score {score.total:g}, more than {IDENTIFIER_THRESHOLD:g}): "
        + "; ".join(score.evidence),
        score=score.total,
        score_parts=score.parts,
    )


def identifier_score(
    name: str,
    texts: DistinctTexts,
    type: ColumnType,
    embedder: TextEmbedder | Callable[[], TextEmbedder],
) -> IdentifierScore:
    """Parts of the identifier score: uniqueness, structure, name hint, low semantic similarity.

    The last one costs a sentence model; it is evaluated where it can tip the scale, for texts only,
    and where the values have no structure in common (`tables.structure`): codes that are counted
    through or begin with a category carry information.
    """
    parts: dict[str, float] = {}
    evidence: list[str] = []
    share = len(texts.values) / texts.n_cells if texts.n_cells else 0.0
    if share >= UNIQUE_SHARE and len(texts.values) > 1:
        parts["uniqueness"] = UNIQUENESS_WEIGHT
        evidence.append(f"{share:.1%} of the values are distinct")
    pattern = identifier_pattern(texts.values)
    if pattern is not None:
        parts["structure"] = STRUCTURE_WEIGHT
        evidence.append(f"the values have the form of a {pattern}")
    hints = sorted({part.lower() for part in _NAME_PARTS.findall(name)} & NAME_HINTS)
    if hints:
        parts["name"] = NAME_WEIGHT
        evidence.append(f"the name contains {', '.join(map(repr, hints))}")
    known = round(sum(parts.values()), 6)
    open_question = known <= IDENTIFIER_THRESHOLD < round(known + SEMANTIC_WEIGHT, 6)
    if "uniqueness" in parts and open_question and type in _OF_TEXTS:
        sample = _sample(texts.values, _STRUCTURE_SAMPLE)
        structure = shared_structure(sample)
        similarity = 0.0 if structure else scrambled_similarity(texts.values, embedder)
        if similarity > SCRAMBLED_SIMILARITY:
            parts["semantic"] = SEMANTIC_WEIGHT
            evidence.append(
                "low semantic similarity: scrambling the characters hardly changes the meaning "
                f"(cosine {similarity:.2f})"
            )
    return IdentifierScore(parts, tuple(evidence))


def scrambled_similarity(
    values: tuple[str, ...], embedder: TextEmbedder | Callable[[], TextEmbedder]
) -> float:
    """Mean cosine between values and themselves with shuffled characters, on ≤ 200 of them.

    High for strings without meaning, low for words. It stands for "low semantic similarity": the
    mean cosine *between* values points the wrong way with sentence models, for which random strings
    are all alike (random hex .7, product names .3). See `docs/decisions/identifier-columns.md`.

    Texts that are mostly non-Latin count as meaningful (0.0): identifiers are ASCII, and scripts
    with a sign per word survive the shuffling.
    """
    rng = np.random.default_rng(_SEED)
    sample = _sample(values, _SAMPLE, rng)
    if sum(text.isascii() for text in sample) < len(sample) / 2:
        return 0.0
    scrambled = ["".join(rng.permutation(list(text))) for text in sample]
    model = embedder if isinstance(embedder, TextEmbedder) else embedder()
    return float((model.embed(sample) * model.embed(scrambled)).sum(axis=1).mean())


def _sample(
    values: tuple[str, ...], most: int, rng: np.random.Generator | None = None
) -> list[str]:
    """At most so many values, in their order."""
    rng = rng or np.random.default_rng(_SEED)
    chosen = sorted(rng.choice(len(values), min(most, len(values)), replace=False).tolist())
    return [values[index] for index in chosen]
