"""``pxm2mesh solve``."""

from __future__ import annotations

import typer

from pxm2mesh.cli.options import Ranks, Restart, StudyFile

EXAMPLE = "pxm2mesh solve study.toml --np 2"


def solve(context: typer.Context, study: StudyFile, np: Ranks = None, restart: Restart = False) -> None:
    """Do the stages of a study that its simulation needs, and the simulation."""
    from pxm2mesh.pipeline import run_study
    from pxm2mesh.study import read_study

    with context.obj.progress() as progress:
        done = run_study(read_study(study), until="solve", ranks=np, restart=restart, progress=progress)
    context.obj.emit_quantities(done.quantities)
    context.obj.say(done.summary())
