"""Checkpoints: the state of a training on disk, whole or not at all (TRAIN-6).

A checkpoint is a bundle of its own (safetensors, JSON, sha256 of both) below one folder, named by its epoch. The
last few are kept, so that a damaged one can be passed over for an older one. What it is a checkpoint *of* stands
in it as a fingerprint; another table, plan or seed is refused.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from featrix_core.bundle import read_tensors, verify_bundle, write_tensors, writing_bundle
from featrix_core.errors import BundleError, FeatrixUserError
from featrix_core.files import read_json, write_json

KIND = "checkpoint"
FOLDER = "checkpoints"
EVERY_SECONDS = 20.0
"""Least time between two checkpoints; epochs that are shorter share one."""
KEPT = 3
_TENSORS, _RECORD = "state.safetensors", "run.json"
_NAME = re.compile(r"epoch-(\d{6,})")


@dataclass(frozen=True)
class Checkpoint:
    """State of a run after `epoch`: tensors by `part/name`, everything else as JSON."""

    epoch: int
    tensors: dict[str, Tensor]
    record: dict[str, Any]


def newest_epoch(folder: Path) -> int:
    """Epoch of the newest checkpoint in a folder, valid or not; 0 where there is none."""
    names = folder.iterdir() if folder.is_dir() else ()
    return max((int(m[1]) for m in (_NAME.fullmatch(p.name) for p in names) if m), default=0)


class Checkpoints:
    """The checkpoints of one training below `folder`.

    Args:
        fingerprint: by name, what the training depends on (JSON); must be the same to go on.
        resume: go on from the newest valid checkpoint. Otherwise older ones are removed: the training is new.
        up_to: with `resume`, go on from the newest one that is not later than this epoch.
        every: least seconds between two checkpoints.

    Attributes:
        found: the checkpoint to go on from, or None. notices: sentences on what was passed over.

    Raises:
        FeatrixUserError: the newest valid checkpoint is of another training.
    """

    def __init__(
        self,
        folder: Path,
        fingerprint: Mapping[str, Any],
        *,
        resume: bool = False,
        up_to: int | None = None,
        every: float = EVERY_SECONDS,
    ) -> None:
        self.folder, self.fingerprint, self.every = folder, dict(fingerprint), every
        self.notices: list[str] = []
        self.found: Checkpoint | None = None
        self._written = time.monotonic()
        if resume:
            self._remove(self._leftovers())
            self.found = self._newest(up_to)
            if up_to is not None and self.found is not None:
                # What was trained after that epoch is given up: the next resume must not go back to it.
                given_up = [p for epoch, p in self._all().items() if epoch > self.found.epoch]
                self._remove(given_up)
        elif folder.is_dir():
            self._remove([*self._leftovers(), *self._all().values()])

    def due(self) -> bool:
        """Whether enough time has passed since the last one."""
        return time.monotonic() - self._written >= self.every

    def write(
        self, epoch: int, tensors: Mapping[str, Tensor], record: Mapping[str, Any]
    ) -> str | None:
        """Write the state after `epoch` and drop the oldest ones; what went wrong, or None.

        A disk that is full must not end a training: nothing half-written stays.
        """
        self._written = time.monotonic()
        document = {**record, "epoch": epoch, "fingerprint": self.fingerprint}
        try:
            with writing_bundle(self.folder / f"epoch-{epoch:06d}", KIND) as aside:
                write_tensors(aside / _TENSORS, tensors)
                write_json(aside / _RECORD, document)
            self._remove([path for _, path in sorted(self._all().items())[:-KEPT]])
        except (OSError, SafetensorError) as error:
            return f"The checkpoint of epoch {epoch} could not be written: {error}"
        return None

    def _all(self) -> dict[int, Path]:
        if not self.folder.is_dir():
            return {}
        named = ((_NAME.fullmatch(path.name), path) for path in self.folder.iterdir())
        return {int(match[1]): path for match, path in named if match and path.is_dir()}

    def _leftovers(self) -> list[Path]:
        """What a run that was killed in the middle of writing left behind."""
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if path.name.startswith(".epoch-")]

    def _remove(self, paths: Iterable[Path]) -> None:
        for path in sorted(paths):
            shutil.rmtree(path, ignore_errors=True)

    def _newest(self, up_to: int | None) -> Checkpoint | None:
        for epoch, path in sorted(self._all().items(), reverse=True):
            if up_to is not None and epoch > up_to:
                continue
            try:
                verify_bundle(path, KIND)
                record = read_json(path / _RECORD)
                tensors = read_tensors(path / _TENSORS)
            except (BundleError, OSError, ValueError, SafetensorError) as error:
                self.notices.append(
                    f"The checkpoint of epoch {epoch} cannot be used and is passed over: {error}"
                )
                continue
            self._compare(record["fingerprint"])
            return Checkpoint(epoch, tensors, record)
        return None

    def _compare(self, other: Mapping[str, Any]) -> None:
        names = sorted({*other, *self.fingerprint})
        differing = [n for n in names if other.get(n) != self.fingerprint.get(n)]
        if not differing:
            return
        shown = (
            f"{name} was {other.get(name)}, is {self.fingerprint.get(name)}"
            if not isinstance(self.fingerprint.get(name), str)
            else f"other {name}"
            for name in differing
        )
        raise FeatrixUserError(
            f"The checkpoints are of another training: {'; '.join(shown)}",
            value=str(self.folder),
            remedy="Give the same data, plan and seed as before, or train anew without resume",
        )


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """Digest of named tensors: names, types, shapes and bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        if value.numel():
            digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
