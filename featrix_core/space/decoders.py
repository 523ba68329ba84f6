"""Linear decoders: every column, hidden or visible, is predicted from the row embedding alone (D8, D9).

Legend: V views of the same rows · B rows · M row width · S, C, T, X, Y, R columns per family · A all columns ·
K piecewise-linear bins · U buckets · W widest decoded vocabulary · E sentence width · P sketch width ·
Z summary width · H vector width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from featrix_core.encoders.composite_codec import SUMMARY
from featrix_core.encoders.scalar_codec import BINS, BUCKETS, ScalarState
from featrix_core.encoders.scalar_encoder import piecewise_linear
from featrix_core.encoders.sentences import WIDTH as SENTENCE_WIDTH
from featrix_core.encoders.timestamp_codec import FEATURES as TIME_FEATURES
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.encoders.vector_codec import WIDTH as VECTOR_WIDTH

LARGEST_VOCABULARY = 64
"""Categories that a set column is decoded into; rarer ones share the class of unknown values."""
CODE_WEIGHT = math.log2(BUCKETS)
"""Weight of a number's code: a guess in the dark then costs as much as one among all buckets would."""
SKETCH = 96
"""Dimensions of a sentence vector's fixed random projection, which is what a text is decoded into: angles
between texts survive, at a quarter of the cost."""


def _sketch() -> Tensor:
    """Orthonormal directions (E, P), the same in every space."""
    generator = torch.Generator().manual_seed(384)
    directions_EP, _ = torch.linalg.qr(torch.randn(SENTENCE_WIDTH, SKETCH, generator=generator))
    return directions_EP


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
    """Predicts code and z of scalars, classes of sets, calendar features, sketches of sentence vectors,
    summaries of composite cells, vectors.

    A number is decoded into its piecewise-linear code, bit by bit ("has it passed this edge?"), not into one
    bucket of many: buckets know no order, and an embedding made to tell each from all others serves a straight
    line, or few labels, less well.

    Shape: row_VBM, TokenBatch of B rows → loss per cell (V, B, A) in nats (scalars: mean cross-entropy of the
    code's bits, weighted, plus that of being missing and smooth-L1 on z). All views are decoded in one pass.
    """

    def __init__(self, tokenizer: Tokenizer, d_model: int) -> None:
        super().__init__()
        n_scalar, n_set, n_time, n_text, n_composite, n_vector = (
            len(group) for group in tokenizer.groups
        )
        class_V, count_C = decoded_classes(tokenizer)
        widest = int(count_C.max()) if n_set else 0
        self.scale = math.sqrt(d_model)
        # The last of a number's outputs says whether it is missing.
        self.code_SKM = nn.Parameter(torch.randn(n_scalar, BINS + 1, d_model) * 0.02)
        self.code_bias_SK = nn.Parameter(torch.zeros(n_scalar, BINS + 1))
        self.z_SM = nn.Parameter(torch.randn(n_scalar, d_model) * 0.02)
        self.set_CWM = nn.Parameter(torch.randn(n_set, widest, d_model) * 0.02)
        self.set_bias_CW = nn.Parameter(torch.zeros(n_set, widest))
        self.time_TFM = nn.Parameter(torch.randn(n_time, TIME_FEATURES, d_model) * 0.02)
        self.text_XPM = nn.Parameter(torch.randn(n_text, SKETCH, d_model) * 0.02)
        self.composite_YZM = nn.Parameter(torch.randn(n_composite, SUMMARY, d_model) * 0.02)
        self.vector_RHM = nn.Parameter(torch.randn(n_vector, VECTOR_WIDTH, d_model) * 0.02)
        self.register_buffer("class_V", class_V, persistent=False)
        beyond_CW = torch.arange(widest) >= count_C.unsqueeze(-1)
        self.register_buffer("beyond_CW", beyond_CW, persistent=False)
        self.register_buffer("sketch_EP", _sketch() if n_text else None, persistent=False)
        self.sketch_EP: Tensor
        weight_SK, bucket_SKU = _bins(tokenizer)
        self.register_buffer("code_weight_SK", weight_SK, persistent=False)
        self.register_buffer("bucket_SKU", bucket_SKU, persistent=False)
        self.code_weight_SK: Tensor
        self.bucket_SKU: Tensor
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
        """Bucket logits (B, S, BUCKETS + 1) and class logits (B, C, W), minus infinity beyond a column's classes.

        The last bucket stands for missing. A bucket's share is that of its bins; a bin's, the chance to
        have passed its lower edge less the chance to have passed it.
        """
        row = row_BM * self.scale
        sets = decoded(row, self.set_CWM) + self.set_bias_CW
        passed_BSK = torch.sigmoid(decoded(row, self.code_SKM) + self.code_bias_SK)
        missing_BS1, passed_BSK = passed_BSK[..., -1:], passed_BSK[..., :-1]
        passed_BSK = passed_BSK * (self.code_weight_SK > 0.0)
        within_BSK = 1.0 - passed_BSK
        within_BSK[..., 1:] -= 1.0 - passed_BSK[..., :-1]
        share_BSU = torch.einsum("bsk,sku->bsu", within_BSK.clamp(min=0.0), self.bucket_SKU)
        share_BSU = (share_BSU + 1e-6) / (share_BSU + 1e-6).sum(-1, keepdim=True)
        share_BSU = torch.cat([share_BSU * (1.0 - missing_BS1), missing_BS1], dim=-1)
        return share_BSU.clamp(min=1e-9).log(), sets.masked_fill(self.beyond_CW, float("-inf"))

    def forward(self, row_VBM: Tensor, batch: TokenBatch) -> Tensor:
        """Loss of every cell in every view."""
        views, rows, width = row_VBM.shape
        flat_BM = row_VBM.reshape(views * rows, width)
        row = flat_BM * self.scale
        parts = [self._scalar_loss(row, batch)]
        if len(self.set_CWM):
            parts.append(self._set_loss(row, batch))
        if self.time_TFM.shape[0]:
            missing = batch.time_missing_NT
            parts.append(_numbers_loss(row, self.time_TFM, batch.time_NTF, missing))
        if self.text_XPM.shape[0]:
            parts.append(self._text_loss(row, batch))
        if self.composite_YZM.shape[0]:
            missing = batch.composite_missing_NY
            parts.append(_numbers_loss(row, self.composite_YZM, batch.summary_NYZ, missing))
        if self.vector_RHM.shape[0]:
            missing = batch.vector_missing_NR
            parts.append(_numbers_loss(row, self.vector_RHM, batch.vector_NRH, missing))
        cells_BA = torch.cat(parts, dim=1)
        return cells_BA.view(views, rows, cells_BA.shape[1])

    def _scalar_loss(self, row_BM: Tensor, batch: TokenBatch) -> Tensor:
        """Code, missing flag and z; a missing number has no code and no z."""
        views = len(row_BM) // max(batch.n_rows, 1)
        cross = nn.functional.binary_cross_entropy_with_logits
        said_BSK = decoded(row_BM, self.code_SKM) + self.code_bias_SK
        missing_BS = batch.scalar_missing_NS.repeat(views, 1)
        code_BSK = piecewise_linear(batch.position_NS).repeat(views, 1, 1)
        code = cross(said_BSK[..., :-1], code_BSK, reduction="none") * self.code_weight_SK
        z_BS = batch.z_NS.repeat(views, 1)
        off = nn.functional.smooth_l1_loss(row_BM @ self.z_SM.T, z_BS, reduction="none")
        absent = cross(said_BSK[..., -1], missing_BS.float(), reduction="none")
        return absent + (code.sum(-1) + off).masked_fill(missing_BS, 0.0)

    def _set_loss(self, row_BM: Tensor, batch: TokenBatch) -> Tensor:
        views = len(row_BM) // max(batch.n_rows, 1)
        logits_BCW = decoded(row_BM, self.set_CWM) + self.set_bias_CW
        logits_BCW = logits_BCW.masked_fill(self.beyond_CW, float("-inf"))
        class_BC = self.targets(batch)[1].repeat(views, 1)
        return nn.functional.cross_entropy(logits_BCW.transpose(1, 2), class_BC, reduction="none")

    def _text_loss(self, row_BM: Tensor, batch: TokenBatch) -> Tensor:
        """Twice the cosine distance between the predicted sketch and the text's own."""
        rows, columns = batch.text_NX.shape
        views = len(row_BM) // max(rows, 1)
        used_U, place_N = torch.unique(batch.text_NX, return_inverse=True)
        sketch_UP = nn.functional.normalize(batch.text_UE[used_U] @ self.sketch_EP, dim=-1)
        true_BXP = nn.functional.embedding(place_N, sketch_UP)
        said_VBXP = decoded(row_BM, self.text_XPM).view(views, rows, columns, SKETCH)
        length_VBX = torch.linalg.vector_norm(said_VBXP, dim=-1).clamp(min=1e-6)
        near_VBX = (said_VBXP * true_BXP).sum(-1) / length_VBX
        lost = (2.0 * (1.0 - near_VBX)).masked_fill(batch.text_missing_NX, 0.0)
        return lost.view(len(row_BM), columns)


