"""``pxm2mesh info``."""

from __future__ import annotations

from typing import Annotated

import typer

from pxm2mesh.cli.session import table

EXAMPLE = "pxm2mesh info runs/demo"


def info(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="An image, surface, mesh, study or run folder.")
    ],
) -> None:
    """Say what a volume, surface, mesh, study or run holds."""
    from pxm2mesh.report.describe import describe

    facts = describe(file)
    context.obj.emit(
        facts, lambda: table(("", ""), [(name, str(value)) for name, value in facts.items()]).lstrip()
    )
