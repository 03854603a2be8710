"""``pxm2mesh schema``."""

from __future__ import annotations

import typer

from pxm2mesh.cli.options import OptionalOutput

EXAMPLE = "pxm2mesh schema -o study.schema.json"


def schema(context: typer.Context, output: OptionalOutput = None) -> None:
    """Print or write the JSON schema of study files, for editors that complete and check them."""
    from pxm2mesh.files import write_json
    from pxm2mesh.study.schema import study_schema

    made = study_schema()
    if output is None:
        context.obj.as_json = True
        context.obj.emit(made)
    else:
        write_json(output, made)
        context.obj.emit({"written": str(output)}, f"written: {output}")
