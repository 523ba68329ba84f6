"""Runs a DAG on this machine, step by step in subprocesses, through `kfp.local` (OPS-1).

The DAG object is the one that is compiled for the cluster. What differs here: a failed step is not
tried again, targets run one after the other, and the log goes to a file. Results of earlier runs
are taken from `kfp.local`'s cache as long as inputs, settings and featrix' own code are the same.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import featrix_core
from featrix_core import errors
from featrix_core.errors import FeatrixError, FeatrixUserError
from featrix_core.files import sha256_of
from featrix_core.tables.join_spec import load_join_spec
from pipelines.local_runner import Finished, run_dag

_RAISED = re.compile(r"^\s*featrix_core\.errors\.(\w+): (.*)\Z", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class StepRun:
    """One step that ended well: its component, its target (in the loop), seconds, outputs."""

    step: str
    target: str | None
    seconds: float
    reused: bool
    outputs: dict[str, Path]


@dataclass(frozen=True)
class LocalRun:
    """A finished run; every path is on this machine."""

    steps: tuple[StepRun, ...]
    log: Path

    def output(self, step: str, name: str, target: str | None = None) -> Path:
        """Path of a step's output artifact, e.g. `output("calibrate", "calibrated", "class")`."""
        for run in self.steps:
            if run.step == step and run.target == target:
                return run.outputs[name]
        raise KeyError(f"no step {step!r} for target {target!r} in this run")


OnStart = Callable[[str, str | None], None]
OnStep = Callable[[StepRun], None]


def run_train(
    arguments: Mapping[str, Any],
    workdir: Path,
    on_step: OnStep | None = None,
    on_start: OnStart | None = None,
) -> LocalRun:
    """Execute the `train` DAG under `workdir`.

    Args:
        arguments: parameters of `pipelines.train.train`; `data` and `targets` are required.
            Paths may be relative to the current directory; the version parameters are filled in.
        workdir: receives `steps/` (outputs), `run.log`, the cache, and `mlflow.db` where neither
            `tracking` nor MLFLOW_TRACKING_URI names a registry.
        on_step: called after every step, in the order in which they end.
        on_start: called with step and target before every step.

    Raises:
        FeatrixUserError: a step refused its input; the message is the step's own.
        FeatrixError: a step failed otherwise; the message names step and log.
    """
    from pipelines.train import train

    given = dict(arguments)
    data = _local(given, "data")
    joins = _local(given, "join_spec")
    features = _local(given, "features")
    if data is not None:
        given["data_version"] = _version([data])
    if features is not None:
        given["features_version"] = _version([features])
    if joins is not None:
        tables = load_join_spec(joins).tables
        given["join_version"] = _version([joins, *(Path(tables[t].path) for t in sorted(tables))])
    if not given.get("tracking") and not os.environ.get("MLFLOW_TRACKING_URI"):
        given["tracking"] = f"sqlite:///{workdir.resolve() / 'mlflow.db'}"
    return _run(train, given, workdir, given["targets"], on_step, on_start)


def run_score(
    arguments: Mapping[str, Any],
    workdir: Path,
    on_step: OnStep | None = None,
    on_start: OnStart | None = None,
) -> LocalRun:
    """Execute the `score` DAG under `workdir`; parameters of `pipelines.score.score`."""
    from pipelines.score import score

    given = dict(arguments)
    data = _local(given, "data")
    model = _local(given, "model")
    inputs = [data] if data is not None else []
    if model is not None:
        inputs += sorted(path for path in model.rglob("*") if path.is_file())
    given["data_version"] = _version(inputs)
    return _run(score, given, workdir, [], on_step, on_start)


def _run(
    dag: Any,
    arguments: dict[str, Any],
    workdir: Path,
    targets: list[str],
    on_step: OnStep | None,
    on_start: OnStart | None,
) -> LocalRun:
    workdir = workdir.resolve()
    workdir.mkdir(parents=True, exist_ok=True)
    log = workdir / "run.log"
    steps: list[StepRun] = []
    started_at: list[tuple[int, str]] = []

    def target_of(iteration: int | None) -> str | None:
        return None if iteration is None else targets[iteration]

    def started(step: str, iteration: int | None) -> None:
        started_at.append((log.stat().st_size, step))
        if on_start is not None:
            on_start(step, target_of(iteration))

    def finished(end: Finished) -> None:
        run = StepRun(end.step, target_of(end.iteration), end.seconds, end.reused, end.outputs)
        steps.append(run)
        if on_step is not None:
            on_step(run)

    ended_well = run_dag(
        dag,
        arguments,
        root=workdir / "steps",
        cache=workdir / ".cache" / _code_version(),
        log=log,
        started=started,
        finished=finished,
    )
    if not ended_well:
        raise _error(started_at, log)
    return LocalRun(tuple(steps), log)


def _error(started_at: list[tuple[int, str]], log: Path) -> FeatrixError:
    """The exception that a step ended with, from the end of its traceback in the log.

    A step that does not need the failed one may have started after it, so every step's part of the log is
    looked at, the first refusal counts.
    """
    ends = [start for start, _ in started_at[1:]] + [log.stat().st_size]
    parts: list[tuple[str, str]] = []
    with log.open("rb") as handle:
        for (start, step), end in zip(started_at, ends, strict=True):
            handle.seek(start)
            parts.append((step, handle.read(end - start).decode("utf-8", errors="replace")))
    for step, text in parts:
        raised = [match for match in map(_RAISED.search, _tracebacks(text)) if match]
        if not raised:
            continue
        kind = getattr(errors, raised[-1].group(1), FeatrixError)
        message = " ".join(raised[-1].group(2).split())
        if issubclass(kind, FeatrixUserError):
            return kind(message)
        return FeatrixError(f"Step {step!r} failed: {message} The log is {log}.")
    step, text = next(
        (part for part in parts if "Traceback (most recent" in part[1]),
        parts[-1] if parts else ("", ""),
    )
    reasons = re.findall(r"^\s*([\w.]*(?:Error|Exception|Interrupt)\b.*)$", text, re.MULTILINE)
    reason = f": {reasons[-1]}" if reasons else ""
    return FeatrixError(f"Step {step!r} failed{reason}. The log is {log}.")


def _tracebacks(text: str) -> Iterator[str]:
    """Every traceback of a log, without the indentation of kfp and without what it writes after."""
    for part in text.split("Traceback (most recent call last):")[1:]:
        yield re.split(r"\n\s*\n|\n\d\d:\d\d:\d\d\.\d+ - ", part.strip())[0]


def _local(arguments: dict[str, Any], name: str) -> Path | None:
    """Make a local path absolute in place; None where it is empty or an address."""
    value = str(arguments.get(name, ""))
    if not value or re.match(r"[a-z0-9]+:/", value):
        return None
    path = Path(value).resolve()
    if not path.exists():
        raise FeatrixUserError(
            f"The file or folder given as {name!r} does not exist",
            value=value,
            remedy="Give a path that exists",
        )
    arguments[name] = str(path)
    return path


def _version(paths: list[Path]) -> str:
    """One digest over the contents: what makes a changed file a new input for the cache."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(sha256_of(path).encode())
    return digest.hexdigest()


def _code_version() -> str:
    """Digest of featrix' own sources: changed code never meets results of the old."""
    digest = hashlib.sha256(sys.version.encode())
    package = Path(featrix_core.__file__).parent
    for folder in (package, package.parent / "components"):
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".py", ".json", ".j2", ".css", ".js"}:
                digest.update(f"{path.relative_to(package.parent)} {sha256_of(path)}\n".encode())
    return digest.hexdigest()[:16]
