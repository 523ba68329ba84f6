"""Where a training runs, in which precision, and what is done when its memory does not suffice (TRAIN-3)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

_T = TypeVar("_T")
FEW_ROWS = 128
"""Up to so many rows are answered by one thread."""
_MEMORY = ("not enough memory", "can't allocate memory", "out of memory")


def choose_device() -> torch.device:
    """The first CUDA device where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_of(module: nn.Module) -> torch.device:
    """Device of a module's parameters."""
    return next(module.parameters()).device


def precision(device: torch.device) -> AbstractContextManager[Any]:
    """bf16 where the hardware computes in it; float32 on a CPU, whose results must not change."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


def moved(batch: _T, device: torch.device) -> _T:
    """A dataclass of tensors on another device; the same object where it is there already."""
    tensors = {f.name: getattr(batch, f.name) for f in fields(batch)}  # type: ignore[arg-type]
    there = {n: v.to(device) for n, v in tensors.items() if isinstance(v, Tensor)}
    if all(there[name] is tensors[name] for name in there):
        return batch
    return replace(batch, **there)  # type: ignore[type-var]


@contextmanager
def threads_for(rows: int) -> Iterator[None]:
    """One thread of torch for a while where there are few rows; more would wait for one another longer than work.

    It is the calling thread's number, and that of threads that first use torch meanwhile.
    """
    before = torch.get_num_threads()
    if rows > FEW_ROWS or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch failed for want of memory, on whichever device."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in said for words in _MEMORY)


def recompute_blocks(module: nn.Module) -> bool:
    """Let deep modules compute their blocks a second time instead of keeping what is in between.

    A module offers it by an attribute `recompute` (False at first); values and gradients stay the same, a
    step takes about a third longer.

    Returns:
        whether any module was switched over by this call.
    """
    offering = [part for part in module.modules() if getattr(part, "recompute", None) is False]
    for part in offering:
        part.recompute = True  # type: ignore[assignment]
    return bool(offering)


def random_tensors(device: torch.device) -> dict[str, Tensor]:
    """State of torch's global random generators."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random(tensors: dict[str, Tensor], device: torch.device) -> None:
    """Go on from `random_tensors`."""
    torch.set_rng_state(tensors["cpu"].clone())
    if device.type == "cuda" and "cuda" in tensors:
        torch.cuda.set_rng_state(tensors["cuda"].clone(), device)


@contextmanager
def deterministic(seed: int) -> Iterator[torch.Generator]:
    """Seed torch for a block and give a generator of its own; the caller's random state is restored."""
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    try:
        yield torch.Generator().manual_seed(seed)
    finally:
        torch.set_rng_state(state)
