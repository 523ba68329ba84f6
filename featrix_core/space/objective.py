"""What a space is trained on: the four losses of D9 under their curriculum (TRAIN-1).

Legend: B rows · A columns · D token width · M row width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

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
from featrix_core.space.pair_log import pair_report
from featrix_core.space.pair_trial import PairTrial
from featrix_core.space.relationships import PairSampler
from featrix_core.space.shards import Processes, Shard

CONTRASTIVE_SCALE = 0.005
"""Factor on the source's curriculum weights of the joint, marginal and spread losses. At ten times as much they
push all rows apart, which costs a linear read-out and most of all one with few labels (row "contrastive
losses at a twentieth" of the ablation, benchmarks, "The space")."""
CONTRASTIVE_ROWS = 128
JUDGED_ROWS = 128
"""Rows of a batch that are judged once more without some pairs, at the end of a period."""
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

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and JSON for a checkpoint."""

    def restore(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        """Go on from `state()`."""


class SpaceObjective:
    """Self-supervised objective over two complementary views of every row.

    Args:
        rows: all rows, of both sides.
        sides: which of them train and which validate.
        weights_N: weight of every row, mean 1 (DATA-5). The reconstruction losses follow it; the contrastive
            ones tell the rows of a batch apart and count each once.

    Attributes:
        processes: those that share every batch, each of them with an objective of its own over the same rows
            (TRAIN-9). All random numbers are drawn for the whole batch, so that they agree.
    """

    processes: Processes | None = None

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
        self.trial = PairTrial(sampler, len(model.joint.column_AD), model.pairs_Q2)
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

    @property
    def pairs_Q2(self) -> Tensor:
        """The pairs that are active now."""
        return self.trial.pairs_Q2

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
        """Set the phase's weights, let the encoders mature and choose the space's pairs."""
        self.model.encoders.mature(epoch, progress)
        if 0 < epoch <= self.epoch:
            self.trial.begin()  # another training, or this one again with other weights
        self.epoch = epoch
        self.weights = curriculum(progress)
        self.model.pairs_Q2 = self.trial.start_epoch(progress).to(self.model.pairs_Q2.device)

    def loss(self, rows: Tensor) -> tuple[Tensor, dict[str, float | Tensor]]:
        """Loss of a batch, with the pairs that are active now."""
        index_B = self.sides.train_T[rows]
        weight_B = None if self.weights_N is None else self.weights_N[index_B]
        fewer_Q2 = self.trial.before_step()
        found = self._loss(index_B, weight_B, self.generator, fewer_Q2)
        if found.outcome_2A is not None:
            self.trial.after_step(*found.outcome_2A)
        return found.total, found.figures

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
            figures = self._loss(held_B, weight_B, generator).figures
        # The curriculum moves the weights, so epochs are compared by the reconstruction loss alone.
        loss = float(figures["reconstruction_loss"])
        rows_BM = self.model.row_embeddings(self.rows.rows(self.health_B))
        health = embedding_health(rows_BM, self.model.joint.cls_out.out_features)
        heads = head_diversity(self.model, self.epoch)
        more = health if heads is None else {**health, "head_diversity": heads}
        return loss, {f"validation_{key}": float(value) for key, value in figures.items()} | more

    def pair_report(self, names: Sequence[str]) -> dict[str, Any]:
        """Decision log of all pairs and the scores' check on held-out periods, as JSON (JOINT-3, JOINT-4).

        Args:
            names: columns in the order of the model's tokens.
        """
        return pair_report(self.trial, names, self.model.pairs_Q2.cpu())

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What a checkpoint needs besides the module: random state, experiment on pairs, sides (TRAIN-6)."""
        trial, sides = self.trial.state(), self.sides.state()
        tensors = {f"trial/{key}": value for key, value in trial[0].items()}
        tensors |= {f"sides/{key}": value for key, value in sides[0].items()}
        tensors["generator"] = self.generator.get_state()
        return tensors, {"epoch": self.epoch, "trial": trial[1], "sides": sides[1]}

    def restore(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        """Go on from `state()`."""
        parts: dict[str, dict[str, Tensor]] = {"trial": {}, "sides": {}}
        for name, value in tensors.items():
            part, _, key = name.partition("/")
            if key:
                parts[part][key] = value
        self.trial.restore(parts["trial"], record["trial"])
        self.sides.restore(parts["sides"], record["sides"])
        self.generator.set_state(tensors["generator"])
        self.epoch = record["epoch"]

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
        fewer_Q2: Tensor | None = None,
    ) -> _Found:
        model, weights = self.model, self.weights
        shard = Shard(self.processes, len(index_B))
        batch = self.rows.rows(index_B)
        hidden_VBA = torch.stack(complementary_masks(batch.missing_NA, generator))
        if not shard.whole:
            batch = batch.rows(shard.own)
        tokens_BAD = model.encoders(batch)
        hidden_VBA = hidden_VBA.to(tokens_BAD.device)
        own_VBA = hidden_VBA[:, shard.own]
        both_BM = model.rows_of(tokens_BAD, own_VBA.flatten(0, 1))
        both_VBM = both_BM.view(2, batch.n_rows, -1)
        one_BM, other_BM = both_VBM.unbind()
        cells_VBA = model.decoders(both_VBM, batch)
        judged_2A = tokens_BAD.new_zeros(2, tokens_BAD.shape[1])
        if fewer_Q2 is not None:
            judged = shard.first(JUDGED_ROWS)
            counted_VBA = own_VBA[:, judged].float()
            if weight_B is not None:
                counted_VBA = counted_VBA * weight_B[shard.own][judged].unsqueeze(-1)
            seen = (tokens_BAD[judged], own_VBA[:, judged], batch.rows(judged))
            judged_2A = self._judged(cells_VBA[:, judged].detach(), counted_VBA, *seen, fewer_Q2)
        if weight_B is not None:
            cells_VBA = cells_VBA * weight_B[shard.own].unsqueeze(-1)
        reconstruction = shard.share(cells_VBA.mean())
        few, said_BAD = slice(0, CONTRASTIVE_ROWS), None
        if not shard.whole:
            # The maps from rows to tokens are trained: each process uses them on its own rows.
            own = shard.first(CONTRASTIVE_ROWS)
            rows = [one_BM[own], other_BM[own], tokens_BAD[own], model.predict_tokens(one_BM[own])]
            rows, sums = shard.joined(CONTRASTIVE_ROWS, rows, [reconstruction, judged_2A])
            (one_BM, other_BM, tokens_BAD, said_BAD), (reconstruction, judged_2A) = rows, sums
        columns = tokens_BAD.shape[1]
        # A boost goes past the clamp of 0.2: small tables stand at it already, and it would change nothing.
        temperature = self.temperature_factor * adaptive_temperature(len(one_BM[few]), columns)
        joint = info_nce(one_BM[few], other_BM[few], temperature)
        spread = spread_loss(one_BM[few], temperature)
        if said_BAD is None:
            said_BAD = model.predict_tokens(one_BM[few])
        marginal_A = marginal_losses(said_BAD, tokens_BAD[few].detach(), temperature)
        marginal = marginal_A.mean()
        total = (
            weights.reconstruction * reconstruction
            + weights.joint * joint
            + weights.spread * spread
            + weights.marginal * marginal
        )
        bits = (math.log(max(len(one_BM[few]), 2)) - marginal.detach()) / math.log(2)
        figures: dict[str, float | Tensor] = {
            "reconstruction_loss": reconstruction.detach(),
            "joint_loss": joint.detach(),
            "spread_loss": spread.detach(),
            "marginal_loss": marginal.detach(),
            "marginal_bits": bits,
            "spread_temperature": temperature,
            "dropout_rate": model.config.dropout,
        }
        outcome_2A = None
        if fewer_Q2 is not None:
            counted_VBA = hidden_VBA[:, :JUDGED_ROWS].float()
            if weight_B is not None:
                counted_VBA = counted_VBA * weight_B[:JUDGED_ROWS].unsqueeze(-1)
            outcome_2A = judged_2A / counted_VBA.sum((0, 1))
        return _Found(shard.counted(total), figures, outcome_2A)

    @torch.no_grad()
    def _judged(
        self,
        cells_VBA: Tensor,
        counted_VBA: Tensor,
        tokens_BAD: Tensor,
        hidden_VBA: Tensor,
        batch: TokenBatch,
        fewer_Q2: Tensor,
    ) -> Tensor:
        """Per column (2, A), over the hidden cells of both views, as much as they count: the sum of losses that were
        found with all candidates, and how much less it is with the pairs of `fewer_Q2` alone."""
        model, pairs_Q2 = self.model, fewer_Q2.to(tokens_BAD.device)
        both_BM = model.rows_of(tokens_BAD, hidden_VBA.flatten(0, 1), pairs_Q2)
        other_VBA = model.decoders(both_BM.view(2, batch.n_rows, -1), batch)
        losses_A = (cells_VBA * counted_VBA).sum((0, 1))
        return torch.stack([losses_A, losses_A - (other_VBA * counted_VBA).sum((0, 1))])


class _Found(NamedTuple):
    """Loss of a batch, its figures, and per column (2, A) the outcome of a period that ended: loss per hidden cell,
    and how much less it was without some pairs."""

    total: Tensor
    figures: dict[str, float | Tensor]
    outcome_2A: Tensor | None
