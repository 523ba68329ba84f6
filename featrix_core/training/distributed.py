"""One training by several processes under `torchrun` (TRAIN-9).

All processes run the same program on the same rows. They share every batch (`space.shards`): its size, its rows
and its random numbers are those of a single process, and so is the loss but for rounding. How many processes
there are is no matter of the checkpoints: a training goes on with another number of them.

Gradients are summed by one flattened `all_reduce` per update. `DistributedDataParallel` does not fit: the loss is
not a module's `forward`, a shard counts by its rows, and the models are small, so that there is nothing to
overlap the exchange with.

Every process takes every decision itself: about rates, epochs once more, half batches, restarts, the end. What
decisions depend on (validation, entries of the timeline, limits of time) comes from the first process. It alone
writes, and tells of progress.

With dropout the processes draw the same masks for other rows: the result is another one than a single process's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from featrix_core.errors import FeatrixUserError
from featrix_core.training.checkpoint import Checkpoint, Checkpoints
from featrix_core.training.device import is_out_of_memory
from featrix_core.training.estimate import Deadline
from featrix_core.training.loop import Run
from featrix_core.training.team import OthersOutOfMemory, Team


class TeamRun(Run):
    """A run whose batches are shared by a team; the objective computes the own shard of each."""

    def __init__(
        self, team: Team, *args: Any, deadline: Deadline | None = None, **options: Any
    ) -> None:
        self.team = team
        shared = None if deadline is None else SharedDeadline(team, deadline)
        super().__init__(*args, deadline=shared, **options)

    def gradients(self, rows: Tensor) -> tuple[Tensor, dict[str, float | Tensor]]:
        """Loss and figures of the whole batch; its gradients are in their places."""
        found = super().gradients(rows)
        self.team.sum_gradients(self.state.trained)
        return found

    def measure(self) -> tuple[float, dict[str, Any]]:
        """Validation loss and figures, the first process's."""
        loss, figures = self.team.agreed(list(super().measure()))
        return loss, figures

    def _epoch(self) -> dict[str, Any]:
        entry: dict[str, Any] = self.team.agreed(super()._epoch())
        return entry

    def _attempt(self) -> dict[str, Any]:
        try:
            return super()._attempt()
        except OthersOutOfMemory:
            raise
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                self.team.say_out_of_memory()
            raise


class SharedDeadline(Deadline):
    """A limit of time by the first process's clock."""

    def __init__(self, team: Team, own: Deadline) -> None:
        self.team, self.own, self.max_seconds = team, own, own.max_seconds

    def passed(self) -> bool:
        """Whether the time is over."""
        return bool(self.team.agreed(self.own.passed()))


class Followed(Checkpoints):
    """What the other processes know of checkpoints: the one to go on from. They write none."""

    def __init__(self, found: Checkpoint | None) -> None:
        self.found, self.notices = found, []

    def due(self) -> bool:
        """Never."""
        return False

    def write(
        self, epoch: int, tensors: Mapping[str, Tensor], record: Mapping[str, Any]
    ) -> str | None:
        """Nothing."""
        return None


def shared_checkpoints(team: Team, checkpoints: Checkpoints | None) -> Checkpoints | None:
    """The first process's checkpoints; the others need not see the folder."""
    found = None if checkpoints is None else checkpoints.found
    there = team.agreed([checkpoints is not None, found is not None])
    if there == [True, True]:
        told = team.agreed({} if found is None else {"epoch": found.epoch, "record": found.record})
        tensors = team.sent({} if found is None else found.tensors)
        found = found or Checkpoint(told["epoch"], tensors, told["record"])
    if team.first:
        return checkpoints
    return Followed(found) if there[0] else None


def start_alike(team: Team, module: nn.Module, facts: Mapping[str, Any]) -> None:
    """Give all processes the first one's weights.

    Args:
        facts: by name, what has to be the same on all of them (JSON).

    Raises:
        FeatrixUserError: a process has other facts.
    """
    others = team.agreed(dict(facts))
    differing = sorted(name for name in facts if facts[name] != others[name])
    if differing:
        raise FeatrixUserError(
            f"Process {team.rank} differs from process 0: other {', '.join(differing)}",
            remedy="Let all processes train on the same data, with the same arguments",
        )
    weights = team.sent(module.state_dict())
    if not team.first:
        module.load_state_dict(weights)
