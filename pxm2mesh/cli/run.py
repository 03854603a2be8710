"""``pxm2mesh run``."""

from __future__ import annotations

import typer

from pxm2mesh.cli.options import DryRun, Ranks, Restart, StudyFile
from pxm2mesh.cli.plan import show_plan

EXAMPLE = "pxm2mesh run study.toml --np 2"


def run(
    context: typer.Context,
    study: StudyFile,
    np: Ranks = None,
    restart: Restart = False,
    dry_run: DryRun = False,
) -> int:
    """Do every stage of a study, skipping what is up to date."""
    from pxm2mesh.pipeline import run_study
    from pxm2mesh.study import read_study

    if dry_run:
        return show_plan(context.obj, study, "report", restart)
    with context.obj.progress() as progress:
        done = run_study(read_study(study), ranks=np, restart=restart, progress=progress)
    context.obj.emit_run(done)
    return 0
