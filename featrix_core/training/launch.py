"""Whether `torchrun` started this process, and as which of how many (TRAIN-9). Needs no torch."""

from __future__ import annotations

import os

_NAMES = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR"}


def launched() -> int:
    """How many processes `torchrun` started; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if os.environ.keys() >= _NAMES else 1


def writes() -> bool:
    """Whether this process is the one that writes files: the first, or the only one."""
    return launched() == 1 or os.environ["RANK"] == "0"
