"""Progress on the terminal: a bar per step, with the loss where something is trained (VIEW-3)."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:  # torch would cost two seconds before the first line is shown
    from featrix_core.training.loop import Progress as Update

PATIENCE_SECONDS = 2.0


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

    def amount(self, what: str, done: float, total: float) -> None:
        """Told of work that is counted: bytes read, columns typed, texts embedded."""
        assert self._task is not None
        note = f"{what} {done:,.0f}/{total:,.0f}"
        self._bars.update(self._task, total=total, completed=done, note=note)

    def __call__(self, update: Update) -> None:
        """Told of every optimiser update."""
        assert self._task is not None
        note = f"epoch {update.epoch}/{update.epochs}  loss {update.loss:.3f}"
        self._bars.update(self._task, total=update.updates, completed=update.update, note=note)

    def reading(self, done: int, total: int) -> None:
        """Told of every block of a file: bytes read and bytes in all."""
        assert self._task is not None
        self._bars.update(self._task, total=total, completed=done, note=_read_note(done, total))
        if done >= total:  # what follows in this step has no measure
            self._bars.update(self._task, total=None, note="")


class ReadingBar:
    """A bar for reading a file; shown only once that has taken two seconds.

    Example:
        >>> with ReadingBar(console) as bar:
        ...     table = read_table(path, on_progress=bar)
    """

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("reading"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._started = time.monotonic()

    def __enter__(self) -> ReadingBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Told of every block: bytes read and bytes in all."""
        if self._task is None:
            if time.monotonic() - self._started < PATIENCE_SECONDS:
                return
            self._bar.start()
            self._task = self._bar.add_task("", note="")
        self._bar.update(self._task, total=total, completed=done, note=_read_note(done, total))


def _read_note(done: int, total: int) -> str:
    return f"{done / 1e6:,.0f} of {total / 1e6:,.0f} MB"
