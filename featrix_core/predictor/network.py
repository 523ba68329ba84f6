"""Predictor head: row embedding ⊕ column tokens ⊕ raw skip into a parameter-efficient ensemble (PRED-1).

Legend: B rows · A columns · D token width · M row width · S scalar columns · K piecewise-linear bins ·
Z dense inputs · W hidden width · E ensemble members · O outputs (classes, or 1).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from featrix_core.encoders.composite_codec import SUMMARY
from featrix_core.encoders.scalar_codec import BINS
from featrix_core.encoders.scalar_encoder import piecewise_linear
from featrix_core.encoders.sentences import WIDTH as SENTENCE_WIDTH
from featrix_core.encoders.stacked import StackedLinear
from featrix_core.encoders.timestamp_codec import FEATURES as TIME_FEATURES
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.encoders.vector_codec import WIDTH as VECTOR_WIDTH
from featrix_core.space.decoders import LARGEST_VOCABULARY, decoded_classes


class HeadConfig(BaseModel):
    """Shape of a head; stored in the predictor's bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outputs: int
    width: int = 256
    members: int = 16
    hidden_layers: int = 2
    dropout: float = 0.15
    frequencies: int = 16
    number_width: int = 12


class NumberEmbedding(nn.Module):
    """Periodic-linear-ReLU embedding of numbers. Shape: z (B, S) → (B, S · number_width)."""

    def __init__(self, columns: int, frequencies: int, width: int) -> None:
        super().__init__()
        self.frequency_SF = nn.Parameter(torch.randn(columns, frequencies) * 0.3)
        self.linear = StackedLinear(columns, 2 * frequencies, width)

    def forward(self, z_BS: Tensor) -> Tensor:
        """Embed numbers."""
        angle = 2 * math.pi * z_BS.unsqueeze(-1) * self.frequency_SF
        waves = torch.cat([angle.sin(), angle.cos()], dim=-1)
        return torch.relu(self.linear(waves)).flatten(1)


