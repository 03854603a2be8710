"""``pxm2mesh check``."""

from __future__ import annotations

import typer

from pxm2mesh.cli.options import StudyFile

EXAMPLE = "pxm2mesh check study.toml"


def check(context: typer.Context, study: StudyFile) -> int:
    """Find everything in a study file that can be wrong before it runs."""
    from pxm2mesh.study import check_study

    found, problems = check_study(study)
    machine = {"study": str(study), "problems": [vars(p) for p in problems]}
    lines = [
        f"{study}:{p.line}:{p.column}: {p.key + ': ' if p.key else ''}{p.message} {p.hint}" for p in problems
    ]
    context.obj.emit(machine, "\n".join(lines) if problems else f"{study}: nothing wrong; {found}")
    return 2 if problems else 0
