"""Checkpoints are whole or not there; damaged ones are passed over, those of another training refused (TRAIN-6)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from featrix_core.errors import FeatrixUserError
from featrix_core.training.checkpoint import KEPT, Checkpoints, tensors_digest

MARK = {"data": "aaaa", "batch_size": 64}
TENSORS = {
    "module/weight": torch.arange(6.0).reshape(2, 3).T,
    "module/alive": torch.tensor([True, False]),
    "random/cpu": torch.get_rng_state(),
    "empty": torch.zeros(0, 4),
    "scalar": torch.tensor(3),
}


def _write(folder: Path, epochs: range) -> Checkpoints:
    checkpoints = Checkpoints(folder, MARK)
    for epoch in epochs:
        tensors = {**TENSORS, "epoch": torch.tensor(epoch)}
        assert checkpoints.write(epoch, tensors, {"run": {"epoch": epoch}}) is None
    return checkpoints


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_read(tmp_path: Path) -> None:
    _write(tmp_path, range(1, 3))
    found = Checkpoints(tmp_path, MARK, resume=True).found
    assert found is not None and found.epoch == 2
    assert found.record["run"] == {"epoch": 2}
    assert {k: v for k, v in found.tensors.items() if k != "epoch"}.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert found.tensors[name].dtype == value.dtype
        assert torch.equal(found.tensors[name], value)


def test_the_last_few_are_kept(tmp_path: Path) -> None:
    _write(tmp_path, range(1, 8))
    assert _names(tmp_path) == ["epoch-000005", "epoch-000006", "epoch-000007"]
    assert KEPT == 3
    earlier = Checkpoints(tmp_path, MARK, resume=True, up_to=6).found
    assert earlier is not None and earlier.epoch == 6
    assert Checkpoints(tmp_path, MARK, resume=True, up_to=4).found is None


def test_a_new_training_removes_those_of_the_old_one(tmp_path: Path) -> None:
    _write(tmp_path, range(1, 3))
    (tmp_path / ".epoch-000003.x1").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    assert Checkpoints(tmp_path, MARK).found is None
    assert _names(tmp_path) == ["notes.txt"]


def _truncate(path: Path) -> None:
    with path.open("r+b") as handle:
        handle.truncate(path.stat().st_size // 2)


def _flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(bytes(raw))


@pytest.mark.parametrize("file", ["state.safetensors", "run.json", "manifest.json"])
@pytest.mark.parametrize("harm", [_truncate, _flip, Path.unlink])
def test_damaged_ones_are_passed_over(tmp_path: Path, file: str, harm: Any) -> None:
    _write(tmp_path, range(1, 4))
    harm(tmp_path / "epoch-000003" / file)
    checkpoints = Checkpoints(tmp_path, MARK, resume=True)
    assert checkpoints.found is not None and checkpoints.found.epoch == 2
    (notice,) = checkpoints.notices
    assert "epoch 3 cannot be used and is passed over" in notice


def test_where_all_are_damaged_there_is_none(tmp_path: Path) -> None:
    _write(tmp_path, range(1, 4))
    for folder in tmp_path.iterdir():
        shutil.rmtree(folder)
        folder.mkdir()
    checkpoints = Checkpoints(tmp_path, MARK, resume=True)
    assert checkpoints.found is None and len(checkpoints.notices) == 3


def test_another_training_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, range(1, 3))
    other = {"data": "bbbb", "batch_size": 32}
    with pytest.raises(FeatrixUserError) as caught:
        Checkpoints(tmp_path, other, resume=True)
    said = str(caught.value)
    assert "batch_size was 64, is 32; other data" in said
    assert "train anew without resume" in said
    assert _names(tmp_path) == ["epoch-000001", "epoch-000002"]


def test_time_between_two(tmp_path: Path) -> None:
    assert not Checkpoints(tmp_path, MARK).due()
    often = Checkpoints(tmp_path, MARK, every=0.0)
    assert often.due()
    assert often.write(1, TENSORS, {}) is None
    assert often.due()


def test_digest_sees_names_types_shapes_and_bytes() -> None:
    base = {"a": torch.zeros(2, 3), "b": torch.tensor([True])}
    others: list[dict[str, Tensor]] = [
        {"c": base["a"], "b": base["b"]},
        {"a": base["a"].double(), "b": base["b"]},
        {"a": base["a"].T, "b": base["b"]},
        {"a": base["a"] + 1e-30, "b": base["b"]},
        {"a": base["a"], "b": ~base["b"]},
    ]
    digests = {tensors_digest(tensors) for tensors in [base, *others]}
    assert len(digests) == 6
    assert tensors_digest(dict(reversed(base.items()))) == tensors_digest(base)


FULL = """
    import resource, signal, sys
    from pathlib import Path
    from featrix_core.files import read_json
    from featrix_core.training.checkpoint import Checkpoints
    from featrix_core.training.loop import run_loop
    from featrix_core.training.timeline import Timeline
    from tests.training.objectives import PLAN, Noisy

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def room(done):
        # While epochs 2 to 4 are written no file can grow beyond 4 kB: what a full disk does to a writer.
        small = 4096 if 2 <= done.epoch <= 4 else resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_FSIZE, (small, resource.RLIM_INFINITY))

    timeline = Timeline(PLAN)
    folder = Path(sys.argv[1])
    checkpoints = Checkpoints(folder, {}, every=0.0)
    run_loop(Noisy(), PLAN, timeline, checkpoints=checkpoints, on_epoch=room)
    failed = [a for a in timeline.corrective_actions if a["trigger"] == "CHECKPOINT_FAILED"]
    print([a["epoch"] for a in failed], failed[0]["details"]["message"])
    print(sorted(path.name for path in folder.iterdir()))
    print(Checkpoints(folder, {}, resume=True).found.epoch, len(timeline.entries))
"""


def test_a_full_disk_leaves_the_training_going(tmp_path: Path, repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL), str(tmp_path / "checkpoints")],
        cwd=repository,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    failed, names, last = done.stdout.strip().splitlines()
    assert failed.startswith("[2, 3, 4] The checkpoint of epoch 2 could not be written")
    assert names == "['epoch-000006', 'epoch-000007', 'epoch-000008']"
    assert last == "8 8"


def test_epochs_that_were_given_up_are_not_gone_back_to(tmp_path: Path) -> None:
    first = Checkpoints(tmp_path, {"seed": 1})
    for epoch in (20, 40, 60):
        assert first.write(epoch, {"x": torch.zeros(1)}, {}) is None
    back = Checkpoints(tmp_path, {"seed": 1}, resume=True, up_to=20)
    assert back.found is not None and back.found.epoch == 20
    assert back.write(30, {"x": torch.ones(1)}, {}) is None
    again = Checkpoints(tmp_path, {"seed": 1}, resume=True)
    assert again.found is not None and again.found.epoch == 30
