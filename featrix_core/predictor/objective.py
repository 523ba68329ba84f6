"""What a predictor's member is trained on: mean loss of its heads, encoder frozen or fine-tuned (PRED-1, PRED-2).

Legend: B rows · E ensemble members · O outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from featrix_core.encoders.tokens import TokenBatch
from featrix_core.predictor.network import Head, HeadInputs
from featrix_core.space.model import SpaceModel

ENCODER_RATE = 0.3
"""Learning rate of the encoder as a share of the head's (DESIGN, "Predictor")."""
LARGEST_FIXED = 500_000_000
"""Most floats that the inputs of a head may take while its encoder is frozen (2 GB, twice that for a moment)."""
CHUNK = 2048
"""Rows that are encoded at once for it."""
HEAD_FIRST = 0.2
"""Share of the training in which the head alone is trained."""


class PredictorNet(nn.Module):
    """A space and a head. Shape: TokenBatch → logits (E, B, O)."""

    def __init__(self, space: SpaceModel, head: Head) -> None:
        super().__init__()
        self.space = space
        self.head = head

    def forward(self, batch: TokenBatch) -> Tensor:
        """Logits of every member of the head."""
        encoded = self.space.encode(batch)
        read = self.head.inputs(encoded.row_BM, encoded.context_BAD, batch)
        logits: Tensor = self.head(read)
        return logits


def loss_of(logits_EBO: Tensor, target_B: Tensor, weight_B: Tensor | None = None) -> Tensor:
    """Mean over members of cross-entropy (class indices) or squared error (floats), rows weighted."""
    members = logits_EBO.shape[0]
    how = "mean" if weight_B is None else "none"
    if target_B.is_floating_point():
        expanded = target_B.expand(members, -1)
        loss = nn.functional.mse_loss(logits_EBO[..., 0], expanded, reduction=how)
    else:
        flat = logits_EBO.flatten(0, 1)
        loss = nn.functional.cross_entropy(flat, target_B.repeat(members), reduction=how)
    if weight_B is None:
        return loss
    return (loss.reshape(members, -1) * weight_B).mean()


def combine(logits_EBO: Tensor, classification: bool) -> Tensor:
    """The ensemble's answer: log of mean probability (B, O), or mean value (B, 1)."""
    if not classification:
        return logits_EBO.mean(dim=0)
    log_p = torch.log_softmax(logits_EBO, dim=-1)
    return torch.logsumexp(log_p, dim=0) - torch.log(torch.tensor(float(len(log_p))))


class PredictorObjective:
    """Supervised objective on fixed training and validation rows (never rotated, DATA-8).

    `weights_N` (mean 1) weighs the rows of both sides (DATA-5).
    """

    def __init__(
        self,
        net: PredictorNet,
        rows: TokenBatch,
        target_N: Tensor,
        train_rows: Tensor,
        validation_rows: Tensor,
        fine_tune: bool,
        weights_N: Tensor | None = None,
    ) -> None:
        self.net = net
        self.train_weight = None if weights_N is None else weights_N[train_rows]
        self.validation_weight = None if weights_N is None else weights_N[validation_rows]
        self.fine_tune = fine_tune
        self.train = rows.rows(train_rows)
        self.train_target = target_N[train_rows]
        self.validation = rows.rows(validation_rows)
        self.validation_target = target_N[validation_rows]
        self.fixed: HeadInputs | None = None
        self.fixed_validation: HeadInputs | None = None
        self._freeze(True)
        # What a frozen encoder says is computed once, as long as it fits into memory.
        if self._fits():
            self.fixed = self._read(self.train)
            self.fixed_validation = self._read(self.validation)

    def _fits(self) -> bool:
        rows = self.train.n_rows + self.validation.n_rows
        return rows * self.net.head.first.in_features < LARGEST_FIXED

    @torch.no_grad()
    def _read(self, batch: TokenBatch) -> HeadInputs:
        """What the head reads of rows, from the encoder as it is."""
        parts = []
        for start in range(0, max(batch.n_rows, 1), CHUNK):
            part = batch.rows(slice(start, start + CHUNK))
            parts.append(self.net.head.inputs(*self.net.space.encode_rows(part), part))
        return HeadInputs(*(torch.cat(each) for each in zip(*parts, strict=True)))

    def _freeze(self, frozen: bool) -> None:
        self.encoding = not frozen
        if self.encoding:
            self.fixed = self.fixed_validation = None
        for part in (self.net.space.encoders, self.net.space.joint):
            part.requires_grad_(not frozen)

    @property
    def module(self) -> nn.Module:
        """Space and head when fine-tuning; otherwise the head alone, so that copies stay small."""
        return self.net if self.fine_tune else self.net.head

    @property
    def n_rows(self) -> int:
        """Training rows."""
        return len(self.train_target)

    def parameter_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Head at the full rate, encoder at `ENCODER_RATE` of it."""
        groups = [(list(self.net.head.parameters()), 1.0)]
        if self.fine_tune:
            space = self.net.space
            encoder = [*space.encoders.parameters(), *space.joint.parameters()]
            groups.append((encoder, ENCODER_RATE))
        return groups

    def start_epoch(self, epoch: int, progress: float) -> None:
        """The encoder joins the training after the head has found its feet."""
        self._freeze(not (self.fine_tune and progress >= HEAD_FIRST))

    def loss(self, rows: Tensor) -> tuple[Tensor, dict[str, float | Tensor]]:
        """Loss of a batch."""
        if self.encoding or self.fixed is None:
            logits = self.net(self.train.rows(rows))
        else:
            logits = self.net.head(self.fixed.rows(rows))
        weight = None if self.train_weight is None else self.train_weight[rows]
        return loss_of(logits, self.train_target[rows], weight), {}

    @torch.no_grad()
    def predict_validation(self) -> Tensor:
        """The ensemble's answer on the validation rows."""
        fixed = None if self.encoding else self.fixed_validation
        logits = self.net.head(self._read(self.validation) if fixed is None else fixed)
        return combine(logits, not self.validation_target.is_floating_point())

    def validate(self) -> tuple[float, dict[str, float]]:
        """Log loss or mean squared error of the combined answer."""
        answer, target = self.predict_validation(), self.validation_target
        if target.is_floating_point():
            loss_V = nn.functional.mse_loss(answer[:, 0], target, reduction="none")
        else:
            loss_V = nn.functional.nll_loss(answer, target, reduction="none")
        weight_V = self.validation_weight
        # Rows that all weigh nothing still have to tell a good epoch from a bad one.
        if weight_V is not None and weight_V.any():
            loss_V = loss_V * (weight_V / weight_V.mean())
        return float(loss_V.mean()), {}
