"""``pxm2mesh surface``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pxm2mesh.cli.options import Crop, Labels, Output, Phases, Spacing, read_labels

EXAMPLE = 'pxm2mesh surface labels.tif --spacing "0.4 um" --phases "void=0,NMC=1,LPSCl=2" -o surface.vtp'


def surface(
    context: typer.Context,
    labels: Labels,
    phases: Phases,
    output: Output,
    spacing: Spacing = None,
    crop: Crop = None,
    cell_size: Annotated[str, typer.Option(help='Voxels, or a length "0.8 um".')] = "1",
    stl: Annotated[Path | None, typer.Option(help="Also write one STL per phase into this folder.")] = None,
    method: Annotated[str, typer.Option(help="nets or marching-cubes.")] = "nets",
) -> None:
    """Extract the interfaces as triangles."""
    from pxm2mesh.meshing.options import parse_cell_size
    from pxm2mesh.surfacing import write_surfaces

    with context.obj.progress() as progress:
        made, files = write_surfaces(
            read_labels(labels, spacing, phases, crop),
            output,
            cell_size=parse_cell_size(cell_size),
            method=method,
            stl=stl,
            progress=progress,
        )
    written = [str(file) for file in files]
    context.obj.emit(
        {"written": written, "areas_um2": made.pair_areas()}, f"{made!r}\nwritten: {', '.join(written)}"
    )
