"""The exception tree: everything a user can mend is a `FeatrixUserError`."""

from __future__ import annotations


class FeatrixError(Exception):
    """Root of all errors that featrix raises on purpose."""


class FeatrixUserError(FeatrixError):
    """A mistake in the input that the user can mend; the command line ends with status 2.

    Args:
        what: what is wrong, in one sentence.
        column: the column (or file) that it is about.
        value: the offending value, shortened for display.
        remedy: what to do about it.
    """

    def __init__(
        self,
        what: str,
        *,
        column: str | None = None,
        value: object = None,
        remedy: str | None = None,
    ) -> None:
        self.what = what
        self.column = column
        self.value = value
        self.remedy = remedy
        super().__init__(self._text())

    def _text(self) -> str:
        # What libraries say may run over several lines; a user is told one sentence.
        lines = (line.strip() for line in self.what.splitlines())
        text = " ".join(line for line in lines if line).rstrip(".")
        if self.column is not None and repr(self.column) not in text:
            text += f" (column {self.column!r})"
        if self.value is not None:
            text += f" (value {_short(str(self.value))!r})"
        text += "."
        if self.remedy:
            text += f" {self.remedy.rstrip('.')}."
        return text


def _short(value: str) -> str:
    """Both ends of a long value: a path's end says more than its middle."""
    return value if len(value) <= 80 else f"{value[:39]}…{value[-40:]}"


class BundleError(FeatrixUserError):
    """A saved space or predictor cannot be trusted: damaged, incomplete or of another version."""


class TrainingError(FeatrixError):
    """Training ended in a state that no intervention mends; `suggestions` says what to change."""

    def __init__(self, what: str, suggestions: dict[str, object] | None = None) -> None:
        self.suggestions = suggestions or {}
        super().__init__(what)
