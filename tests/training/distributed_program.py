"""What the processes of `test_distributed.py` run: `python distributed_program.py MODE FOLDER DATA`.

Every process writes what it ended with to `RANK.json` in the folder, and the program itself nothing else.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from featrix_core import EmbeddingSpace
from featrix_core.errors import FeatrixError
from featrix_core.training.protocols import EpochDone
from featrix_core.training.team import together

COLUMNS = ["duration", "credit_amount", "age", "purpose", "housing"]
EPOCHS, ROWS = 6, 160


def space_of(frame: pd.DataFrame, folder: Path | None = None, rows: int = ROWS) -> EmbeddingSpace:
    """A space over some rows; its batches are the plan's."""
    return EmbeddingSpace(frame[COLUMNS].iloc[:rows], n_epochs=EPOCHS, output_dir=folder)


def losses(space: EmbeddingSpace) -> dict[str, Any]:
    """Losses by epoch, and what was done about failures."""
    assert space.timeline is not None
    entries = space.timeline["timeline"]
    return {
        "train": [entry["train_loss"] for entry in entries],
        "validation": [entry["validation_loss"] for entry in entries],
        "final": space.training_info["final_validation_loss"],
        "pairs": space.model.pairs_Q2.tolist(),
        "actions": [a["action_type"] for a in space.timeline["corrective_actions"]],
        "notices": list(space.training_notices),
    }


def extended(base: EmbeddingSpace, frame: pd.DataFrame) -> EmbeddingSpace:
    """The space with one more column."""
    more = frame.iloc[:ROWS].assign(rate=frame["credit_amount"] / frame["duration"])
    space = EmbeddingSpace.extend_from_existing(base, more[[*COLUMNS, "rate"]], n_epochs=4)
    return space.train()


def short_of_memory(space: EmbeddingSpace, rank: int) -> None:
    """The second process runs out of memory twice: before rows are exchanged, and in a backward pass."""
    left = ["forward", "backward"]

    def fails(place: str) -> None:
        if rank == 1 and place in left and space.model.training:
            left.remove(place)
            raise torch.OutOfMemoryError("out of memory")

    space.model.encoders.register_forward_pre_hook(lambda *_: fails("forward"))
    space.model.joint.cls_D.register_hook(lambda _: fails("backward"))


def trained(frame: pd.DataFrame, folder: Path, rank: int) -> dict[str, Any]:
    """Trainings of a team, one after another."""
    base = space_of(frame, folder / "work").train(checkpoint_seconds=0.0)
    base.save(folder / "space")
    tight = space_of(frame)
    short_of_memory(tight, rank)
    # Two rows a batch go to two processes, one row to both.
    small = EmbeddingSpace(frame[COLUMNS].iloc[:30], n_epochs=2)
    return {
        "space": losses(base),
        "extended": losses(extended(base, frame)),
        "resumed": losses(space_of(frame, folder / "killed").train(resume=True)),
        "tight": losses(tight.train()),
        "small": losses(small.train(batch_size=3)),
    }


def dies(done: EpochDone) -> None:
    """Only the first process is told of epochs."""
    if done.epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Do what the mode says."""
    mode, folder, data = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(1)
    frame, rank = pd.read_csv(data), int(os.environ["RANK"])
    if mode == "train":
        found = trained(frame, folder, rank)
        with together() as team:
            assert team is not None
            found["first_said"] = team.agreed(rank)
        (folder / f"{rank}.json").write_text(json.dumps(found))
    else:
        try:
            space_of(frame, rows=ROWS + rank).train()
        except FeatrixError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        space_of(frame).train(on_epoch=dies)


if __name__ == "__main__":
    main()
