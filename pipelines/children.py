"""The processes of the steps: which interpreter they are, and that they end with the run.

kfp leaves a step running when the process that started it is told to end: a training would go on
for nobody. Here every step is a process group of its own, and it is ended with the run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from kfp.local import subprocess_task_handler

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def ended_with_the_run() -> Iterator[None]:
    """Let kfp start its steps through here; an interruption reaches them before it is raised.

    Outside of the main thread no signal can be caught; the steps then end by themselves.
    """
    running: set[subprocess.Popen[str]] = set()

    def run(full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        with subprocess.Popen(
            full_command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            bufsize=1,
            env={**os.environ, **(env_vars or {})},
            start_new_session=True,
        ) as process:
            running.add(process)
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    print(line, end="")  # noqa: T201 (kfp's own way to the log)
                return process.wait()
            finally:
                running.discard(process)

    def end(signum: int, frame: FrameType | None) -> None:
        for process in tuple(running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        raise KeyboardInterrupt

    theirs = subprocess_task_handler.run_local_subprocess
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, end) for number in _SIGNALS} if main else {}
    subprocess_task_handler.run_local_subprocess = run
    try:
        yield
    finally:
        subprocess_task_handler.run_local_subprocess = theirs
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def own_interpreter() -> Iterator[None]:
    """Let the steps' `python3` be this interpreter, by way of the PATH.

    kfp would put `sys.executable` in place of the word wherever a command holds it: unquoted, so
    that a blank in the path breaks the command, and inside of arguments, so that a data path with
    `python3` in it is changed. Safe-path mode keeps a package of the same name as one of ours in
    the current directory from being imported instead.
    """
    executable = sys.executable
    folder = Path(executable).parent
    wanted = {"PYTHONSAFEPATH": "1"}
    if (folder / "python3").exists():
        wanted["PATH"] = os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)])
        sys.executable = "python3"
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        sys.executable = executable
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
