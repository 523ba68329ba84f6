"""A small objective on the diabetes table whose trainings depend on every kind of state that there is."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.datasets import load_diabetes
from torch import Tensor, nn

from featrix_core.training.device import deterministic
from featrix_core.training.plan import TrainingPlan

PLAN = TrainingPlan(
    epochs=8, batch_size=64, steps_per_epoch=6, learning_rate=0.02, weight_decay=0.01, seed=3
)


class Noisy:
    """Regression with dropout, noise of a generator of its own, and validation rows that rotate.

    largest: batches of more rows do not find memory. broken_at: losses of this epoch are no numbers, so often.
    """

    def __init__(
        self,
        largest: int = 10**9,
        broken_at: int = -1,
        times: int = 10**9,
        in_validation: bool = False,
    ) -> None:
        with deterministic(0):
            self.module = nn.Sequential(
                nn.Linear(10, 16), nn.BatchNorm1d(16), nn.GELU(), nn.Dropout(0.2), nn.Linear(16, 1)
            )
        x, y = load_diabetes(return_X_y=True)
        self.x = torch.tensor(x / x.std(0), dtype=torch.float32)
        self.y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32)
        self.generator = torch.Generator().manual_seed(5)
        self.rows, self.held = torch.arange(400), torch.arange(400, 442)
        self.largest, self.broken_at, self.times = largest, broken_at, times
        self.in_validation = in_validation
        self.epoch = 0
        self.sizes: list[int] = []
        self.temperature_factor = 1.0
        self.temperatures: list[float] = []

    @property
    def n_rows(self) -> int:
        return len(self.rows)

    def rotate(self, epoch: int) -> dict[str, Any] | None:
        if epoch % 3:
            return None
        self.rows, self.held = self.rows.clone(), self.held.clone()
        leaving = self.held[:4].clone()
        self.held[:4] = self.rows[epoch : epoch + 4]
        self.rows[epoch : epoch + 4] = leaving
        return {"rows_swapped": 4}

    def start_epoch(self, epoch: int, progress: float) -> None:
        self.epoch = epoch
        self.temperatures.append(self.temperature_factor)

    def _breaks(self, validating: bool) -> bool:
        if self.epoch != self.broken_at or not self.times or validating != self.in_validation:
            return False
        self.times -= 1
        return True

    def loss(self, rows: Tensor) -> tuple[Tensor, dict[str, float | Tensor]]:
        self.sizes.append(len(rows))
        if len(rows) > self.largest:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore.")
        chosen = self.rows[rows]
        noise = 0.1 * torch.randn(len(rows), generator=self.generator)
        loss = nn.functional.mse_loss(self.module(self.x[chosen])[:, 0], self.y[chosen] + noise)
        return loss * torch.nan if self._breaks(False) else loss, {}

    @torch.no_grad()
    def validate(self) -> tuple[float, dict[str, Any]]:
        said = self.module(self.x[self.held])[:, 0]
        loss = float(nn.functional.mse_loss(said, self.y[self.held]))
        return float("nan") if self._breaks(True) else loss, {}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {"generator": self.generator.get_state(), "rows": self.rows, "held": self.held}
        return tensors, {"epoch": self.epoch}

    def restore(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        self.generator.set_state(tensors["generator"].clone())
        self.rows, self.held = tensors["rows"].clone(), tensors["held"].clone()
        self.epoch = record["epoch"]

    def reset(self, seed: int) -> None:
        with deterministic(seed):
            for part in self.module:
                if hasattr(part, "reset_parameters"):
                    part.reset_parameters()
