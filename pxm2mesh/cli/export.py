"""``pxm2mesh export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pxm2mesh.cli.options import Output

EXAMPLE = "pxm2mesh export runs/demo -o electrode.json --along z"


def export(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, or a mesh file.")],
    output: Output,
    electrode: Annotated[str, typer.Option(help="BPX: positive or negative.")] = "positive",
    along: Annotated[str, typer.Option(help="BPX: axis from separator to collector.")] = "z",
    base: Annotated[
        Path | None, typer.Option(help="BPX: file of a whole cell whose electrode gets this geometry.")
    ] = None,
) -> None:
    """Write a run's electrode for battery models (.json: BPX, for PyBaMM), or its mesh in another format."""
    from pxm2mesh.report.export import export_run

    facts = export_run(source, output, side=electrode, along=along, base=base)
    context.obj.emit({"written": str(output), **facts}, f"written: {output}")
