"""Column encoders side by side: `TokenBatch` → one token per cell (ENC-1 … ENC-6, D5).

Legend: B rows · A columns · D token width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from featrix_core.encoders import scalar_encoder, text_encoder
from featrix_core.encoders.composite_encoder import CompositeEncoder, VectorEncoder
from featrix_core.encoders.scalar_codec import ScalarState
from featrix_core.encoders.scalar_encoder import ScalarEncoder
from featrix_core.encoders.set_encoder import SetEncoder
from featrix_core.encoders.text_codec import TextState
from featrix_core.encoders.text_encoder import TextEncoder
from featrix_core.encoders.timestamp_encoder import TimestampEncoder
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import FAMILIES, TokenBatch
from featrix_core.tables.schema import ColumnType

PRUNE_EVERY = 5
"""Epochs between two prunings of strategies; trainings of few epochs prune at every one."""
FEW_EPOCHS = 50


class ColumnEncoders(nn.Module):
    """All encoders of a table, missing cells replaced by a learned vector per column (DATA-4).

    Shape: TokenBatch → (B, A, D), columns in the tokenizer's order.
    """

    def __init__(self, tokenizer: Tokenizer, width: int) -> None:
        super().__init__()
        families = tokenizer.families
        states = [tokenizer.states[column.name] for column in families["scalar"]]
        scalars = [state for state in states if isinstance(state, ScalarState)]
        states = [tokenizer.states[column.name] for column in families["text"]]
        texts = [state for state in states if isinstance(state, TextState)]
        count = {name: len(families[name]) for name in FAMILIES}
        self.scalar = ScalarEncoder(scalars, width) if scalars else None
        self.set = SetEncoder(count["set"], tokenizer.set_tables(), width) if count["set"] else None
        self.timestamp = TimestampEncoder(count["timestamp"], width) if count["timestamp"] else None
        self.text = TextEncoder(families["text"], texts, width) if texts else None
        self.composite = CompositeEncoder(count["composite"], width) if count["composite"] else None
        self.vector = VectorEncoder(count["vector"], width) if count["vector"] else None
        self.missing_AD = nn.Parameter(torch.randn(len(tokenizer.names), width) * 0.5)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Encode all cells of a batch."""
        encoders = (getattr(self, name) for name in FAMILIES)
        tokens_BAD = torch.cat([e(batch) for e in encoders if e is not None], dim=1)
        row, column = batch.missing_NA.nonzero(as_tuple=True)
        if not len(column):
            return tokens_BAD
        return tokens_BAD.index_put((row, column), nn.functional.embedding(column, self.missing_AD))

    def mature(self, epoch: int, progress: float) -> None:
        """Called before every epoch of a space's training: floors fall, weak strategies are switched off.

        `epoch` counts from 1, `progress` in [0, 1).
        """
        epochs = (epoch - 1) / progress if progress > 0 else float("inf")
        prunes = epochs < FEW_EPOCHS or epoch % PRUNE_EVERY == 0
        for encoder in (self.scalar, self.set, self.text):
            if encoder is not None:
                encoder.mature(progress, prunes)

    def settle(self) -> None:
        """The end of a space's training: strategies and floors stay as they are from now on."""
        if self.scalar is not None:
            self.scalar.strategies.settle()
        if self.text is not None:
            self.text.strategies.settle()
        if self.set is not None:
            self.set.settle()

    @torch.no_grad()
    def report(self, tokenizer: Tokenizer, batch: TokenBatch) -> dict[str, dict[str, Any]]:
        """What training chose per column: surviving strategies with weights, and mean gates on `batch`."""
        found: dict[str, dict[str, Any]] = {}
        families = tokenizer.families
        if self.scalar is not None:
            gates = self.scalar.continuous_shares(batch).tolist()
            weights = _survivors(self.scalar.strategies(), scalar_encoder.STRATEGIES)
            for column, gate, kept in zip(families["scalar"], gates, weights, strict=True):
                found[column.name] = {"strategies": kept, "continuous_share": round(gate, 4)}
        if self.set is not None:
            shares = self.set.learned_shares(batch).tolist()
            for column, share in zip(families["set"], shares, strict=True):
                if column.type is not ColumnType.BOOLEAN:
                    found[column.name] = {"learned_share": round(share, 4)}
        if self.text is not None:
            kept_X = _survivors(self.text.strategies(), text_encoder.STRATEGIES)
            for column, kept in zip(families["text"], kept_X, strict=True):
                found[column.name] = {"strategies": kept}
        return found


def _survivors(weight_AK: Tensor, names: tuple[str, ...]) -> list[dict[str, float]]:
    """Per column the weights of strategies that are left, largest first."""
    return [
        {
            name: round(w, 4)
            for name, w in sorted(zip(names, row, strict=True), key=lambda p: -p[1])
            if w > 0
        }
        for row in weight_AK.tolist()
    ]
