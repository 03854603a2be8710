"""What a verb needs of the terminal: where results, progress and messages go."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from pxm2mesh.progress import SILENT, Progress, Task

if TYPE_CHECKING:
    from rich.progress import Progress as RichBars
    from rich.progress import TaskID

    from pxm2mesh.pipeline import Run
    from pxm2mesh.quantities import Quantities


class Session:
    """One call of the command line.

    Args:
        as_json: Print the machine form of results.
        verbosity: -1 quiet, 0 normal, 1 what is being done, 2 everything.
    """

    def __init__(self, *, as_json: bool = False, verbosity: int = 0) -> None:
        self.as_json = as_json
        self.verbosity = verbosity

    def emit(self, machine: Any, human: Callable[[], str] | str | None = None) -> None:
        """Print a result on stdout: ``machine`` as JSON where asked for, else ``human``."""
        if self.as_json:
            print(json.dumps(machine, indent=2, ensure_ascii=False))
        elif self.verbosity >= 0 and human is not None:
            print(human() if callable(human) else human)

    def emit_quantities(self, quantities: Quantities) -> None:
        """Print quantities as a table."""
        rows = [(q.name, q.subject, format_value(q.value) + format_interval(q.uncertainty),
                 q.unit if q.unit != "1" else "", q.method) for q in quantities]  # fmt: skip
        self.emit(quantities.as_list(), lambda: table(("quantity", "of", "value", "unit", "method"), rows))

    def emit_run(self, run: Run) -> None:
        """The numbers one looks for as a table, all of them as JSON or with ``-v``, and where everything is."""
        shown = run.quantities if self.verbosity > 0 or self.as_json else headlines(run.quantities)
        self.emit_quantities(shown)
        if len(shown) < len(run.quantities):
            left = len(run.quantities) - len(shown)
            self.say(f"and {left} more in quantities.json and the report; -v shows them here")
        self.say(run.summary())

    def say(self, text: str) -> None:
        """A line for people, on stderr; silent with ``-q`` or ``--json``."""
        if self.verbosity >= 0 and not self.as_json:
            print(text, file=sys.stderr)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Bars on a terminal, lines in a log, nothing when quiet."""
        if self.verbosity < 0:
            yield SILENT
        elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            with _bars() as bars:
                yield _RichProgress(bars)
        else:
            yield _LineProgress() if self.verbosity > 0 else SILENT

    def configure_logging(self) -> None:
        """Send the library's log to stderr, as much of it as the verbosity asks for."""
        logger = logging.getLogger("pxm2mesh")
        logger.handlers[:] = [_StderrHandler(self.verbosity, self.as_json)]
        logger.propagate = False
        logger.setLevel(logging.DEBUG if self.verbosity > 1 else logging.INFO)


HEADLINES = (
    "volume_fraction",
    "contact_fraction",
    "particle_diameter_d50",
    "pore_diameter_d50",
    "tortuosity_factor",
)


def headlines(quantities: Quantities) -> Quantities:
    """What a run is done for: everything computed, and of what was measured the `HEADLINES`.

    Transport on voxels is left out for a phase that was solved on the mesh, and contact where it is the reverse of one
    that is shown.
    """
    from pxm2mesh.quantities import Quantities

    computed = [
        q for q in quantities if q.method.startswith("finite elements") or q.name not in _measured_names()
    ]
    solved = {(q.name, q.phase) for q in computed}
    chosen, pairs = [], set()
    for q in quantities:
        pair = frozenset((q.interface or "").split(" | "))
        if q in computed:
            chosen.append(q)
        elif (
            q.name in HEADLINES and (q.name, q.phase) not in solved and (not q.interface or pair not in pairs)
        ):
            chosen.append(q)
            pairs.add(pair)
    return Quantities(chosen)


def _measured_names() -> tuple[str, ...]:
    from pxm2mesh.quantify import quantity_names

    return quantity_names()


class _StderrHandler(logging.Handler):
    """Warnings always, stages of a run unless quiet, everything else when asked for.

    Writes to whatever stderr is now, so that bars are not torn.
    """

    def __init__(self, verbosity: int, as_json: bool) -> None:
        super().__init__()
        levels = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}
        self._from = levels.get(verbosity, logging.DEBUG)
        self._stages = verbosity >= 0 and not as_json

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= self._from or (self._stages and record.name == "pxm2mesh.pipeline")

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            text = f"{record.levelname.lower()}: {text}"
        print(text, file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table: drawn by rich on a terminal, blank-separated columns in a file or pipe.

    Args:
        head: Column names. A column named ``value`` is set flush right.
        rows: Text cells.

    Returns:
        The text, without a final line break.
    """
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        drawn = Table(*[], box=None, pad_edge=False, header_style="bold")
        for name in head:
            drawn.add_column(name, justify="right" if name == "value" else "left", overflow="fold")
        for row in rows:
            drawn.add_row(*row)
        console = Console(highlight=False)
        with console.capture() as captured:
            console.print(drawn)
        return captured.get().rstrip("\n")
    widths = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]
    flush = [str.rjust if name == "value" else str.ljust for name in head]
    return "\n".join(
        "  ".join(put(cell, width) for put, cell, width in zip(flush, line, widths, strict=True)).rstrip()
        for line in (head, *rows)
    )


def format_value(value: float) -> str:
    """Five significant digits; ``inf`` said as such."""
    return f"{value:.5g}"


def format_interval(uncertainty: float | tuple[float, float] | None) -> str:
    """`` (low … high)`` or `` ± half-width``, three significant digits; nothing where there is none."""
    if uncertainty is None:
        return ""
    if isinstance(uncertainty, tuple):
        return f" ({uncertainty[0]:.3g} … {uncertainty[1]:.3g})"
    return f" ± {uncertainty:.2g}"


def _bars() -> RichBars:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn(),
               TimeElapsedColumn(), TextColumn("[dim]{task.fields[note]}"))  # fmt: skip
    return Bars(*columns, console=Console(stderr=True), transient=True)


class _RichTask:
    def __init__(self, bars: RichBars, task: TaskID) -> None:
        self._bars, self._task = bars, task

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        if note:
            self._bars.update(self._task, advance=amount, note=note)
        else:
            self._bars.update(self._task, advance=amount)


class _RichProgress:
    def __init__(self, bars: RichBars) -> None:
        self._bars = bars

    @contextmanager
    def _open(self, description: str, total: float | None) -> Iterator[Task]:
        task = self._bars.add_task(description, total=total, note="")
        try:
            yield _RichTask(self._bars, task)
        finally:
            self._bars.remove_task(task)

    def task(self, description: str, total: float | None = None) -> AbstractContextManager[Task]:
        return self._open(description, total)


class _LineTask:
    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Lines are written at the end of a task only."""


class _LineProgress:
    @contextmanager
    def _open(self, description: str) -> Iterator[Task]:
        start = time.perf_counter()
        with ExitStack():
            yield _LineTask()
        print(f"{description}: {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)

    def task(self, description: str, total: float | None = None) -> AbstractContextManager[Task]:
        return self._open(description)
