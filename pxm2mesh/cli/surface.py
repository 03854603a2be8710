"""``pxm2mesh surface``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pxm2mesh.cli.options import CellSize, Crop, Labels, Method, Only, Output, Phases, Spacing, read_labels

EXAMPLE = 'pxm2mesh surface labels.tif --spacing "0.4 um" --phases "void=0,NMC=1,LPSCl=2" -o surface.vtp'


def surface(
    context: typer.Context,
    labels: Labels,
    phases: Phases,
    output: Output,
    spacing: Spacing = None,
    crop: Crop = None,
    cell_size: CellSize = "1",
    stl: Annotated[Path | None, typer.Option(help="Also write one file per phase or particle here.")] = None,
    method: Method = "nets",
    shell_format: Annotated[
        str, typer.Option("--format", help="Of the files in that folder: stl, ply, obj or vtp.")
    ] = "stl",
    by: Annotated[str, typer.Option(help="One of these files per phase or per particle.")] = "phase",
    only: Only = None,
    smoothing: Annotated[
        str, typer.Option(help="Of marching cubes: projection, taubin, windowed-sinc or none.")
    ] = "projection",
    edge: Annotated[
        str | None, typer.Option(help='Marching cubes remeshed to even triangles with edges of "0.8 um".')
    ] = None,
    decimate: Annotated[
        float | None, typer.Option(help="Marching cubes with this share of their triangles, 0.25.")
    ] = None,
) -> None:
    """Extract the interfaces as triangles."""
    from pxm2mesh.errors import UsageError
    from pxm2mesh.meshing.options import parse_cell_size
    from pxm2mesh.surfacing import ShellOptions, write_surfaces

    if method == "nets" and (edge is not None or decimate is not None or smoothing != "projection"):
        raise UsageError(
            "smoothing, edge and decimate are for single surfaces;", hint="add --method marching-cubes."
        )
    shells = ShellOptions(
        smoothing=smoothing,  # type: ignore[arg-type]
        edge=edge if edge is None else _number_or_length(edge),
        decimate=decimate,
    )
    with context.obj.progress() as progress:
        made, files = write_surfaces(
            read_labels(labels, spacing, phases, crop),
            output,
            cell_size=parse_cell_size(cell_size),
            method=method,
            stl=stl,
            shell_format=shell_format,
            by=by,  # type: ignore[arg-type]
            only=only,
            shells=shells,
            progress=progress,
        )
    written = [str(file) for file in files]
    context.obj.emit(
        {"written": written, "areas_um2": made.pair_areas()}, f"{made!r}\nwritten: {', '.join(written)}"
    )


def _number_or_length(text: str) -> str | float:
    """A number of voxels, or the text of a length."""
    try:
        return float(text)
    except ValueError:
        return text
