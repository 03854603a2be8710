"""``pxm2mesh run``."""

from __future__ import annotations

import typer

from pxm2mesh.cli.options import Ranks, Restart, StudyFile

EXAMPLE = "pxm2mesh run study.toml --np 2"


def run(context: typer.Context, study: StudyFile, np: Ranks = None, restart: Restart = False) -> None:
    """Do every stage of a study, skipping what is up to date."""
    from pxm2mesh.pipeline import run_study
    from pxm2mesh.study import read_study

    with context.obj.progress() as progress:
        done = run_study(read_study(study), ranks=np, restart=restart, progress=progress)
    context.obj.emit_quantities(done.quantities)
    context.obj.say(done.summary())
