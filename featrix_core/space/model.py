"""`SpaceModel`: encoders, joint encoder, decoders, as one module (D5–D9).

Legend: B rows · A columns · D token width · M row width (`d_model`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from featrix_core.encoders.column_encoders import ColumnEncoders
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.space.axes import SHOWN
from featrix_core.space.decoders import Decoders, decoded
from featrix_core.space.joint_encoder import Encoded, Group, JointEncoder

_T = TypeVar("_T")


class SpaceConfig(BaseModel):
    """Shape of a space; stored in its bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    d_model: int = 832
    width: int = 64
    layers: int = 1
    heads: int = 2
    dropout: float = 0.0


class SpaceModel(nn.Module):
    """One table's space. `pairs_Q2` holds the column pairs that are active when rows are encoded."""

    def __init__(self, tokenizer: Tokenizer, config: SpaceConfig, pairs_Q2: Tensor) -> None:
        super().__init__()
        columns = len(tokenizer.names)
        self.config = config
        self.encoders = ColumnEncoders(tokenizer, config.width)
        self.joint = JointEncoder(
            columns,
            config.width,
            config.d_model,
            config.layers,
            config.heads,
            config.dropout,
            _groups(tokenizer),
        )
        self.decoders = Decoders(tokenizer, config.d_model)
        bound = 1.0 / math.sqrt(config.d_model)
        marginal_ADM = torch.empty(columns, config.width, config.d_model).uniform_(-bound, bound)
        self.marginal_ADM = nn.Parameter(marginal_ADM)
        self.marginal_bias_AD = nn.Parameter(torch.zeros(columns, config.width))
        self.register_buffer("pairs_Q2", pairs_Q2)
        # Axes of the short vector; the main axes of the training rows once there are any (`space/axes.py`).
        self.register_buffer("axes_M3", torch.eye(config.d_model, SHOWN))
        self.pairs_Q2: Tensor
        self.axes_M3: Tensor

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # How many pairs a space reads changes while it trains: another state may hold more or fewer.
        pairs = state_dict.get(f"{prefix}pairs_Q2")
        if pairs is not None:
            self.pairs_Q2 = self.pairs_Q2.new_empty(pairs.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def encode(
        self, batch: TokenBatch, hidden_BA: Tensor | None = None, pairs_Q2: Tensor | None = None
    ) -> Encoded:
        """Row embeddings and contextual tokens of a batch."""
        tokens_BAD = self.encoders(batch)
        pairs = self.pairs_Q2 if pairs_Q2 is None else pairs_Q2
        encoded: Encoded = self.joint(tokens_BAD, hidden_BA, pairs)
        return encoded

    def rows_of(
        self, tokens_BAD: Tensor, hidden_BA: Tensor | None, pairs_Q2: Tensor | None = None
    ) -> Tensor:
        """Row embeddings (B, M) alone, from column tokens that are there already."""
        pairs = self.pairs_Q2 if pairs_Q2 is None else pairs_Q2
        encoded: Encoded = self.joint(tokens_BAD, hidden_BA, pairs, context=False)
        return encoded.row_BM

    def short(self, row_BM: Tensor) -> Tensor:
        """Short vectors (B, 3) of row embeddings, on the unit sphere (D15)."""
        return nn.functional.normalize(row_BM @ self.axes_M3, dim=-1)

    def predict_tokens(self, row_BM: Tensor) -> Tensor:
        """Predicted column encodings (B, A, D) from the row embedding, for the marginal loss."""
        return decoded(row_BM * self.decoders.scale, self.marginal_ADM) + self.marginal_bias_AD

    def encode_rows(self, batch: TokenBatch, chunk: int = 2048) -> tuple[Tensor, Tensor]:
        """Row embeddings (N, M) and contextual tokens (N, A, D) in evaluation mode, in chunks of rows."""
        both = list(self._chunks(batch, chunk, self.encode))
        return torch.cat([e.row_BM for e in both]), torch.cat([e.context_BAD for e in both])

    def row_embeddings(self, batch: TokenBatch, chunk: int = 2048) -> Tensor:
        """The same row embeddings alone: no more than a chunk's tokens are held at once."""

        def rows(part: TokenBatch) -> Tensor:
            return self.rows_of(self.encoders(part), None)

        return torch.cat(list(self._chunks(batch, chunk, rows)))

    def _chunks(
        self, batch: TokenBatch, chunk: int, encode: Callable[[TokenBatch], _T]
    ) -> Iterator[_T]:
        for start in range(0, max(batch.n_rows, 1), chunk):
            # Inside of the loop: a generator must not leave its caller's gradients and modes switched.
            with torch.no_grad(), evaluating(self):
                encoded = encode(batch.rows(slice(start, start + chunk)))
            yield encoded


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while, every part's own mode afterwards.

    Only what is in training mode is touched: for one row, switching all parts of a network there and back takes
    longer than asking the network.
    """
    learning = [part for part in module.modules() if part.training]
    for part in learning:
        part.training = False
    try:
        yield
    finally:
        for part in learning:
            part.training = True


def _groups(tokenizer: Tokenizer) -> tuple[Group, ...]:
    """The schema's hybrid groups by places in the token order; columns that were left out are skipped."""
    place = {name: index for index, name in enumerate(tokenizer.names)}
    found = []
    for group in tokenizer.schema.groups:
        columns = tuple(place[name] for name in group.columns if name in place)
        if len(columns) > 1:
            found.append(Group(columns, group.strategy == "merge"))
    return tuple(found)
