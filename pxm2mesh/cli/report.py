"""``pxm2mesh report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "pxm2mesh report runs/demo"


def report(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
) -> None:
    """Write one self-contained HTML page about a run."""
    from pxm2mesh.report import write_report

    with context.obj.progress() as progress:
        page = write_report(run, progress=progress)
    context.obj.emit({"written": str(page)}, f"written: {page}")
