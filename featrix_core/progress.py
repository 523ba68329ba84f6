"""Progress on the terminal: a bar per step, with the loss where something is trained."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from featrix_core.training.loop import Progress as Update


class StepProgress:
    """Shows one bar per step; a step without updates pulses until the next one starts."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description:<16}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self._task: TaskID | None = None

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
        self._bars.stop()

    def _end(self) -> None:
        if self._task is not None:
            self._bars.update(self._task, total=1, completed=1)
            self._bars.stop_task(self._task)

    def start(self, step: str) -> StepProgress:
        """A new step starts, the one before has ended."""
        self._end()
        self._task = self._bars.add_task(step, total=None, note="")
        return self

    def __call__(self, update: Update) -> None:
        """Told of every optimiser update."""
        assert self._task is not None
        note = f"epoch {update.epoch}/{update.epochs}  loss {update.loss:.3f}"
        self._bars.update(self._task, total=update.updates, completed=update.update, note=note)
