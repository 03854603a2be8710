"""``pxm2mesh compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pxm2mesh.cli.session import format_value, table

if TYPE_CHECKING:
    from pxm2mesh.quantify.compare import ComparedRow

EXAMPLE = "pxm2mesh compare runs/assembled runs/pressed runs/cycled -o comparison"


def compare(
    context: typer.Context,
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Run folders, or files of quantities.")],
    only: Annotated[str | None, typer.Option(help='Names to compare, "porosity,contact_fraction".')] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for comparison.html, .csv and .svg; of runs also profiles, sizes and changes of their labels.",
        ),
    ] = None,
) -> None:
    """Put the quantities of several runs side by side."""
    from pxm2mesh.report.compare import compare_runs, write_comparison

    found = compare_runs(runs, only=None if only is None else [name.strip() for name in only.split(",")])
    machine = [
        {"name": row.name, "subject": row.subject, "unit": row.unit, "method": row.method,
         "values": {state: format_value(row.values[state]) for state in found.states},
         "intervals": {state: row.intervals[state] for state in found.states}}
        for row in found.rows
    ]  # fmt: skip
    head = ("quantity", "of", *found.states, "unit", "method")
    rows = [
        (
            row.name,
            row.subject,
            *(_cell(row, s) for s in found.states),
            "" if row.unit == "1" else row.unit,
            row.method,
        )
        for row in found.rows
    ]
    context.obj.emit(machine, lambda: table(head, rows))
    if output is not None:
        for path in write_comparison(found, output, runs):
            context.obj.say(f"written: {path}")


def _cell(row: ComparedRow, state: str) -> str:
    """The value, with its interval where there is one; a dash where a run has none."""
    span, value = row.intervals[state], format_value(row.values[state]).replace("nan", "–")
    return value if span is None else f"{value} ({span[0]:.3g} to {span[1]:.3g})"
