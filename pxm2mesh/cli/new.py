"""``pxm2mesh new``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "pxm2mesh new study.toml --template conduction"
TEMPLATES = sorted(file.stem for file in Path(__file__).parents[1].glob("study/templates/*.toml"))
"""By their files: the module that writes them costs more to import than the help page may take."""


def new(
    context: typer.Context,
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The file to write.")],
    template: Annotated[
        str,
        typer.Option(
            help=f"What it is about: {', '.join(TEMPLATES)}.",
            autocompletion=lambda incomplete: [name for name in TEMPLATES if name.startswith(incomplete)],
        ),
    ] = "conduction",
    schema: Annotated[
        bool, typer.Option("--schema", help="Write study.schema.json beside it, for your editor.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a commented study file to start from."""
    from pxm2mesh.study.templates import new_study

    new_study(study, template, replace=force, schema=schema)
    context.obj.emit({"written": str(study)}, f"written: {study}")
