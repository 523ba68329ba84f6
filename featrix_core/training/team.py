"""The processes of a data-parallel training under `torchrun`, and what they exchange (TRAIN-9).

`torchrun` starts the processes and tells each of them `RANK`, `LOCAL_RANK` and `WORLD_SIZE`; without these
nothing here is used. On CPUs they talk through gloo, on CUDA devices, one per `LOCAL_RANK`, through NCCL.

Before every exchange the processes say how they are: want of memory on one of them is met by all, and a failure
of one ends all of them. A process that is gone is noticed at once where the connection breaks, and after
`TIMEOUT` where it does not.

Legend: P processes · X numbers.
"""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load, save
from torch import Tensor, nn

from featrix_core.errors import FeatrixError, FeatrixUserError, TrainingError
from featrix_core.training.device import is_out_of_memory
from featrix_core.training.launch import launched

TIMEOUT = timedelta(minutes=30)
"""How long a process waits for one that is alive and silent: it may be reading a table."""

_FINE, _OUT_OF_MEMORY, _FAILED = range(3)


class OthersFailed(TrainingError):
    """Another process of the training failed, or is gone."""


class OthersOutOfMemory(MemoryError):
    """Another process of the training has not enough memory."""


class Team:
    """The processes of a data-parallel training, as one of them sees it.

    Every method that exchanges something is called by all processes in the same order.

    Attributes:
        rank, count: number of this process from 0, and how many there are. device: where it trains.

    Raises:
        FeatrixUserError: there are more processes on this machine than devices.
        OthersFailed: in every method, once another process cannot take part.
    """

    def __init__(self, timeout: timedelta = TIMEOUT) -> None:
        self.rank, self.count = int(os.environ["RANK"]), launched()
        local = int(os.environ["LOCAL_RANK"])
        self.device = torch.device("cpu")
        if torch.cuda.is_available():
            if local >= torch.cuda.device_count():
                raise FeatrixUserError(
                    f"There are {torch.cuda.device_count()} devices for more processes on this machine",
                    value=f"LOCAL_RANK={local}",
                    remedy="Start at most as many processes per machine as it has devices",
                )
            self.device = torch.device("cuda", local)
            torch.cuda.set_device(self.device)
        self.timeout = timeout
        with self._together():
            if not dist.is_initialized():
                dist.init_process_group("gloo", timeout=timeout)
                atexit.register(_leave)
            # Words go between processors, so that no device is waited for; tensors where they are.
            self._words = dist.new_group(backend="gloo", timeout=timeout)
            self._tensors = self._words
            if self.device.type == "cuda":
                self._tensors = dist.new_group(backend="nccl", timeout=timeout)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and decides."""
        return self.rank == 0

    # -- exchanges --------------------------------------------------------------------------------

    def gather(self, own_X: Tensor) -> Tensor:
        """Numbers of every process (P, X), the same on all of them; all give equally many."""
        found_PX = own_X.new_empty(self.count, own_X.numel())
        self._meet()
        with self._together():
            dist.all_gather(list(found_PX.unbind()), own_X.contiguous(), group=self._tensors)
        return found_PX

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give every parameter the sum of all processes' gradients; none where no process has one."""
        gradients = [p.grad for p in parameters]
        parts = [
            torch.zeros_like(p).flatten() if g is None else g.flatten()
            for p, g in zip(parameters, gradients, strict=True)
        ]
        there = parts[0].new_tensor([float(g is not None) for g in gradients])
        flat = torch.cat([*parts, there])
        self._meet()
        with self._together():
            dist.all_reduce(flat, group=self._tensors)
        sums = torch.split(flat, [*(part.numel() for part in parts), len(there)])
        if any(g is None for g in gradients):
            for p, held in zip(parameters, sums[-1].tolist(), strict=True):
                if p.grad is None and held:
                    p.grad = torch.empty_like(p)
        pairs = [(p.grad, s.view_as(p)) for p, s in zip(parameters, sums, strict=False)]
        held = [(g, s) for g, s in pairs if g is not None]
        torch._foreach_copy_([g for g, _ in held], [s for _, s in held])

    def agreed(self, value: Any) -> Any:
        """The first process's value (JSON), on all of them."""
        self._meet()
        return json.loads(self._sent(json.dumps(value).encode() if self.first else b""))

    def sent(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The first process's tensors, on all of them; the others get copies on the CPU."""
        self._meet()
        if self.first:
            # Copies: what shares memory cannot be written.
            kept = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
            self._sent(save({name: value.clone() for name, value in kept.items()}))
            return tensors
        return load(self._sent(b""))

    def say_failed(self, error: Exception) -> None:
        """Tell the others that this process gives up, and why: they may end before it can say so itself."""
        kind = "" if isinstance(error, FeatrixError) else f"{type(error).__name__}: "
        try:
            self._meet(_FAILED, f"{kind}{error}")
        except (OthersFailed, OthersOutOfMemory):
            return

    def say_out_of_memory(self) -> None:
        """Tell the others that they have to go back as well."""
        try:
            self._meet(_OUT_OF_MEMORY)
        except OthersOutOfMemory:
            return

    # -- beneath ----------------------------------------------------------------------------------

    def _sent(self, raw: bytes, source: int = 0) -> bytes:
        size = torch.tensor([len(raw)])
        with self._together():
            dist.broadcast(size, src=source, group=self._words)
            message = torch.zeros(int(size), dtype=torch.uint8)
            if self.rank == source and raw:
                message = torch.frombuffer(bytearray(raw), dtype=torch.uint8)
            dist.broadcast(message, src=source, group=self._words)
        return message.numpy().tobytes()

    def _meet(self, said: int = _FINE, reason: str = "") -> None:
        """Wait for the others; none goes on where one has said that it cannot."""
        word = torch.tensor([said * self.count + (self.rank if said else 0)])
        with self._together():
            dist.all_reduce(word, op=dist.ReduceOp.MAX, group=self._words)
        worst, rank = divmod(int(word), self.count)
        if worst == _OUT_OF_MEMORY:
            raise OthersOutOfMemory(f"The memory of process {rank} does not suffice")
        if worst == _FAILED:
            told = self._sent(reason.encode(), rank).decode()
            raise OthersFailed(
                f"Process {rank} of {self.count} failed, and the training with it: {told}"
            )

    @contextmanager
    def _together(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            minutes = self.timeout.total_seconds() / 60
            raise OthersFailed(
                f"Process {self.rank} of {self.count} waited in vain for the others: one of them ended, or "
                f"was silent for {minutes:g} minutes ({str(error).strip().splitlines()[0][:200]})"
            ) from error


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


_teams: list[Team] = []
"""The team of this process, once it has met."""
_left: list[bool] = []
"""Whether this process goes on alone."""


@contextmanager
def together() -> Iterator[Team | None]:
    """The team of this process, or None where it trains alone; an error inside ends the training of all."""
    if launched() == 1 or _left:
        yield None
        return
    if not _teams:
        _teams.append(Team())
    try:
        yield _teams[0]
    except OthersFailed:
        raise
    except Exception as error:
        _teams[0].say_failed(error)
        raise


def part() -> None:
    """From now on this process trains alone; the others may end."""
    _left.append(True)
