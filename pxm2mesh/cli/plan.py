"""What the verbs that run a study share."""

from __future__ import annotations

from pathlib import Path

from pxm2mesh.cli.session import Session, table


def do_study(
    session: Session, study: Path, until: str, *, ranks: int | None, restart: bool, dry_run: bool
) -> int:
    """Do the stages of a study up to ``until``, or only say which they are; returns the exit code."""
    from pxm2mesh.pipeline import run_study
    from pxm2mesh.study import read_study

    if dry_run:
        return _show_plan(session, study, until, restart)
    with session.progress() as progress:
        done = run_study(read_study(study), until=until, ranks=ranks, restart=restart, progress=progress)
    session.emit_run(done)
    return 0


def _show_plan(session: Session, study: Path, until: str, restart: bool) -> int:
    """Say which stages would be done and what the mesh would cost; problems of the study end it as `check` does."""
    from pxm2mesh.pipeline import plan_study
    from pxm2mesh.study import examine_study

    found = examine_study(study)
    if found.study is None or found.errors:
        session.emit(
            {"problems": [vars(p) for p in found.problems]}, "\n".join(f"{study}:{p}" for p in found.problems)
        )
        return 2
    plan = [(stage.name, stage.done or restart) for stage in plan_study(found.study, until=until)]
    machine = {
        "stages": {name: "to do" if todo else "up to date" for name, todo in plan},
        "facts": dict(found.facts),
    }
    rows = [(name, "to do" if todo else "up to date") for name, todo in plan]
    session.emit(machine, lambda: "\n".join([table(("stage", ""), rows), "", *found.told()]))
    return 0
