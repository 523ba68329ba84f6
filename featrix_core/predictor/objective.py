"""What a predictor's member is trained on: mean loss of its heads, encoder frozen or fine-tuned (PRED-1, PRED-2).

Legend: B rows · E ensemble members · O outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from featrix_core.encoders.tokens import TokenBatch
from featrix_core.predictor.failures import judge_answers
from featrix_core.predictor.losses import Loss, class_counts, combine, loss_of
from featrix_core.predictor.network import Head, HeadInputs
from featrix_core.predictor.prior import find_reverse_bias, matching_offset, record
from featrix_core.space.model import SpaceModel
from featrix_core.training.device import deterministic

__all__ = ["PredictorNet", "PredictorObjective", "combine", "loss_of"]

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


class PredictorObjective:
    """Supervised objective on fixed training and validation rows (never rotated, DATA-8).

    `weights_N` (mean 1) weighs the rows of both sides (DATA-5). The loss is cross-entropy until `use` sets
    another; validation is by log loss or squared error whatever it is. `fresh` makes another untrained net on the
    untrained space, for a restart.
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
        *,
        fresh: Callable[[], PredictorNet] | None = None,
    ) -> None:
        self.net = net
        self.loss_function = Loss()
        self.fresh = fresh
        self.train_weight = None if weights_N is None else weights_N[train_rows]
        self.validation_weight = None if weights_N is None else weights_N[validation_rows]
        self.fine_tune = fine_tune
        self.train = rows.rows(train_rows)
        self.train_target = target_N[train_rows]
        self.validation = rows.rows(validation_rows)
        self.validation_target = target_N[validation_rows]
        self.fixed: HeadInputs | None = None
        self.fixed_validation: HeadInputs | None = None
        self._offset_K: Tensor | None = None
        self._prepare()

    def _prepare(self) -> None:
        """What a frozen encoder says is computed once, as long as it fits into memory."""
        self._freeze(True)
        if self.fixed is None and self._fits():
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
        return self.loss_function(logits, self.train_target[rows], weight), {}

    @torch.no_grad()
    def validation_logits(self) -> Tensor:
        """Logits of the validation rows (E, V, O); in chunks, since there may be many rows."""
        fixed = None if self.encoding else self.fixed_validation
        parts = []
        for start in range(0, max(self.validation.n_rows, 1), CHUNK):
            rows = slice(start, start + CHUNK)
            read = self._read(self.validation.rows(rows)) if fixed is None else fixed.rows(rows)
            parts.append(self.net.head(read))
        return torch.cat(parts, dim=1)

    def validate(self) -> tuple[float, dict[str, Any]]:
        """Log loss or mean squared error of the combined answer, and figures that failures are judged by.

        Under a loss that shifts the classes' shares the answers are judged with the shares set right, as they
        are served: else the best epoch would be the one that learned least from it.
        """
        logits, target = self.validation_logits(), self.validation_target
        numbers, weight_V = target.is_floating_point(), self.validation_weight
        said = combine(logits, not numbers)
        figures = judge_answers(said.numpy(), target.numpy(), _array(weight_V))
        if numbers:
            loss_V = nn.functional.mse_loss(said[:, 0], target, reduction="none")
        else:
            if self.loss_function.shifts_shares:
                shares = self.training_shares()
                self._offset_K = matching_offset(logits, shares, weight_V, self._offset_K)
                said = combine(logits + self._offset_K, True)
            loss_V = nn.functional.nll_loss(said, target, reduction="none")
        # Rows that all weigh nothing still have to tell a good epoch from a bad one.
        if weight_V is not None and weight_V.any():
            loss_V = loss_V * (weight_V / weight_V.mean())
        return float(loss_V.mean()), {"answers": figures}

    def use(self, loss: Loss) -> None:
        """Train on this loss from now on."""
        self.loss_function, self._offset_K = loss, None

    def training_shares(self) -> Tensor:
        """Share of every class among the training rows (K,), weighted."""
        classes = self.net.head.config.outputs
        counts_K = class_counts(self.train_target, classes, self.train_weight)
        return counts_K / counts_K.sum()

    # -- corrections ------------------------------------------------------------------------------

    def reset(self, seed: int) -> None:
        """Other initial weights; a fine-tuned encoder is again the space's."""
        assert self.fresh is not None, "an objective without `fresh` cannot begin again"
        with deterministic(seed):
            other = self.fresh()
        self.net.head.load_state_dict(other.head.state_dict())
        if self.fine_tune:
            self.net.space.load_state_dict(other.space.state_dict())
        self._offset_K = None
        self._prepare()

    @property
    def softenable(self) -> bool:
        """Whether the loss is a focal or weighted one."""
        return self.loss_function.shifts_shares

    def soften_loss(self) -> dict[str, Any]:
        """Make the loss less of a focal or weighted one; what it is then, for the timeline."""
        self.use(self.loss_function.softened())
        loss = self.loss_function
        focal = {"gamma": loss.gamma, "min_weight": loss.floor} if loss.name == "focal" else {}
        return {"loss": loss.name, **focal, "class_weights": False}

    def match_shares(self) -> dict[str, Any]:
        """Set the output biases so that mean probabilities are the training rows' shares."""
        shares = self.training_shares()
        offset = matching_offset(self.validation_logits(), shares, self.validation_weight)
        self._add_offset(offset)
        return {"logit_offset": offset.tolist()}

    def correct_reverse_bias(self, epoch: int) -> dict[str, Any] | None:
        """Take reverse bias out of the trained head, where there is any; the timeline's entry of it."""
        if self.validation_target.is_floating_point() or not self.loss_function.shifts_shares:
            return None
        logits, weight_V = self.validation_logits(), self.validation_weight
        bias = find_reverse_bias(combine(logits, True), self.validation_target, weight_V)
        if bias is None:
            return None
        offset = matching_offset(logits, self.training_shares(), weight_V)
        self._add_offset(offset)
        after_K = combine(logits + offset, True).exp().mean(dim=0)
        return record(epoch, bias, offset, after_K)

    @torch.no_grad()
    def _add_offset(self, offset_K: Tensor) -> None:
        self.net.head.out_bias_E1O.add_(offset_K)


def _array(values: Tensor | None) -> NDArray[np.float64] | None:
    return None if values is None else values.double().numpy()