class Dropout(nn.Dropout):
    """Dropout whose share on a CPU is a whole number of 256ths, so that eight places share one drawn number.

    On a CPU, drawing a number per place is a good part of a head's step. Shape: any.
    """

    def forward(self, in_: Tensor) -> Tensor:
        """Drop places and scale up the others."""
        dropped = round(256 * self.p)
        if not self.training or not 0 < dropped < 256 or in_.is_cuda:
            return super().forward(in_)
        drawn = torch.empty(in_.numel() // 8 + 1, dtype=torch.int64).random_(-(2**63), 2**63 - 1)
        kept = (drawn.view(torch.uint8)[: in_.numel()] >= dropped).view(in_.shape)
        return in_ * kept.to(in_.dtype).mul_(256 / (256 - dropped))


class HeadInputs(NamedTuple):
    """What a head reads of rows: dense_BZ; z_BS of numbers, which it embeds itself; class_BC of categories."""

    dense_BZ: Tensor
    z_BS: Tensor
    class_BC: Tensor

    def rows(self, rows: Tensor | slice) -> HeadInputs:
        """Some of the rows."""
        return HeadInputs(self.dense_BZ[rows], self.z_BS[rows], self.class_BC[rows])


class Head(nn.Module):
    """Ensemble of E networks that share all weights but signs, biases and output layers (TabM style).

    The first layer is shared and its output is scaled by a vector per member, so that the wide input is
    multiplied once and not E times. Every further layer is a residual block (D17): it adds to what is there, so
    that depth which a table does not need does no harm. Shape: HeadInputs of B rows → logits (E, B, O).
    """

    def __init__(
        self, tokenizer: Tokenizer, d_model: int, token_width: int, config: HeadConfig
    ) -> None:
        super().__init__()
        n_scalar, n_set, n_time, n_text, n_composite, n_vector = (
            len(group) for group in tokenizer.groups
        )
        width, members = config.width, config.members
        self.config = config
        self.row_scale = math.sqrt(d_model)
        self.numbers = NumberEmbedding(n_scalar, config.frequencies, config.number_width)
        dense = d_model + len(tokenizer.names) * token_width
        dense += n_scalar * (BINS + 1 + config.number_width) + n_time * TIME_FEATURES
        dense += n_text * SENTENCE_WIDTH + n_composite * SUMMARY + n_vector * VECTOR_WIDTH
        dense += len(tokenizer.names)
        self.first = nn.Linear(dense, width)
        class_V, _ = decoded_classes(tokenizer)
        offset_C = torch.arange(n_set) * (LARGEST_VOCABULARY + 2)
        self.register_buffer("class_V", class_V, persistent=False)
        self.register_buffer("offset_C", offset_C, persistent=False)
        self.categories = nn.Embedding(max(n_set, 1) * (LARGEST_VOCABULARY + 2), width)
        nn.init.normal_(self.categories.weight, std=1.0 / math.sqrt(dense))
        signs = torch.randint(0, 2, (members, 1, width)).float() * 2 - 1
        self.scale_E1W = nn.Parameter(signs)
        self.bias_E1W = nn.Parameter(torch.zeros(members, 1, width))
        self.hidden = nn.ModuleList(
            [nn.Linear(width, width) for _ in range(config.hidden_layers - 1)]
        )
        self.dropout = Dropout(config.dropout)
        bound = 1.0 / math.sqrt(width)
        self.out_EWO = nn.Parameter(
            torch.empty(members, width, config.outputs).uniform_(-bound, bound)
        )
        self.out_bias_E1O = nn.Parameter(torch.zeros(members, 1, config.outputs))
        self.class_V: Tensor
        self.offset_C: Tensor

    def inputs(self, row_BM: Tensor, context_BAD: Tensor, batch: TokenBatch) -> HeadInputs:
        """What the head reads of rows; it depends on no weight of the head."""
        context = nn.functional.layer_norm(context_BAD, context_BAD.shape[-1:])
        present = (~batch.scalar_missing_NS).float()
        code = piecewise_linear(batch.position_NS) * present.unsqueeze(-1)
        # Root of the columns: every column weighs the same, and all of them as much as the row embedding.
        shrink = 1.0 / math.sqrt(max(context.shape[1], 1))
        z_BS = batch.z_NS.clamp(-4, 4)
        dense_BZ = torch.cat(
            [
                row_BM * self.row_scale,
                context.flatten(1) * shrink,
                code.flatten(1),
                z_BS * present,
                batch.time_NTF.flatten(1),
                nn.functional.embedding(batch.text_NX, batch.text_UE).flatten(1) * 4.0,
                batch.summary_NYZ.flatten(1),
                batch.vector_NRH.flatten(1),
                batch.missing_NA.float(),
            ],
            dim=1,
        )
        known = batch.codes_NC < len(self.class_V)
        class_BC = batch.codes_NC
        if class_BC.shape[1]:
            class_BC = self.class_V[class_BC.clamp(max=len(self.class_V) - 1)]
            class_BC = torch.where(known, class_BC, 1) + self.offset_C
        return HeadInputs(dense_BZ, z_BS, class_BC)

    def forward(self, read: HeadInputs) -> Tensor:
        """Logits of every member."""
        dense_BZ = torch.cat([read.dense_BZ, self.numbers(read.z_BS)], dim=1)
        hidden_BW = self.first(dense_BZ)
        if read.class_BC.shape[1]:
            hidden_BW = hidden_BW + self.categories(read.class_BC).sum(dim=1)
        hidden_EBW = self.dropout(torch.relu(hidden_BW * self.scale_E1W + self.bias_E1W))
        for layer in self.hidden:
            hidden_EBW = hidden_EBW + self.dropout(torch.relu(layer(hidden_EBW)))
        return torch.baddbmm(self.out_bias_E1O, hidden_EBW, self.out_EWO)
