"""Two processes under `torchrun` train the space that one would have trained (TRAIN-9)."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from featrix_core import EmbeddingSpace
from featrix_core.training.protocols import EpochDone
from tests.training import distributed_program as program

TOLERANCE = 1e-4


def _environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **more}


def _torchrun(mode: str, folder: Path, data: Path) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.run(
        [*launcher, "--nproc-per-node", "2", program.__file__, mode, str(folder), str(data)],
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _close(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    same = all(found[key] == expected[key] for key in ("pairs", "actions"))
    return same and all(
        found[key] == pytest.approx(expected[key], abs=TOLERANCE)
        for key in ("train", "validation", "final")
    )


def test_two_processes_train_the_space_of_one(german_credit: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    frame = pd.read_csv(german_credit)
    # One process has trained a part of another one: two go on from its checkpoint.
    killed = program.space_of(frame, tmp_path / "killed")

    class Killed(BaseException):
        pass

    def kill(done: EpochDone) -> None:
        if done.epoch == 4:
            raise Killed

    with pytest.raises(Killed):
        killed.train(on_epoch=kill, checkpoint_seconds=0.0)

    ended = _torchrun("train", tmp_path, german_credit)
    assert ended.returncode == 0, ended.stderr
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first["first_said"] == second["first_said"] == 0
    # The second process writes nothing, and knows all that decides.
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"0.json", "1.json", "space", "work", "killed"}
    for part in ("space", "extended", "resumed", "tight", "small"):
        for key in ("train", "validation", "final", "pairs"):
            assert first[part][key] == second[part][key], (part, key)

    one = program.space_of(frame).train()
    assert _close(first["space"], program.losses(one))
    assert _close(first["extended"], program.losses(program.extended(one, frame)))
    assert first["resumed"]["notices"] == ["The training goes on after epoch 3"]
    assert _close(first["resumed"], program.losses(one))
    # Want of memory on the second process halves the batches of both.
    assert first["tight"]["actions"][:2] == second["tight"]["actions"][:2]
    assert first["tight"]["actions"][:2] == ["RECOMPUTE", "BATCH_HALVED"]
    small = EmbeddingSpace(frame[program.COLUMNS].iloc[:30], n_epochs=2).train(batch_size=3)
    assert _close(first["small"], program.losses(small))

    loaded = EmbeddingSpace.load(tmp_path / "space")
    assert loaded.training_info["processes"] == 2
    sample = frame[program.COLUMNS].iloc[:40]
    assert abs(loaded.encode(sample) - one.encode(sample)).max() < 1e-3


def test_failures_end_all_processes(german_credit: Path, tmp_path: Path) -> None:
    # Without torchrun, which would end the other process before it can speak.
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    first, second = (
        subprocess.Popen(
            [sys.executable, program.__file__, "fail", str(tmp_path), str(german_credit)],
            env=_environment(RANK=rank, LOCAL_RANK=rank, **common),
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    )
    said, heard = second.communicate(timeout=300)[1], first.communicate(timeout=10)[1]
    # First a mistake of the second process, then a kill of the first one.
    mistake = (
        "Process 1 differs from process 0: other rows. Let all processes train on the same data"
    )
    assert f"FeatrixUserError: {mistake}" in said
    told = "Process 1 of 2 failed, and the training with it"
    assert f"OthersFailed: {told}: {mistake}" in heard
    assert first.returncode == -signal.SIGKILL and second.returncode == 1
    assert "OthersFailed: Process 1 of 2 waited in vain for the others" in said
