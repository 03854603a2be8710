"""``pxm2mesh check``."""

from __future__ import annotations

import typer

from pxm2mesh.cli.options import StudyFile

EXAMPLE = "pxm2mesh check study.toml"


def check(context: typer.Context, study: StudyFile) -> int:
    """Find everything about a study that can be wrong before it runs, and what it will cost."""
    from pxm2mesh.study import examine_study

    found = examine_study(study)
    machine = {"study": str(study), "problems": [vars(p) for p in found.problems], "facts": dict(found.facts)}
    lines = [f"{study}:{problem}" for problem in found.problems]
    if not found.errors:
        lines += [f"{study}: nothing wrong; {found.study}", *found.told()]
    context.obj.emit(machine, "\n".join(lines))
    return 2 if found.errors else 0
