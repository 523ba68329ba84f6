"""Progress on the terminal: a bar per step, with the loss where something is trained."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:  # torch would cost two seconds before the first line is shown
    from featrix_core.training.loop import Progress as Update


class StepProgress:
    """Shows one bar per step; a step without updates pulses until the next one starts.

    Where nobody watches (a pipe, a log file) each finished step is one line instead.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description:<16}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._step, self._started = "", 0.0

    def __enter__(self) -> StepProgress:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._end()
        elif self._task is not None:
            self._bars.remove_task(self._task)  # the sentence that follows says what happened
        self._bars.stop()

    def _end(self) -> None:
        if self._task is None:
            return
        self._bars.update(self._task, total=1, completed=1)
        self._bars.stop_task(self._task)
        if not self._console.is_terminal:
            seconds = time.monotonic() - self._started
            self._console.print(f"{self._step:<16}{seconds:7.1f} s", highlight=False)

    def start(self, step: str) -> StepProgress:
        """A new step starts, the one before has ended."""
        self._end()
        self._step, self._started = step, time.monotonic()
        self._task = self._bars.add_task(step, total=None, note="")
        return self

    def __call__(self, update: Update) -> None:
        """Told of every optimiser update."""
        assert self._task is not None
        note = f"epoch {update.epoch}/{update.epochs}  loss {update.loss:.3f}"
        self._bars.update(self._task, total=update.updates, completed=update.update, note=note)
