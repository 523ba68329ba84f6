"""Texts → tokens by seven competing strategies (ENC-3, D5.2).

ZERO tells nothing (random strings), DELIMITER averages the parts of a list, DELIM_ATTN lets parts attend to one
another and pools them, RADIX reads the characters of a code by their places, AGGRESSIVE, MODERATE and STANDARD
press the sentence vector through a quarter, half and twice the token width. What a column is decides which
strategies it has and where their weights start; after the warm-up the best two stay.

Legend: B rows · X text columns · L parts · K characters · E sentence width · W reduced width · D token width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from featrix_core.encoders.sentences import SCALE, WIDTH
from featrix_core.encoders.stacked import (
    StackedAttentionPool,
    StackedLinear,
    StackedMLP,
    StackedNorm,
)
from featrix_core.encoders.strategies import Strategies
from featrix_core.encoders.text_codec import ALPHABET, CHARACTERS, PARTS, TextState
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.tables.schema import ColumnSchema, ColumnType

STRATEGIES = (
    "ZERO",
    "DELIMITER",
    "DELIM_ATTN",
    "RADIX",
    "AGGRESSIVE",
    "MODERATE",
    "STANDARD",
)
WARM_UP = 0.5
"""Share of the training after which only the best two strategies stay."""
KEPT = 2
RANDOM = 0.9
"""From this randomness on, texts that hardly ever repeat are hashes or UUIDs."""
_PART_WIDTH = 64
_CHARACTER_WIDTH = 32
_PREFERRED = 1.0
_CERTAIN = 4.0
_NEVER = float("-inf")


def starting_logits(column: ColumnSchema, state: TextState) -> list[float]:
    """Where a column's weights start, by what detection found; minus infinity: not to be had.

    Training would not choose ZERO by itself: a token that tells nothing does not help to recover its own cell.
    """
    logits = {"ZERO": -1.0, "AGGRESSIVE": 0.0, "MODERATE": 0.0, "STANDARD": 0.0}
    distinct = column.n_unique / max(column.n_rows - column.n_missing, 1)
    if column.type in (ColumnType.LIST, ColumnType.DOCUMENT):
        logits |= {"DELIMITER": 0.0, "DELIM_ATTN": _PREFERRED}
    elif float(state.randomness[0]) > RANDOM and distinct > 0.95:
        logits["ZERO"] = _CERTAIN
    elif column.type is ColumnType.CODE:
        logits["RADIX"] = _PREFERRED
        # Codes that hardly ever repeat may be mere names of rows.
        logits["ZERO"] = 0.5 if distinct > 0.95 else -1.0
    elif column.statistics.get("mean_words", 0.0) > 4.0:
        logits["STANDARD"] = _PREFERRED
    else:
        # Short texts hold little: a narrow passage is less prone to learn them by heart.
        logits["AGGRESSIVE"] = 0.5
    return [logits.get(name, _NEVER) for name in STRATEGIES]


class TextEncoder(nn.Module):
    """All text, document, list and code columns. Shape: TokenBatch → (B, X, D)."""

    def __init__(
        self, columns: Sequence[ColumnSchema], states: Sequence[TextState], width: int
    ) -> None:
        super().__init__()
        count = len(columns)
        start = torch.tensor([starting_logits(*pair) for pair in zip(columns, states, strict=True)])
        self.strategies = Strategies(start.reshape(count, len(STRATEGIES)), KEPT)
        self.reduce = nn.Linear(WIDTH, _PART_WIDTH)
        self.delimiter = StackedLinear(count, _PART_WIDTH, width)
        self.part = StackedLinear(count, _PART_WIDTH, width)
        self.part_pool = StackedAttentionPool(count, PARTS, width, layers=1)
        self.character_XVW = nn.Parameter(torch.randn(count, ALPHABET, _CHARACTER_WIDTH) * 0.5)
        self.character_pool = StackedAttentionPool(count, CHARACTERS, _CHARACTER_WIDTH, layers=2)
        self.character_out = StackedLinear(count, _CHARACTER_WIDTH, width)
        self.aggressive = StackedMLP(count, WIDTH, max(width // 4, 1), width)
        self.moderate = StackedMLP(count, WIDTH, max(width // 2, 1), width)
        self.standard = StackedMLP(count, WIDTH, 2 * width, width)
        self.norm = StackedNorm(count, width)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Encode every text; only strategies that are switched on are computed."""
        share_XK = self.strategies()
        alive = self.strategies.alive_AK
        whole = nn.functional.embedding(batch.text_NX, batch.text_UE) * SCALE
        out = torch.zeros(*batch.text_NX.shape, self.norm.gain_AO.shape[1], device=whole.device)
        for k, name in enumerate(STRATEGIES):
            columns = alive[:, k].nonzero().flatten()
            if name == "ZERO" or not len(columns):
                continue
            token = self._token(name, batch, whole, columns)
            # Each strategy speaks at the same volume, so that the weights alone decide.
            token = nn.functional.layer_norm(token, token.shape[-1:])
            out = out.index_add(1, columns, token * share_XK[columns, k].unsqueeze(-1))
        return self.norm(out)

    def _token(self, name: str, batch: TokenBatch, whole_BXE: Tensor, columns: Tensor) -> Tensor:
        if name == "RADIX":
            return self._radix(batch.char_NXK[:, columns].long(), columns)
        if name in ("DELIMITER", "DELIM_ATTN"):
            part_BXL = batch.part_NXL[:, columns]
            # Parts recur: each distinct one is reduced once per batch.
            used, place = torch.unique(part_BXL, return_inverse=True)
            reduced = nn.functional.embedding(place, self.reduce(batch.text_UE[used] * SCALE))
            present = part_BXL > 0
            if name == "DELIMITER":
                number = present.sum(-1, keepdim=True).clamp(min=1)
                mean = (reduced * present.unsqueeze(-1)).sum(2) / number
                return self.delimiter(mean, columns)
            rows, count, length, _ = reduced.shape
            flat = reduced.transpose(1, 2).reshape(-1, count, _PART_WIDTH)
            part = self.part(flat, columns)
            tokens = part.reshape(rows, length, count, part.shape[-1]).transpose(1, 2)
            return self.part_pool(tokens, present, columns)
        network: StackedMLP = getattr(self, name.lower())
        every = len(columns) == whole_BXE.shape[1]
        return network(whole_BXE if every else whole_BXE[:, columns], columns)

    def _radix(self, char_BXK: Tensor, columns: Tensor) -> Tensor:
        start_X1 = torch.arange(len(columns), device=char_BXK.device).unsqueeze(-1) * ALPHABET
        table = self.character_XVW[columns].flatten(0, 1)
        tokens = nn.functional.embedding(char_BXK + start_X1, table)
        return self.character_out(self.character_pool(tokens, char_BXK > 0, columns), columns)

    def mature(self, progress: float, prunes: bool) -> None:
        """Sharpen the weights; after the warm-up the best two strategies of every column stay."""
        self.strategies.sharpen(progress)
        if progress >= WARM_UP:
            self.strategies.prune_below(float("inf"))
