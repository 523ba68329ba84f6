"""`TokenBatch`: a table as tensors, computed once (D5, DESIGN "One way through").

Legend: N rows · A all columns · S scalar, C set, T timestamp, X text, Y composite, R vector columns ·
F smooth or calendar features · J discrete features · P reduced semantic width · L parts of a text ·
K characters of a code · I text pieces, Q categories, G figures, Z summary width of a composite cell ·
H vector width · E sentence width (384) · U rows of a table of distinct values.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

FAMILIES = ("scalar", "set", "timestamp", "text", "composite", "vector")
"""Encoder families in the order of the model's tokens."""
SENTENCE_CODES = ("text_NX", "part_NXL", "piece_NYI")
"""Fields that point into `text_UE`."""
FAMILY_OF = {
    "smooth_NSF": "scalar",
    "position_NS": "scalar",
    "discrete_NSJ": "scalar",
    "z_NS": "scalar",
    "scalar_missing_NS": "scalar",
    "codes_NC": "set",
    "code_missing_NC": "set",
    "time_NTF": "timestamp",
    "time_missing_NT": "timestamp",
    "text_NX": "text",
    "part_NXL": "text",
    "char_NXK": "text",
    "text_missing_NX": "text",
    "piece_NYI": "composite",
    "class_NYQ": "composite",
    "figure_NYG": "composite",
    "summary_NYZ": "composite",
    "composite_missing_NY": "composite",
    "vector_NRH": "vector",
    "vector_missing_NR": "vector",
}
"""Family of every field that has a row and a column axis; the others are tables of distinct values."""


@dataclass(frozen=True)
class TokenBatch:
    """Everything the encoders read of N rows; the training loop only indexes it.

    smooth_NSF      float, the smooth features of each number, 0 where missing
    position_NS     float in [0, bins], place on the column's piecewise-linear scale
    discrete_NSJ    int64, indices of the binned path
    z_NS            float, standardised number (the target of regression decoding)
    codes_NC        int64 into the flat vocabulary; an unseen value points past its end, into extra_UP
    time_NTF        float, timestamp features
    text_NX         int64 into text_UE: the whole text (documents: the mean of their chunks)
    part_NXL        int64 into text_UE: parts of a list, chunks of a document; 0 = none
    char_NXK        uint8, characters of a code; 0 = none
    piece_NYI       int64 into text_UE: texts of a composite cell; 0 = none
    class_NYQ       int64, categories of a composite cell; 0 = other
    figure_NYG      float, figures of a composite cell
    summary_NYZ     float, a composite cell in few numbers (the target of its decoding)
    vector_NRH      float, standardised and reduced vectors
    …_missing_N…    bool, per cell
    extra_UP        float, reduced semantic vectors of unseen categories
    text_UE         float, sentence vectors of the distinct texts; row 0 is zero
    """

    smooth_NSF: Tensor
    position_NS: Tensor
    discrete_NSJ: Tensor
    z_NS: Tensor
    scalar_missing_NS: Tensor
    codes_NC: Tensor
    code_missing_NC: Tensor
    time_NTF: Tensor
    time_missing_NT: Tensor
    text_NX: Tensor
    part_NXL: Tensor
    char_NXK: Tensor
    text_missing_NX: Tensor
    piece_NYI: Tensor
    class_NYQ: Tensor
    figure_NYG: Tensor
    summary_NYZ: Tensor
    composite_missing_NY: Tensor
    vector_NRH: Tensor
    vector_missing_NR: Tensor
    extra_UP: Tensor
    text_UE: Tensor

    @property
    def n_rows(self) -> int:
        """Number of rows N."""
        return int(self.codes_NC.shape[0])

    @property
    def missing_by_family(self) -> tuple[Tensor, ...]:
        """Missing cells (N, columns of the family), in the order of `FAMILIES`."""
        return (
            self.scalar_missing_NS,
            self.code_missing_NC,
            self.time_missing_NT,
            self.text_missing_NX,
            self.composite_missing_NY,
            self.vector_missing_NR,
        )

    @property
    def missing_NA(self) -> Tensor:
        """Missing cells over all columns in the model's order."""
        return torch.cat(self.missing_by_family, dim=1)

    def rows(self, index: Tensor | slice) -> TokenBatch:
        """The given rows; the tables of distinct values are shared, not copied."""
        return replace(self, **{name: getattr(self, name)[index] for name in FAMILY_OF})

    def mixed(self, own: Tensor, other: Tensor, take_own_NA: Tensor) -> TokenBatch:
        """Cells of rows `own` where `take_own_NA`, of rows `other` elsewhere, column by column."""
        sizes = [missing.shape[1] for missing in self.missing_by_family]
        masks = dict(zip(FAMILIES, torch.split(take_own_NA, sizes, dim=1), strict=True))
        parts: dict[str, Tensor] = {}
        for name, family in FAMILY_OF.items():
            value = getattr(self, name)
            mask = masks[family]
            mask = mask.reshape(*mask.shape, *([1] * (value.ndim - 2)))
            parts[name] = torch.where(mask, value[own], value[other])
        return replace(self, **parts)

    def compact(self, vocabulary: int) -> TokenBatch:
        """The same rows with tables cut down to the values that they use."""
        flat = torch.cat([getattr(self, name).flatten() for name in SENTENCE_CODES])
        # Row 0 stays, for it means "no text".
        used, place = torch.unique(torch.cat([flat.new_zeros(1), flat]), return_inverse=True)
        sizes = [getattr(self, name).numel() for name in SENTENCE_CODES]
        moved = {
            name: codes.reshape(getattr(self, name).shape)
            for name, codes in zip(SENTENCE_CODES, torch.split(place[1:], sizes), strict=True)
        }
        unseen = self.codes_NC >= vocabulary
        extras, spot = torch.unique(self.codes_NC[unseen] - vocabulary, return_inverse=True)
        codes_NC = self.codes_NC.clone()
        codes_NC[unseen] = spot + vocabulary
        return replace(
            self,
            **moved,
            text_UE=self.text_UE[used],
            codes_NC=codes_NC,
            extra_UP=self.extra_UP[extras],
        )

    def followed_by(self, other: TokenBatch, vocabulary: int) -> TokenBatch:
        """These rows, then the other's; both keep their tables of distinct values."""
        shift = len(self.text_UE)
        shifted = {name: getattr(other, name) for name in SENTENCE_CODES}
        moved = replace(
            other,
            **{name: torch.where(codes > 0, codes + shift, 0) for name, codes in shifted.items()},
            codes_NC=torch.where(
                other.codes_NC >= vocabulary, other.codes_NC + len(self.extra_UP), other.codes_NC
            ),
        )
        return TokenBatch(
            **{
                f.name: torch.cat([getattr(self, f.name), getattr(moved, f.name)])
                for f in fields(self)
            }
        )
