"""Progress of long verbs: an argument, never a global; silent unless the caller wants to see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One running piece of work."""

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Report that ``amount`` more of the total is done; ``note`` says what is going on now."""


class Progress(Protocol):
    """Something that shows tasks: a bar on a terminal, lines in a log, nothing."""

    def task(self, description: str, total: float | None = None) -> AbstractContextManager[Task]:
        """Open a task; ``total`` None means that the amount of work is unknown."""


class _SilentTask:
    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Do nothing."""


class _SilentProgress:
    @contextmanager
    def _open(self) -> Iterator[Task]:
        yield _SilentTask()

    def task(self, description: str, total: float | None = None) -> AbstractContextManager[Task]:
        """Open a task that shows nothing."""
        return self._open()


SILENT: Progress = _SilentProgress()
"""The default of every ``progress`` argument."""
