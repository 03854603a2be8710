"""``pxm2mesh solve``."""

from __future__ import annotations

import typer

from pxm2mesh.cli.options import DryRun, Ranks, Restart, StudyFile
from pxm2mesh.cli.plan import do_study

EXAMPLE = "pxm2mesh solve study.toml --np 2"


def solve(
    context: typer.Context,
    study: StudyFile,
    np: Ranks = None,
    restart: Restart = False,
    dry_run: DryRun = False,
) -> int:
    """Do the stages of a study that its simulation needs, and the simulation."""
    return do_study(context.obj, study, "solve", ranks=np, restart=restart, dry_run=dry_run)
