"""The seam to `kfp.local` 2.17.0: what it leaves open for running a DAG quietly and observed.

See `docs/decisions/0001-kfp-style.md` for what was found out about it.
"""

from __future__ import annotations

import contextlib
import re
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp import dsl, local
from kfp.local import pipeline_orchestrator, status
from kfp.local.orchestrator import task_executor
from kfp.pipeline_spec import pipeline_spec_pb2

from pipelines.children import ended_with_the_run, own_interpreter


@dataclass(frozen=True)
class Finished:
    """A step that ended well; `iteration` is its place in the loop over the targets."""

    step: str
    iteration: int | None
    seconds: float
    reused: bool
    outputs: dict[str, Path]


def run_dag(
    dag: Any,
    arguments: Mapping[str, Any],
    *,
    root: Path,
    cache: Path,
    log: Path,
    started: Callable[[str, int | None], None],
    finished: Callable[[Finished], None],
) -> bool:
    """Run a compiled DAG in subprocesses of this interpreter; says whether all steps ended well.

    Args:
        dag: what `@dsl.pipeline` made.
        arguments: its parameters by name.
        root: folder of the outputs; kfp makes one folder per run in it.
        cache: folder of the cache's entries.
        log: file that receives everything that kfp and the steps print.
        started: called before a step, with its name and its place in the loop.
        finished: called after a step that ended well.

    Raises:
        KeyboardInterrupt: the run was interrupted or told to end; so were its steps.
    """
    unknown = set(arguments) - set(dag.pipeline_spec.root.input_definitions.parameters)
    if unknown:
        raise TypeError(f"not parameters of {dag.name}: {sorted(unknown)}")
    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(root),
        raise_on_error=True,
        enable_caching=True,
        cache_root=str(cache),
    )
    terminal = sys.stdout
    raised: list[Exception] = []

    def tell(call: Callable[..., None], *what: Any) -> None:
        # kfp swallows exceptions inside of a loop; the caller's own must not be lost.
        try:
            with contextlib.redirect_stdout(terminal):
                call(*what)
        except Exception as error:
            raised.append(error)
            raise

    def observed(**task: Any) -> tuple[dict[str, Any], status.Status]:
        step, iteration = _place(task["task_name"], task["pipeline_resource_name"])
        sys.stdout.flush()
        tell(started, step, iteration)
        begin = time.perf_counter()
        outputs, ended = execute(**task)
        seconds = time.perf_counter() - begin
        if ended is status.Status.SUCCESS:
            paths = {
                name: Path(value.path)
                for name, value in outputs.items()
                if isinstance(value, dsl.Artifact)
            }
            here = root / task["pipeline_resource_name"]
            reused = bool(paths) and not any(path.is_relative_to(here) for path in paths.values())
            tell(finished, Finished(step, iteration, seconds, reused, paths))
        return outputs, ended

    execute = task_executor.execute_single_task
    task_executor.execute_single_task = observed
    try:
        with (
            log.open("w", encoding="utf-8", buffering=1) as stream,
            own_interpreter(),
            ended_with_the_run(),
            contextlib.redirect_stdout(stream),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            pipeline_orchestrator.run_local_pipeline(_one_machine(dag.pipeline_spec), arguments)
    except RuntimeError:
        if raised:
            raise raised[0] from None
        return False
    finally:
        task_executor.execute_single_task = execute
    return True


def _one_machine(spec: Any) -> Any:
    """A copy without retries (a refused input stays refused) and with one loop pass at a time."""
    copy = pipeline_spec_pb2.PipelineSpec()
    copy.CopyFrom(spec)
    for component in (copy.root, *copy.components.values()):
        for task in component.dag.tasks.values():
            task.ClearField("retry_policy")
            if task.WhichOneof("iterator"):
                task.iterator_policy.parallelism_limit = 1
    return copy


def _place(task_name: str, resource_name: str) -> tuple[str, int | None]:
    inside = re.search(r"-iteration-(\d+)$", resource_name)
    return task_name.replace("-", "_"), int(inside.group(1)) if inside else None
