"""``pxm2mesh movie``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = 'pxm2mesh movie runs/demo --field "interface damage" -o damage.gif'


def movie(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="FILE.gif or FILE.mp4 of all times, FILE.png of one.")
    ],
    field: Annotated[
        str | None, typer.Option(help="What to colour by; the field that says most if absent.")
    ] = None,
    warp: Annotated[
        float | None, typer.Option(help="Factor of the displacement; 0 for none, one that fits if absent.")
    ] = None,
    phases: Annotated[str | None, typer.Option(help='Phases to show, "NMC,LPSCl".')] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Do not cut a corner away.")] = False,
    time: Annotated[float | None, typer.Option(help="Of a still; the last if absent.")] = None,
    rate: Annotated[float, typer.Option(help="Frames per second.")] = 6.0,
    computation: Annotated[int, typer.Option(help="Which [[physics]] entry, from 1.", min=1)] = 1,
) -> None:
    """Draw the results of a run as a movie or a still."""
    from pxm2mesh.report.movie import MovieOptions, make_movie

    names = () if phases is None else tuple(name.strip() for name in phases.split(","))
    options = MovieOptions(field=field, warp=warp, phases=names, cut=not whole, time=time, rate=rate,
                           computation=computation)  # fmt: skip
    with context.obj.progress() as progress:
        written = make_movie(run, output, options, progress=progress)
    context.obj.emit({"written": str(written)}, f"written: {written}")
