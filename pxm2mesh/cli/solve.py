"""``pxm2mesh solve``."""

from __future__ import annotations

import typer

from pxm2mesh.cli.options import DryRun, Ranks, Restart, StudyFile
from pxm2mesh.cli.plan import show_plan

EXAMPLE = "pxm2mesh solve study.toml --np 2"


def solve(
    context: typer.Context,
    study: StudyFile,
    np: Ranks = None,
    restart: Restart = False,
    dry_run: DryRun = False,
) -> int:
    """Do the stages of a study that its simulation needs, and the simulation."""
    from pxm2mesh.pipeline import run_study
    from pxm2mesh.study import read_study

    if dry_run:
        return show_plan(context.obj, study, "solve", restart)
    with context.obj.progress() as progress:
        done = run_study(read_study(study), until="solve", ranks=np, restart=restart, progress=progress)
    context.obj.emit_run(done)
    return 0
