"""Linear decoders: every column, hidden or visible, is predicted from the row embedding alone (D8, D9).

Legend: B rows · M row width · S, C, T, X, Y, R columns per family · A all columns · K buckets + 1 (missing) ·
W widest decoded vocabulary · E sentence width · Z summary width · H vector width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from featrix_core.encoders.composite_codec import SUMMARY
from featrix_core.encoders.scalar_codec import BUCKETS
from featrix_core.encoders.sentences import WIDTH as SENTENCE_WIDTH
from featrix_core.encoders.timestamp_codec import FEATURES as TIME_FEATURES
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.encoders.vector_codec import WIDTH as VECTOR_WIDTH

LARGEST_VOCABULARY = 64
"""Categories that a set column is decoded into; rarer ones share the class of unknown values."""


def decoded_classes(tokenizer: Tokenizer) -> tuple[Tensor, Tensor]:
    """(class of every vocabulary row (V,), classes per set column (C,)); classes are columns' own, from 0."""
    classes: list[int] = []
    counts: list[int] = []
    for size in tokenizer.set_sizes:
        kept = min(size, LARGEST_VOCABULARY + 2)
        classes += [k if k < kept else 1 for k in range(size)]
        counts.append(kept)
    return torch.tensor(classes, dtype=torch.int64), torch.tensor(counts, dtype=torch.int64)


class Decoders(nn.Module):
    """Predicts buckets and z of scalars, classes of sets, calendar features, sentence vectors, summaries of
    composite cells, vectors.

    Shape: row_BM, TokenBatch of the same rows → loss per cell (B, A) in nats (scalars: cross-entropy over
    buckets plus smooth-L1 on z).
    """

    def __init__(self, tokenizer: Tokenizer, d_model: int) -> None:
        super().__init__()
        n_scalar, n_set, n_time, n_text, n_composite, n_vector = (
            len(group) for group in tokenizer.groups
        )
        class_V, count_C = decoded_classes(tokenizer)
        widest = int(count_C.max()) if n_set else 0
        self.scale = math.sqrt(d_model)
        self.bucket_SMK = nn.Parameter(torch.randn(n_scalar, d_model, BUCKETS + 1) * 0.02)
        self.bucket_bias_SK = nn.Parameter(torch.zeros(n_scalar, BUCKETS + 1))
        self.z_SM = nn.Parameter(torch.randn(n_scalar, d_model) * 0.02)
        self.set_CMW = nn.Parameter(torch.randn(n_set, d_model, widest) * 0.02)
        self.set_bias_CW = nn.Parameter(torch.zeros(n_set, widest))
        self.time_TMF = nn.Parameter(torch.randn(n_time, d_model, TIME_FEATURES) * 0.02)
        self.text_XME = nn.Parameter(torch.randn(n_text, d_model, SENTENCE_WIDTH) * 0.02)
        self.composite_YMZ = nn.Parameter(torch.randn(n_composite, d_model, SUMMARY) * 0.02)
        self.vector_RMH = nn.Parameter(torch.randn(n_vector, d_model, VECTOR_WIDTH) * 0.02)
        self.register_buffer("class_V", class_V, persistent=False)
        beyond_CW = torch.arange(widest) >= count_C.unsqueeze(-1)
        self.register_buffer("beyond_CW", beyond_CW, persistent=False)
        self.class_V: Tensor
        self.beyond_CW: Tensor

    def targets(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """Class per scalar cell (B, S) and per set cell (B, C); bucket `BUCKETS` and class 0 mean missing."""
        bucket_BS = batch.discrete_NSJ[..., 0].masked_fill(batch.scalar_missing_NS, BUCKETS)
        if not len(self.class_V):
            return bucket_BS, batch.codes_NC
        known = batch.codes_NC < len(self.class_V)
        class_BC = self.class_V[batch.codes_NC.clamp(max=len(self.class_V) - 1)]
        return bucket_BS, torch.where(known, class_BC, 1)

    def logits(self, row_BM: Tensor) -> tuple[Tensor, Tensor]:
        """Bucket logits (B, S, K) and class logits (B, C, W), minus infinity beyond a column's classes."""
        row = row_BM * self.scale
        bucket = torch.einsum("bm,smk->bsk", row, self.bucket_SMK) + self.bucket_bias_SK
        sets = torch.einsum("bm,cmw->bcw", row, self.set_CMW) + self.set_bias_CW
        return bucket, sets.masked_fill(self.beyond_CW, float("-inf"))

    def forward(self, row_BM: Tensor, batch: TokenBatch) -> Tensor:
        """Loss of every cell."""
        row = row_BM * self.scale
        bucket_BS, class_BC = self.targets(batch)
        bucket_logits, set_logits = self.logits(row_BM)
        cross = nn.functional.cross_entropy
        parts: list[Tensor] = []
        scalar = cross(bucket_logits.transpose(1, 2), bucket_BS, reduction="none")
        z = torch.einsum("bm,sm->bs", row, self.z_SM)
        off = nn.functional.smooth_l1_loss(z, batch.z_NS, reduction="none")
        parts.append(scalar + off.masked_fill(batch.scalar_missing_NS, 0.0))
        if set_logits.shape[1]:
            parts.append(cross(set_logits.transpose(1, 2), class_BC, reduction="none"))
        if self.time_TMF.shape[0]:
            parts.append(_numbers_loss(row, self.time_TMF, batch.time_NTF, batch.time_missing_NT))
        if self.text_XME.shape[0]:
            text = torch.einsum("bm,xme->bxe", row, self.text_XME)
            true = nn.functional.embedding(batch.text_NX, batch.text_UE)
            near = nn.functional.cosine_similarity(text, true, dim=-1)
            parts.append((2.0 * (1.0 - near)).masked_fill(batch.text_missing_NX, 0.0))
        if self.composite_YMZ.shape[0]:
            missing = batch.composite_missing_NY
            parts.append(_numbers_loss(row, self.composite_YMZ, batch.summary_NYZ, missing))
        if self.vector_RMH.shape[0]:
            missing = batch.vector_missing_NR
            parts.append(_numbers_loss(row, self.vector_RMH, batch.vector_NRH, missing))
        return torch.cat(parts, dim=1)


def _numbers_loss(
    row_BM: Tensor, weight_AMF: Tensor, true_BAF: Tensor, missing_BA: Tensor
) -> Tensor:
    """Loss (B, A) of predicting several numbers per cell; nothing is asked of missing cells."""
    said = torch.einsum("bm,amf->baf", row_BM, weight_AMF)
    gap = nn.functional.smooth_l1_loss(said, true_BAF, reduction="none").mean(-1)
    return (4.0 * gap).masked_fill(missing_BA, 0.0)
