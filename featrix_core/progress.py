"""Progress on the terminal: a bar per step, with loss, speed and time left where something is trained (VIEW-3)."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:  # torch would cost two seconds before the first line is shown
    from featrix_core.training.protocols import Progress as Update

PATIENCE_SECONDS = 2.0
LINE_SECONDS = 60.0
"""Where nobody watches, a training says so often how far it is."""


class _Bars:
    """Bars that are gone, or stand still, when the block ends. One line: what, bar, time, a note."""

    def __init__(self, console: Console, *, transient: bool = False) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=transient,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def _show(self, done: float, total: float | None, note: str) -> None:
        assert self._task is not None
        self._bars.update(self._task, total=total, completed=done, note=note)


class ReadingBar(_Bars):
    """A bar for reading a file; shown only once that has taken two seconds.

    Example:
        >>> with ReadingBar(console) as bar:
        ...     table = read_table(path, on_progress=bar)
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console, transient=True)

    def __call__(self, done: int, total: int) -> None:
        """Told of every block: bytes read and bytes in all."""
        if self._task is None:
            if time.monotonic() - self._started < PATIENCE_SECONDS:
                return
            self._bars.start()
            self._task = self._bars.add_task("reading", note="")
        self._show(done, total, _read_note(done, total))


class StepProgress(_Bars):
    """One bar per step; a step without updates pulses until the next one starts.

    Where nobody watches (a pipe, a log file) each finished step is one line instead, and a long training says
    a line every minute.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._step, self._note = "", ""
        self._speed = _Speed()
        self._said = 0.0

    def __enter__(self) -> Self:
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
        super().__exit__(kind, error, trace)

    def _end(self) -> None:
        if self._task is None:
            return
        if self._note:
            self._show(1, 1, self._note)
        self._bars.update(self._task, total=1, completed=1)
        self._bars.stop_task(self._task)
        if not self._console.is_terminal:
            seconds = time.monotonic() - self._started
            self._say(f"{self._step:<16}{seconds:7.1f} s  {self._note}")

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        self._console.print(line.rstrip(), highlight=False, markup=False, soft_wrap=True)

    def start(self, step: str) -> StepProgress:
        """A new step starts, the one before has ended."""
        self._end()
        self._step, self._started, self._note = step, time.monotonic(), ""
        self._said = self._started
        self._task = self._bars.add_task(f"{step:<16}", total=None, note="")
        return self

    def amount(self, what: str, done: float, total: float) -> None:
        """Told of work that is counted: bytes read, columns typed, texts embedded."""
        self._show(done, total, f"{what} {done:,.0f}/{total:,.0f}")

    def __call__(self, update: Update) -> None:
        """Told of every optimiser update."""
        per_second = self._speed.told(update)
        head = f"epoch {update.epoch}/{update.epochs}  loss {update.loss:.3f}"
        speed = f"{per_second * update.rows:,.0f} rows/s" if per_second and update.rows else ""
        rate = f"rate {update.rate:.1e}" if update.rate else ""
        left = _left((update.updates - update.update) / per_second) if per_second else ""
        self._note = "  ".join(filter(None, (f"loss {update.loss:.3f}", speed)))
        note = "  ".join(filter(None, (head, rate, speed, left)))
        self._show(update.update, update.updates, note)
        if not self._console.is_terminal and time.monotonic() - self._said >= LINE_SECONDS:
            self._say(f"{self._step:<16}{time.monotonic() - self._started:7.1f} s  {note}")

    def reading(self, done: int, total: int) -> None:
        """Told of every block of a file: bytes read and bytes in all."""
        self._show(done, total, _read_note(done, total))
        if done >= total:  # what follows in this step has no measure
            self._show(done, None, "")


class _Speed:
    """Updates per second since a training began; a count that starts anew is another training."""

    def __init__(self) -> None:
        self._first, self._last, self._began = 0, 0, 0.0

    def told(self, update: Update) -> float:
        """Updates per second; 0 at the first one, when nothing is known yet."""
        now = time.monotonic()
        if update.update <= self._last or not self._began:
            self._first, self._began = update.update, now
        self._last = update.update
        passed = now - self._began
        return (update.update - self._first) / passed if passed > 0 else 0.0


def _left(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min left"
    return f"{minutes} min {rest:02d} s left" if minutes else f"{rest} s left"


def _read_note(done: int, total: int) -> str:
    return f"{done / 1e6:,.0f} of {total / 1e6:,.0f} MB"
