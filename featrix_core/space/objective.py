"""What a space is trained on: the four losses of D9 under their curriculum (TRAIN-1).

Legend: B rows · A columns · D token width · M row width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from featrix_core.encoders.strategies import LOGIT_RATE
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.space.diversity import head_diversity
from featrix_core.space.health import distinct_rows, embedding_health
from featrix_core.space.losses import (
    adaptive_temperature,
    info_nce,
    marginal_losses,
    spread_loss,
)
from featrix_core.space.masking import complementary_masks
from featrix_core.space.model import SpaceModel
from featrix_core.space.relationships import PairSampler

CONTRASTIVE_SCALE = 0.05
"""Factor on the source's curriculum weights of the joint, marginal and spread losses."""
SETTLED = 0.8
"""From this progress on, the pairs of the finished space are the active ones."""
CONTRASTIVE_ROWS = 128
VALIDATION_ROWS = 1024
"""Rows that an epoch is judged by at most."""


@dataclass(frozen=True)
class Weights:
    """Loss weights of one phase."""

    spread: float
    joint: float
    marginal: float
    reconstruction: float = 1.0


def curriculum(progress: float) -> Weights:
    """Weights of the source's four phases (D9), scaled so that reconstruction leads.

    Reconstruction of every column, hidden or visible, makes the frozen embedding good; the contrastive
    losses are neutral at a small weight (DESIGN, "What made the frozen embedding good").
    """
    s = CONTRASTIVE_SCALE
    if progress < 0.30:
        return Weights(1.0 * s, 0.8 * s, 0.005 * s)
    if progress < 0.45:
        return Weights(0.5 * s, 1.0 * s, 0.01 * s)
    if progress < 0.85:
        return Weights(0.3 * s, 1.0 * s, 0.03 * s)
    return Weights(0.2 * s, 1.0 * s, 0.02 * s)


class RowSides(Protocol):
    """Row numbers of the training and the validation side (`training.rotation.Sides`)."""

    train_T: Tensor
    validation_V: Tensor

    def rotate(self, epoch: int) -> dict[str, Any] | None:
        """Exchange rows between the sides if it is time."""


