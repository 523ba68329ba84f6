"""Trainings of a space that are killed at random moments and resumed, beside one that is not.

    python -m benchmarks.space_kills

Every run trains on German credit in a process of its own that is killed by SIGKILL several times, at moments
drawn at random (an epoch, and a time after it), and resumed each time. In the end the saved bundle (weights,
codecs, timeline, movie, figures) is compared with that of the unbroken run, byte by byte. Ends with status 1
where one differs.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from featrix_core.bundle import bundle_digest
from featrix_core.embedding_space import EmbeddingSpace
from featrix_core.files import read_json, write_json
from featrix_core.training.checkpoint import FOLDER

HERE = Path(__file__).parent
DATA = HERE.parent / "examples" / "data" / "german_credit.csv"
TARGET = "class"


def _train(options: argparse.Namespace, folder: Path, resume: bool) -> None:
    frame = pd.read_csv(DATA).drop(columns=[TARGET]).iloc[: options.rows, : options.columns]
    space = EmbeddingSpace(
        frame, n_epochs=options.epochs, seed=options.seed, output_dir=folder / "work"
    )
    space.train(resume=resume, checkpoint_seconds=options.seconds)
    space.save(folder / "space")


def _start(options: argparse.Namespace, folder: Path, resume: bool) -> int:
    """A process that trains; its id. Forked, so that nothing is imported again."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        torch.set_num_threads(1)
        _train(options, folder, resume)
        status = 0
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(status)


def _ended(child: int, *, wait: bool = False) -> int | None:
    """Exit status of the process, or None while it runs."""
    done, status = os.waitpid(child, 0 if wait else os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _standing(folder: Path) -> dict[str, Any]:
    """The last checkpoint's epoch, and whether another one is being written."""
    place = folder / "work" / FOLDER
    names = sorted(p.name for p in place.iterdir()) if place.is_dir() else []
    epochs = [int(name.removeprefix("epoch-")) for name in names if name.startswith("epoch-")]
    return {
        "checkpoint": max(epochs, default=0),
        "while_writing": any(name.startswith(".epoch-") for name in names),
    }


def _until(child: int, folder: Path, epoch: int, more: float) -> int | None:
    """Wait for the checkpoint of an epoch and for so many seconds more; the status, if it ended before."""
    end = None
    while end is None or time.monotonic() < end:
        status = _ended(child)
        if status is not None:
            return status
        if end is None and _standing(folder)["checkpoint"] >= epoch:
            end = time.monotonic() + more
        time.sleep(0.002)
    return None


def _killed_run(
    options: argparse.Namespace,
    folder: Path,
    epochs: int,
    seconds: float,
    kills: int,
    draw: random.Random,
) -> list[dict[str, Any]]:
    """Train to the end, killed so many times; `epochs` and `seconds` are those of the unbroken run."""
    done: list[dict[str, Any]] = []
    while len(done) < kills:
        child = _start(options, folder, resume=bool(done))
        target = _standing(folder)["checkpoint"] + draw.randint(0, epochs // (kills + 1))
        status = _until(child, folder, target, draw.uniform(0.0, 2.0 * seconds / epochs))
        if status == 0:
            return done
        if status is not None:
            raise SystemExit(f"A training failed with status {status}")
        os.kill(child, signal.SIGKILL)
        _ended(child, wait=True)
        done.append(_standing(folder))
    if _ended(_start(options, folder, resume=bool(done)), wait=True) != 0:
        raise SystemExit("A resumed training failed")
    return done


def main(arguments: list[str] | None = None) -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--epochs", type=int, help="as planned when left out")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.0, help="least time between checkpoints")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "space_kills.json")
    options = parser.parse_args(arguments)
    draw, per_run = random.Random(options.seed), -(-options.kills // options.runs)
    console, runs, left = Console(), list[dict[str, Any]](), options.kills
    table = Table("run", "kill", "last checkpoint", "while writing", "identical")
    with tempfile.TemporaryDirectory() as name:
        whole, started = Path(name) / "whole", time.monotonic()
        if _ended(_start(options, whole, resume=False), wait=True) != 0:
            raise SystemExit("The unbroken training failed")
        seconds = time.monotonic() - started
        expected = bundle_digest(whole / "space")
        epochs = len(read_json(whole / "space" / "training_timeline.json")["timeline"])
        while left > 0:
            folder = Path(name) / str(len(runs))
            kills = _killed_run(options, folder, epochs, seconds, min(per_run, left), draw)
            left -= len(kills)
            same = bundle_digest(folder / "space") == expected
            runs.append({"kills": kills, "identical": same})
            for number, kill in enumerate(kills, start=1):
                writing = "yes" if kill["while_writing"] else ""
                last = ("yes" if same else "NO") if number == len(kills) else ""
                after = f"epoch {kill['checkpoint']}"
                table.add_row(str(len(runs)), str(number), after, writing, last)
            shutil.rmtree(folder)
    console.print(table)
    counted = sum(len(run["kills"]) for run in runs)
    identical = all(run["identical"] for run in runs)
    console.print(
        f"{counted} kills in {len(runs)} runs of {epochs} epochs "
        f"({seconds:.1f} s unbroken): {'all identical' if identical else 'NOT identical'}"
    )
    write_json(
        options.out,
        {
            "machine": machine(),
            "rows": options.rows,
            "epochs": epochs,
            "unbroken_seconds": round(seconds, 2),
            "bundle": expected,
            "runs": runs,
        },
    )
    if not identical:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
