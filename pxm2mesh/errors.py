"""The error tree: one page, one exit code per class.

Every message says what is wrong (with the numbers), where (file, key, label, coordinates) and what to
do about it. The remedy goes into ``hint`` so that the command line can set it apart.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Pxm2meshError(Exception):
    """Base of every error a user can cause or meet.

    Args:
        message: What is wrong and where.
        hint: What to do about it.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class UsageError(Pxm2meshError):
    """A wrong call: unknown option, name or key, impossible combination."""

    exit_code = 2


class StudyError(UsageError):
    """A study file that cannot be understood or asks for something inconsistent."""


class UnitError(UsageError):
    """A value without a unit, with an unknown one or with one of the wrong dimension."""


class DataError(Pxm2meshError):
    """Image, label or table data that is unreadable, damaged or contradicts what was said about it."""

    exit_code = 3


class GeometryError(Pxm2meshError):
    """A shape that cannot be: open region, overlapping zone, thickness larger than the gap."""

    exit_code = 4


class MeshingError(Pxm2meshError):
    """The mesher could not deliver a valid mesh."""

    exit_code = 5


class NotConvergedError(Pxm2meshError):
    """A solver stopped short of its tolerance; the last good state is on disk.

    Args:
        message: What was being solved, and where.
        reason: The solver's own reason.
        iterations: Iterations done.
        residual: Last residual norm.
        time: Simulated time in s, or None for a steady problem.
        hint: What to do about it.
    """

    exit_code = 6

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        iterations: int = 0,
        residual: float = float("nan"),
        time: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.iterations = iterations
        self.residual = residual
        self.time = time


class MissingDependencyError(Pxm2meshError):
    """A package is needed that is not installed; the hint names the command that installs it."""

    exit_code = 7


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The remedy for an unknown name: the closest known one, or the list of all.

    Args:
        name: What was written.
        known: What would have been understood.

    Returns:
        A sentence such as ``did you mean "NMC"?``.

    Example:
        >>> did_you_mean("NCM", ["NMC", "LPSCl", "void"])
        'did you mean "NMC"?'
    """
    names = [str(k) for k in known]
    lowered = {n.lower(): n for n in names}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    if close:
        return f'did you mean "{lowered[close[0]]}"?'
    return "known: " + (", ".join(names) if names else "none") + "."
