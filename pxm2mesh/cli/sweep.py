"""``pxm2mesh sweep``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pxm2mesh.cli.options import Ranks
from pxm2mesh.cli.session import table

EXAMPLE = "pxm2mesh sweep states.toml --workers 2"


def sweep(
    context: typer.Context,
    sweep: Annotated[Path, typer.Argument(metavar="SWEEP.toml", help="The sweep file.")],
    workers: Annotated[int, typer.Option(min=1, help="Cases at a time on this machine.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(help='Address of a Dask scheduler, "tcp://host:8786"; "local" starts one here.'),
    ] = None,
    np: Ranks = None,
) -> int:
    """Run a study over parameters, states or sub-volumes, skipping what is up to date."""
    from pxm2mesh.sweep import UP_TO_DATE, read_sweep, run_sweep, write_results

    plan = read_sweep(sweep)
    with context.obj.progress() as progress:
        states = run_sweep(plan, workers=workers, scheduler=scheduler, ranks=np, progress=progress)
    files = write_results(plan, states)
    rows = [
        (*(str(value) for value in s.parameters.values()), s.status, f"{s.seconds:.1f}", s.message)
        for s in states
    ]
    context.obj.emit(
        [asdict(s) for s in states], lambda: table((*plan.axes, "status", "seconds", "why"), rows)
    )
    for file in files:
        context.obj.say(f"written: {file}")
    before = sum(state.message == UP_TO_DATE for state in states)
    if before:
        context.obj.say(f"{before} of {len(states)} cases were up to date already.")
    failed = [state for state in states if state.status != "done"]
    if failed:
        context.obj.say(
            f"{len(failed)} of {len(states)} cases are not done; the same command does them again."
        )
    return (
        next((state.exit_code for state in failed if state.exit_code and state.exit_code > 0), 1)
        if failed
        else 0
    )