class SpaceObjective:
    """Self-supervised objective over two complementary views of every row.

    Args:
        rows: all rows, of both sides.
        sides: which of them train and which validate.
        weights_N: weight of every row, mean 1 (DATA-5). The reconstruction losses follow it; the contrastive
            ones tell the rows of a batch apart and count each once.
    """

    def __init__(
        self,
        model: SpaceModel,
        rows: TokenBatch,
        sides: RowSides,
        sampler: PairSampler,
        weights_N: Tensor | None = None,
    ) -> None:
        self.model = model
        self.epoch = 0
        self.rows = rows
        self.sides = sides
        self.weights_N = weights_N
        self.sampler = sampler
        self.generator = torch.Generator().manual_seed(sampler.seed + 1)
        self.weights = curriculum(0.0)
        self.pairs_Q2 = model.pairs_Q2
        self.column_losses_A = torch.zeros(0)
        self.health_B = distinct_rows(rows)
        self.temperature_factor = 1.0

    @property
    def module(self) -> nn.Module:
        """The space."""
        return self.model

    @property
    def n_rows(self) -> int:
        """Training rows."""
        return len(self.sides.train_T)

    def rotate(self, epoch: int) -> dict[str, Any] | None:
        """Exchange rows between the sides if it is time (DATA-8)."""
        return self.sides.rotate(epoch)

    def parameter_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Weights of strategies learn faster than all others."""
        trained = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        fast = [p for n, p in trained.items() if n.endswith(".logit_AK")]
        slow = [p for n, p in trained.items() if not n.endswith(".logit_AK")]
        return [(slow, 1.0), (fast, LOGIT_RATE)]

    def start_epoch(self, epoch: int, progress: float) -> None:
        """Set the phase's weights, let the encoders mature and draw the epoch's active pairs."""
        self.model.encoders.mature(epoch, progress)
        self.epoch = epoch
        self.weights = curriculum(progress)
        drawn = self.sampler.draw(epoch) if progress < SETTLED else self.model.pairs_Q2
        self.pairs_Q2 = drawn.to(self.model.pairs_Q2.device)

    def loss(self, rows: Tensor) -> tuple[Tensor, dict[str, float | Tensor]]:
        """Loss of a batch."""
        index_B = self.sides.train_T[rows]
        weight_B = None if self.weights_N is None else self.weights_N[index_B]
        return self._loss(index_B, weight_B, self.generator, self.pairs_Q2)

    def validate(self) -> tuple[float, dict[str, Any]]:
        """Loss on validation rows under fixed masks, and per-column information in bits.

        The figures hold the health of the embeddings and, nested, the diversity of attention heads.
        """
        generator = torch.Generator().manual_seed(self.sampler.seed + 2)
        with torch.no_grad():
            held_B = self._validated()
            weight_B = None if self.weights_N is None else self.weights_N[held_B]
            if weight_B is not None:
                # Rows that all weigh nothing still have to tell a good epoch from a bad one.
                weight_B = weight_B / weight_B.mean() if weight_B.any() else None
            _, figures = self._loss(held_B, weight_B, generator, self.model.pairs_Q2)
        # The curriculum moves the weights, so epochs are compared by the reconstruction loss alone.
        loss = float(figures["reconstruction_loss"])
        health = embedding_health(self.model.row_embeddings(self.rows.rows(self.health_B)))
        heads = head_diversity(self.model, self.epoch)
        more = health if heads is None else {**health, "head_diversity": heads}
        return loss, {f"validation_{key}": float(value) for key, value in figures.items()} | more

    def _validated(self) -> Tensor:
        """The validation rows, or the same sample of them in every epoch: their order may mean something."""
        held_V = self.sides.validation_V
        if len(held_V) <= VALIDATION_ROWS:
            return held_V
        generator = torch.Generator().manual_seed(self.sampler.seed + 3)
        chosen = torch.randperm(len(held_V), generator=generator)[:VALIDATION_ROWS]
        return held_V[chosen.sort().values]

    def _loss(
        self,
        index_B: Tensor,
        weight_B: Tensor | None,
        generator: torch.Generator,
        pairs_Q2: Tensor,
    ) -> tuple[Tensor, dict[str, float | Tensor]]:
        model, weights = self.model, self.weights
        batch = self.rows.rows(index_B)
        missing_BA = batch.missing_NA
        first, second = complementary_masks(missing_BA, generator)
        tokens_BAD = model.encoders(batch)
        rows = batch.n_rows
        both_BM = model.rows_of(
            tokens_BAD, torch.cat([first, second]).to(tokens_BAD.device), pairs_Q2
        )
        both_VBM = both_BM.view(2, rows, -1)
        one_BM, other_BM = both_VBM.unbind()
        cells_VBA = model.decoders(both_VBM, batch)
        if weight_B is not None:
            cells_VBA = cells_VBA * weight_B.unsqueeze(-1)
        reconstruction = cells_VBA.mean()
        few = slice(0, CONTRASTIVE_ROWS)
        columns = tokens_BAD.shape[1]
        # A boost goes past the clamp of 0.2: small tables stand at it already, and it would change nothing.
        temperature = self.temperature_factor * adaptive_temperature(len(one_BM[few]), columns)
        joint = info_nce(one_BM[few], other_BM[few], temperature)
        spread = spread_loss(one_BM[few], temperature)
        marginal_A = marginal_losses(
            model.predict_tokens(one_BM[few]), tokens_BAD[few].detach(), temperature
        )
        marginal = marginal_A.mean()
        total = (
            weights.reconstruction * reconstruction
            + weights.joint * joint
            + weights.spread * spread
            + weights.marginal * marginal
        )
        self.column_losses_A = marginal_A.detach()
        bits = (math.log(max(len(one_BM[few]), 2)) - marginal.detach()) / math.log(2)
        return total, {
            "reconstruction_loss": reconstruction.detach(),
            "joint_loss": joint.detach(),
            "spread_loss": spread.detach(),
            "marginal_loss": marginal.detach(),
            "marginal_bits": bits,
            "spread_temperature": temperature,
            "dropout_rate": model.config.dropout,
        }