def _bins(tokenizer: Tokenizer) -> tuple[Tensor, Tensor]:
    """Weight of every bit of a number's code (S, K), 0 beyond the column's own; bucket of every bin (S, K, U)."""
    columns = tokenizer.groups[0]
    weight_SK = torch.zeros(len(columns), BINS)
    bucket_SKU = torch.zeros(len(columns), BINS, BUCKETS)
    for place, name in enumerate(columns):
        state = tokenizer.states[name]
        assert isinstance(state, ScalarState)
        bins = len(state.edges) - 1
        # Nothing lies beyond the last edge, so the last bin is passed by nobody.
        bits = max(bins - 1, 1)
        weight_SK[place, :bits] = CODE_WEIGHT / bits
        fine = torch.arange(BINS).clamp(max=bins - 1)
        bucket_SKU[
            place, torch.arange(BINS), fine if bins <= BUCKETS else fine * BUCKETS // bins
        ] = 1.0
    return weight_SK, bucket_SKU


def decoded(row_BM: Tensor, weight_AFM: Tensor) -> Tensor:
    """What every column's own linear map makes of the rows: (B, A, F), as one product.

    The row's axis comes last in the weights, so that all maps together are one matrix as they lie in memory.
    """
    columns, features, _ = weight_AFM.shape
    return (row_BM @ weight_AFM.flatten(0, 1).T).view(len(row_BM), columns, features)


def _numbers_loss(
    row_BM: Tensor, weight_AFM: Tensor, true_NAF: Tensor, missing_NA: Tensor
) -> Tensor:
    """Loss (B, A) of predicting several numbers per cell; nothing is asked of missing cells."""
    said_BAF = decoded(row_BM, weight_AFM)
    views = len(row_BM) // max(len(true_NAF), 1)
    gap = nn.functional.smooth_l1_loss(said_BAF, true_NAF.repeat(views, 1, 1), reduction="none")
    return (4.0 * gap.mean(-1)).masked_fill(missing_NA.repeat(views, 1), 0.0)
