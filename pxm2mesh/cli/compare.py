"""``pxm2mesh compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pxm2mesh.cli.session import format_value, table

EXAMPLE = "pxm2mesh compare runs/assembled runs/pressed runs/cycled -o comparison"


def compare(
    context: typer.Context,
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Run folders, or files of quantities.")],
    only: Annotated[str | None, typer.Option(help='Names to compare, "porosity,contact_fraction".')] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for comparison.csv and comparison.svg.")
    ] = None,
) -> None:
    """Put the quantities of several runs side by side."""
    from pxm2mesh.report.compare import compare_runs, write_comparison

    found = compare_runs(runs, only=None if only is None else [name.strip() for name in only.split(",")])
    machine = [
        {"name": row.name, "subject": row.subject, "unit": row.unit, "method": row.method,
         "values": {state: format_value(row.values[state]) for state in found.states}}
        for row in found.rows
    ]  # fmt: skip
    head = ("quantity", "of", *found.states, "unit", "method")
    rows = [
        (row.name, row.subject, *(format_value(row.values[s]) for s in found.states), row.unit, row.method)
        for row in found.rows
    ]
    context.obj.emit(machine, lambda: table(head, rows))
    if output is not None:
        for path in write_comparison(found, output):
            context.obj.say(f"written: {path}")
