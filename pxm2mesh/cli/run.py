"""``pxm2mesh run``."""

from __future__ import annotations

import typer

from pxm2mesh.cli.options import DryRun, Ranks, Restart, StudyFile
from pxm2mesh.cli.plan import do_study

EXAMPLE = "pxm2mesh run study.toml --np 2"


def run(
    context: typer.Context,
    study: StudyFile,
    np: Ranks = None,
    restart: Restart = False,
    dry_run: DryRun = False,
) -> int:
    """Do every stage of a study, skipping what is up to date."""
    return do_study(context.obj, study, "report", ranks=np, restart=restart, dry_run=dry_run)
