"""Steps whose results outlive a kill: a work folder that a second run of the same arguments goes on from (TRAIN-6)."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from featrix_core.errors import FeatrixError, FeatrixUserError
from featrix_core.files import canonical_json, read_json, sha256_of, write_json
from featrix_core.steps.names import WORK_PREFIX

_ARGUMENTS = "arguments.json"


def folder_digest(folder: Path) -> str:
    """Digest of all files below a folder, names and bytes."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    named = {p.relative_to(folder).as_posix(): sha256_of(p) for p in files}
    return hashlib.sha256(canonical_json(named).encode()).hexdigest()


class WorkFolder:
    """Results of finished steps, with what they were made from.

    Attributes:
        seconds: of every step, also of those that an earlier run took. taken_over: those steps' names.
        in_vain: an earlier run was to be taken over, and there is none.
        worth_keeping: to be set when so much is done that an error must not remove it.
    """

    def __init__(self, path: Path, in_vain: bool = False) -> None:
        self.path = path
        self.in_vain = in_vain
        self.worth_keeping = False
        self.seconds: dict[str, float] = {}
        self.taken_over: list[str] = []

    def step(
        self, name: str, out: Path, inputs: Mapping[str, Any], call: Callable[[], object]
    ) -> str:
        """Run a step that writes the folder `out`, unless it did so before from the same inputs.

        Returns:
            the digest of what it wrote.
        """
        mark = self.path / f"{name.replace(' ', '-')}.json"
        if mark.is_file() and out.is_dir():
            done = read_json(mark)
            if done["inputs"] == dict(inputs) and folder_digest(out) == done["output"]:
                self.seconds[name] = done["seconds"]
                self.taken_over.append(name)
                return str(done["output"])
        mark.unlink(missing_ok=True)
        started = time.monotonic()
        call()
        self.seconds[name] = round(time.monotonic() - started, 2)
        output = folder_digest(out)
        done = {"inputs": dict(inputs), "output": output, "seconds": self.seconds[name]}
        write_json(mark, done)
        return output


@contextmanager
def work_folder(
    out: Path,
    arguments: Mapping[str, Any],
    *,
    resume: bool,
    on_kept: Callable[[], None] | None = None,
) -> Iterator[WorkFolder]:
    """A folder below `out` that is gone when all went well, or when an error came before anything of worth.

    What is killed or interrupted leaves it behind, and so does an error where the folder is `worth_keeping`
    (`on_kept` is told); the same arguments with `resume` find it again, without `resume` a new run removes it.
    Folders that had to be made for it go when it does.

    Raises:
        FeatrixUserError: the run that left it had other arguments, or is still at work.
    """
    key = hashlib.sha256(canonical_json(dict(arguments)).encode()).hexdigest()[:12]
    work = out / f"{WORK_PREFIX}{key}"
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    work_before = sorted(out.glob(f"{WORK_PREFIX}*")) if out.is_dir() else []
    for other in work_before:
        with _locked(other, out):
            if resume and other != work:
                _refuse(out, other / _ARGUMENTS, arguments)
            if not resume:
                shutil.rmtree(other)
    found = work.is_dir()
    work.mkdir(parents=True, exist_ok=True)
    with _locked(work, out):
        write_json(work / _ARGUMENTS, dict(arguments))
        current = WorkFolder(work, in_vain=resume and not found)
        try:
            yield current
        except FeatrixError:
            if current.worth_keeping and on_kept is not None:
                on_kept()
            if found or current.worth_keeping:  # what was done is not lost by a later mistake
                raise
            shutil.rmtree(work)
            for folder in made:
                if not any(folder.iterdir()):
                    folder.rmdir()
            raise
        shutil.rmtree(work)


@contextmanager
def _locked(folder: Path, out: Path) -> Iterator[None]:
    """Nobody else works in the folder; a kill frees it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FeatrixUserError(
                "Another fit is writing to the same folder",
                value=str(out),
                remedy="Wait for it, or name another --out",
            ) from None
        yield
    finally:
        os.close(handle)


def _refuse(out: Path, file: Path, arguments: Mapping[str, Any]) -> None:
    before = read_json(file) if file.is_file() else {}
    names = [n for n in sorted(arguments) if before.get(n) != arguments[n]]
    shown = "; ".join(f"{n} was {before.get(n)}, is {arguments[n]}" for n in names)
    raise FeatrixUserError(
        f"The unfinished fit had other arguments: {shown}",
        value=str(out),
        remedy="Give the same arguments, or start anew without --resume",
    )
