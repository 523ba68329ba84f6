"""`TokenBatch`: a table as tensors, computed once (D5, DESIGN "One way through").

Legend: N rows · S scalar columns · C set and boolean columns · T timestamp columns · X text columns ·
F smooth features · J discrete features · P reduced semantic width · E sentence width (384) ·
U rows of a table of distinct values.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenBatch:
    """Everything the encoders read of N rows; the training loop only indexes it.

    smooth_NSF      float, the smooth features of each number, 0 where missing
    position_NS     float in [0, bins], place on the column's piecewise-linear scale
    discrete_NSJ    int64, indices of the binned path
    z_NS            float, standardised number (the target of regression decoding)
    scalar_missing_NS, code_missing_NC, time_missing_NT, text_missing_NX   bool
    codes_NC        int64 into the flat vocabulary; an unseen value points past its end, into extra_UP
    extra_UP        float, reduced semantic vectors of unseen values
    time_NTF        float, timestamp features
    text_NX         int64 into text_UE
    text_UE         float, sentence vectors of the distinct texts
    """

    smooth_NSF: Tensor
    position_NS: Tensor
    discrete_NSJ: Tensor
    z_NS: Tensor
    scalar_missing_NS: Tensor
    codes_NC: Tensor
    code_missing_NC: Tensor
    extra_UP: Tensor
    time_NTF: Tensor
    time_missing_NT: Tensor
    text_NX: Tensor
    text_missing_NX: Tensor
    text_UE: Tensor

    _tables = ("extra_UP", "text_UE")

    @property
    def n_rows(self) -> int:
        """Number of rows N."""
        return int(self.codes_NC.shape[0])

    @property
    def missing_NA(self) -> Tensor:
        """Missing cells over all columns in the model's order (scalar, set, timestamp, text)."""
        return torch.cat(
            [
                self.scalar_missing_NS,
                self.code_missing_NC,
                self.time_missing_NT,
                self.text_missing_NX,
            ],
            dim=1,
        )

    def rows(self, index: Tensor | slice) -> TokenBatch:
        """The given rows; the tables of distinct values are shared, not copied."""
        return TokenBatch(
            **{
                f.name: (
                    getattr(self, f.name)
                    if f.name in self._tables
                    else getattr(self, f.name)[index]
                )
                for f in fields(self)
            }
        )

    def compact(self, vocabulary: int) -> TokenBatch:
        """The same rows with tables cut down to the values that they use."""
        texts, text_NX = torch.unique(self.text_NX, return_inverse=True)
        unseen = self.codes_NC >= vocabulary
        extras, place = torch.unique(self.codes_NC[unseen] - vocabulary, return_inverse=True)
        codes_NC = self.codes_NC.clone()
        codes_NC[unseen] = place + vocabulary
        return replace(
            self,
            text_NX=text_NX,
            text_UE=self.text_UE[texts] if len(texts) else self.text_UE[:1],
            codes_NC=codes_NC,
            extra_UP=self.extra_UP[extras],
        )

    def followed_by(self, other: TokenBatch, vocabulary: int) -> TokenBatch:
        """These rows, then the other's; both keep their tables of distinct values."""
        moved = replace(
            other,
            text_NX=other.text_NX + len(self.text_UE),
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
